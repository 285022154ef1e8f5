/** The JSON of GET /v1/status: what this gateway serves, and how its parts are. docs/reference.md, "Admin listener". */
import { accessText, matchText, upstreamText } from '../config/describe-route.ts';
import type { HeldList } from '../status-lists/held-list.ts';
import { VERSION } from '../version.ts';
import { describeError } from '../telemetry/logger.ts';
import type { TargetStatus } from '../upstream/target-status.ts';
import type { CertificateStatus } from './certificate-watch.ts';
import { replayState } from './replay-reports.ts';
import { routesWithProofs } from './unserved-routes.ts';
import type { Generation, Lasting } from './generation.ts';

export interface StatusParts {
  readonly generation: Generation;
  readonly lasting: Lasting;
  readonly uptimeMs: number;
  readonly ready: boolean;
  readonly certificates: readonly CertificateStatus[];
}

/** The only place that shows addresses of names. */
function targetJson({ target, available, cause, members, leftOut, resolution }: TargetStatus): object {
  const time = (ms: number): string => new Date(ms).toISOString();
  return {
    url: target,
    healthy: available,
    cause,
    ...(resolution && {
      resolves: resolution.error === undefined,
      resolves_since: time(resolution.sinceMs),
      resolution_error: resolution.error ? describeError(resolution.error) : null,
      addresses_left_out: leftOut,
    }),
    members: members.map(({ address, state, cause, priority, weight, inFlight, sinceMs }) => ({
      address,
      healthy: state === 'up',
      state,
      cause,
      since: time(sinceMs),
      priority,
      weight,
      in_flight: inFlight,
    })),
  };
}

/** Null where no route accepts proofs of possession. */
function usedProofs({ policy }: Generation, { place, clock }: Lasting): object | null {
  const [refusing, passing] = [routesWithProofs('deny', policy), routesWithProofs('allow', policy)];
  const { watchedReplay } = place;
  if (!watchedReplay || refusing.length + passing.length === 0) return null;
  const { outage } = watchedReplay;
  return {
    available: replayState(watchedReplay),
    full: outage?.isFull ?? false,
    unavailable_seconds: outage ? Math.round(clock.monotonicMs() - outage.sinceMs) / 1000 : null,
    refusing: outage ? refusing : [],
    passing: outage ? passing : [],
  };
}

const seconds = (ms: number): number | null => (Number.isFinite(ms) ? Math.round(ms) / 1000 : null);

function statusListJson({ uri, isCurrent, ageMs, bytes }: HeldList): object {
  return { uri, current: isCurrent, age_seconds: seconds(ageMs), bytes };
}

export function statusJson({ generation, lasting, uptimeMs, ready, certificates }: StatusParts): object {
  const { loaded, policy, issuers, forwarder } = generation;
  const { canaries, clock, keyReports, view, store } = lasting;
  return {
    name: policy.name,
    version: VERSION,
    uptime_seconds: seconds(uptimeMs),
    ready,
    routes: loaded.configuration.routes.map((route) => ({
      name: route.name,
      match: matchText(route),
      mode: route.auth.mode,
      access: accessText(route, loaded.configuration),
      upstream: upstreamText(route),
    })),
    issuers: Object.entries(loaded.configuration.issuers).map(([name, { issuer = null }]) => {
      const keys = issuers.remoteKeySets.get(name);
      const lists = issuers.statusLists.byIssuer.get(name);
      const shown = lists && { status_lists: [...lists.lists].map(statusListJson) };
      if (!keys) return { name, issuer, ...shown };
      const at = keyReports.successAtMs.get(name);
      return {
        name,
        issuer,
        keys_available: keys.available,
        keys_age_seconds: at === undefined ? null : seconds(clock.nowMs() - at),
        ...shown,
      };
    }),
    upstreams: Object.keys(loaded.configuration.upstreams).map((name) => ({
      name,
      targets: forwarder
        .health()
        .filter(({ upstream }) => upstream === name)
        .map((target) => targetJson(target)),
    })),
    certificates,
    revocation: {
      entries: view.size - canaries.inForce,
      view_age_seconds: seconds(view.ageMs),
      max_view_age_seconds: seconds(policy.maxViewAgeMs),
      claims: loaded.configuration.revocation.claims,
      store: store.kind,
      store_connected: view.connected,
    },
    used_proofs: usedProofs(generation, lasting),
  };
}
