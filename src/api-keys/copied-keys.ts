/** The stored keys as a worker has them: those of the primary, which tells of each change. */
import type { ApiKeySource } from './api-key.ts';
import type { NamedText } from './api-key-store.ts';
import { KeyBook, type KeySeals } from './key-book.ts';
import type { KeyHolder } from './key-holder.ts';

/** What the primary has, or what has changed there. */
export interface ToldKeys {
  /** An empty text: it is dropped. */
  readonly texts: readonly NamedText[];
  readonly isCurrent: boolean;
}

export class CopiedKeys implements KeyHolder {
  readonly #book = new KeyBook();
  readonly #ask: () => Promise<ToldKeys>;
  #isCurrent = false;
  #asked: Promise<void> = Promise.resolve();

  /** @param ask for all that the primary has */
  constructor(ask: () => Promise<ToldKeys>) {
    this.#ask = ask;
  }

  source(issuer: string): ApiKeySource {
    return this.#book.source(issuer, () => this.#isCurrent);
  }

  use(seals: KeySeals): void {
    this.#book.use(seals);
    // The keys of an issuer that is new here were told before, and passed over.
    this.#asked = this.#copy();
  }

  start(): void {
    // use() has asked.
  }

  get asked(): Promise<void> {
    return this.#asked;
  }

  async stop(): Promise<void> {
    // It ends with the process.
  }

  told({ texts, isCurrent }: ToldKeys): void {
    this.#isCurrent = isCurrent;
    for (const text of texts) {
      if (text.text === '') this.#book.delete(text.name);
      else this.#book.take(text);
    }
  }

  async #copy(): Promise<void> {
    // A primary that is gone ends its workers.
    const told = await this.#ask().catch(() => undefined);
    if (told) this.told(told);
  }
}
