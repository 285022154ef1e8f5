/**
 * What a schema cannot say: names that must exist, keys that exclude each other, header names that
 * collide, routes that tie. Works on the raw document, so that it finds its problems even where the schema
 * has found others, and everything is reported in one go. Pure.
 */
import ipaddr from 'ipaddr.js';
import { headerAlias } from '../http/header-names.ts';
import { isReservedHeader } from '../http/identity-headers.ts';
import {
  isHmac,
  KEY_REQUIREMENTS,
  SIGNATURE_ALGORITHMS,
  type SignatureAlgorithm,
} from '../token/algorithms.ts';
import type { Problem } from './load.ts';
import { isOpaqueIssuer, OPAQUE_SOURCES } from './schema.ts';
import { nearest } from './suggest.ts';

type Raw = Readonly<Record<string, unknown>>;
type Path = readonly (string | number)[];

const isRaw = (value: unknown): value is Raw =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const rawOf = (value: unknown): Raw => (isRaw(value) ? value : {});
const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');
const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? (value as unknown[]) : []);
const stringsOf = (value: unknown): string[] => listOf(value).filter((item) => typeof item === 'string');

/** Every problem with references and combinations in a configuration of any shape. */
export function referenceProblems(document: unknown): Problem[] {
  const raw = rawOf(document);
  const issuers = rawOf(raw['issuers']);
  const routes = listOf(raw['routes']);
  return [
    ...Object.entries(issuers).flatMap(([name, issuer]) => issuerProblems(rawOf(issuer), ['issuers', name])),
    ...duplicateIssuers(issuers),
    ...logoutProblems(issuers, routes),
    ...routes.flatMap((route, index) => routeProblems(raw, rawOf(route), ['routes', index])),
    ...duplicateNames(routes),
    ...tiedRoutes(routes),
    ...identityProblems(rawOf(raw['identity']), ['identity', 'headers']),
    ...routes.flatMap((route, index) =>
      identityProblems(rawOf(rawOf(route)['identity']), ['routes', index, 'identity', 'headers']),
    ),
    ...identityCollisions(raw, routes),
    ...networkProblems(raw),
    ...portProblems(raw),
  ];
}

const KEY_SOURCES = [
  'discovery',
  'jwks_url',
  'jwks_file',
  'jwks',
  'hmac_secret',
  'hmac_secret_file',
] as const;

/** Beside the sources of keys. */
const JWT_ONLY = ['algorithms', 'token_type', 'max_lifetime', 'keys', 'backchannel_logout'] as const;

function issuerProblems(issuer: Raw, path: Path): Problem[] {
  const problems: Problem[] = [];
  const sources = KEY_SOURCES.filter((key) => issuer[key] !== undefined);
  const opaque = isOpaqueIssuer(issuer);
  if (opaque) {
    const [kind = '', second] = OPAQUE_SOURCES.filter((source) => issuer[source] !== undefined);
    if (second !== undefined) {
      problems.push({
        path: [...path, second],
        atKey: true,
        message: `${kind} and ${second} exclude each other; keep one`,
      });
    }
    for (const key of [...sources, ...JWT_ONLY].filter((k) => issuer[k] !== undefined)) {
      problems.push({
        path: [...path, key],
        atKey: true,
        message: `is for JWTs and has no meaning beside ${kind}; remove one of them`,
      });
    }
    problems.push(...introspectionProblems(issuer, path), ...validationProblems(issuer, path));
  } else if (sources.length === 0) {
    problems.push({
      path,
      message: `has no source of keys; add one of discovery: true, jwks_url, jwks_file, jwks, hmac_secret_file (or introspection or validation, for opaque tokens)`,
    });
  } else if (sources.length > 1) {
    problems.push({
      path: [...path, sources[1] ?? ''],
      atKey: true,
      message: `${sources.join(' and ')} exclude each other; keep one`,
    });
  }
  if (!opaque && issuer['issuer'] === undefined) {
    problems.push({ path, message: 'has no issuer; add issuer: the exact iss of its tokens' });
  }
  if (!opaque && issuer['token_prefix'] !== undefined) {
    problems.push({
      path: [...path, 'token_prefix'],
      atKey: true,
      message: 'is for opaque tokens only; remove it',
    });
  }
  problems.push(...urlProblems(issuer, path), ...algorithmProblems(issuer, path));
  return problems;
}

