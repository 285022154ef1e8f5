/**
 * The lot of a subject: a number by which it keeps its place where requests are shared out. A pure hash of who is calling
 * and of what it may be given, so that every gateway draws the same one, after a restart and a reload too. Pure.
 */
import { hash } from 'node:crypto';
import { TokenMemo } from './token-memo.ts';
import type { AuthenticToken } from './token-verifier.ts';

/** What was drawn for a token, by name: a token that is cached brings its lots along. */
const DRAWN = new TokenMemo(() => new Map<string, number>());

const HEX_OF_48_BITS = 12;
const LOTS = 2 ** 48;

/** Who keeps a place: the subject; the client of a token without one; undefined where a token names neither. */
export function lotHolder({ subject, clientId }: AuthenticToken): string | undefined {
  return subject ?? clientId;
}

/**
 * A number above 0 and below 1, spread evenly, for one holder and one name. The hash is a promise to fleets that are
 * upgraded gateway by gateway: another one would move every subject.
 *
 * @param holder of this token, as lotHolder says
 */
export function lotOf(token: AuthenticToken, holder: string, name: string): number {
  const drawn = DRAWN.of(token);
  let lot = drawn.get(name);
  if (lot === undefined) {
    // JSON keeps the three apart: no text of one reaches into the next.
    const digest = hash('sha256', JSON.stringify([token.issuer, holder, name]));
    lot = (parseInt(digest.slice(0, HEX_OF_48_BITS), 16) + 0.5) / LOTS;
    drawn.set(name, lot);
  }
  return lot;
}
