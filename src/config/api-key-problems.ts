/**
 * What is wrong with issuers of API keys beyond their shape: keys of the configuration that have no meaning there, headers that
 * are taken, and routes that could not let a key pass. Pure. Rules X1, X2.
 */
import { KEY_PREFIX } from '../api-keys/key-text.ts';
import { headerAlias, HeaderKind, HeaderTable } from '../http/header-names.ts';
import { isReservedHeader } from '../identity/identity-headers.ts';
import { DEFAULT_IDENTITY_HEADERS } from './identity-map.ts';
import { isKeyIssuer } from './issuer-schema.ts';
import type { Problem } from './problem.ts';
import { listOf, rawOf, stringsOf, textOf, type Path, type Raw } from './raw-document.ts';

/** What else an issuer of API keys may have. */
const MEANT: ReadonlySet<string> = new Set(['api_keys', 'claim_names']);

const atKey = (path: Path, message: string): Problem => ({ path, atKey: true, message });

/** An issuer with `api_keys`. */
export function keyIssuerProblems(issuer: Raw, path: Path): Problem[] {
  const {
    file,
    store,
    integrity_key_file: keyFile,
    integrity_key: key,
    cache_dir: folder,
  } = rawOf(issuer['api_keys']);
  const integrity = keyFile ?? key;
  const where = [...path, 'api_keys'];
  return [
    ...Object.keys(issuer)
      .filter((key) => !MEANT.has(key))
      .map((key) => atKey([...path, key], 'has no meaning beside api_keys; remove one of them')),
    ...Object.keys(rawOf(issuer['claim_names']))
      .filter((kind) => kind !== 'tenant')
      .map((kind) =>
        atKey(
          [...path, 'claim_names', kind],
          'has no meaning beside api_keys, whose entries say it in fields of their own; remove it',
        ),
      ),
    ...(file === undefined && store === undefined
      ? [{ path: where, message: 'says not where the keys are; add file: keys.yaml, or store: true' }]
      : []),
    ...(file !== undefined && store !== undefined
      ? [atKey([...where, 'store'], 'file and store exclude each other; keep one')]
      : []),
    ...(store !== undefined && integrity === undefined
      ? [
          {
            path: where,
            message:
              'has no integrity_key_file, without which write access to the store would make keys; add it (openssl rand -base64 32)',
          },
        ]
      : []),
    ...Object.entries({ integrity_key_file: keyFile, integrity_key: key, cache_dir: folder })
      .filter(([, value]) => store === undefined && value !== undefined)
      .map(([name]) => atKey([...where, name], 'has no meaning without store: true; add that, or remove it')),
  ];
}

/** Tokens that begin like API keys go to issuers of API keys alone. */
export function keyPrefixProblems(issuer: Raw, path: Path): Problem[] {
  return textOf(issuer['token_prefix']).startsWith(KEY_PREFIX)
    ? [
        {
          path: [...path, 'token_prefix'],
          message: `begins with ${KEY_PREFIX}, and such a token is taken for an API key of this gateway, which no server is asked about; choose another prefix`,
        },
      ]
    : [];
}

/** What concerns more than one issuer. */
export function apiKeyProblems(raw: Raw): Problem[] {
  const issuers = Object.entries(rawOf(raw['issuers'])).filter(([, issuer]) => isKeyIssuer(rawOf(issuer)));
  if (issuers.length === 0) return [];
  const names = new Set(issuers.map(([name]) => name));
  return [
    ...nameProblems(raw, names),
    ...headerProblems(raw, issuers),
    ...listOf(raw['routes']).flatMap((route, index) =>
      routeProblems(rawOf(route), ['routes', index], names, keyAliases(issuers)),
    ),
  ];
}

/** Its name stands for `iss`: tokens of another issuer must not have the same. Issuers are looked at in issuer-problems.ts. */
function nameProblems({ name = 'sallyport' }: Raw, names: ReadonlySet<string>): Problem[] {
  return typeof name === 'string' && names.has(name)
    ? [
        atKey(
          ['issuers', name],
          'is the name of the gateway too, which is iss of its assertions; give this issuer another name',
        ),
      ]
    : [];
}

