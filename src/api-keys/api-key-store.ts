/**
 * Where the API keys of a fleet are kept: texts by name, in the order in which they changed. What a text says, and which of two
 * wins, is not the store's to know: only gateways have the key by which a text is genuine (signed-keys.ts). Three adapters stand
 * behind this interface (memory, SQLite, Redis), and one suite of tests runs over all of them. Rules X1, V5, V6.
 */
import type { Inventory, Position } from '../revocation/revocation-store.ts';

/** A text under the name of its key (keyName). */
export interface NamedText {
  readonly name: string;
  readonly text: string;
}

/** What changed after a position. */
export interface Changes {
  /** The last text of each name. What was removed is not told. */
  readonly texts: readonly NamedText[];
  /** Read to here. */
  readonly position: Position;
  /**
   * What is in the store at this position; undefined where there is more to read. A store that cannot lose anything says
   * `everything`.
   */
  readonly complete: Inventory | 'everything' | undefined;
}

/** Puts one text in the place of another. */
export interface Replacement {
  readonly name: string;
  /** What must be there; undefined: nothing. */
  readonly before: string | undefined;
  /** Undefined: the name is removed. */
  readonly text: string | undefined;
}

/** When a key was last used, in whole seconds since 1970. */
export interface KeyUse {
  readonly name: string;
  readonly usedAt: number;
}

/** Every method rejects with an Error when the store is unavailable or did not take the change; none hangs. */
export interface ApiKeyStore {
  /** The store's clock, in milliseconds since 1970. */
  nowMs(): Promise<number>;
  /**
   * The changes after a position, oldest first, some thousand at most; without one, only where the order ends now.
   *
   * @throws PositionLost where the order does not reach back to it, or is another
   */
  changes(after: Position | undefined): Promise<Changes>;
  /** Every text, in batches. A name may come twice. */
  snapshot(): AsyncIterable<readonly NamedText[]>;
  /**
   * Each where what is there is what was expected. Resolves once the store has them.
   *
   * @returns for each, whether it was done
   */
  replace(replacements: readonly Replacement[]): Promise<readonly boolean[]>;
  /** The later time counts. */
  noteUses(uses: readonly KeyUse[]): Promise<void>;
  /** When each was last used; undefined: never, as far as the store knows. */
  lastUses(names: readonly string[]): Promise<readonly (number | undefined)[]>;
  close(): Promise<void>;
}

/** Of a key: neither an issuer's name nor an id has a slash. */
export function keyName(issuer: string, id: string): string {
  return `${issuer}/${id}`;
}
