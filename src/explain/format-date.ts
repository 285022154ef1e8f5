/** Dates for people. Pure. */
import { durationText } from '../clock.ts';

/** The largest time that a Date can hold, in seconds. */
const MAX_DATE_SECONDS = 8.64e12;

/** A NumericDate, readable, and how far from now it is. */
export function dateText(seconds: number, nowMs: number): string {
  if (Math.abs(seconds) > MAX_DATE_SECONDS) return String(seconds);
  const agoSeconds = Math.round(nowMs / 1000 - seconds);
  return `${new Date(seconds * 1000).toISOString()} (${durationText(Math.abs(agoSeconds))} ${agoSeconds >= 0 ? 'ago' : 'from now'})`;
}
