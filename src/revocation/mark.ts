/**
 * A mark: what a gateway must know of a revocation to act on it. Its versions, its text and its checksum. The text and the
 * checksum are the same in the scripts that Redis runs (redis-scripts.ts). Pure. Rules V3, V6.
 */
import { hash } from 'node:crypto';

/**
 * When a change was made, by the store's clock: time in milliseconds and a counter within it. The higher one
 * wins; between equals a revocation beats an undo.
 */
export interface Version {
  readonly timeMs: number;
  readonly counter: number;
}

/** What a gateway must know of an entry to act on it. An undone entry is a tombstone that lives as long. */
export interface RevocationMark {
  readonly id: string;
  /** False: undone. */
  readonly revoked: boolean;
  /**
   * Tokens issued up to this second are meant; null for good, whenever they were issued: one token, or a session.
   */
  readonly issuedBefore: number | null;
  /** NumericDate up to which it lives: as long as any token that it matches; put off while it still refuses some. */
  readonly expiresAt: number;
  readonly version: Version;
}

export function compareVersions(a: Version, b: Version): number {
  return a.timeMs - b.timeMs || a.counter - b.counter;
}

/** The version that follows, whatever the clock did. */
export function nextVersion(last: Version, nowMs: number): Version {
  return nowMs > last.timeMs
    ? { timeMs: nowMs, counter: 0 }
    : { timeMs: last.timeMs, counter: last.counter + 1 };
}

/** Also a position in a log that is ordered by versions. */
export function formatVersion({ timeMs, counter }: Version): string {
  return `${timeMs}-${counter}`;
}

export function parseVersion(text: string): Version {
  const [timeMs = 0, counter = 0] = text.split('-').map(Number);
  return { timeMs, counter };
}

const MARK = /^([01])\|(\d*)\|(\d+)\|(\d+)-(\d+)$/;

/** A mark as Redis holds it; the checksum is over this text. */
export function markText({ revoked, issuedBefore, expiresAt, version }: RevocationMark): string {
  return `${revoked ? 1 : 0}|${issuedBefore ?? ''}|${expiresAt}|${version.timeMs}-${version.counter}`;
}

/** @throws Error where the text is not that of a mark */
export function parseMark(id: string, text: string): RevocationMark {
  const [, revoked, issuedBefore = '', expiresAt, timeMs, counter] = MARK.exec(text) ?? [];
  if (revoked === undefined)
    throw new Error('the revocation list in Redis contains an entry in an unknown format');
  return {
    id,
    revoked: revoked === '1',
    issuedBefore: issuedBefore === '' ? null : Number(issuedBefore),
    expiresAt: Number(expiresAt),
    version: { timeMs: Number(timeMs), counter: Number(counter) },
  };
}

/** Sums of checksums, in any order, are equal for two lists with the same marks. Below this, to stay exact. */
export const CHECKSUM_MODULUS = 2 ** 48;

/** The first 48 bits of SHA-1 of `id|mark`: what a Redis script can compute, too. Finds accidents, not attackers. */
export function markChecksum(mark: RevocationMark): number {
  return hash('sha1', `${mark.id}|${markText(mark)}`, 'buffer').readUIntBE(0, 6);
}
