/** May this caller do this here? RFC 6750 section 3.1, RFC 9068 section 4, RFC 9470. Rules B4, C9, P3, P4. */
import t from 'tap';
import { GatewayError } from '../../src/errors.ts';
import { IdentityContract } from '../../src/identity/identity-headers.ts';
import { parseIdentityText } from '../../src/identity/identity-value.ts';
import type { Route, ScopeRule } from '../../src/policy.ts';
import { authorize, passReported } from '../../src/stages/authorize.ts';
import type { UnrevokedToken } from '../../src/stages/check-revocation.ts';
import { compileClaimRules, type ClaimRule, type PlainValue } from '../../src/token/claim-rules.ts';
import type { StepUpRule } from '../../src/token/login.ts';
import type { AuthenticToken } from '../../src/token/token-verifier.ts';
import { outcome } from '../support/heads.ts';
import { routeOf, tokenOf } from '../support/routes.ts';

const MISSING = '401 missing_token (missing)';
const SCOPE = '403 insufficient_scope (insufficient_scope)';
const CLAIM = '403 access_denied (claim_rule)';
const LOGIN = '401 insufficient_user_authentication (step_up)';
const TOO_LARGE = '403 identity_too_large (identity_too_large)';

const unrevoked = (token: AuthenticToken | undefined): UnrevokedToken =>
  ({ token, failedOpen: false }) as UnrevokedToken;
const scopesOf = ({ all = [], any = [] }: Partial<ScopeRule>): ScopeRule => ({
  all,
  any,
  text: [...all, ...any].join(' '),
});
const ruleOf = (path: string, ...allowed: PlainValue[]): ClaimRule =>
  compileClaimRules({ [path]: allowed })[0] as ClaimRule;
const identityOf = (claims: Record<string, string>, maxBytes = 8192): IdentityContract =>
  new IdentityContract(
    Object.entries(claims).map(([name, path]) => ({ name, value: parseIdentityText(path) })),
    maxBytes,
  );

/** `pass`, or the refusal. */
function verdict(changes: Partial<Route>, token: AuthenticToken | undefined, path = '/'): string {
  return outcome(() => authorize(routeOf(changes), unrevoked(token), path, 0) && 'pass');
}

const scopes: [name: string, rule: Partial<ScopeRule>, claims: Record<string, unknown>, expected: string][] =
  [
    ['no rule', {}, {}, 'pass'],
    ['B4 the one', { all: ['a'] }, { scope: 'a' }, 'pass'],
    ['B4 all, in another order, and more', { all: ['a', 'b'] }, { scope: 'c b a' }, 'pass'],
    ['B4 as scp, in a list', { all: ['a', 'b'] }, { scp: ['a', 'b'] }, 'pass'],
    ['B4 one of any', { any: ['a', 'b'] }, { scope: 'b' }, 'pass'],
    ['B4 all, and one of any', { all: ['a'], any: ['b', 'c'] }, { scope: 'a c' }, 'pass'],
    ['B4 no scope at all', { all: ['a'] }, {}, SCOPE],
    ['B4 an empty scope', { all: ['a'] }, { scope: '' }, SCOPE],
    ['B4 one of two', { all: ['a', 'b'] }, { scope: 'a' }, SCOPE],
    ['B4 none of any', { any: ['a', 'b'] }, { scope: 'c' }, SCOPE],
    ['B4 all, but none of any', { all: ['a'], any: ['b', 'c'] }, { scope: 'a' }, SCOPE],
    ['B4 one of any, but not all', { all: ['a'], any: ['b', 'c'] }, { scope: 'b c' }, SCOPE],
    ['B4 capitals', { all: ['a'] }, { scope: 'A' }, SCOPE],
    ['B4 a scope that begins alike', { all: ['a'] }, { scope: 'ab a:b a.b' }, SCOPE],
    ['B4 a scope of which ours is the beginning', { all: ['a:write'] }, { scope: 'a a:' }, SCOPE],
    ['B4 joined by commas', { all: ['a'] }, { scope: 'a,b' }, SCOPE],
    ['B4 joined by a tab', { all: ['a'] }, { scope: 'a\tb' }, SCOPE],
    ['B4 spaces within a list', { all: ['a'] }, { scope: ['a b'] }, SCOPE],
    ['B4 another type', { all: ['1'] }, { scope: [1, true, null, { 1: 1 }] }, SCOPE],
    ['B4 an object', { all: ['a'] }, { scope: { a: 'a' } }, SCOPE],
    ['B4 another claim', { all: ['a'] }, { scopes: 'a', roles: 'a' }, SCOPE],
    ['B4 a name that objects inherit', { all: ['constructor'] }, { scope: 'a' }, SCOPE],
  ];
