/** What the store has, as far as this gateway has read it, genuine or not: to find what the store has lost, and what it has that it should not. */
import { hash } from 'node:crypto';
import { CHECKSUM_MODULUS } from '../revocation/mark.ts';
import type { Inventory } from '../revocation/revocation-store.ts';
import type { NamedText } from './api-key-store.ts';

export class StoreMirror {
  #texts = new Map<string, string>();
  #checksum = 0;

  get(name: string): string | undefined {
    return this.#texts.get(name);
  }

  /** @param text undefined: the store has none under this name */
  set(name: string, text: string | undefined): void {
    const before = this.#texts.get(name);
    if (before === text) return;
    if (before !== undefined) this.#add(-checksumOf(name, before));
    if (text !== undefined) this.#add(checksumOf(name, text));
    if (text === undefined) this.#texts.delete(name);
    else this.#texts.set(name, text);
  }

  /** From now on it is exactly this. */
  replace(texts: ReadonlyMap<string, string>): void {
    for (const name of [...this.#texts.keys()]) if (!texts.has(name)) this.set(name, undefined);
    for (const [name, text] of texts) this.set(name, text);
  }

  agreesWith(complete: Inventory | 'everything'): boolean {
    return (
      complete === 'everything' ||
      (complete.count === this.#texts.size && complete.checksum === this.#checksum)
    );
  }

  *[Symbol.iterator](): IterableIterator<NamedText> {
    for (const [name, text] of this.#texts) yield { name, text };
  }

  #add(difference: number): void {
    this.#checksum = (this.#checksum + difference + CHECKSUM_MODULUS) % CHECKSUM_MODULUS;
  }
}

/** As the scripts of Redis work it out (redis-key-scripts.ts). */
function checksumOf(name: string, text: string): number {
  return hash('sha1', `${name}|${text}`, 'buffer').readUIntBE(0, 6);
}
