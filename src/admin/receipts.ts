/**
 * Receipts of changes of the revocation list: a JWS that says what was revoked or undone, how far the log of the store had come,
 * and which gateways had it in force by then. Its holder can show later what was acknowledged, and when. It names no
 * subject: the id of an entry is a digest of its target, which the reader who knows the target can work out.
 *
 * A receipt is written after the store has the change. Nothing in it may turn an answer into an error: what is not known is null.
 */
import { randomUUID } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { formatVersion } from '../revocation/mark.ts';
import type { RevocationEntry, RevocationStore } from '../revocation/revocation-store.ts';
import type { JsonObject } from '../token/claims.ts';
import { confirmed, type ConfirmParts, type Hold } from './confirmation.ts';
import type { ConfirmedJson } from './entry-json.ts';
import type { Fleet } from './fleet.ts';

export interface ReceiptParts extends ConfirmParts {
  readonly fleet: Pick<Fleet, 'ask' | 'label'>;
  readonly store: Pick<RevocationStore, 'kind' | 'position'>;
  /** The configured name of the gateway. */
  readonly issuer: string;
  readonly clock: Clock;
  /** Undefined: no key is configured. */
  readonly sign: ((claims: JsonObject) => string) | undefined;
}

/** An entry as it is in the list now; `revoked` false: it was undone. */
export type Change = Pick<
  RevocationEntry,
  'id' | 'target' | 'issuedBefore' | 'expiresAt' | 'version' | 'revoked'
>;

/** What an answer has beside the entry. */
export interface Proofs {
  readonly confirmed?: ConfirmedJson;
  readonly receipt?: string;
}

/** @param changes in force at this gateway, and in the store; none: nothing is signed */
export async function proofsOf(parts: ReceiptParts, changes: readonly Change[], hold: Hold): Promise<Proofs> {
  const told = hold === 'none' ? undefined : await confirmed(parts, changes, hold);
  const { sign } = parts;
  return {
    ...(told && { confirmed: told }),
    ...(sign && changes.length > 0 && { receipt: sign(await claimsOf(parts, changes, told)) }),
  };
}

async function claimsOf(
  { fleet, store, issuer, clock }: ReceiptParts,
  changes: readonly Change[],
  told: ConfirmedJson | undefined,
): Promise<JsonObject> {
  return {
    iss: issuer,
    iat: Math.floor(clock.nowMs() / 1_000),
    jti: randomUUID(),
    gateway: fleet.label,
    store: store.kind,
    log_position: await store.position().catch(() => null),
    entries: changes.map(({ id, target, issuedBefore, expiresAt, version, revoked }) => ({
      id,
      action: revoked ? 'revoke' : 'undo',
      issuer: target?.issuer ?? null,
      kind: target?.kind ?? null,
      issued_before: issuedBefore,
      expires_at: expiresAt,
      version: formatVersion(version),
    })),
    confirmed: told?.by ?? [fleet.label],
    /** Null: they were not asked. */
    unconfirmed: told?.unconfirmed ?? null,
  };
}