t.test('scopes', async (t) => {
  for (const [name, rule, claims, expected] of scopes)
    t.equal(verdict({ scopes: scopesOf(rule) }, tokenOf(claims)), expected, name);
});

t.test('B4 B5 the challenge names what the route needs, and nothing of the token', async (t) => {
  const rule = scopesOf({ all: ['a'], any: ['b', 'c'] });
  try {
    authorize(routeOf({ scopes: rule }), unrevoked(tokenOf({ scope: 'secret' })), '/', 0);
    t.fail('passed');
  } catch (error) {
    t.strictSame(error instanceof GatewayError && error.challenge, {
      error: 'insufficient_scope',
      scope: 'a b c',
    });
  }
});

const tenant = ruleOf('tenant.id', 'acme', 'globex');
const claimRules: [name: string, rules: ClaimRule[], claims: string, expected: string][] = [
  ['equal', [tenant], '{"tenant":{"id":"acme"}}', 'pass'],
  ['contained', [tenant], '{"tenant":{"id":["other","globex"]}}', 'pass'],
  ['a number', [ruleOf('n', 7)], '{"n":7}', 'pass'],
  ['a number as it may be written', [ruleOf('n', 7)], '{"n":7.0}', 'pass'],
  ['a boolean', [ruleOf('b', false)], '{"b":false}', 'pass'],
  ['every rule', [tenant, ruleOf('b', true)], '{"tenant":{"id":"acme"},"b":true}', 'pass'],
  ['all but the last rule', [tenant, ruleOf('b', true)], '{"tenant":{"id":"acme"},"b":false}', CLAIM],
  ['all but the first rule', [tenant, ruleOf('b', true)], '{"tenant":{"id":"x"},"b":true}', CLAIM],
  ['absent', [tenant], '{}', CLAIM],
  ['half of the path', [tenant], '{"tenant":"acme"}', CLAIM],
  ['a dot in the name', [tenant], '{"tenant.id":"acme"}', CLAIM],
  ['null', [tenant], '{"tenant":{"id":null}}', CLAIM],
  ['an empty list', [tenant], '{"tenant":{"id":[]}}', CLAIM],
  ['a list in a list', [tenant], '{"tenant":{"id":[["acme"]]}}', CLAIM],
  ['an object', [tenant], '{"tenant":{"id":{"acme":"acme"}}}', CLAIM],
  ['capitals', [tenant], '{"tenant":{"id":"Acme"}}', CLAIM],
  ['part of it', [tenant], '{"tenant":{"id":"acme2"}}', CLAIM],
  ['joined by a comma', [tenant], '{"tenant":{"id":"acme,globex"}}', CLAIM],
  ['a number for a string', [ruleOf('n', '7')], '{"n":7}', CLAIM],
  ['a string for a number', [ruleOf('n', 7)], '{"n":"7"}', CLAIM],
  ['1 for true', [ruleOf('b', true)], '{"b":1}', CLAIM],
  ['"true" for true', [ruleOf('b', true)], '{"b":"true"}', CLAIM],
  ['null for "null"', [ruleOf('b', 'null')], '{"b":null}', CLAIM],
  ['what objects inherit', [ruleOf('constructor.name', 'Object')], '{}', CLAIM],
];
t.test('claim rules', async (t) => {
  for (const [name, claims, text, expected] of claimRules)
    t.equal(verdict({ claims }, tokenOf(text)), expected, name);
});

t.test('B4 a missing scope is told before a claim', async (t) => {
  const route = { scopes: scopesOf({ all: ['a'] }), claims: [tenant] };
  t.equal(verdict(route, tokenOf({})), SCOPE);
  t.equal(verdict(route, tokenOf({ scope: 'a' })), CLAIM);
});

