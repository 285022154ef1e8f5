/**
 * Lets an entry live on while it still refuses tokens: a session or a login may go on, by refreshing, for longer than any
 * bound that is known when it is revoked. Every refusal counts: what was renewed or tried a moment ago for a shorter need, or
 * for an entry that was undone since, holds nothing back. Rules V11, V14.
 *
 * How often is decided by the expiry alone, here and in the store: a renewal that would put it off by less than a day is
 * none. So an entry is renewed once a day at most, however many gateways refuse its tokens, and once more for a token that
 * outlives it.
 */
import type { Clock } from '../clock.ts';
import { idOfKey, type RevocableToken, type TargetKey } from './revocation-target.ts';
import { compareVersions, type Version } from './mark.ts';
import { RENEWAL_STEP_SECONDS } from './merge-rules.ts';
import type { RevocationStore } from './revocation-store.ts';
import type { RevocationView } from './revocation-view.ts';

/** Where `revocation.keep` is shorter: what is renewed once a day must live for longer than a day. */
const MIN_LIFE_SECONDS = 2 * RENEWAL_STEP_SECONDS;
/** Between two tries for one entry as it is: the store may be down, or another gateway may have been first. */
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

interface Try {
  /** On the monotonic clock. */
  readonly atMs: number;
  /** Of the entry as it was then: one that was undone and is revoked again is another. */
  readonly version: Version;
  /** The expiry that was asked for, in seconds. */
  readonly until: number;
}

export class EntryRenewal {
  readonly #parts: EntryRenewalParts;
  /** The last try, by id; the oldest first. */
  readonly #tries = new Map<string, Try>();

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
    // A step more than the token needs: else an entry that ends within a step before the token would not be put off.
    const tokenSeconds = endsAt - nowSeconds + RENEWAL_STEP_SECONDS;
    const lifeSeconds = Math.ceil(Math.max(keepSeconds(), MIN_LIFE_SECONDS, tokenSeconds));
    for (const key of keys) {
      const expiresAt = view.expiryOf(key, issuedAt);
      if (
        expiresAt === undefined ||
        expiresAt >= neededUntil ||
        nowSeconds + lifeSeconds - expiresAt < RENEWAL_STEP_SECONDS
      )
        continue;
      const id = idOfKey(key);
      if (this.#notesTry(id, nowSeconds + lifeSeconds)) void this.#renew(id, lifeSeconds);
    }
  }

  /** @returns false where the same was tried just now; a changed entry, or a longer life, is not the same */
  #notesTry(id: string, until: number): boolean {
    const { view, clock } = this.#parts;
    const version = view.mark(id)?.version;
    if (!version) return false;
    const atMs = clock.monotonicMs();
    const last = this.#tries.get(id);
    if (
      last &&
      atMs - last.atMs < TRY_AGAIN_MS &&
      compareVersions(last.version, version) === 0 &&
      until - last.until < RENEWAL_STEP_SECONDS
    )
      return false;
    this.#tries.delete(id);
    this.#tries.set(id, { atMs, version, until });
    const [oldest] = this.#tries.keys();
    if (this.#tries.size > MAX_TRIED && oldest !== undefined) this.#tries.delete(oldest);
    return true;
  }

  async #renew(id: string, lifeSeconds: number): Promise<void> {
    const { store, view } = this.#parts;
    try {
      const mark = await store.renew(id, lifeSeconds);
      if (mark) view.apply([mark]);
    } catch {
      // The store is down, which the view says; the next refusal tries again.
    }
  }
}
