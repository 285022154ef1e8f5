/** The JSON of GET /v1/status: what this gateway serves, and how its parts are. docs/reference.md, "Admin listener". */
import { accessText, matchText, upstreamText } from '../config/describe-route.ts';
import { VERSION } from '../version.ts';
import type { CertificateStatus } from './certificate-watch.ts';
import type { Generation, Lasting } from './generation.ts';

export interface StatusParts {
  readonly generation: Generation;
  readonly lasting: Lasting;
  readonly uptimeMs: number;
  readonly ready: boolean;
  readonly certificates: readonly CertificateStatus[];
}

export function statusJson({ generation, lasting, uptimeMs, ready, certificates }: StatusParts): object {
  const { loaded, policy, issuers, forwarder } = generation;
  const { clock, keyReports, view, store } = lasting;
  const seconds = (ms: number): number | null => (Number.isFinite(ms) ? Math.round(ms) / 1000 : null);
  return {
    name: policy.name,
    version: VERSION,
    uptime_seconds: seconds(uptimeMs),
    ready,
    routes: loaded.configuration.routes.map((route) => ({
      name: route.name,
      match: matchText(route),
      mode: route.auth.mode,
      access: accessText(route),
      upstream: upstreamText(route),
    })),
    issuers: Object.entries(loaded.configuration.issuers).map(([name, { issuer = null }]) => {
      const keys = issuers.remoteKeySets.get(name);
      if (!keys) return { name, issuer };
      const at = keyReports.successAtMs.get(name);
      return {
        name,
        issuer,
        keys_available: keys.available,
        keys_age_seconds: at === undefined ? null : seconds(clock.nowMs() - at),
      };
    }),
    upstreams: Object.keys(loaded.configuration.upstreams).map((name) => ({
      name,
      targets: forwarder
        .health()
        .filter(({ upstream }) => upstream === name)
        .map(({ target, available, cause }) => ({ url: target, healthy: available, cause })),
    })),
    certificates,
    revocation: {
      entries: view.size,
      view_age_seconds: seconds(view.ageMs),
      max_view_age_seconds: seconds(policy.maxViewAgeMs),
      claims: loaded.configuration.revocation.claims,
      store: store.kind,
      store_connected: view.connected,
    },
  };
}
