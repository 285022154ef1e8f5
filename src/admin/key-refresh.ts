/**
 * The operator's forced fetch of an issuer's keys, on every gateway that follows the same revocation store. Rules K0, K5.
 *
 * The store's log carries the demand, and the replies: each other gateway says at once that it has heard, and later what
 * its fetch came to. A gateway that is cut off from the store hears nothing; it refuses tokens after
 * `revocation.max_view_age`, and fetches when it follows the log again.
 */
import { createHash, randomUUID } from 'node:crypto';
import type { Clock } from '../clock.ts';
import type { RevocationStore } from '../revocation/revocation-store.ts';
import type { RevocationView } from '../revocation/revocation-view.ts';
import { describeError, type Logger } from '../telemetry/logger.ts';
import type { KeyChange, RefreshedKeySet } from '../token/key-set.ts';

/** How long other gateways may take to say that they have heard: news reach them within a second. */
const ROLL_CALL_MS = 1_500;
/** A fetch in flight, and the one after it, with all their timeouts. */
const REPLY_TIMEOUT_MS = 35_000;
/** A start takes a moment: keys that were fetched since then are not fetched once more. */
const START_MS = 1_000;

export interface KeyRefreshParts {
  readonly store: RevocationStore;
  readonly view: RevocationView;
  /** By the exact `iss`, as configured now: gateways of one fleet may name an issuer differently. */
  readonly keySets: () => ReadonlyMap<string, RefreshedKeySet>;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface KeyRefreshOutcome {
  readonly change: KeyChange;
  /** Gateways that have fetched since, this one among them. */
  readonly done: number;
  /** Gateways that could not, or did not say so in time. */
  readonly failed: number;
  /** False: the store did not take the demand, so that no other gateway knows of it. */
  readonly isTold: boolean;
}

/** What gateways say to each other through the log. */
interface Message {
  readonly keys: 'refresh' | 'heard' | 'done' | 'failed';
  /** Of the demand. */
  readonly id: string;
  /** The gateway that says it. */
  readonly from: string;
  /** SHA-256 of the exact iss; of a demand only. */
  readonly iss?: string;
}

type Reply = Exclude<Message['keys'], 'refresh'>;

export class KeyRefresh {
  readonly #parts: KeyRefreshParts;
  readonly #gatewayId = randomUUID();
  /** Replies to demands of this gateway, by demand and gateway. */
  readonly #replies = new Map<string, Map<string, Reply>>();
  #wake: () => void = () => undefined;
  #isFollowing = false;

  constructor(parts: KeyRefreshParts) {
    this.#parts = parts;
    parts.view.on('announced', (text) => this.#heard(text));
    parts.view.on('skipped', () => this.#skipped());
  }

  /** Resolves once every gateway that could be reached has fetched, or has failed to. */
  async refresh(iss: string, keys: RefreshedKeySet): Promise<KeyRefreshOutcome> {
    const id = randomUUID();
    const replies = new Map<string, Reply>();
    this.#replies.set(id, replies);
    try {
      const forced = keys.force();
      const isTold = await this.#say({ keys: 'refresh', id, iss: digestOf(iss) });
      const change = await forced;
      if (isTold && this.#parts.store.kind !== 'memory') await this.#allReplies(replies);
      const others = [...replies.values()];
      const done = others.filter((reply) => reply === 'done').length + Number(change.fetched);
      return { change, done, failed: others.length + 1 - done, isTold };
    } finally {
      this.#replies.delete(id);
    }
  }

  /** The roll call is over, and of the gateways that have heard none is still fetching. */
  async #allReplies(replies: ReadonlyMap<string, Reply>): Promise<void> {
    const { clock } = this.#parts;
    const startedAtMs = clock.monotonicMs();
    for (;;) {
      const passedMs = clock.monotonicMs() - startedAtMs;
      const isFetching = [...replies.values()].includes('heard');
      const limitMs = isFetching ? REPLY_TIMEOUT_MS : ROLL_CALL_MS;
      if (passedMs >= limitMs) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      const cancel = clock.after(limitMs - passedMs, resolve);
      const others = this.#wake;
      this.#wake = () => {
        others();
        resolve();
      };
      await promise;
      cancel();
    }
  }

  #heard(text: string): void {
    const message = parseMessage(text);
    if (!message || message.from === this.#gatewayId) return;
    const { keys, id, from, iss } = message;
    if (keys !== 'refresh') {
      this.#replies.get(id)?.set(from, keys);
      const wake = this.#wake;
      this.#wake = () => undefined;
      wake();
      return;
    }
    for (const [ours, keySet] of this.#parts.keySets()) {
      if (digestOf(ours) === iss) void this.#obey(id, ours, keySet);
    }
  }

  async #obey(id: string, issuer: string, keySet: RefreshedKeySet): Promise<void> {
    const forced = keySet.force();
    await this.#say({ keys: 'heard', id });
    const { fetched, added, removed } = await forced;
    this.#parts.logger.info(
      { issuer, fetched, added: keyIds(added), removed: keyIds(removed) },
      'another gateway was told to fetch the keys of this issuer, and so did this one',
    );
    await this.#say({ keys: fetched ? 'done' : 'failed', id });
  }

  /** Is it in the log? */
  async #say(message: Omit<Message, 'from'>): Promise<boolean> {
    const { store, logger } = this.#parts;
    try {
      await store.announce(JSON.stringify({ ...message, from: this.#gatewayId } satisfies Message));
      return true;
    } catch (error) {
      logger.warn(
        { error: describeError(error) },
        'other gateways cannot be told of a forced fetch of keys: the store is unavailable',
      );
      return false;
    }
  }

  /** The log is followed from another place: a demand may have stood before it. */
  #skipped(): void {
    const slackMs = this.#isFollowing ? 0 : START_MS;
    this.#isFollowing = true;
    const sinceMs = this.#parts.clock.monotonicMs() - slackMs;
    for (const keySet of this.#parts.keySets().values()) keySet.renew(sinceMs);
  }
}

/** Their kids, as far as they have one: public, and fit for a log. */
export function keyIds(keys: readonly { readonly keyId: string | undefined }[]): (string | null)[] {
  return keys.map(({ keyId }) => keyId ?? null);
}

function digestOf(iss: string): string {
  return createHash('sha256').update(iss).digest('base64url');
}

/** Undefined for what another version, or another purpose, has put into the log. */
function parseMessage(text: string): Message | undefined {
  let value: Partial<Record<keyof Message, unknown>> | null;
  try {
    value = JSON.parse(text) as typeof value;
  } catch {
    return undefined;
  }
  const { keys, id, from, iss } = value ?? {};
  const isOurs =
    (keys === 'refresh' || keys === 'heard' || keys === 'done' || keys === 'failed') &&
    typeof id === 'string' &&
    typeof from === 'string' &&
    (iss === undefined || typeof iss === 'string');
  return isOurs ? { keys, id, from, ...(iss === undefined ? {} : { iss }) } : undefined;
}