function keyAliases(issuers: readonly (readonly [string, unknown])[]): ReadonlySet<string> {
  return new Set(issuers.flatMap(([, issuer]) => headerOf(issuer)).map(headerAlias));
}

function headerOf(issuer: unknown): string[] {
  const { header } = rawOf(rawOf(issuer)['api_keys']);
  return typeof header === 'string' ? [header] : [];
}

/** What HTTP or the gateway itself needs. */
const OF_HTTP =
  /^(?:accept|access-control|grpc|if|sec|x-envoy)(?:-|$)|^(?:allow|age|date|from|link|max-forwards|origin|pragma|prefer|priority|range|referer|server|set-cookie|user-agent|warning|www-authenticate)$/;
const PLAIN = new HeaderTable([]);

function headerProblems(raw: Raw, issuers: readonly (readonly [string, unknown])[]): Problem[] {
  const taken = identityAliases(raw);
  const spellings = new Map<string, readonly [header: string, issuer: string]>();
  return issuers.flatMap(([name, issuer]) =>
    headerOf(issuer).flatMap((header): Problem[] => {
      const path = ['issuers', name, 'api_keys', 'header'];
      const alias = headerAlias(header);
      const [spelling, owner] = spellings.get(alias) ?? [header, name];
      spellings.set(alias, [spelling, owner]);
      if (isReservedHeader(header) || OF_HTTP.test(alias) || PLAIN.kindOf(alias) !== HeaderKind.forward)
        return [
          {
            path,
            message:
              'this header belongs to HTTP or to the gateway itself; choose another name, such as X-API-Key (Authorization holds keys in any case)',
          },
        ];
      const other = taken.get(alias);
      if (other !== undefined)
        return [
          { path, message: `is the identity header ${other} too; choose another name for one of them` },
        ];
      return spelling.toLowerCase() === header.toLowerCase()
        ? []
        : [{ path, message: `is another spelling of ${spelling} (issuers.${owner}); use one spelling` }];
    }),
  );
}

/** Every header that only the gateway may write, by alias. */
function identityAliases(raw: Raw): ReadonlyMap<string, string> {
  const sections = [raw, ...listOf(raw['routes']).map(rawOf)].map(({ identity }) => rawOf(identity));
  const { assertion } = rawOf(raw['identity']);
  const { header = 'X-Identity-Assertion' } = rawOf(assertion);
  const names = [
    ...Object.keys(DEFAULT_IDENTITY_HEADERS),
    ...sections.flatMap(({ headers }) => Object.keys(rawOf(headers))),
    ...(assertion !== undefined && typeof header === 'string' ? [header] : []),
  ];
  return new Map(names.map((name) => [headerAlias(name), name]));
}

/** Rules of a route that no key can keep, and a place where a key would have to stand in the configuration. */
function routeProblems(
  route: Raw,
  path: Path,
  keyIssuers: ReadonlySet<string>,
  headers: ReadonlySet<string>,
): Problem[] {
  const auth = rawOf(route['auth']);
  const matched = Object.keys(rawOf(rawOf(route['match'])['headers']))
    .filter((name) => headers.has(headerAlias(name)))
    .map((name) =>
      atKey(
        [...path, 'match', 'headers', name],
        'holds API keys, which are no way to choose a route; match something else',
      ),
    );
  const [named] = stringsOf(auth['issuers']).filter((name) => keyIssuers.has(name));
  if (named === undefined) return matched;
  const never = (key: string, why: string): Problem =>
    atKey(
      [...path, 'auth', key],
      `${why}; remove ${named} from auth.issuers, or give its keys another route`,
    );
  return [
    ...matched,
    ...(auth['sender_constrained'] === 'required'
      ? [never('sender_constrained', 'required takes bound tokens alone, and an API key is bound to nothing')]
      : []),
    ...['acr', 'max_auth_age']
      .filter((key) => auth[key] !== undefined)
      .map((key) => never(key, 'asks how a user has logged in, and an API key is no login')),
  ];
}
