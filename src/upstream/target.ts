/** What a request needs to know of the servers that it may go to. */
import type { Balancer, Weighted } from './balancer.ts';
import type { NoResponse } from '../telemetry/upstream-tries.ts';
import type { TargetHealth } from './target-health.ts';
import type { LinkPool } from './upstream-link.ts';

/** One server that requests go to: an address of a target of the configuration. */
export interface Target extends Weighted {
  /** The target of the configuration: scheme, host and port. */
  readonly origin: string;
  /** Its own Host. */
  readonly host: string;
  readonly pool: LinkPool;
  readonly health: TargetHealth;
  readonly tries: TryCount;
  /** It has other addresses, and no connection to this one was ever opened: it may be out of reach. */
  readonly isDoubtful: boolean;
  /** Another address of the same target gets requests. */
  readonly hasOther: boolean;
  /** No connection has come in good time: no more requests, until one can be opened. */
  suspect(): void;
}

/** Hears the result of each try: the status of a response, or why there was none. */
export interface TryCount {
  ended(result: number | NoResponse): void;
}

export interface Upstream {
  readonly balancer: Balancer<Target>;
  readonly countRetry: () => void;
}