function introspectionProblems(issuer: Raw, path: Path): Problem[] {
  if (issuer['introspection'] === undefined) return [];
  const { client_secret: secret, client_secret_file: file } = rawOf(issuer['introspection']);
  return secret === undefined && file === undefined
    ? [{ path: [...path, 'introspection'], message: 'has no client_secret; add client_secret_file' }]
    : [];
}

function validationProblems(issuer: Raw, path: Path): Problem[] {
  const { method, send, valid = ['2xx'], invalid = [401, 403, 404] } = rawOf(issuer['validation']);
  const { in: place = 'json', name } = rawOf(send);
  const problems: Problem[] = [];
  if (method === 'GET' && place !== 'header') {
    problems.push({
      path: [...path, 'validation', 'method'],
      message: 'GET has no body to carry the token; add send: { in: header }, or use POST',
    });
  }
  if (place === 'header' && typeof name === 'string' && !/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) {
    problems.push({
      path: [...path, 'validation', 'send', 'name'],
      message: 'is no header name; correct it',
    });
  }
  const both = listOf(invalid).find((status) => listOf(valid).includes(status));
  if (both !== undefined) {
    problems.push({
      path: [...path, 'validation'],
      message: `${JSON.stringify(both)} is in valid and in invalid; keep it in one`,
    });
  }
  return problems;
}

/** Keys and answers decide who may pass: they travel encrypted, or do not leave the machine (rule K4). */
function urlProblems(issuer: Raw, path: Path): Problem[] {
  const urls: [Path, unknown][] = [
    [[...path, 'jwks_url'], issuer['jwks_url']],
    ...OPAQUE_SOURCES.map((source): [Path, unknown] => [
      [...path, source, 'url'],
      rawOf(issuer[source])['url'],
    ]),
  ];
  if (issuer['discovery'] === true) urls.push([[...path, 'issuer'], issuer['issuer']]);
  return urls.flatMap(([where, url]) => {
    if (typeof url !== 'string') return [];
    if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
      return where.at(-1) === 'issuer'
        ? [
            {
              path: where,
              message: 'must be an https:// URL, since discovery starts from it; correct it, or use jwks_url',
            },
          ]
        : [];
    }
    const { protocol, hostname } = new URL(url);
    if (protocol === 'https:' || isLoopback(hostname) || issuer['allow_http'] === true) return [];
    return [
      {
        path: where,
        message: 'must be https:// or loopback; change it, or set allow_http: true and know the risk',
      },
    ];
  });
}

/** Is this the name or address of this very machine? */
export function isLoopback(hostname: string): boolean {
  const bare = hostname.replace(/^\[|\]$/g, '');
  return bare === 'localhost' || (ipaddr.isValid(bare) && ipaddr.process(bare).range() === 'loopback');
}

function algorithmProblems(issuer: Raw, path: Path): Problem[] {
  const algorithms = stringsOf(issuer['algorithms']).filter((a): a is SignatureAlgorithm =>
    (SIGNATURE_ALGORITHMS as readonly string[]).includes(a),
  );
  const shared = issuer['hmac_secret'] !== undefined || issuer['hmac_secret_file'] !== undefined;
  const misplaced = algorithms.filter((algorithm) => isHmac(algorithm) !== shared);
  if (misplaced.length > 0) {
    const why = shared
      ? `${misplaced.join(', ')} cannot be used with a shared secret; keep HS256, HS384, HS512 only`
      : `${misplaced.join(', ')} needs a shared secret; remove it, or configure hmac_secret_file`;
    return [{ path: [...path, 'algorithms'], message: why }];
  }
  const secret = issuer['hmac_secret'];
  if (typeof secret !== 'string') return [];
  const needed = minSecretBytes(algorithms);
  return Buffer.byteLength(secret) < needed
    ? [{ path: [...path, 'hmac_secret'], message: weakSecret(needed) }]
    : [];
}

/** The shortest secret that serves all these algorithms, in bytes (RFC 7518 section 3.2). */
export function minSecretBytes(algorithms: readonly SignatureAlgorithm[]): number {
  return Math.max(32, ...algorithms.map((algorithm) => KEY_REQUIREMENTS[algorithm].minSecretBytes ?? 0));
}
export function weakSecret(neededBytes: number): string {
  return `is too short: these algorithms need at least ${neededBytes} bytes (RFC 7518 section 3.2); make one with: openssl rand -base64 48`;
}

