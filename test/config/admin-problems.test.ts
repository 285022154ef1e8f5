/** Who may be configured to use the admin API. Rule A1. */
import t from 'tap';
import { configurationWarnings } from '../../src/config/warnings.ts';
import { parseConfiguration } from '../../src/config/load.ts';
import { ConfigurationError } from '../../src/config/problem.ts';

const ISSUERS = {
  login: {
    issuer: 'https://login.example.com',
    jwks_url: 'https://login.example.com/keys',
    audiences: ['api'],
  },
  ids: {
    issuer: 'https://ids.example.com',
    jwks_url: 'https://ids.example.com/keys',
    audiences: ['app'],
    token_type: 'id_token',
  },
  opaque: {
    introspection: { url: 'https://login.example.com/introspect', client_id: 'c', client_secret: 's' },
  },
};

function problemsOf(admin: object, issuers: object = ISSUERS): readonly string[] {
  const text = JSON.stringify({
    admin,
    issuers,
    routes: [{ name: 'r', match: {}, upstream: 'u', auth: { issuers: ['login'] } }],
    upstreams: { u: { targets: ['http://127.0.0.1:1'] } },
  });
  try {
    parseConfiguration(text, 'test.json', '/tmp', {});
    return [];
  } catch (error) {
    if (error instanceof ConfigurationError) return error.problems;
    throw error;
  }
}

const auth = (changes: object = {}): object => ({
  auth: { issuer: 'login', audience: 'sallyport-admin', scopes: { read: 'gw:read' }, ...changes },
});

t.test('A1 only an issuer of JWT access tokens signs operators in, and for an audience of its own', (t) => {
  t.strictSame(problemsOf(auth()), []);
  const cases: [string, object, RegExp][] = [
    ['an unknown issuer', auth({ issuer: 'logn' }), /admin\.auth\.issuer: .*did you mean "login"/],
    ['an issuer of ID tokens', auth({ issuer: 'ids' }), /admin\.auth\.issuer: .*ID tokens/],
    ['an issuer of opaque tokens', auth({ issuer: 'opaque' }), /admin\.auth\.issuer: .*JWTs/],
    ['the audience of the routes', auth({ audience: 'api' }), /admin\.auth\.audience: .*issuers\.login/],
    ['the audience of another issuer', auth({ audience: 'app' }), /admin\.auth\.audience: .*issuers\.ids/],
    ['no audience', auth({ audience: undefined }), /admin\.auth/],
    [
      'a scope for two roles',
      auth({ scopes: { read: 'gw', operate: 'gw' } }),
      /admin\.auth\.scopes\.operate: .*read too/,
    ],
    ['two scopes in one text', auth({ scopes: { read: 'a b' } }), /admin\.auth\.scopes\.read: .*one scope/],
    ['no scope', auth({ scopes: {} }), /admin\.auth\.scopes: .*at least one/],
    ['an empty scope', auth({ scopes: { read: '' } }), /admin\.auth\.scopes\.read/],
    ['a role that does not exist', auth({ scopes: { read: 'r', admin: 'a' } }), /admin\.auth\.scopes/],
    ['a name claim that is no path', auth({ name_claim: 'a..b' }), /admin\.auth\.name_claim/],
  ];
  for (const [name, admin, expected] of cases) {
    const problems = problemsOf(admin);
    t.equal(problems.length, 1, `${name}: ${problems.join(' | ')}`);
    t.match(problems[0], expected, name);
  }
  const tenants = {
    login: {
      issuer: 'https://login.example.com/{tenant}',
      jwks_url: 'https://login.example.com/keys',
      audiences: ['api'],
      tenants: ['a'],
      claim_names: { tenant: 'tid' },
    },
  };
  t.match(problemsOf(auth(), tenants).join('\n'), /admin\.auth\.issuer: .*many tenants/);
  t.end();
});

t.test('A1 an admin token below 16 characters is refused, below 32 it is a warning', (t) => {
  t.match(problemsOf({ token: 'a'.repeat(15) }), [/admin\.token: .*16/]);
  t.match(problemsOf({ tokens: [{ name: 'ci', token: 'short' }] }), [/admin\.tokens\[0\]\.token: .*16/]);
  const warned = (token: string): boolean =>
    configurationWarnings({
      configuration: parseConfiguration(
        JSON.stringify({
          admin: { token },
          routes: [{ name: 'r', match: {}, upstream: 'u', auth: { mode: 'none' } }],
          upstreams: { u: { targets: ['http://127.0.0.1:1'] } },
        }),
        'test.json',
        '/tmp',
        {},
      ),
      folder: '/tmp',
      file: '/nowhere',
    }).some((line) => line.startsWith('admin.token: '));
  t.ok(warned('a'.repeat(31)));
  t.notOk(warned('a'.repeat(32)));
  t.end();
});
