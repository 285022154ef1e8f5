/** What an issuer of many tenants must say, and what is refused when the file is read. */
import t from 'tap';
import { referenceProblems } from '../../src/config/cross-checks.ts';
import { tenantProblems } from '../../src/config/tenant-problems.ts';

const TEMPLATE = 'https://login.provider.example/{tenant}/v2.0';
const good = {
  issuer: TEMPLATE,
  tenants: ['a', 'b'],
  claim_names: { tenant: 'tid' },
  audiences: ['api'],
  discovery: true,
};
const pathsOf = (changes: Record<string, unknown>): string[] =>
  tenantProblems({ ...good, ...changes }, ['issuers', 'p']).map(({ path }) => path.join('.'));

t.test('J3 a template with tenants and a claim to compare is complete', async (t) => {
  t.strictSame(pathsOf({}), []);
  for (const issuer of [
    'https://h.example/{tenant}',
    'https://h.example/x/{tenant}/',
    'http://h:1/{tenant}/a/b',
  ])
    t.strictSame(pathsOf({ issuer }), [], issuer);
});

t.test('J3 the placeholder is one whole segment of the path of a URL', async (t) => {
  for (const issuer of [
    'https://{tenant}.h.example/',
    'https://h.example/{tenant}/{tenant}',
    'https://h.example/a{tenant}/',
    'https://h.example/{tenant}a',
    'https://h.example/?t={tenant}',
    'https://h.example/{tenant}?x',
    'https://h.example/{tenantid}/v2.0',
    'https://h.example/{tenant',
    '{tenant}',
    'urn:{tenant}',
  ])
    t.strictSame(pathsOf({ issuer }), ['issuers.p.issuer'], issuer);
});

t.test('J3 a template needs its tenants and the claim; tenants need a template', async (t) => {
  t.strictSame(pathsOf({ tenants: undefined }), ['issuers.p.issuer']);
  t.strictSame(pathsOf({ claim_names: undefined }), ['issuers.p.issuer']);
  t.strictSame(pathsOf({ claim_names: { tenant: null } }), ['issuers.p.issuer']);
  t.strictSame(pathsOf({ issuer: 'https://h.example/a/v2.0' }), ['issuers.p.tenants']);
  t.strictSame(pathsOf({ introspection: {}, discovery: undefined }), ['issuers.p.issuer']);
});

t.test(
  'J3 tenants: any needs a rule on a role, a scope or the client; that a claim is required is none',
  async (t) => {
    const any = { tenants: 'any' };
    t.strictSame(pathsOf(any), ['issuers.p.tenants']);
    t.strictSame(pathsOf({ ...any, required_claims: ['roles'] }), ['issuers.p.tenants']);
    for (const claims of [
      { tid: ['x'] },
      { aud: ['x'] },
      { roles: { absent: true } },
      { scope: { absent: true } },
      { azp: null },
      {},
    ])
      t.strictSame(pathsOf({ ...any, claims }), ['issuers.p.tenants'], JSON.stringify(claims));
    for (const claims of [{ azp: ['app'] }, { appid: ['app'] }, { scp: ['read'] }, { roles: ['Task.Write'] }])
      t.strictSame(pathsOf({ ...any, claims }), [], JSON.stringify(claims));
    const named = { claim_names: { tenant: 'tid', client: ['app'], scopes: 'perms' } };
    t.strictSame(pathsOf({ ...any, ...named, claims: { app: ['x'] } }), []);
    t.strictSame(pathsOf({ ...any, ...named, claims: { perms: ['x'] } }), []);
    t.strictSame(pathsOf({ ...any, ...named, claims: { azp: ['x'] } }), ['issuers.p.tenants']);
  },
);

const NAMES = [
  'email',
  'email_verified',
  'mail',
  'name',
  'preferred_username',
  'unique_name',
  'upn',
  'username',
  'verified_primary_email',
];

t.test('J3 with tenants: any no name that a tenant chooses is the subject', async (t) => {
  for (const subject of NAMES)
    t.strictSame(
      pathsOf({ tenants: 'any', claims: { azp: ['app'] }, claim_names: { tenant: 'tid', subject } }),
      ['issuers.p.claim_names.subject'],
      subject,
    );
  t.strictSame(pathsOf({ claim_names: { tenant: 'tid', subject: 'upn' } }), [], 'listed tenants are known');
});

t.test('J3 two issuers never take the same iss', async (t) => {
  const clash = (one: Record<string, unknown>, other: Record<string, unknown>): string[] =>
    referenceProblems({ issuers: { one: { ...good, ...one }, other: { ...good, ...other } } })
      .filter(({ path, message }) => path.at(-1) === 'issuer' && /issuers\.one/.test(message))
      .map(({ path }) => path.join('.'));
  const exact = (iss: string): Record<string, unknown> => ({ issuer: iss, tenants: undefined });
  const ofA = TEMPLATE.replace('{tenant}', 'a');
  t.strictSame(clash({}, exact(ofA)), ['issuers.other.issuer']);
  t.strictSame(clash(exact(ofA), {}), ['issuers.other.issuer']);
  t.strictSame(clash({}, exact(TEMPLATE.replace('{tenant}', 'c'))), [], 'a tenant that is not listed');
  t.strictSame(clash({ tenants: 'any' }, exact(TEMPLATE.replace('{tenant}', 'c'))), ['issuers.other.issuer']);
  t.strictSame(clash({}, { tenants: ['c'] }), ['issuers.other.issuer'], 'one template is one issuer');
  const across = { issuer: 'https://h.example/{tenant}/x' };
  t.strictSame(
    clash({ ...across, tenants: ['y'] }, { issuer: 'https://h.example/y/{tenant}', tenants: ['x'] }),
    ['issuers.other.issuer'],
  );
  t.strictSame(
    clash({ ...across, tenants: 'any' }, { issuer: 'https://h.example/y/{tenant}', tenants: 'any' }),
    ['issuers.other.issuer'],
  );
  t.strictSame(
    clash({ ...across, tenants: ['z'] }, { issuer: 'https://h.example/y/{tenant}', tenants: 'any' }),
    [],
  );
});
