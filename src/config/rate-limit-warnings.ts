/** What is risky about limits. Pure. */
import type { RateLimitConfiguration } from './rate-limit-schema.ts';
import type { Configuration } from './schema.ts';

export function rateLimitWarnings(configuration: Configuration): string[] {
  const { rate_limits: global, routes, limits } = configuration;
  const all: [where: string, limit: RateLimitConfiguration][] = [
    ...global.map((limit): [string, RateLimitConfiguration] => ['rate_limits', limit]),
    ...routes.flatMap(({ name, rate_limits: own }) =>
      own.map((limit): [string, RateLimitConfiguration] => [`routes: ${name}`, limit]),
    ),
  ];
  return [
    ...all
      .filter(([, { by }]) => by === 'ip' && believesNoProxy(configuration))
      .map(([where, { name }]) => `${where}: the limit ${name} counts by ip, ${ALL_AS_ONE}`),
    ...(limits.failed_authentications && believesNoProxy(configuration)
      ? [`limits.failed_authentications: counts by address, ${ALL_AS_ONE}`]
      : []),
    ...all
      .filter(([, { by }]) => by === 'tenant' && namesNoTenant(configuration))
      .map(
        ([where, { name }]) =>
          `${where}: the limit ${name} counts by tenant, but no issuer has claim_names.tenant, so that all callers of an issuer share one bucket; set it`,
      ),
  ];
}

const ALL_AS_ONE =
  'and trusted_proxies is empty: behind a proxy all clients share its address; name the proxies, or 127.0.0.1 where there are none';

/** At a decision listener the proxy that asks tells the address of the client. */
function believesNoProxy({ trusted_proxies: proxies, listeners }: Configuration): boolean {
  return proxies.length === 0 && listeners.some(({ serve }) => serve === undefined);
}

function namesNoTenant({ issuers }: Configuration): boolean {
  return Object.values(issuers).every(({ claim_names: names }) => names.tenant === null);
}
