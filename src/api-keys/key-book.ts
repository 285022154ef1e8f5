/**
 * The keys of all issuers that are kept in the store, as this process knows them: the state of each that wins over all that it has
 * seen. Only what is genuine comes in. Rules V6, X1, X3.
 */
import type { ApiKeySource } from './api-key.ts';
import { keyName, type NamedText } from './api-key-store.ts';
import { KeyTable } from './key-table.ts';
import { contentOf, type KeySeal } from './signed-keys.ts';
import { keySupersedes, type StoredKey } from './stored-key.ts';

interface Known {
  readonly key: StoredKey;
  readonly text: string;
}

/**
 * What a text has changed: it says something new, or what is known already; it is older than what is known; it is not genuine; or it
 * is of an issuer that is not configured here.
 */
export type Taken = 'new' | 'same' | 'older' | 'forged' | 'foreign';

/** By the configured name of an issuer. */
export type KeySeals = ReadonlyMap<string, KeySeal>;

export class KeyBook {
  readonly #known = new Map<string, Known>();
  /** What authenticates, by issuer. */
  readonly #tables = new Map<string, KeyTable>();
  #seals: KeySeals = new Map();

  /**
   * Other issuers, or other keys of theirs, from now on. What is not genuine by them is forgotten.
   *
   * @returns the issuer of each key that was forgotten though its issuer is there
   */
  use(seals: KeySeals): readonly string[] {
    this.#seals = seals;
    const forgotten: string[] = [];
    for (const [name, { key, text }] of [...this.#known]) {
      const seal = seals.get(key.issuer);
      if (seal?.open({ name, text }) !== undefined) continue;
      this.delete(name);
      if (seal) forgotten.push(key.issuer);
    }
    return forgotten;
  }

  take({ name, text }: NamedText): Taken {
    const known = this.#known.get(name);
    if (known?.text === text) return 'same';
    const seal = this.#seals.get(issuerOf(name));
    if (!seal) return 'foreign';
    const key = seal.open({ name, text });
    if (!key) return 'forged';
    // Signed with another key of the fleet: the entry stays the same object.
    if (known && contentOf(known.text) === contentOf(text)) {
      this.#known.set(name, { key: known.key, text });
      return 'same';
    }
    if (known && !keySupersedes(key, known.key)) return 'older';
    if (known) this.#tableOf(key.issuer).delete(known.key.entry.sha256);
    if (key.end === undefined) this.#tableOf(key.issuer).set(key.entry);
    this.#known.set(name, { key, text });
    return 'new';
  }

  delete(name: string): void {
    const known = this.#known.get(name);
    if (known) this.#tableOf(known.key.issuer).delete(known.key.entry.sha256);
    this.#known.delete(name);
  }

  get(issuer: string, id: string): StoredKey | undefined {
    return this.#known.get(keyName(issuer, id))?.key;
  }

  textOf(name: string): string | undefined {
    return this.#known.get(name)?.text;
  }

  /** Tombstones and expired keys, too. */
  *keys(): IterableIterator<StoredKey> {
    for (const { key } of this.#known.values()) yield key;
  }

  *texts(): IterableIterator<NamedText> {
    for (const [name, { text }] of this.#known) yield { name, text };
  }

  /** Of a key whose issuer is configured. */
  seal(key: StoredKey): NamedText {
    return this.#sealOf(key.issuer).seal(key);
  }

  /** The same text, signed with the key that signs now. */
  resealed({ name, text }: NamedText): string {
    return this.#sealOf(issuerOf(name)).reseal(text);
  }

  /** The keys of one issuer, as they are at each look-up. */
  source(issuer: string, isCurrent: () => boolean): ApiKeySource {
    const table = this.#tableOf(issuer);
    return {
      find: (digest) => table.find(digest),
      get entries() {
        return table.entries;
      },
      get isCurrent() {
        return isCurrent();
      },
    };
  }

  #sealOf(issuer: string): KeySeal {
    const seal = this.#seals.get(issuer);
    if (!seal) throw new TypeError('the keys of this issuer are not in the store');
    return seal;
  }

  #tableOf(issuer: string): KeyTable {
    const table = this.#tables.get(issuer) ?? new KeyTable();
    this.#tables.set(issuer, table);
    return table;
  }
}

export function issuerOf(name: string): string {
  return name.slice(0, name.indexOf('/'));
}
