/**
 * Serves the public keys of assertions on the public listeners (`identity.assertion.publish`), so that services need no way
 * to the admin listener. RFC 7517 section 5; RFC 9110 sections 8.8.3 and 13.1.2. No token is looked at: the keys are no secret.
 */
import { hash } from 'node:crypto';
import { BAD_PATH, KEYS_NOT_READ } from '../errors.ts';
import { fieldValues } from '../http/field-list.ts';
import { readingsOf } from '../http/path-readings.ts';
import type { RequestHead } from '../http/request-head.ts';

/** Where the keys are. */
export interface KeysPlace {
  /** Lower-case, without port. */
  readonly host: string;
  readonly path: string;
}

export interface KeysEndpoint {
  readonly place: KeysPlace;
  /** Returns the JWK Set as it is now. */
  readonly publicKeys: () => object;
}

/** How long caches may keep them: no longer than an operator waits between two steps of a rotation. */
const MAX_AGE_SECONDS = 60;

/**
 * Does the request ask for the keys?
 *
 * @throws GatewayError 400 BAD_PATH where a server may read its path as that of the keys (rule C10), 405
 */
export function asksForKeys(place: KeysPlace | undefined, head: RequestHead): boolean {
  if (place === undefined || head.hostname !== place.host) return false;
  if (head.path !== place.path) {
    if (hasOtherReadings(head.path) && readingsOf(head.path)?.has(place.path) === true) throw BAD_PATH;
    return false;
  }
  if (head.method !== 'GET' && head.method !== 'HEAD') throw KEYS_NOT_READ;
  return true;
}

function hasOtherReadings(path: string): boolean {
  return path.includes('%') || path.includes(';') || path.includes('//');
}

/** Status, fields and body: 200, or 304 where the client has them already. */
export function keysEndpointResponse(
  publicKeys: object,
  { rawHeaders }: Pick<RequestHead, 'rawHeaders'>,
): [status: number, headers: readonly string[], body: string] {
  const body = JSON.stringify(publicKeys);
  const tag = `"${hash('sha256', body, 'base64url')}"`;
  const cached = ['etag', tag, 'cache-control', `public, max-age=${MAX_AGE_SECONDS}`];
  return isKnown(tag, fieldValues(rawHeaders, 'if-none-match'))
    ? [304, cached, '']
    : [200, ['content-type', 'application/jwk-set+json', ...cached], body];
}

/** Weak comparison, as RFC 9110 section 13.1.2 has it. */
export function isKnown(tag: string, conditions: readonly string[]): boolean {
  return conditions.some(
    (condition) => condition.trim() === '*' || condition.match(/"[^"]*"/g)?.includes(tag) === true,
  );
}
