/** What is risky about proofs of possession. Pure. */
import type { Configuration } from './schema.ts';

export function possessionWarnings(configuration: Configuration): string[] {
  const { routes, listeners, dpop, revocation } = configuration;
  const constrained = routes.filter(({ auth }) => auth.sender_constrained !== undefined);
  if (constrained.length === 0) return [];
  return [
    ...(revocation.store === 'memory:'
      ? [
          'revocation.store: memory: remembers used DPoP proofs in this gateway alone: each passes once on every gateway, and again after a restart; use sqlite:FILE or redis://',
        ]
      : []),
    ...(dpop.when_replay_unknown === 'allow'
      ? [
          'dpop.when_replay_unknown: allow lets a stolen DPoP proof pass again while the store is down; use deny',
        ]
      : []),
    ...constrained
      .filter(({ when_replay_unknown: unknown }) => unknown === 'allow')
      .map(
        ({ name }) =>
          `routes: ${name} has when_replay_unknown: allow: a stolen DPoP proof passes again while the store is down; use deny`,
      ),
    ...constrained
      .filter(({ cors }) => cors && !cors.headers.some((header) => header.toLowerCase() === 'dpop'))
      .map(
        ({ name }) =>
          `routes: ${name} accepts DPoP, but cors.headers has no dpop, so that pages of other origins cannot send a proof; add dpop to it`,
      ),
    ...constrained.flatMap(({ name, match, public_url: own }) => {
      const urls = own ? [own] : listeners.flatMap(({ public_url: url }) => url ?? []);
      const strange = urls.find(
        ({ hostname }) => match.hosts !== undefined && !match.hosts.some((host) => fits(host, hostname)),
      );
      return strange
        ? [
            `routes: ${name} serves ${match.hosts?.join(', ')}, but clients must write ${strange.href} into their proofs; correct public_url or match.hosts`,
          ]
        : [];
    }),
    ...schemeWarnings(configuration),
    ...forwardedWarnings(configuration),
  ];
}

/** Routes of which only the request says for which URL a proof is. */
const withoutUrl = ({ routes }: Configuration): string[] =>
  routes
    .filter(({ auth, public_url: url }) => auth.sender_constrained !== undefined && !url)
    .map(({ name }) => name);

const WITHOUT_SCHEME: ReadonlySet<string | undefined> = new Set(['original', 'request']);

function schemeWarnings(configuration: Configuration): string[] {
  if (withoutUrl(configuration).length === 0) return [];
  return configuration.listeners
    .filter(
      ({ serve, dialect, public_url: url }) => serve === 'decisions' && WITHOUT_SCHEME.has(dialect) && !url,
    )
    .map(
      ({ host, port, dialect }) =>
        `listeners: ${host}:${port} has dialect: ${dialect}, which does not tell http from https, so that DPoP proofs for https are refused; add public_url`,
    );
}

/** Many proxies pass on what a client has written into these headers. */
function forwardedWarnings(configuration: Configuration): string[] {
  const routes = withoutUrl(configuration);
  const forwards = configuration.listeners.some(({ serve, public_url: url }) => serve === undefined && !url);
  return routes.length > 0 && forwards && configuration.trusted_proxies.length > 0
    ? [
        `routes: ${routes.join(', ')} accept DPoP for the URL that X-Forwarded-Proto and X-Forwarded-Host of trusted_proxies name; a proxy that passes on a client's own lets it choose that URL: add public_url`,
      ]
    : [];
}

function fits(pattern: string, hostname: string): boolean {
  return pattern.startsWith('*.') ? hostname.endsWith(pattern.slice(1)) : pattern === hostname;
}