const NOW = 1_800_000_000;
const OLDEST = 300;
/** `acr: [silver, gold]`, `max_auth_age: 5m`, or one of the two. */
const stepUpOf = (acr: boolean, age: boolean): StepUpRule => ({
  acr: acr ? ['silver', 'gold'] : [],
  maxAuthAgeSeconds: age ? OLDEST : undefined,
});
const loginVerdict = (rule: StepUpRule, claims: string, other?: string, names?: object): string => {
  const otherClaims = other === undefined ? undefined : tokenOf(other).claims;
  const token = { ...tokenOf(claims, names), otherClaims };
  return outcome(() => authorize(routeOf({ stepUp: rule }), unrevoked(token), '/', NOW) && 'pass');
};

const levels: [name: string, claims: string, expected: string][] = [
  ['P3 the first', '{"acr":"silver"}', 'pass'],
  ['P3 the second', '{"acr":"gold"}', 'pass'],
  ['P3 another', '{"acr":"bronze"}', LOGIN],
  ['P3 none', '{}', LOGIN],
  ['P3 null', '{"acr":null}', LOGIN],
  ['P3 an empty text', '{"acr":""}', LOGIN],
  ['P3 capitals', '{"acr":"Gold"}', LOGIN],
  ['P3 part of it', '{"acr":"golden"}', LOGIN],
  ['P3 both, as acr_values has them', '{"acr":"silver gold"}', LOGIN],
  ['P3 a list, which is no acr', '{"acr":["gold"]}', LOGIN],
  ['P3 another claim', '{"acrs":["gold"],"amr":"gold"}', LOGIN],
];
t.test('P3 a login must be of one of the classes', async (t) => {
  for (const [name, claims, expected] of levels)
    t.equal(loginVerdict(stepUpOf(true, false), claims), expected, name);
  t.equal(loginVerdict({ acr: ['1'], maxAuthAgeSeconds: undefined }, '{"acr":1}'), LOGIN, 'a number');
});

const dates: [name: string, claims: string, expected: string][] = [
  ['P3 now', `{"auth_time":${NOW}}`, 'pass'],
  ['P3 as old as it may be', `{"auth_time":${NOW - OLDEST}}`, 'pass'],
  ['P3 older by a second', `{"auth_time":${NOW - OLDEST - 1}}`, LOGIN],
  ['P3 older by half a second', `{"auth_time":${NOW - OLDEST - 1}.5}`, LOGIN],
  ['P4 ahead, as a clock may be', `{"auth_time":${NOW + 5}}`, 'pass'],
  ['P4 further ahead', `{"auth_time":${NOW + 6}}`, LOGIN],
  ['P4 far ahead', '{"auth_time":1e300}', LOGIN],
  ['P4 in milliseconds', `{"auth_time":${NOW}000}`, LOGIN],
  ['P4 none', '{}', LOGIN],
  ['P4 null', '{"auth_time":null}', LOGIN],
  ['P4 a text', `{"auth_time":"${NOW}"}`, LOGIN],
  ['P4 a list', `{"auth_time":[${NOW}]}`, LOGIN],
  ['P4 true', '{"auth_time":true}', LOGIN],
  ['P4 zero', '{"auth_time":0}', LOGIN],
  ['P4 negative', `{"auth_time":-${NOW}}`, LOGIN],
  ['P3 iat is no login', `{"iat":${NOW}}`, LOGIN],
];
t.test('P3 P4 a login must be recent', async (t) => {
  for (const [name, claims, expected] of dates)
    t.equal(loginVerdict(stepUpOf(false, true), claims), expected, name);
  const long = { acr: [], maxAuthAgeSeconds: 2 * NOW };
  t.equal(loginVerdict(long, '{"auth_time":0}'), LOGIN, 'P4 zero is no date, however long the time');
  t.equal(loginVerdict(long, '{"auth_time":1}'), 'pass');
});

