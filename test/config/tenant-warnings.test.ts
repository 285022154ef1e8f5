/** What `check` warns of where an issuer has many tenants. Rule J3. */
import t from 'tap';
import { parseConfiguration } from '../../src/config/load.ts';
import { tenantWarnings } from '../../src/config/tenant-warnings.ts';
import { configurationWarnings } from '../../src/config/warnings.ts';

const ANY = {
  issuer: 'https://login.provider.example/{tenant}/v2.0',
  tenants: 'any',
  claim_names: { tenant: 'tid' },
  claims: { azp: 'app' },
  audiences: ['api'],
  discovery: true,
};
const OTHER = { issuer: 'https://other.example', audiences: ['api'], discovery: true };

interface Parts {
  readonly many?: object;
  readonly auth?: object;
  readonly headers?: object;
  readonly identity?: object;
}

/** Where each warning is about. */
function placesOf({ many = {}, auth = {}, headers = {}, identity = {} }: Parts): string[] {
  const route = { match: {}, upstream: 'u', auth, identity: { headers } };
  const document = {
    issuers: { many: { ...ANY, ...many }, other: OTHER },
    routes: [
      { ...route, name: 'one' },
      { ...route, name: 'two', match: { path_prefix: '/two' }, auth: { issuers: ['other'] } },
    ],
    upstreams: { u: { targets: ['http://u:1'] } },
    identity,
  };
  const configuration = parseConfiguration(JSON.stringify(document), 'f', '/tmp', {});
  const warnings = tenantWarnings(configuration);
  const printed = configurationWarnings({ configuration, folder: '/tmp', file: '/tmp/none' });
  t.ok(warnings.every((line) => printed.includes(line)));
  return warnings.map((line) => line.split(': issuers.many')[0] ?? '');
}

t.test('a header with a name that every tenant can set is worth a warning', async (t) => {
  const headers = { 'X-Mail': 'email', 'X-Id': 'oid', 'X-Name': ['nick', 'unique_name'] };
  t.strictSame(placesOf({ identity: { headers } }), [
    'identity.headers.X-Mail: email',
    'identity.headers.X-Name: unique_name',
  ]);
  t.strictSame(placesOf({ headers: { 'X-Mail': 'email' } }), ['routes: one identity.headers.X-Mail: email']);
  t.strictSame(placesOf({ identity: { headers: { 'X-A': 'email' } }, headers: { 'X-B': 'email' } }), [
    'identity.headers.X-A: email',
    'routes: one identity.headers.X-B: email',
  ]);
  t.strictSame(placesOf({ identity: { headers }, headers: { 'x-mail': null, 'X-Name': 'sub' } }), []);
});

t.test('a rule on a name that every tenant can set is worth a warning', async (t) => {
  const claims = { email: 'boss@acme.example', oid: 'x' };
  t.strictSame(placesOf({ auth: { claims } }), ['routes: one auth.claims.email']);
  t.strictSame(placesOf({ auth: { any_of: [{ scopes: ['s'] }, { claims: { upn: { prefix: 'a@' } } }] } }), [
    'routes: one auth.any_of[1].claims.upn',
  ]);
  t.strictSame(placesOf({ many: { claims: { azp: 'app', email_verified: true } } }), [
    'issuers.many.claims.email_verified',
  ]);
  t.strictSame(placesOf({ auth: { claims: { email: { absent: true } } } }), []);
});

t.test('an assertion with such a name is worth a warning', async (t) => {
  const assertion = { key_file: 'k.json', claims: ['sub', 'preferred_username'] };
  t.strictSame(placesOf({ identity: { assertion } }), ['identity.assertion.claims: preferred_username']);
});

t.test('where no such token comes in, or the tenants are listed, there is no warning', async (t) => {
  const identity = { headers: { 'X-Mail': 'email' } };
  const claims = { email: 'boss@acme.example' };
  t.strictSame(placesOf({ identity, auth: { issuers: ['other'], claims } }), []);
  t.strictSame(placesOf({ identity, auth: { mode: 'none' } }), []);
  t.strictSame(placesOf({ identity, auth: { claims }, many: { tenants: ['a', 'b'] } }), []);
});

t.test('tenants that differ in case alone are worth a warning', async (t) => {
  const warnings = (tenants: readonly string[]): string[] => placesOf({ many: { tenants } });
  t.match(warnings(['ABC', 'x', 'abc']), [/tenants: ABC and abc/]);
  t.strictSame(warnings(['a-b', 'ab']), []);
});
