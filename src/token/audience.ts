/** For whom a token is: `aud` against the names of a service, or of a protected resource. Pure. RFC 8707, rule J4. */
import type { JsonValue } from './claims.ts';
import { audienceOf } from './jwt-verifier.ts';

/**
 * The spellings of the identifier of a resource: where the URL has no path, it is the same with `/` at its end (RFC 3986
 * section 6.2.3).
 */
export function audiencesOfResource(identifier: string): readonly string[] {
  return /^[a-z]+:\/\/[^/]+$/.test(identifier) ? [identifier, `${identifier}/`] : [identifier];
}

/** What a route asks of `aud` in the place of its issuers. */
export interface RequiredAudience {
  /** The identifier of the resource. */
  readonly resource: string;
  /** Its spellings. */
  readonly names: readonly string[];
}

/** Does `aud` hold one of these? Not where there is none, nor where it is no text and no list of texts. */
export function isFor(aud: JsonValue | undefined, audiences: readonly string[]): boolean {
  const audience = audienceOf(aud);
  return audience !== undefined && audiences.some((ours) => audience.includes(ours));
}

/** A refusal for one audience is none for another: what caches know it by. No part of a key has a space. */
export function audienceKey(cacheKey: string, audience: RequiredAudience | undefined): string {
  return `${cacheKey} ${audience?.resource ?? ''}`;
}