const OLD = NOW - OLDEST - 1;
const elsewhere: [name: string, claims: string, other: string | undefined, expected: string][] = [
  ['P3 in the first claim', `{"ext":{"auth_time":${NOW}}}`, undefined, 'pass'],
  ['P3 in the second claim', `{"login.at":${NOW}}`, undefined, 'pass'],
  ['P3 each that is present counts', `{"ext":{"auth_time":${NOW}},"login.at":${OLD}}`, undefined, LOGIN],
  ['P3 too old', `{"ext":{"auth_time":${OLD}}}`, undefined, LOGIN],
  ['P3 another claim is none', `{"auth_time":${NOW}}`, undefined, LOGIN],
  ['P4 no number', `{"ext":{"auth_time":"${NOW}"}}`, undefined, LOGIN],
  ['P4 null is none', `{"ext":{"auth_time":null},"login.at":${NOW}}`, undefined, 'pass'],
  ['P4 the claim above it is no object', `{"ext":${NOW}}`, undefined, LOGIN],
  ['P3 said by the response alone', '{}', `{"login.at":${NOW}}`, LOGIN],
  ['P3 older by the response', `{"login.at":${NOW}}`, `{"ext":{"auth_time":${OLD}}}`, LOGIN],
];
t.test('P3 P4 the time of login is where claim_names.login_time says', async (t) => {
  const names = { login_time: ['ext.auth_time', 'login\\.at'] };
  for (const [name, claims, other, expected] of elsewhere)
    t.equal(loginVerdict(stepUpOf(false, true), claims, other, names), expected, name);
});

t.test('P3 where both are asked for, each is needed', async (t) => {
  const rule = stepUpOf(true, true);
  t.equal(loginVerdict(rule, `{"acr":"gold","auth_time":${NOW}}`), 'pass');
  t.equal(loginVerdict(rule, `{"auth_time":${NOW}}`), LOGIN);
  t.equal(loginVerdict(rule, '{"acr":"gold"}'), LOGIN);
});

t.test('P3 what else is said of a token takes away, and gives nothing', async (t) => {
  const rule = stepUpOf(true, true);
  const good = `{"acr":"gold","auth_time":${NOW}}`;
  const others: [name: string, claims: string, other: string, expected: string][] = [
    ['nothing else', good, '{}', 'pass'],
    ['the same', good, good, 'pass'],
    ['null', good, '{"acr":null,"auth_time":null}', 'pass'],
    ['another good class', good, '{"acr":"silver"}', 'pass'],
    ['a weaker class', good, '{"acr":"bronze"}', LOGIN],
    ['an older login', good, `{"auth_time":${NOW - OLDEST - 1}}`, LOGIN],
    ['P4 a login in the future', good, `{"auth_time":${NOW + 60}}`, LOGIN],
    ['P4 a login at no time', good, '{"auth_time":"now"}', LOGIN],
    ['all that the token lacks', '{}', good, LOGIN],
    ['a better class', `{"acr":"bronze","auth_time":${NOW}}`, good, LOGIN],
    ['a later login', '{"acr":"gold","auth_time":1}', good, LOGIN],
  ];
  for (const [name, claims, other, expected] of others)
    t.equal(loginVerdict(rule, claims, other), expected, name);
});

t.test('P3 B5 the challenge says all that a login needs, whatever it lacks', async (t) => {
  const needs = (changes: Partial<StepUpRule>): unknown => {
    const stepUp = { ...stepUpOf(true, true), ...changes };
    try {
      return authorize(routeOf({ stepUp }), unrevoked(tokenOf({ acr: 'gold' })), '/', NOW);
    } catch (error) {
      return error instanceof GatewayError && error.challenge;
    }
  };
  const error = 'insufficient_user_authentication';
  t.strictSame(needs({}), { error, acrValues: 'silver gold', maxAge: '300' });
  t.strictSame(needs({ acr: [] }), { error, maxAge: '300' });
  t.strictSame(needs({ acr: ['platinum'], maxAuthAgeSeconds: undefined }), { error, acrValues: 'platinum' });
});

t.test('P3 a login is told before scopes, claims and alternatives, and is needed beside them', async (t) => {
  const route = {
    stepUp: stepUpOf(true, false),
    scopes: scopesOf({ all: ['a'] }),
    claims: [tenant],
    anyOf: [{ scopes: scopesOf({ all: ['b'] }), claims: [] }],
  };
  t.equal(verdict(route, tokenOf({})), LOGIN);
  t.equal(verdict(route, tokenOf({ acr: 'gold' })), SCOPE);
  t.equal(verdict(route, tokenOf({ acr: 'gold', scope: 'a', tenant: { id: 'acme' } })), SCOPE);
  const whole = { scope: 'a b', tenant: { id: 'acme' } };
  t.equal(verdict(route, tokenOf(whole)), LOGIN, 'no alternative takes the place of a login');
  t.equal(verdict(route, tokenOf({ ...whole, acr: 'gold' })), 'pass');
});

