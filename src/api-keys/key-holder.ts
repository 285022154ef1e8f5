/** The stored keys of a process: of the one that has the store (stored-keys.ts), or of a worker, which has a copy (copied-keys.ts). */
import type { ApiKeySource } from './api-key.ts';
import type { KeySeals } from './key-book.ts';

export interface KeyHolder {
  source(issuer: string): ApiKeySource;
  /** Another configuration is in place: its issuers whose keys are in the store. */
  use(seals: KeySeals): void;
  start(): void;
  /** Resolves when its keys were asked for once after the start, whether they came or not. */
  readonly asked: Promise<void>;
  stop(): Promise<void>;
}
