/** The upstreams of /v1/status, as all workers together see them. Pure. */
import type { MemberReport, TargetReport, UpstreamReport } from './calls.ts';

/** What the first worker says, and where another one sees a target or an address out, that. */
export function mergedUpstreams(reports: readonly (readonly UpstreamReport[])[]): readonly UpstreamReport[] {
  const [first = [], ...others] = reports;
  return first.map((upstream) => {
    const same = others.flatMap((upstreams) => upstreams.filter(({ name }) => name === upstream.name));
    return {
      ...upstream,
      targets: upstream.targets.map((target) =>
        mergedTarget(
          target,
          same.flatMap(({ targets }) => targets.filter(({ url }) => url === target.url)),
        ),
      ),
    };
  });
}

/** A target is healthy where all workers send it requests. */
function mergedTarget(first: TargetReport, others: readonly TargetReport[]): TargetReport {
  const worst = worstOf(first, others);
  return {
    ...first,
    healthy: worst.healthy,
    cause: worst.cause,
    members: first.members.map((member) =>
      mergedMember(
        member,
        others.flatMap(({ members }) => members.filter(({ address }) => address === member.address)),
      ),
    ),
  };
}

/** `weight` and `priority` are the same in all; `in_flight` is a sum. */
function mergedMember(first: MemberReport, others: readonly MemberReport[]): MemberReport {
  const inFlight = others.reduce((sum, { in_flight }) => sum + in_flight, first.in_flight);
  return { ...worstOf(first, others), in_flight: inFlight };
}

function worstOf<T extends { readonly healthy: boolean }>(first: T, others: readonly T[]): T {
  return [first, ...others].find(({ healthy }) => !healthy) ?? first;
}
