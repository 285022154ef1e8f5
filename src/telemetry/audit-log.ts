/**
 * One line for each change through the admin API: who, what, why, from where. Targets appear as the ids of their
 * entries, never as raw subjects.
 */
import type { RevocationEntry } from '../revocation/revocation-store.ts';
import type { Logger } from './logger.ts';

export interface AuditEvent {
  readonly action: 'revoke' | 'undo';
  readonly by: string;
  readonly from: string;
  /** How it signed in, by a name of the configuration; for the metric. */
  readonly source: string;
  readonly entry: Pick<RevocationEntry, 'id' | 'target' | 'issuedBefore' | 'reason'>;
  /** Did the list change: by a new entry, by a later cutoff or expiry of a known entry, or by its removal? */
  readonly changed: boolean;
  /** Why an entry was undone, where the operator said so; `reason` in the entry is why it was made. */
  readonly undoReason?: string | undefined;
}

/** An operator has forced a fetch of keys. Key ids are public. */
export interface KeysAuditEvent {
  readonly by: string;
  readonly from: string;
  /** Its configured name. */
  readonly issuer: string;
  /** False: the previous keys stay in use. */
  readonly fetched: boolean;
  readonly added: readonly (string | null)[];
  readonly removed: readonly (string | null)[];
  readonly gateways: { readonly done: number; readonly failed: number };
}

export type ApiKeyAction = 'create_api_key' | 'rotate_api_key' | 'revoke_api_key';

/** An operator has changed a stored API key. It is named by its id; the key itself appears nowhere. */
export interface ApiKeyAuditEvent {
  readonly action: ApiKeyAction;
  readonly by: string;
  readonly from: string;
  /** Its configured name. */
  readonly issuer: string;
  readonly id: string;
  /** The id of the key that it takes the place of. */
  readonly replaces?: string;
  readonly scopes?: readonly string[];
  readonly expires_at?: number | null;
  /** Why it was revoked. */
  readonly reason?: string;
}

export class AuditLog {
  readonly #logger: Logger;
  readonly #changed: (action: AuditEvent['action'], source: string) => void;

  readonly #apiKeyChanged: (event: ApiKeyAuditEvent) => void;

  /**
   * @param changed is told of each change; `source` is a name of the configuration
   * @param apiKeyChanged is told of each change of an API key
   */
  constructor(
    logger: Logger,
    changed: (action: AuditEvent['action'], source: string) => void,
    apiKeyChanged: (event: ApiKeyAuditEvent) => void,
  ) {
    this.#logger = logger;
    this.#changed = changed;
    this.#apiKeyChanged = apiKeyChanged;
  }

  write({ action, by, from, source, entry, changed, undoReason }: AuditEvent): void {
    if (changed) this.#changed(action, source);
    this.#logger.info(
      {
        audit: {
          action,
          by,
          from,
          id: entry.id,
          issuer: entry.target?.issuer,
          kind: entry.target?.kind,
          issued_before: entry.issuedBefore,
          reason: entry.reason,
          undo_reason: undoReason,
          changed,
        },
      },
      'audit',
    );
  }

  apiKeyChanged(event: ApiKeyAuditEvent): void {
    this.#apiKeyChanged(event);
    this.#logger.info({ audit: event }, 'audit');
  }

  keysRefreshed(event: KeysAuditEvent): void {
    this.#logger.info({ audit: { action: 'refresh_keys', ...event } }, 'audit');
  }
}
