/** What a fleet shows by its latest canary: how many gateways refuse it, and which do not. Pure. Rule V7. */
import { CANARY_WATCHED_MS } from '../revocation/canaries.ts';
import type { CanaryJson } from './canary-json.ts';
import type { CanaryReport } from './fleet-messages.ts';

/** What a gateway says of itself, and how the fleet calls it. */
export interface CanaryMember {
  readonly label: string;
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
  const told = members.flatMap(({ label, canary }) =>
    canary?.id === latest.id ? [{ label, ...canary }] : [],
  );
  // One that has started since cannot have heard of it, nor can an older version.
  const untold = members.flatMap(({ label, canary, startedAt }) =>
    canary !== undefined && canary?.id !== latest.id && startedAt < latest.made_at ? [label] : [],
  );
  const labels = (state: CanaryReport['state']): string[] =>
    told.flatMap((one) => (one.state === state ? [one.label] : []));
  const refused = told.filter(({ state }) => state === 'refused');
  const [slowest] = refused.toSorted(
    (a, b) => (b.refused_after_seconds ?? 0) - (a.refused_after_seconds ?? 0),
  );
  const waiting = [...labels('waiting'), ...untold];
  const isOver = nowSeconds - latest.made_at > TOLD_SECONDS;
  return {
    made_by: latest.made_by,
    made_at: latest.made_at,
    gateways: told.length + untold.length,
    refuse: refused.length,
    slowest_seconds: slowest?.refused_after_seconds ?? null,
    error_seconds: slowest?.error_seconds ?? null,
    waiting: isOver ? [] : waiting,
    missed: labels('missed'),
    silent: isOver ? waiting : [],
    unknown: labels('unknown'),
  };
}
