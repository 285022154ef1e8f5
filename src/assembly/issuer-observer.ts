/** What the gateway counts and logs about issuers. */
import type { ListObserver } from '../status-lists/issuer-lists.ts';
import type { KeyFileObserver } from './key-file.ts';
import type { AuthorizationServerCallResult } from '../token/authorization-server-guard.ts';
import type { SkippedKey } from '../token/verification-key.ts';

/** What happens to issuers, for metrics and logs. */
export interface IssuerObserver extends KeyFileObserver, ListObserver {
  keysRefreshed(issuer: string): void;
  /** Keys of its set that cannot be used: each time the set is read, whether they were told of or not. */
  keysSkipped(issuer: string, skipped: readonly SkippedKey[]): void;
  /** The keys are those that were stored, and were fetched this long ago. */
  keysRestored(issuer: string, ageMs: number): void;
  /** @param areKnown keys that were fetched or saved before may be used still */
  keysFailed(issuer: string, error: unknown, areKnown: boolean): void;
  /** The key set cannot be stored, or what is stored cannot be used. */
  keyCacheFailed(issuer: string, file: string, problem: string): void;
  asked(issuer: string, result: AuthorizationServerCallResult, error?: unknown): void;
}

export const SILENT_OBSERVER: IssuerObserver = {
  keysRefreshed: () => undefined,
  keysSkipped: () => undefined,
  keysRestored: () => undefined,
  keysFailed: () => undefined,
  keyCacheFailed: () => undefined,
  asked: () => undefined,
  listFetched: () => undefined,
  apiKeysRead: () => undefined,
  apiKeysFailed: () => undefined,
  apiKeysExpire: () => undefined,
};
