/** How a target is, for the admin listener and metrics. */
import { addressText, type RunningTarget } from './running-target.ts';

export interface TargetStatus {
  readonly upstream: string;
  readonly target: string;
  /** A member of it gets requests. */
  readonly available: boolean;
  /** Why none does, as its first member says it; undefined where one does, or there is none. */
  readonly cause: string | undefined;
  readonly members: readonly MemberStatus[];
  /** Addresses beyond the limit. */
  readonly leftOut: number;
  /** Undefined where it is an address, or no attempt is over. */
  readonly resolution: { readonly error: Error | undefined; readonly sinceMs: number } | undefined;
}

export interface MemberStatus {
  /** With its port, where SRV records say it. */
  readonly address: string;
  readonly state: 'up' | 'unhealthy' | 'unreachable';
  /** Why it gets no requests; undefined while it does. */
  readonly cause: string | undefined;
  readonly priority: number;
  readonly weight: number;
  readonly inFlight: number;
  readonly sinceMs: number;
}

export function targetStatus(upstream: string, target: RunningTarget): TargetStatus {
  const { text, members, leftOut, resolution } = target;
  const available = members.some((member) => member.available);
  return {
    upstream,
    target: text,
    available,
    cause: available ? undefined : members[0]?.cause,
    members: members.map(({ endpoint, state, cause, priority, weight, inFlight, sinceMs }) => ({
      address: addressText(endpoint.address, endpoint.port) ?? endpoint.origin.hostname,
      state,
      cause,
      priority,
      weight,
      inFlight,
      sinceMs,
    })),
    leftOut,
    resolution,
  };
}
