/**
 * Which security event tokens have had their effect. Only of those that have ended tokens: to count another twice harms none.
 *
 * A token is remembered after the store has its entries, never before: what is lost between the two is taken again, and its effect is
 * the same (event-time.ts). The memory keeps a recorded token from ending again what an operator has let pass since. Rule V17.
 */
import { createHash } from 'node:crypto';
import type { ReplayStore } from '../replay/replay-store.ts';

/** Beside that of proofs (used-proofs.ts). */
export const SIGNAL = 'signal';
/** Longer than a transmitter goes on trying. */
export const REMEMBERED_MS = 24 * 3_600_000;

export interface SignalMemory {
  /** Has a token with this `jti` had its effect? False where it is unknown: to end tokens once more is the safe side. */
  isKnown(jti: string): Promise<boolean>;
  /** Never rejects. */
  remember(jti: string): Promise<void>;
}

/**
 * @param transmitter its configured name. `jti` is unique for its issuer only, and of two transmitters with one issuer each ends the
 *                    tokens of other issuers
 */
export function signalMemory(store: ReplayStore, transmitter: string): SignalMemory {
  const idOf = (jti: string): string =>
    createHash('sha256')
      .update(JSON.stringify([transmitter, jti]))
      .digest('base64url');
  return {
    isKnown: (jti) => store.isUsed(SIGNAL, idOf(jti)).catch(() => false),
    remember: async (jti) => {
      await store.firstUse(SIGNAL, idOf(jti), REMEMBERED_MS).catch(() => false);
    },
  };
}
