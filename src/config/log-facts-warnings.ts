/** What `log.facts` adds to the log: how much it is, and where it tells of a person. Pure. */
import { MAX_FACTS_BYTES } from '../token/rule-key.ts';
import type { Configuration } from './schema.ts';

/** More than this on each line is worth a thought. */
const MANY_BYTES = 1_024;
/** Key, quotes and comma. */
const RULE_BYTES = 15;
/** Quotes and comma. */
const AROUND_A_NAME = 3;

/** Claims that name one person. */
const PERSONAL: ReadonlySet<string> = new Set([
  'sub',
  'email',
  'preferred_username',
  'username',
  'upn',
  'phone_number',
  'name',
]);

type RouteAuth = Configuration['routes'][number]['auth'];

/** One line for each risk: what it is, what to do. */
export function logFactsWarnings({ log, access_log, routes }: Configuration): string[] {
  if (!log.facts) return [];
  if (!access_log)
    return ['log.facts: no line of a request is written (access_log: false); remove one of the two'];
  const ways = routes.flatMap(({ auth }) => [auth, ...(auth.any_of ?? [])]);
  const claims = new Set(ways.flatMap((way) => Object.keys(way.claims)));
  const personal = [...claims].filter((claim) => PERSONAL.has(claim));
  return [
    ...personal.map(
      (claim) =>
        `log.facts: the log says whether rules about the claim ${claim} hold, and such a rule may name one person; turn it off once you have the log that you need`,
    ),
    ...sizeWarnings(bytesOf(ways, routes)),
  ];
}

function sizeWarnings(bytes: number): string[] {
  if (bytes > MAX_FACTS_BYTES)
    return [
      `log.facts: scopes and rules of the routes take ${bytes} bytes, of which ${MAX_FACTS_BYTES} are written on each line: requests that need the others are not decidable; leave it off, or use fewer`,
    ];
  return bytes > MANY_BYTES
    ? [
        `log.facts: the line of each request grows by up to ${bytes} bytes; turn it off once you have the log that you need`,
      ]
    : [];
}

function bytesOf(
  ways: readonly Pick<RouteAuth, 'scopes' | 'claims'>[],
  routes: Configuration['routes'],
): number {
  const scopes = new Set(ways.flatMap((way) => namesOf(way.scopes)));
  const rules = new Set(
    ways.flatMap(({ claims }) => Object.entries(claims).map((rule) => JSON.stringify(rule))),
  );
  const logins = routes.filter(({ auth }) => auth.acr !== undefined || auth.max_auth_age !== undefined);
  const scopeBytes = [...scopes].reduce((sum, { length }) => sum + length + AROUND_A_NAME, 0);
  return scopeBytes + RULE_BYTES * (rules.size + logins.length);
}

function namesOf(scopes: RouteAuth['scopes']): readonly string[] {
  return Array.isArray(scopes) ? scopes : [...(scopes.all ?? []), ...(scopes.any ?? [])];
}
