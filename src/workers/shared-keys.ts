/**
 * The key sets of a gateway with workers, at the primary: it alone asks the authorization servers, and passes on what it
 * gets. A fetch counts as done when all workers have its keys (rule K5).
 */
import type { KeySetFactory } from '../assembly/issuer-key-sets.ts';
import type { Clock } from '../clock.ts';
import { RemoteKeySet, type KeySetNews, type RemoteKeySetOptions } from '../token/remote-key-set.ts';
import type { PrimaryCalls } from './calls.ts';
import type { Handlers } from './channel.ts';

/** Resolves once all workers that serve have taken it. Never rejects. */
export type TellKeys = (told: { readonly source: string; readonly news: KeySetNews }) => Promise<void>;

interface Shared {
  readonly set: RemoteKeySet;
  /** Resolves when the first fetch has ended, in whatever way. */
  readonly first: Promise<void>;
  fetch: number;
  /** What was fetched last, and when, on the monotonic clock. */
  keys: { readonly keys: readonly object[]; readonly fetchedAtMs: number } | undefined;
}

export class SharedKeys {
  readonly #clock: Clock;
  readonly #tell: TellKeys;
  readonly #sets = new Map<string, Shared>();

  constructor(clock: Clock, tell: TellKeys) {
    this.#clock = clock;
    this.#tell = tell;
  }

  /** Makes the primary's own set, whose keys are passed on. */
  readonly keySetOf: KeySetFactory = (source, options) => {
    for (const [other, { set }] of this.#sets) if (set.isStopped) this.#sets.delete(other);
    const { promise: first, resolve } = Promise.withResolvers<void>();
    const shared: Shared = { set: this.#set(source, options, resolve), first, fetch: 0, keys: undefined };
    this.#sets.set(source, shared);
    return shared.set;
  };

  get handlers(): Handlers<Pick<PrimaryCalls, 'keySet' | 'askKeys'>> {
    return {
      keySet: async (source) => {
        const shared = this.#shared(source);
        await shared.first;
        const { fetch, keys } = shared;
        const ageMs = this.#clock.monotonicMs() - (keys?.fetchedAtMs ?? 0);
        return { fetch, set: keys && { keys: keys.keys, ageMs } };
      },
      askKeys: (source) => this.#shared(source).set.ask(),
    };
  }

  #set(source: string, options: RemoteKeySetOptions, heard: () => void): RemoteKeySet {
    const set: RemoteKeySet = new RemoteKeySet({
      ...options,
      told: async (news) => {
        heard();
        const shared = this.#sets.get(source);
        // A fetch that outlives its set is of no use: another may have its place, which counts its fetches from 1.
        if (set.isStopped || shared?.set !== set) return;
        shared.fetch = news.fetch;
        if (news.set)
          shared.keys = { keys: news.set.keys, fetchedAtMs: this.#clock.monotonicMs() - news.set.ageMs };
        await this.#tell({ source, news });
      },
    });
    return set;
  }

  /** A worker has the same configuration as the primary, or had it a moment ago. */
  #shared(source: string): Shared {
    const shared = this.#sets.get(source);
    if (!shared) throw new Error('there is no such key set');
    return shared;
  }
}
