/**
 * Where an instance stands: alone in its process, or as one of the processes of a gateway with workers. The primary of such
 * a gateway has the admin listener, the store and the keys, and serves no requests; a worker serves, with copies of both.
 */
import type { Readiness } from '../admin/routes.ts';
import type { LocalSeen } from '../admin/seen-api.ts';
import type { ApiKeyStore, KeyUse } from '../api-keys/api-key-store.ts';
import type { CopiedKeys } from '../api-keys/copied-keys.ts';
import type { KeyEvents } from '../api-keys/key-events.ts';
import type { Clock } from '../clock.ts';
import type { LoadedConfiguration } from '../config/load.ts';
import type { CanaryRefusal } from '../revocation/canaries.ts';
import type { MarkTable } from '../revocation/mark-table.ts';
import type { ReplayStore } from '../replay/replay-store.ts';
import { WatchedReplayStore } from '../replay/watched-replay-store.ts';
import type { RevocationMark } from '../revocation/mark.ts';
import type { RevocationStore } from '../revocation/revocation-store.ts';
import type { SocketHandle } from '../server/shared-sockets.ts';
import { openApiKeyStore } from './api-keys.ts';
import type { KeySetFactory } from './issuer-key-sets.ts';
import type { LimiterFactory } from './limiters.ts';
import { openLeaseStore } from './lease-store.ts';
import { LeasedLimits } from './leased-limits.ts';
import { openReplayStore } from './replay-store.ts';
import { openStore } from './revocation-store.ts';

export interface Place {
  readonly store: RevocationStore;
  /** Which proofs were used. */
  readonly replay: ReplayStore;
  /** The same, where this process has the store itself. */
  readonly watchedReplay?: WatchedReplayStore;
  /** Of the view; undefined: a table of its own. */
  readonly marks?: MarkTable;
  /** The store of the API keys, or a copy of what the primary has of it. */
  readonly apiKeys:
    | { readonly store: ApiKeyStore; readonly told?: KeyEvents['changed'] }
    | { readonly copied: CopiedKeys; readonly noteUses: (uses: readonly KeyUse[]) => Promise<void> };
  /** Undefined: it fetches the keys, and shares them with no other process. */
  readonly keySetOf?: KeySetFactory;
  /** Opens what counts by limits; undefined: this process counts for itself. */
  readonly limiterOf?: LimiterFactory;
  /** The same, where limits count together with other processes. */
  readonly leases?: LeasedLimits;
  /** Has it public listeners? */
  readonly serves: boolean;
  /** Has it the admin listener, and tells of what concerns all workers? */
  readonly administers: boolean;
  /** The socket of a listener, once it may be listened on; undefined: it opens its own. */
  readonly socketOf?: (listener: number) => Promise<SocketHandle>;
  /** Processes that serve. */
  readonly workers: number;
  /** Resolves once these marks refuse in all of them; absent: they do where they are in the view. */
  readonly inForce?: (marks: readonly RevocationMark[]) => Promise<void>;
  /**
   * Looks for a canary in all processes that serve: when each first refused it, undefined for one that did not. Absent: this
   * process serves alone.
   */
  readonly lookOut?: (digest: string) => Promise<readonly (CanaryRefusal | undefined)[]>;
  /** What the admin listener says, where that is more than this process knows. */
  readonly overview?: Overview | undefined;
}

export interface Overview {
  readiness(own: Readiness): Readiness;
  status(own: object): Promise<object>;
  /** What the workers have seen. */
  readonly seen: LocalSeen;
  metrics(): Promise<{ readonly contentType: string; readonly body: string }>;
}

/** @throws ConfigurationError where the revocation store cannot be opened */
export function alone(loaded: LoadedConfiguration, clock: Clock): Place {
  const replay = new WatchedReplayStore(openReplayStore(loaded, clock), clock);
  const leases = new LeasedLimits(clock, { fleet: openLeaseStore(loaded, clock), gateway: undefined }, 1);
  return {
    store: openStore(loaded, clock),
    replay,
    watchedReplay: replay,
    leases,
    limiterOf: leases.limiterOf,
    apiKeys: { store: openApiKeyStore(loaded, clock) },
    serves: true,
    administers: true,
    workers: 1,
  };
}

/** Closes the stores. */
export async function closePlace({ store, replay, leases }: Place): Promise<void> {
  await Promise.all([store.close(), replay.close(), leases?.close()]);
}