t.test('B1 without a token, no rule is satisfied', async (t) => {
  const rules: [name: string, changes: Partial<Route>, expected: string][] = [
    ['no rule', {}, 'pass'],
    ['scopes', { scopes: scopesOf({ all: ['a'] }) }, MISSING],
    ['one of any scope', { scopes: scopesOf({ any: ['a'] }) }, MISSING],
    ['a claim', { claims: [tenant] }, MISSING],
    ['P3 a login', { stepUp: stepUpOf(false, true) }, MISSING],
  ];
  for (const [name, changes, expected] of rules) {
    t.equal(verdict({ ...changes, mode: 'optional' }, undefined), expected, name);
    t.equal(verdict({ ...changes, mode: 'none' }, undefined), 'pass', `${name}, where nothing is examined`);
  }
  const { identity, token } = authorize(
    routeOf({ identity: identityOf({ 'X-User': 'sub' }) }),
    unrevoked(undefined),
    '/',
    0,
  );
  t.strictSame([identity, token], [[], undefined]);
});

t.test('C9 one token on two routes: each has its own verdict and its own identity', async (t) => {
  const token = tokenOf({ sub: 'alice', scope: 'a', tenant: 'acme' });
  const first = routeOf({ scopes: scopesOf({ all: ['a'] }), identity: identityOf({ 'X-User': 'sub' }) });
  const second = routeOf({ scopes: scopesOf({ all: ['b'] }), identity: identityOf({ 'X-User': 'sub' }) });
  const third = routeOf({ identity: identityOf({ 'X-Tenant': 'tenant' }) });
  for (let use = 1; use <= 2; use++) {
    t.strictSame(authorize(first, unrevoked(token), '/', 0).identity, ['X-User', 'alice'], `use ${use}`);
    t.equal(verdict(second, token), SCOPE, `use ${use}`);
    t.strictSame(authorize(third, unrevoked(token), '/', 0).identity, ['X-Tenant', 'acme'], `use ${use}`);
  }
  const other = tokenOf({ sub: 'bob', scope: 'a' });
  t.strictSame(
    authorize(first, unrevoked(other), '/', 0).identity,
    ['X-User', 'bob'],
    'C7 and so has another token',
  );
});

t.test('J15 the identity headers together are bounded, on every use', async (t) => {
  // The name, the value, and `: ` and CRLF.
  const bytes = 'X-User'.length + 5 + 4;
  const token = tokenOf({ sub: 'alice' });
  for (let use = 1; use <= 2; use++) {
    t.equal(verdict({ identity: identityOf({ 'X-User': 'sub' }, bytes) }, token), 'pass', `use ${use}`);
    const contract = identityOf({ 'X-User': 'sub' }, bytes - 1);
    t.equal(verdict({ identity: contract }, token), TOO_LARGE, `use ${use}`);
    t.equal(verdict({ identity: contract }, token), TOO_LARGE, `use ${use}, again`);
  }
});

t.test(
  'a route that only reports passes what was refused, with an identity only if the token is valid',
  async (t) => {
    const route = routeOf({
      scopes: scopesOf({ all: ['a'] }),
      identity: identityOf({ 'X-User': 'sub' }, 20),
    });
    const small = tokenOf({ sub: 'alice' });
    const large = tokenOf({ sub: 'alice'.repeat(10) });
    const rows: [name: string, unrevoked: UnrevokedToken | undefined, identity: string[], token: unknown][] =
      [
        ['V1 refused before the token was known to be valid', undefined, [], undefined],
        ['no token', unrevoked(undefined), [], undefined],
        ['a scope is missing', unrevoked(small), ['X-User', 'alice'], small],
        ['J15 an identity that is too large', unrevoked(large), [], undefined],
      ];
    for (const [name, given, identity, token] of rows) {
      const passed = passReported(route, given);
      t.strictSame(passed.identity, identity, name);
      t.equal(passed.token, token, name);
      t.equal(passed.route, route, name);
    }
  },
);