function duplicateIssuers(issuers: Raw): Problem[] {
  const seen = new Map<string, string>();
  return Object.entries(issuers).flatMap(([name, value]) => {
    const { issuer } = rawOf(value);
    if (typeof issuer !== 'string' || isOpaqueIssuer(rawOf(value))) return [];
    const other = seen.get(issuer);
    seen.set(issuer, name);
    return other === undefined
      ? []
      : [
          {
            path: ['issuers', name, 'issuer'],
            message: `is the same as that of issuers.${other}; merge the two`,
          },
        ];
  });
}

/** A logout endpoint stands before all routes: it must not hide one, nor another endpoint. */
function logoutProblems(issuers: Raw, routes: readonly unknown[]): Problem[] {
  const seen = new Map<string, string>();
  return Object.entries(issuers).flatMap(([name, issuer]) => {
    const { host, path } = rawOf(rawOf(issuer)['backchannel_logout']);
    if (typeof host !== 'string' || typeof path !== 'string') return [];
    const where = ['issuers', name, 'backchannel_logout'];
    const other = seen.get(`${host}${path}`);
    seen.set(`${host}${path}`, name);
    if (other !== undefined)
      return [{ path: where, message: `is the same place as that of issuers.${other}; change one` }];
    const hidden = routes.map(rawOf).find((route) => isHidden(rawOf(route['match']), host, path));
    return hidden
      ? [{ path: where, message: `hides the route "${textOf(hidden['name'])}"; choose another path` }]
      : [];
  });
}

/** Does everything that the route matches on this host go to the endpoint? */
function isHidden(match: Raw, host: string, path: string): boolean {
  const hosts = stringsOf(match['hosts']);
  const serves =
    hosts.length === 0 ||
    hosts.some((name) => name === host || (name.startsWith('*.') && host.endsWith(name.slice(1))));
  return serves && (match['path'] === path || (path !== '/' && prefixText(match['path_prefix']) === path));
}

function routeProblems(raw: Raw, route: Raw, path: Path): Problem[] {
  const problems: Problem[] = [];
  const known = (what: string, name: unknown, where: Path): void => {
    const names = Object.keys(rawOf(raw[what]));
    if (typeof name !== 'string' || names.includes(name)) return;
    const guess = nearest(name, names);
    problems.push({
      path: where,
      message: `"${name}" is not in ${what}; ${guess === undefined ? `add it there${names.length > 0 ? ` (there are: ${names.join(', ')})` : ''}` : `did you mean ${guess}?`}`,
    });
  };
  known('upstreams', route['upstream'], [...path, 'upstream']);
  const auth = rawOf(route['auth']);
  listOf(auth['issuers']).forEach((name, index) =>
    known('issuers', name, [...path, 'auth', 'issuers', index]),
  );
  problems.push(
    ...opaqueChoiceProblems(rawOf(raw['issuers']), auth, path),
    ...authProblems(rawOf(raw['issuers']), auth, path),
    ...rewriteProblems(route, path),
  );
  return problems;
}

function authProblems(issuers: Raw, auth: Raw, path: Path): Problem[] {
  if (auth['mode'] === 'none') {
    return ['issuers', 'scopes', 'claims']
      .filter((key) => auth[key] !== undefined)
      .map((key) => ({
        path: [...path, 'auth', key],
        atKey: true,
        message: 'has no meaning with mode: none; remove one of them',
      }));
  }
  if (auth['issuers'] !== undefined) return [];
  const verifying = Object.values(issuers).filter((issuer) => !isOpaqueIssuer(rawOf(issuer)));
  return verifying.length > 0
    ? []
    : [
        {
          path: [...path, 'auth'],
          message:
            'asks for a token, but no issuer can verify one; add one to issuers, name opaque ones in auth.issuers, or set auth.mode: none',
        },
      ];
}

/** A token must never be offered to two authorization servers: one of them would learn the other's tokens. */
function opaqueChoiceProblems(issuers: Raw, auth: Raw, path: Path): Problem[] {
  const opaque = stringsOf(auth['issuers']).filter((name) => isOpaqueIssuer(rawOf(issuers[name])));
  if (opaque.length < 2) return [];
  const prefixes = opaque.map((name) => textOf(rawOf(issuers[name])['token_prefix']));
  const ambiguous = prefixes.some((prefix, index) =>
    prefixes.some((other, at) => at !== index && other.startsWith(prefix)),
  );
  return ambiguous
    ? [
        {
          path: [...path, 'auth', 'issuers'],
          message: `${opaque.join(' and ')} all take opaque tokens; give each a token_prefix that none of the others begins with`,
        },
      ]
    : [];
}

