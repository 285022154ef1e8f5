/** Which keys need a successor soon. Pure. */
import type { ApiKeyEntry } from './api-key.ts';

/** So long before it expires, a key is told of: time to make another, and to move its clients. */
const SOON_SECONDS = 7 * 86_400;

/** Ids of keys, in the order of their entries. */
export interface KeyExpiry {
  readonly expired: readonly string[];
  readonly soon: readonly string[];
}

export function expiryOf(entries: Iterable<ApiKeyEntry>, nowSeconds: number): KeyExpiry {
  const expired: string[] = [];
  const soon: string[] = [];
  for (const { id, expires = Infinity } of entries) {
    if (expires <= nowSeconds) expired.push(id);
    else if (expires - nowSeconds <= SOON_SECONDS) soon.push(id);
  }
  return { expired, soon };
}

const MAX_NAMED = 10;

/** Some of them by name, and how many more there are. */
export function namedKeys(ids: readonly string[]): string {
  const named = ids.slice(0, MAX_NAMED).join(', ');
  return ids.length > MAX_NAMED ? `${named} and ${ids.length - MAX_NAMED} more` : named;
}
