/** What the primary and its workers ask each other. Types only. */
import type { Found } from '../admin/seen-api.ts';
import type { KeyUse } from '../api-keys/api-key-store.ts';
import type { ToldKeys } from '../api-keys/copied-keys.ts';
import type { LoadedConfiguration } from '../config/load.ts';
import type { LeaseAsk, LeaseReply } from '../limits/lease-store.ts';
import type { RateLimit } from '../limits/rate-limit.ts';
import type { CanaryRefusal } from '../revocation/canaries.ts';
import type { RevocationMark } from '../revocation/mark.ts';
import type {
  Inventory,
  RevocationEntry,
  RevocationRequest,
  Revoked,
} from '../revocation/revocation-store.ts';
import type { LimitedCaller } from '../telemetry/limited-callers.ts';
import type { ReportedCaller } from '../telemetry/reported-callers.ts';
import type { MetricsSnapshot } from '../telemetry/metric-snapshots.ts';
import type { SessionQuery, SessionReport } from '../telemetry/recent-sessions.ts';
import type { Refusal, RefusalQuery } from '../telemetry/refusal-ring.ts';
import type { HistoryReport } from '../telemetry/traffic-history.ts';
import type { KeySetNews } from '../token/remote-key-set.ts';

interface Call<Takes, Gives> {
  readonly takes: Takes;
  readonly gives: Gives;
}

/** Changes of the list since the last ones. */
export interface ListChanges {
  /** They are counted from 1. */
  readonly number: number;
  readonly marks: readonly RevocationMark[];
  readonly dropped: readonly RevocationMark[];
}

/** What is in the list with all changes up to a number, and how old that is. */
export interface Comparison {
  readonly number: number;
  readonly inventory: Inventory;
  readonly ageMs: number;
}

/** What a worker says of itself. */
export interface WorkerReport {
  readonly ready: boolean;
  readonly requests_in_flight: number;
  readonly view_age_seconds: number | null;
  /** As in /v1/status. */
  readonly upstreams: readonly UpstreamReport[];
}

export interface UpstreamReport {
  readonly name: string;
  readonly targets: readonly TargetReport[];
}

export interface TargetReport {
  readonly url: string;
  readonly healthy: boolean;
  /** Why it is not. */
  readonly cause?: string | undefined;
  readonly members: readonly MemberReport[];
}

/** One address of a target. */
export interface MemberReport {
  readonly address: string;
  readonly healthy: boolean;
  readonly in_flight: number;
}

/** A proof that a worker has seen. */
export interface ProofUse {
  readonly namespace: string;
  readonly id: string;
  readonly ttlMs: number;
}

/** Was it the first use of it? Or why that is not known. */
export type ProofOutcome = boolean | { readonly failed: string; readonly code: string | undefined };

/** What the store of limits has replied, or why it has not. */
export type LeaseOutcome = (
  { readonly replies: readonly LeaseReply[] } | { readonly failed: string; readonly code: string | undefined }
) & {
  /** How many processes of the fleet count together, as far as is known. */
  readonly gateways: number;
};

/** What a worker is asked for. */
export interface WorkerCalls {
  /** Builds the gateway, and begins to follow the list and the keys. Gives the problems of the configuration. */
  readonly begin: Call<LoadedConfiguration, readonly string[]>;
  /** With the socket of the listener with this index: connections are accepted from now on. */
  readonly listen: Call<number, void>;
  /** Marks that refuse tokens from now on. The response says that they do. */
  readonly refuse: Call<readonly RevocationMark[], void>;
  readonly changes: Call<ListChanges, void>;
  /** Looks out for this canary: responds when it refuses it, or does not. */
  readonly canary: Call<string, CanaryRefusal | undefined>;
  /** API keys of the store that have changed. */
  readonly apiKeys: Call<ToldKeys, void>;
  readonly keys: Call<{ readonly source: string; readonly news: KeySetNews }, void>;
  /** The first half of a reload. Gives the problems of the configuration. */
  readonly prepare: Call<LoadedConfiguration, readonly string[]>;
  readonly commit: Call<undefined, void>;
  readonly discard: Call<undefined, void>;
  readonly metrics: Call<undefined, MetricsSnapshot>;
  readonly report: Call<undefined, WorkerReport>;
  readonly history: Call<undefined, readonly HistoryReport[]>;
  readonly refusals: Call<RefusalQuery, Found<Refusal>>;
  readonly limited: Call<number, Found<LimitedCaller>>;
  readonly reported: Call<number, Found<ReportedCaller>>;
  readonly sessions: Call<SessionQuery, Found<SessionReport> | undefined>;
  /** Responds when all requests have ended, or were ended. */
  readonly drain: Call<undefined, void>;
}

/** What the primary is asked for. */
export interface PrimaryCalls {
  /** The worker can serve: it has the list, and keys were asked for. */
  readonly ready: Call<undefined, void>;
  /** Where the list is read to. Marks that are newer than that, but are in force, come with it. */
  readonly position: Call<
    undefined,
    { readonly position: string; readonly ageMs: number; readonly inForce: readonly RevocationMark[] }
  >;
  readonly page: Call<
    number | undefined,
    { readonly marks: readonly RevocationMark[]; readonly before: number }
  >;
  /** What is in the list, and how old that is; undefined while the store is unavailable. */
  readonly compare: Call<undefined, Comparison | undefined>;
  readonly nowMs: Call<undefined, number>;
  readonly revoke: Call<RevocationRequest, Revoked>;
  readonly renew: Call<{ readonly id: string; readonly lifeSeconds: number }, RevocationMark | undefined>;
  readonly undo: Call<string, RevocationMark | undefined>;
  readonly merge: Call<readonly RevocationMark[], void>;
  readonly find: Call<string, RevocationEntry | undefined>;
  /** All API keys of the store. */
  readonly allApiKeys: Call<undefined, ToldKeys>;
  readonly noteKeyUses: Call<readonly KeyUse[], void>;
  /** Proofs of one turn of a worker. Gives what each came to, in their order. */
  readonly firstUses: Call<readonly ProofUse[], readonly ProofOutcome[]>;
  /** Is it remembered by the primary's store? */
  readonly isUsed: Call<{ readonly namespace: string; readonly id: string }, boolean>;
  /** What a worker tells and asks of limits. */
  readonly leases: Call<
    { readonly scope: RateLimit['scope']; readonly asks: readonly LeaseAsk[] },
    LeaseOutcome
  >;
  /** What the last fetch of this key set came to, once there was one. */
  readonly keySet: Call<string, KeySetNews>;
  /** Has the set fetched as soon as the cooldown permits. Gives how many fetches have begun; undefined: it is down. */
  readonly askKeys: Call<string, number | undefined>;
}
