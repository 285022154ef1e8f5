/** What a fleet shows by its latest canary: how many gateways refuse it, and which do not. Pure. Rule V7. */
import { CANARY_WATCHED_MS } from '../revocation/canaries.ts';
import type { CanaryJson } from './canary-json.ts';
import type { CanaryReport } from './fleet-messages.ts';

/** What a gateway says of itself, and how the fleet calls it. */
export interface CanaryMember {
  readonly label: string;
  /** Its heartbeat is young. */
  readonly isLive: boolean;
  readonly startedAt: number;
  /** Undefined: a version that knows no canaries. Null: it has heard of none. */
  readonly canary: CanaryReport | null | undefined;
}

/** Outcomes come with heartbeats, up to 5 s later. */
const TOLD_SECONDS = CANARY_WATCHED_MS / 1_000 + 10;

/** For sort(): positive where `a` is later, the same for all gateways. Of those that were made at the same time one is. */
export function compareCanaries(
  a: Pick<CanaryReport, 'made_at' | 'id'>,
  b: Pick<CanaryReport, 'made_at' | 'id'>,
): number {
  return a.made_at - b.made_at || (a.id === b.id ? 0 : a.id > b.id ? 1 : -1);
}

/**
 * The latest canary that any of them has heard of.
 *
 * @param nowSeconds since 1970
 */
export function latestCanary(members: readonly CanaryMember[], nowSeconds: number): CanaryJson | null {
  const latest = members
    .flatMap(({ canary }) => canary ?? [])
    .toSorted(compareCanaries)
    .at(-1);
  if (!latest) return null;
  const told = members.filter(({ canary }) => canary?.id === latest.id);
  // One that has started since cannot have heard of it, nor can an older version.
  const untold = members.filter(
    ({ canary, startedAt }) => canary !== undefined && canary?.id !== latest.id && startedAt < latest.made_at,
  );
  const inState = (state: CanaryReport['state']): CanaryMember[] =>
    told.filter(({ canary }) => canary?.state === state);
  const refused = inState('refused');
  const slowest = refused
    .map(({ canary }) => canary)
    .toSorted((a, b) => (b?.refused_after_seconds ?? 0) - (a?.refused_after_seconds ?? 0))[0];
  const isOver = nowSeconds - latest.made_at > TOLD_SECONDS;
  const open = Object.groupBy([...inState('waiting'), ...untold], ({ isLive }) =>
    isLive && !isOver ? 'waiting' : 'silent',
  );
  return {
    made_by: latest.made_by,
    made_at: latest.made_at,
    gateways: told.length + untold.length,
    refuse: refused.length,
    slowest_seconds: slowest?.refused_after_seconds ?? null,
    error_seconds: slowest?.error_seconds ?? null,
    waiting: labelsOf(open.waiting),
    missed: labelsOf(inState('missed')),
    silent: labelsOf(open.silent),
    unknown: labelsOf(inState('unknown')),
  };
}

const labelsOf = (members: readonly CanaryMember[] = []): string[] => members.map(({ label }) => label);