function rewriteProblems(route: Raw, path: Path): Problem[] {
  const strip = rawOf(route['rewrite'])['strip_prefix'];
  if (typeof strip !== 'string') return [];
  const { path: exact, path_prefix: prefix } = rawOf(route['match']);
  const matched = typeof exact === 'string' ? exact : typeof prefix === 'string' ? prefix : '/';
  const stripped = strip.replace(/\/$/, '');
  return matched === stripped || matched.startsWith(`${stripped}/`)
    ? []
    : [
        {
          path: [...path, 'rewrite', 'strip_prefix'],
          message: `is no prefix of what the route matches (${matched}); make it one`,
        },
      ];
}

function duplicateNames(routes: readonly unknown[]): Problem[] {
  const seen = new Map<unknown, number>();
  return routes.flatMap((route, index) => {
    const name = rawOf(route)['name'];
    const first = seen.get(name);
    if (first === undefined) seen.set(name, index);
    return first === undefined || name === undefined
      ? []
      : [{ path: ['routes', index, 'name'], message: `is the name of routes[${first}] too; rename one` }];
  });
}

/** Two routes that match the same requests with the same precedence: which one serves would be an accident. */
function tiedRoutes(routes: readonly unknown[]): Problem[] {
  const seen = new Map<string, string>();
  return routes.flatMap((route, index) => {
    const { match: rawMatch, name } = rawOf(route);
    const match = rawOf(rawMatch);
    const hosts = stringsOf(match['hosts']);
    const methods = stringsOf(match['methods']);
    const headers = Object.entries(rawOf(match['headers']))
      .map(([header, value]) => `${header.toLowerCase()}=${String(value)}`)
      .sort();
    const path =
      typeof match['path'] === 'string' ? `= ${match['path']}` : `^ ${prefixText(match['path_prefix'])}`;
    let tied: string | undefined;
    for (const host of hosts.length > 0 ? hosts : ['']) {
      for (const method of methods.length > 0 ? methods : ['']) {
        const key = JSON.stringify([host, path, method, headers]);
        tied ??= seen.get(key);
        seen.set(key, seen.get(key) ?? `"${String(name)}"`);
      }
    }
    return tied === undefined
      ? []
      : [
          {
            path: ['routes', index, 'match'],
            message: `ties with route ${tied}: both match the same requests; make one more specific`,
          },
        ];
  });
}

const prefixText = (prefix: unknown): string =>
  typeof prefix === 'string' && prefix !== '/' ? prefix.replace(/\/$/, '') : '/';

function identityProblems(identity: Raw, path: Path): Problem[] {
  return Object.entries(rawOf(identity['headers'])).flatMap(([header, claim]) => {
    const where = [...path, header];
    if (isReservedHeader(header)) {
      return [
        {
          path: where,
          atKey: true,
          message: 'this header belongs to HTTP or to the gateway itself; choose another name',
        },
      ];
    }
    return typeof claim === 'string' && !/^(?:\\[.\\]|[^.\\])+(?:\.(?:\\[.\\]|[^.\\])+)*$/.test(claim)
      ? [
          {
            path: where,
            message: 'is no claim path; write names joined by dots, with "\\." for a dot in a name',
          },
        ]
      : [];
  });
}

/** Two spellings of one header name would let an upstream read the one that it did not mean. */
function identityCollisions(raw: Raw, routes: readonly unknown[]): Problem[] {
  const all: [string, Path][] = [
    ...Object.keys(rawOf(rawOf(raw['identity'])['headers'])).map((name): [string, Path] => [
      name,
      ['identity', 'headers', name],
    ]),
    ...routes.flatMap((route, index) =>
      Object.keys(rawOf(rawOf(rawOf(route)['identity'])['headers'])).map((name): [string, Path] => [
        name,
        ['routes', index, 'identity', 'headers', name],
      ]),
    ),
  ];
  const spellings = new Map<string, string>();
  return all.flatMap(([name, path]) => {
    const alias = headerAlias(name);
    const other = spellings.get(alias) ?? name;
    spellings.set(alias, other);
    return other === name
      ? []
      : [{ path, atKey: true, message: `is another spelling of ${other}; use one spelling` }];
  });
}

function networkProblems(raw: Raw): Problem[] {
  return listOf(raw['trusted_proxies']).flatMap((network, index) =>
    typeof network !== 'string' || ipaddr.isValid(network) || ipaddr.isValidCIDR(network)
      ? []
      : [
          {
            path: ['trusted_proxies', index],
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
    if (port === 0) return [];
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
