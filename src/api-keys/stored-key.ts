/** A key as the store has it, and which of two states of one key wins. Pure. Rule V6. */
import { compareVersions, type Version } from '../revocation/mark.ts';
import type { ApiKeyEntry } from './api-key.ts';

/** Who ended a key, and when: a tombstone, which ends it for good. */
export interface KeyEnd {
  /** In seconds since 1970. */
  readonly at: number;
  readonly by: string;
  readonly reason: string | undefined;
}

export interface StoredKey {
  /** The configured name of its issuer. */
  readonly issuer: string;
  readonly entry: ApiKeyEntry;
  readonly createdBy: string;
  /** Undefined: it is not revoked. */
  readonly end: KeyEnd | undefined;
  /** The id of the key that takes its place; undefined: none. */
  readonly replacedBy: string | undefined;
  /**
   * The latest expiry that it has ever had, in seconds; undefined: it once had none. Up to then its last state is kept, so that no
   * earlier one can come back.
   */
  readonly keptUntil: number | undefined;
  readonly version: Version;
}

/** Does the first state win over the second? A tombstone does over any other; then the higher version, and a tie takes away more. */
export function keySupersedes(a: StoredKey, b: StoredKey): boolean {
  if ((a.end === undefined) !== (b.end === undefined)) return a.end !== undefined;
  const order = compareVersions(a.version, b.version);
  if (order !== 0) return order > 0;
  const byExpiry = (b.entry.expires ?? Infinity) - (a.entry.expires ?? Infinity);
  return Number.isNaN(byExpiry) || byExpiry === 0 ? JSON.stringify(a) < JSON.stringify(b) : byExpiry > 0;
}

/** Can no state of it authenticate any more? Then nothing of it need be kept. */
export function isOver({ keptUntil }: StoredKey, nowSeconds: number): boolean {
  return keptUntil !== undefined && keptUntil < nowSeconds;
}

/** What a list says of a key. */
export type KeyState = 'active' | 'expired' | 'revoked';

export function stateOf({ end, entry }: StoredKey, nowSeconds: number): KeyState {
  if (end !== undefined) return 'revoked';
  return entry.expires !== undefined && entry.expires <= nowSeconds ? 'expired' : 'active';
}
