/**
 * What is allowed, but finds nothing in any token: a scope that none can hold, and a path beside the claim that is meant. Such a rule
 * refuses every request, or with `absent` none, and such a header never comes. Pure.
 */
import { NORMALIZED_NAMES } from '../identity/identity-value.ts';
import { parseClaimPath } from '../token/claims.ts';
import { upstreamEntries } from './route-upstream-schema.ts';
import type { Configuration, IssuerConfiguration } from './schema.ts';

type Route = Configuration['routes'][number];
type Scopes = Route['auth']['scopes'];
/** A text of the configuration, behind where it stands. */
type Placed = readonly [where: string, text: string];

/** One line for each: what it is, what to do. */
export function missedClaimWarnings(configuration: Configuration): string[] {
  const rules = rulePaths(configuration);
  return [
    ...configuration.routes.flatMap((route) => impossibleScopes(configuration, route)),
    ...rules.flatMap(normalizedNames),
    ...[...rules, ...otherPaths(configuration)].flatMap(cutAtDots),
  ];
}

/** RFC 6749 section 3.3. */
const SCOPE_TOKEN = /^[\x21\x23-\x5b\x5d-\x7e]+$/;
/** Claims that hold scopes of OAuth. In others an issuer may write what it likes. */
const SCOPE_CLAIMS: ReadonlySet<string> = new Set(['scope', 'scp']);

function impossibleScopes({ issuers }: Configuration, { name, auth }: Route): string[] {
  const accepted = auth.issuers?.map((issuer) => issuers[issuer]) ?? Object.values(issuers);
  if (!accepted.every((issuer) => issuer === undefined || hasScopeTokens(issuer))) return [];
  const all: readonly Placed[] = [
    ...textsOf(auth.scopes).map((scope): Placed => ['scopes', scope]),
    ...(auth.any_of ?? []).flatMap(({ scopes }, index) =>
      textsOf(scopes).map((scope): Placed => [`any_of[${index}].scopes`, scope]),
    ),
  ];
  return all
    .filter(([, scope]) => !SCOPE_TOKEN.test(scope))
    .map(([where, scope]) => {
      const remedy = scope.trim().includes(' ') ? 'write each scope as an entry of its own' : 'correct it';
      return `routes: ${name} auth.${where}: ${JSON.stringify(scope)} is no scope, which is printable ASCII without spaces, " and \\: no token has it; ${remedy}`;
    });
}

function hasScopeTokens({ claim_names: { scopes } }: IssuerConfiguration): boolean {
  return [scopes ?? []].flat().every((path) => SCOPE_CLAIMS.has(path));
}

function textsOf(scopes: Scopes): readonly string[] {
  return Array.isArray(scopes) ? scopes : [...(scopes.all ?? []), ...(scopes.any ?? [])];
}

/** Of rules and limits, which compare a claim by its own name. */
function rulePaths({ issuers, routes, rate_limits }: Configuration): Placed[] {
  const keysOf = (claims: object, where: string): Placed[] =>
    Object.keys(claims).map((path) => [`${where}.claims`, path]);
  const limited = (limits: Route['rate_limits'], where: string): Placed[] =>
    limits.flatMap(({ by }, index) =>
      typeof by === 'object' ? [[`${where}rate_limits[${index}].by.claim`, by.claim]] : [],
    );
  return [
    ...Object.entries(issuers).flatMap(([name, { claims }]) => keysOf(claims, `issuers.${name}`)),
    ...limited(rate_limits, ''),
    ...routes.flatMap(({ name, auth, upstream, rate_limits: limits }) => [
      ...keysOf(auth.claims, `routes: ${name} auth`),
      ...(auth.any_of ?? []).flatMap(({ claims }, index) =>
        keysOf(claims, `routes: ${name} auth.any_of[${index}]`),
      ),
      ...upstreamEntries(upstream).flatMap(({ claims = {} }, index) =>
        keysOf(claims, `routes: ${name} upstream[${index}]`),
      ),
      ...limited(limits, `routes: ${name} `),
    ]),
  ];
}

function otherPaths({ issuers, routes, identity, revocation }: Configuration): Placed[] {
  const headers = (map: typeof identity.headers, where: string): Placed[] =>
    Object.entries(map).flatMap(([header, value]) =>
      [value ?? []].flat().map((path): Placed => [`${where}identity.headers.${header}`, path]),
    );
  return [
    ...headers(identity.headers, ''),
    ...routes.flatMap((route) => headers(route.identity.headers, `routes: ${route.name} `)),
    ...revocation.claims.map((path): Placed => ['revocation.claims', path]),
    ...Object.entries(issuers).flatMap(([name, { required_claims, claim_names }]) => [
      ...required_claims.map((path): Placed => [`issuers.${name}.required_claims`, path]),
      ...Object.entries(claim_names).flatMap(([fact, paths]) =>
        [paths ?? []].flat().map((path): Placed => [`issuers.${name}.claim_names.${fact}`, path]),
      ),
    ]),
  ];
}

const NORMALIZED: ReadonlySet<string> = new Set(NORMALIZED_NAMES.split(', '));

function normalizedNames([where, path]: Placed): string[] {
  return NORMALIZED.has(path)
    ? [`${where}: ${path} is a claim of that very name here, which no token has; write the claim itself`]
    : [];
}

/** The name of a claim that is a URL begins like this where its dots stand for levels. */
const CUT_URL = /^[a-z][a-z0-9+-]*:\/\/[^./]*$/i;

function cutAtDots([where, path]: Placed): string[] {
  const keys = /^\$keys\((.*)\)$/s.exec(path)?.[1] ?? path;
  const [first = '', ...more] = parseClaimPath(keys);
  if (more.length === 0 || !CUT_URL.test(first)) return [];
  const escaped = keys.replaceAll(/(?<!\\)\./g, String.raw`\.`);
  return [
    `${where}: ${keys} is read as ${more.length + 1} levels, the first of which is "${first}"; write "\\." for a dot in the name of a claim, as in ${escaped}`,
  ];
}
