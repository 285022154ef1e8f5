/** What is told of the stored keys: to the log, the metrics and the workers. Types only. */
import type { NamedText } from './api-key-store.ts';

export interface KeyEvents {
  /** An entry of this issuer in the store is not genuine, and is ignored. Once for each. */
  ignored(issuer: string): void;
  /** The store had lost so many entries, or had them in an older state, and has them again. */
  restored(entries: number): void;
  /** The store is unavailable: once for each loss, and `failing` for each further try. */
  lost(error: unknown): void;
  failing(error: unknown): void;
  found(): void;
  /** Resolves when all who serve know these. An empty text: it is dropped. */
  changed(texts: readonly NamedText[], isCurrent: boolean): Promise<void>;
}
