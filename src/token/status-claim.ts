/**
 * Where a token says that its status is: the claim `status.status_list` (Token Status List, draft-ietf-oauth-status-list,
 * "Referenced Token"), and which URIs an issuer's tokens may name there. Pure.
 *
 * The URI comes from a token that is authentic, and is fetched by the gateway all the same: it must be one that the
 * configuration names, or lie under one, however a server may read it.
 */
import { isJsonObject, type JsonObject } from './claims.ts';

/** Which entry of which list. */
export interface StatusReference {
  readonly uri: string;
  /** A whole number, 0 or more. */
  readonly index: number;
}

/**
 * @returns undefined where the token names no list; `malformed` where the claim is there and cannot be read. Other mechanisms than
 *          the list may stand in `status`: they are not looked at.
 */
export function statusClaim(claims: JsonObject): StatusReference | 'malformed' | undefined {
  if (!Object.hasOwn(claims, 'status')) return undefined;
  const { status } = claims;
  if (!isJsonObject(status)) return 'malformed';
  if (!Object.hasOwn(status, 'status_list')) return undefined;
  const { status_list: list } = status;
  if (!isJsonObject(list)) return 'malformed';
  const { idx: index, uri } = list;
  if (typeof uri !== 'string' || typeof index !== 'number') return 'malformed';
  return Number.isSafeInteger(index) && index >= 0 ? { uri, index } : 'malformed';
}

/** What may follow a prefix: segments of characters that no server decodes or cuts. No query, no `%`, no `;`. */
const PLAIN_PATH = /^[A-Za-z0-9._~:@=,+-]+(?:\/[A-Za-z0-9._~:@=,+-]+)*\/?$/;

/** The URIs that the tokens of an issuer may name: exact ones, and all under a prefix, which ends in `/`. */
export class StatusUris {
  /** Those that are known before a token names them. */
  readonly exact: readonly string[];
  readonly #prefixes: readonly string[];

  /** @param uris canonical, as isCanonicalUri has it */
  constructor(uris: readonly string[]) {
    this.exact = uris.filter((uri) => !uri.endsWith('/'));
    this.#prefixes = uris.filter((uri) => uri.endsWith('/'));
  }

  has(uri: string): boolean {
    if (this.exact.includes(uri)) return true;
    const prefix = this.#prefixes.find((each) => uri.startsWith(each));
    // The spelling has no segment `.` or `..`, and nothing that a URL parser would change.
    return prefix !== undefined && PLAIN_PATH.test(uri.slice(prefix.length)) && isCanonicalUri(uri);
  }
}

/** Is it an http or https URL in the one spelling that a URL parser gives it, without credentials and fragment? */
export function isCanonicalUri(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { href, protocol, username, password } = new URL(text);
  const isHttp = protocol === 'https:' || protocol === 'http:';
  return isHttp && href === text && username === '' && password === '' && !text.includes('#');
}
