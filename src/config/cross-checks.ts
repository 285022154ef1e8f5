/**
 * What a schema cannot say: names that must exist, keys that exclude each other, header names that
 * collide, routes that tie. Works on the raw document, so that it finds its problems even where the schema
 * has found others, and everything is reported in one go. Pure.
 */
import { adminAuthProblems } from './admin-problems.ts';
import { apiKeyProblems } from './api-key-problems.ts';
import { clientCertHeaderProblems } from './client-certificate-checks.ts';
import { isNetwork } from '../http/client-address.ts';
import { claimPathProblems, identityCollisions, identityProblems } from './identity-problems.ts';
import { endpointProblems } from './endpoint-places.ts';
import { globalRevocationProblems } from './global-revocation-problems.ts';
import { duplicateIssuers, issuerNameProblems, issuerProblems } from './issuer-problems.ts';
import { grpcDialectProblems, protocolProblems } from './listener-protocols.ts';
import type { Problem } from './problem.ts';
import { proofProblems } from './proof-problems.ts';
import { providerProblems } from './provider-problems.ts';
import { isRaw, listOf, rawOf, textOf, type Path, type Raw } from './raw-document.ts';
import { possessionProblems } from './possession-problems.ts';
import { publishProblems } from './publish-problems.ts';
import { rateLimitProblems } from './rate-limit-problems.ts';
import { resourceProblems } from './resource-problems.ts';
import { duplicateNames, routeProblems, tiedRoutes } from './route-problems.ts';
import { namedUpstreams } from './route-upstream-problems.ts';
import { signalProblems } from './signal-problems.ts';
import { sharedTenants } from './tenant-problems.ts';
import { targetUrls, upstreamProblems } from './upstream-problems.ts';
import { workerProblems } from './worker-problems.ts';

/** Every problem with references and combinations in a configuration of any shape. */
export function referenceProblems(document: unknown): Problem[] {
  const raw = rawOf(document);
  const issuers = rawOf(raw['issuers']);
  const routes = listOf(raw['routes']);
  return [
    ...Object.entries(issuers).flatMap(([name, issuer]) =>
      isRaw(issuer)
        ? [...issuerProblems(issuer, ['issuers', name]), ...providerProblems(issuer, ['issuers', name])]
        : [],
    ),
    ...adminAuthProblems(rawOf(raw['admin']), issuers),
    ...duplicateIssuers(issuers),
    ...issuerNameProblems(issuers),
    ...sharedTenants(issuers),
    ...endpointProblems(raw, routes),
    ...globalRevocationProblems(raw),
    ...routes.flatMap((route, index) => routeProblems(raw, rawOf(route), ['routes', index])),
    ...duplicateNames(routes),
    ...tiedRoutes(routes),
    ...identityProblems(rawOf(raw['identity']), ['identity']),
    ...routes.flatMap((route, index) =>
      identityProblems(rawOf(rawOf(route)['identity']), ['routes', index, 'identity']),
    ),
    ...identityCollisions(raw, routes),
    ...publishProblems(raw),
    ...possessionProblems(raw),
    ...resourceProblems(raw),
    ...listOf(rawOf(raw['revocation'])['claims']).flatMap((claim, index) =>
      claimPathProblems(claim, ['revocation', 'claims', index]),
    ),
    ...signalProblems(raw),
    ...storeTlsProblems(rawOf(raw['revocation'])),
    ...Object.entries(rawOf(raw['upstreams'])).flatMap(([name, upstream]) =>
      upstreamProblems(rawOf(upstream), ['upstreams', name]),
    ),
    ...rateLimitProblems(raw),
    ...upgradeProblems(raw),
    ...decisionProblems(raw),
    ...redirectProblems(raw),
    ...clientCertHeaderProblems(raw),
    ...protocolProblems(raw),
    ...grpcDialectProblems(raw),
    ...apiKeyProblems(raw),
    ...networkProblems(raw),
    ...portProblems(raw),
    ...workerProblems(raw),
    ...proofProblems(raw),
  ];
}

/** Certificates for a store that is reached without TLS. */
function storeTlsProblems({ tls, store }: Raw): Problem[] {
  const spoken = typeof store === 'string' ? store.startsWith('rediss:') : rawOf(store)['tls'] === true;
  return tls === undefined || spoken
    ? []
    : [
        {
          path: ['revocation', 'tls'],
          atKey: true,
          message:
            'has no meaning, since the store is not reached by TLS; use rediss:// or tls: true in store',
        },
      ];
}

