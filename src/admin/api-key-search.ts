/** Stored API keys by whose they are and how they stand, the latest first, a page at a time. Pure. */
import { stateOf, type KeyState, type StoredKey } from '../api-keys/stored-key.ts';

const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 1_000;
const STATES: readonly string[] = ['active', 'expired', 'revoked'] satisfies readonly KeyState[];

/** Members that are null match all. */
export interface KeyFilter {
  readonly issuer: string | null;
  readonly subject: string | null;
  readonly client: string | null;
  readonly state: string | null;
  readonly limit: number;
  /** The last key of the page before: when it was made, issuer and id. */
  readonly after: readonly [created: number, issuer: string, id: string] | undefined;
}

/** A text where the query makes no sense. */
export function filterOf(query: URLSearchParams): KeyFilter | string {
  const limit = Number(query.get('limit') ?? DEFAULT_LIMIT);
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT) return `limit must be 1 to ${MAX_LIMIT}`;
  const state = query.get('state');
  if (state !== null && !STATES.includes(state)) return `state must be one of ${STATES.join(', ')}`;
  const cursor = query.get('cursor');
  const after = cursor === null ? undefined : placeOf(cursor);
  if (cursor !== null && after === undefined) return 'cursor is not one that this API has given';
  const named = (name: string): string | null => query.get(name);
  return { issuer: named('issuer'), subject: named('subject'), client: named('client'), state, limit, after };
}

export function matches(key: StoredKey, filter: KeyFilter, nowSeconds: number): boolean {
  const { issuer, subject, client, state } = filter;
  return (
    (issuer === null || key.issuer === issuer) &&
    (subject === null || key.entry.subject === subject) &&
    (client === null || key.entry.client === client) &&
    (state === null || stateOf(key, nowSeconds) === state)
  );
}

/** The latest first. */
export function compareKeys(a: StoredKey, b: StoredKey): number {
  return comparePlaces(placeOfKey(a), placeOfKey(b));
}

/** @param found in the order of compareKeys */
export function pageOfKeys(
  found: readonly StoredKey[],
  { after, limit }: KeyFilter,
): { readonly keys: readonly StoredKey[]; readonly cursor: string | undefined } {
  const rest = after ? found.filter((key) => comparePlaces(after, placeOfKey(key)) < 0) : found;
  const keys = rest.slice(0, limit);
  const last = keys.at(-1);
  return { keys, cursor: last && rest.length > limit ? placeOfKey(last).join('/') : undefined };
}

type Place = readonly [created: number, issuer: string, id: string];

function placeOfKey({ issuer, entry }: StoredKey): Place {
  return [entry.created ?? 0, issuer, entry.id];
}

function placeOf(cursor: string): Place | undefined {
  const [, created, issuer = '', id = ''] = /^(\d{1,12})\/([^/]+)\/([^/]+)$/.exec(cursor) ?? [];
  return created === undefined ? undefined : [Number(created), issuer, id];
}

function comparePlaces(a: Place, b: Place): number {
  return b[0] - a[0] || compareText(a[1], b[1]) || compareText(a[2], b[2]);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
