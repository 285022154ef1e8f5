/**
 * Lets an entry live on while it still refuses tokens: a session or a login may go on, by refreshing, for longer than any
 * bound that is known when it is revoked. Rules V11, V14.
 *
 * How often is decided by the expiry alone, here and in the store: a renewal that would put it off by less than a day is
 * none. So an entry is renewed once a day at most, however many gateways refuse its tokens.
 */
import type { Clock } from '../clock.ts';
import { idOfKey, type RevocableToken, type TargetKey } from './revocation-target.ts';
import { RENEWAL_STEP_SECONDS } from './merge-rules.ts';
import type { RevocationStore } from './revocation-store.ts';
import type { RevocationView } from './revocation-view.ts';

/** Where `revocation.keep` is shorter: what is renewed once a day must live for longer than a day. */
const MIN_LIFE_SECONDS = 2 * RENEWAL_STEP_SECONDS;
/** Between two tries for one entry: the store may be down, or another gateway may have been first. */
const TRY_AGAIN_MS = 60_000;
/** Entries whose last try is remembered. */
const MAX_TRIED = 10_000;

export interface EntryRenewalParts {
  readonly store: RevocationStore;
  readonly view: RevocationView;
  readonly clock: Clock;
  /** `revocation.keep`; a reload may change it. */
  readonly keepSeconds: () => number;
}

export class EntryRenewal {
  readonly #parts: EntryRenewalParts;
  /** When it was last tried, on the monotonic clock, by id; the oldest first. */
  readonly #triedAtMs = new Map<string, number>();

  constructor(parts: EntryRenewalParts) {
    this.#parts = parts;
  }

  /** A token was refused: every entry that refuses it is looked at, also those that were not needed for it. */
  refused(token: RevocableToken, issuedAt: number | undefined): void {
    // An entry of one token need not outlive it.
    this.#renewDue(token.tokenKeys, undefined, token, token.endsAt ?? Infinity);
    this.#renewDue(token.sessionKeys, undefined, token, Infinity);
    this.#renewDue(token.subjectKeys, token.loggedIn(issuedAt), token, Infinity);
    this.#renewDue(token.clientAndClaimKeys, issuedAt, token, Infinity);
  }

  /** @param neededUntil in seconds: an entry that lives up to then is not renewed */
  #renewDue(
    keys: readonly TargetKey[],
    issuedAt: number | undefined,
    { endsAt = 0 }: RevocableToken,
    neededUntil: number,
  ): void {
    const { view, clock, keepSeconds } = this.#parts;
    const nowSeconds = clock.nowMs() / 1000;
    const lifeSeconds = Math.ceil(Math.max(keepSeconds(), MIN_LIFE_SECONDS, endsAt - nowSeconds));
    for (const key of keys) {
      const expiresAt = view.expiryOf(key, issuedAt);
      if (
        expiresAt === undefined ||
        expiresAt >= neededUntil ||
        nowSeconds + lifeSeconds - expiresAt < RENEWAL_STEP_SECONDS
      )
        continue;
      void this.#renew(idOfKey(key), lifeSeconds);
    }
  }

  async #renew(id: string, lifeSeconds: number): Promise<void> {
    const { store, view, clock } = this.#parts;
    const nowMs = clock.monotonicMs();
    const triedAtMs = this.#triedAtMs.get(id);
    if (triedAtMs !== undefined && nowMs - triedAtMs < TRY_AGAIN_MS) return;
    this.#triedAtMs.delete(id);
    this.#triedAtMs.set(id, nowMs);
    const [oldest] = this.#triedAtMs.keys();
    if (this.#triedAtMs.size > MAX_TRIED && oldest !== undefined) this.#triedAtMs.delete(oldest);
    try {
      const mark = await store.renew(id, lifeSeconds);
      if (mark) view.apply([mark]);
    } catch {
      // The store is down, which the view says; the next refusal tries again.
    }
  }
}
