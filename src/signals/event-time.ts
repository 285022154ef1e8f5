/**
 * When what an event tells of has happened: the cutoff of the entry that it asks for. Pure. OpenID CAEP 1.0 section 2, RFC 8417
 * section 2.2.
 *
 * It depends on nothing but the token and, where the token is ahead of the clock, on now. So a token that comes late or twice ends
 * no login of after the event.
 */
import { numberOf, type JsonObject } from '../token/claims.ts';
import type { SecurityEventToken } from './security-event-token.ts';

/** In seconds: no event of these standards is older. A smaller number is in another unit, or no time at all. */
const EARLIEST_SECONDS = Date.UTC(2000, 0, 1) / 1000;
/** The year 5138 in seconds, 1973 in milliseconds: what is larger is in milliseconds, as some transmitters write it. */
const MILLISECONDS_FROM = 1e11;

/**
 * In seconds: when the event happened, as it says itself, or its token (`toe`); else when the token was made. At most the clock skew
 * later than that: what is yet to happen would end the logins up to then, and again with each repetition.
 */
export function eventTime(
  payload: JsonObject,
  { timeOfEvent, issuedAt }: Pick<SecurityEventToken, 'timeOfEvent' | 'issuedAt'>,
  clockSkewSeconds: number,
): number {
  const happened = instantOf(numberOf(payload['event_timestamp'])) ?? instantOf(timeOfEvent);
  return Math.min(happened ?? issuedAt, issuedAt + clockSkewSeconds);
}

function instantOf(number: number | undefined): number | undefined {
  if (number === undefined) return undefined;
  const seconds = number >= MILLISECONDS_FROM ? number / 1000 : number;
  return seconds < EARLIEST_SECONDS ? undefined : seconds;
}