/** HTTP/2 has no Upgrade (RFC 9113 section 8.6). */
function upgradeProblems(raw: Raw): Problem[] {
  const upstreams = rawOf(raw['upstreams']);
  return listOf(raw['routes']).flatMap((route, index): Problem[] => {
    const { upgrade } = rawOf(route);
    const name = namedUpstreams(rawOf(route), [])
      .map(([name]) => textOf(name))
      .find((name) => targetUrls(rawOf(upstreams[name])).some((url) => /^(?:srv\+)?h2c?:/i.test(url)));
    return upgrade === undefined || name === undefined
      ? []
      : [
          {
            path: ['routes', index, 'upgrade'],
            atKey: true,
            message: `the upstream ${name} has a target that speaks HTTP/2, which has no Upgrade; give this route an upstream with http:// or https:// targets`,
          },
        ];
  });
}

/** Sending clients to https is for those that come without it. */
function redirectProblems(raw: Raw): Problem[] {
  return listOf(raw['listeners']).flatMap((listener, index): Problem[] => {
    const { serve, tls, https_port } = rawOf(listener);
    const problem = (key: string, message: string): Problem => ({
      path: ['listeners', index, key],
      atKey: true,
      message,
    });
    return serve === 'redirect'
      ? tls === undefined
        ? []
        : [problem('tls', 'has no meaning with serve: redirect, which is for plaintext; remove one of them')]
      : https_port === undefined
        ? []
        : [problem('https_port', 'has no meaning without serve: redirect; add that, or remove it')];
  });
}

/** Decisions are asked for in one dialect, and only there does it mean anything. */
function decisionProblems(raw: Raw): Problem[] {
  return listOf(raw['listeners']).flatMap((listener, index): Problem[] => {
    const { serve, dialect } = rawOf(listener);
    if (serve === 'decisions') {
      return dialect === undefined
        ? [
            {
              path: ['listeners', index],
              message:
                'serves decisions, but has no dialect; add dialect: forwarded (Traefik, Caddy), original (nginx), original_url (ingress-nginx), request (Envoy by HTTP) or ext_authz (Envoy by gRPC)',
            },
          ]
        : [];
    }
    return ['dialect', 'trusted_peers']
      .filter((key) => rawOf(listener)[key] !== undefined)
      .map((key) => ({
        path: ['listeners', index, key],
        atKey: true,
        message: 'has no meaning without serve: decisions; add that, or remove it',
      }));
  });
}

function networkProblems(raw: Raw): Problem[] {
  return [
    ...unreadableNetworks(raw['trusted_proxies'], ['trusted_proxies']),
    ...listOf(raw['listeners']).flatMap((listener, index) =>
      unreadableNetworks(rawOf(listener)['trusted_peers'], ['listeners', index, 'trusted_peers']),
    ),
  ];
}

function unreadableNetworks(networks: unknown, path: Path): Problem[] {
  return listOf(networks).flatMap((network, index) =>
    typeof network !== 'string' || isNetwork(network)
      ? []
      : [
          {
            path: [...path, index],
            message: 'must be an address or a network such as 10.0.0.0/8; correct it',
          },
        ],
  );
}

function portProblems(raw: Raw): Problem[] {
  const { host: adminHost = '127.0.0.1', port: adminPort = 9090 } = rawOf(raw['admin']);
  const everywhere = (host: unknown): boolean => host === '0.0.0.0' || host === '::';
  const listeners = listOf(raw['listeners']).map(rawOf);
  return listeners.flatMap(({ host = '0.0.0.0', port }, index) => {
    if (typeof port !== 'number' || port === 0) return [];
    const overlaps = (otherHost: unknown, otherPort: unknown): boolean =>
      otherPort === port && (otherHost === host || everywhere(otherHost) || everywhere(host));
    if (overlaps(adminHost, adminPort)) {
      return [
        {
          path: ['listeners', index, 'port'],
          message: 'is the admin port too; the admin API must never be public, so change one',
        },
      ];
    }
    const twin = listeners.findIndex(
      (other, at) => at < index && overlaps(other['host'] ?? '0.0.0.0', other['port']),
    );
    return twin < 0
      ? []
      : [
          {
            path: ['listeners', index, 'port'],
            message: `is the port of listeners[${twin}] too; change one`,
          },
        ];
  });
}
