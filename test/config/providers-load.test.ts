/** `provider:` of an issuer: what it sets, what the user's own keys do to it, and what it asks for. Rules J18, J19. */
import t from 'tap';
import { ConfigurationError, parseConfiguration } from '../../src/config/load.ts';
import { PROVIDERS, presetOf } from '../../src/config/provider-presets.ts';
import type { Configuration } from '../../src/config/schema.ts';
import { configurationWarnings } from '../../src/config/warnings.ts';

const REST = `routes: [{ name: a, match: {}, upstream: u, auth: { issuers: [login] } }]
upstreams: { u: { targets: ["http://127.0.0.1:3000"] } }
`;

/** A file with one issuer, of which these are the lines. */
function load(lines: string, environment: Record<string, string> = {}): Configuration {
  const issuer = lines.trim().replace(/^/gm, '    ');
  return parseConfiguration(`issuers:\n  login:\n${issuer}\n${REST}`, 'f.yaml', '/tmp', environment);
}

/** `LINE: key: message` of each problem; the first line of the issuer is 3. */
function problemsOf(lines: string, environment?: Record<string, string>): string[] {
  try {
    load(lines, environment);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    return error.problems.map((line) => line.replace(/^f\.yaml:(\d+):\d+: issuers\.login\.?/, '$1: '));
  }
}

function warningsOf(lines: string): string[] {
  const configuration = load(lines);
  return configurationWarnings({ configuration, folder: '/tmp', file: 'f.yaml' }).filter((line) =>
    line.startsWith('issuers'),
  );
}

const KEYCLOAK = `
provider: keycloak
issuer: https://login.test/realms/a
discovery: true
audiences: [api]`;

t.test('a preset fills in what the user has not written', async (t) => {
  t.match(load(KEYCLOAK).issuers['login'], {
    provider: 'keycloak',
    token_type: 'any',
    claims: { typ: ['Bearer', 'DPoP'] },
    claim_names: {
      subject: 'sub',
      client: ['azp', 'client_id'],
      session: ['sid', 'session_state'],
      tenant: null,
    },
    audiences: ['api'],
  });
});

t.test(
  'what the user has written counts: maps by name, claims that must be there besides, all else instead',
  async (t) => {
    const own = `${KEYCLOAK}
token_type: at+jwt
claims: { azp: [web] }
claim_names: { tenant: org }
required_claims: [org]
clock_skew: 1s`;
    t.match(load(own).issuers['login'], {
      token_type: 'at+jwt',
      claims: { typ: ['Bearer', 'DPoP'], azp: ['web'] },
      claim_names: { client: ['azp', 'client_id'], tenant: 'org' },
      clock_skew: 1000,
    });
    t.strictSame(load(`${KEYCLOAK}\nclaims: { typ: [Bearer] }`).issuers['login']?.claims, {
      typ: ['Bearer'],
    });
    const okta = 'provider: okta\nissuer: https://a.test\ndiscovery: true\naudiences: [api]';
    t.strictSame(load(`${okta}\nrequired_claims: [groups]`).issuers['login']?.required_claims, [
      'groups',
      'cid',
    ]);
    t.strictSame(load(`${okta}\nrequired_claims: [cid]`).issuers['login']?.required_claims, ['cid']);
    t.strictSame(load(`${okta}\nrequired_claims: []`).issuers['login']?.required_claims, []);
  },
);

t.test('J18 a claim that the user asks for does not take out what tells access tokens apart', async (t) => {
  for (const provider of PROVIDERS) {
    const { required_claims: preset = [] } = presetOf(provider, {});
    const lines = `provider: ${provider}\nissuer: https://a.test\ndiscovery: true\naudiences: [api]\nrequired_claims: [more]`;
    const rules = 'claims: { sub: [a], repository_id: ["1"], role: [authenticated] }';
    const loaded = load(`${lines}\n${rules}`).issuers['login'];
    t.strictSame(loaded?.required_claims, ['more', ...preset], provider);
    for (const claim of Object.keys(presetOf(provider, {}).claims ?? {}))
      t.ok(claim in (loaded?.claims ?? {}), `${provider}: ${claim}`);
  }
});

t.test('null takes a rule of the preset out, and check warns of it', async (t) => {
  const lines = `${KEYCLOAK}\nclaims: { typ: null }`;
  t.strictSame(load(lines).issuers['login']?.claims, {});
  t.match(warningsOf(lines), [/token_type: any/, /provider: keycloak .*claims: typ/]);
  t.match(
    warningsOf(
      'provider: okta\nissuer: https://a.test\ndiscovery: true\naudiences: [a]\nrequired_claims: []',
    ),
    [/token_type: any/, /provider: okta .*required_claims: cid/],
  );
  t.match(problemsOf(`${KEYCLOAK}\nclaims: { org: null }`), [/^7: claims\.org/], 'of no other');
});

/** Tokens of Auth0 have a slash at the end of `iss`. */
const issuerOf = (provider: string): string => (provider === 'auth0' ? 'https://a.test/' : 'https://a.test');

t.test('a preset alone is no reason for a warning', async (t) => {
  for (const provider of PROVIDERS) {
    const rules = 'claims: { sub: [a], repository_id: ["1"], role: [authenticated] }';
    const lines = `provider: ${provider}\nissuer: ${issuerOf(provider)}\ndiscovery: true\naudiences: [api]\n${rules}`;
    t.strictSame(warningsOf(lines), [], provider);
  }
});

t.test('J19 check warns of audiences that the provider gives to all', async (t) => {
  const cases: [string, string, string][] = [
    ['keycloak', 'account', ''],
    ['auth0', 'https://acme.auth0.com/userinfo', ''],
    ['duende', 'https://identity.test/resources', ''],
    ['kubernetes', 'https://kubernetes.default.svc.cluster.local', 'claims: { sub: [a] }'],
  ];
  for (const [provider, audience, rules] of cases) {
    const lines = `provider: ${provider}\nissuer: ${issuerOf(provider)}\ndiscovery: true\n${rules}`;
    t.match(warningsOf(`${lines}\naudiences: [api, ${audience}]`), [/audiences: .* give your API/], provider);
  }
});

t.test('J19 check warns of an issuer or an audience that no token of the provider has', async (t) => {
  const entra = 'https://login.microsoftonline.com';
  const cases: [provider: string, issuer: string, says: RegExp | undefined, audience?: string][] = [
    ['entra', `${entra}/common/v2.0`, /issuer: .*common/],
    ['entra', `${entra}/organizations/v2.0`, /issuer: .*tenants/],
    ['entra', 'https://sts.windows.net/common/', /issuer: .*common/],
    ['entra', `${entra}/T/v2.0`, undefined],
    ['entra', `${entra}/T/v2.0/`, /issuer: .*no slash/],
    ['entra', 'https://sts.windows.net/T', /issuer: .*a slash/],
    ['entra', 'https://sts.windows.net/T/', undefined, 'api://orders'],
    ['entra', `${entra}/T/v2.0`, /audiences: api:\/\/orders .*client id/, 'api://orders'],
    ['auth0', 'https://acme.eu.auth0.com', /issuer: .*a slash/],
    ['auth0', 'https://acme.eu.auth0.com/', undefined],
    ['keycloak', 'https://login.test/realms/a/', /issuer: .*no slash/],
    ['keycloak', 'https://login.test/realms/a', undefined],
    ['supabase', 'https://abc.supabase.co', /issuer: .*\/auth\/v1/],
    ['supabase', 'https://abc.supabase.co/auth/v1', undefined],
    ['supabase', 'https://auth.self-hosted.test', undefined],
  ];
  for (const [provider, issuer, says, audience = 'api'] of cases) {
    const lines = `provider: ${provider}\nissuer: ${issuer}\ndiscovery: true\naudiences: ["${audience}"]`;
    const warnings = warningsOf(lines);
    t.equal(warnings.length, says ? 1 : 0, `${issuer} ${audience}: ${warnings.join()}`);
    if (says) t.match(warnings, [says]);
  }
});

t.test('no preset loosens the signature, the issuer, the expiry or the transport', async (t) => {
  const allowed = [
    'audiences',
    'claim_names',
    'claims',
    'clock_skew',
    'max_lifetime',
    'required_claims',
    'token_type',
  ];
  const seconds = (text = '0s'): number => Number(text.slice(0, -1)) * (text.endsWith('h') ? 3600 : 1);
  for (const provider of PROVIDERS) {
    const preset = presetOf(provider, { issuer: 'https://a.test' });
    for (const key of Object.keys(preset)) t.ok(allowed.includes(key), `${provider}: ${key}`);
    t.ok(seconds(preset.clock_skew) <= 30, provider);
    t.ok(seconds(preset.max_lifetime) <= 24 * 3600, provider);
  }
});

t.test('J19 each provider wants to know for whom its tokens are', async (t) => {
  for (const provider of PROVIDERS) {
    const issuer = `provider: ${provider}\nissuer: https://a.test\ndiscovery: true`;
    const rules = 'claims: { sub: [a], repository_id: ["1"], role: [authenticated] }';
    const problems = problemsOf(`${issuer}\n${rules}`);
    if (provider === 'supabase') t.strictSame(problems, [], 'its own audience is part of the preset');
    else t.match(problems, [/^3: provider: .*audiences/], provider);
  }
  const stands: [string, string, number][] = [
    ['keycloak', 'azp: [web]', 0],
    ['keycloak', 'azp: { prefix: web }', 1],
    ['keycloak', 'azp: { absent: true }', 1],
    ['cognito', 'client_id: web', 0],
    ['cognito', 'token_use: [access]', 1],
    ['clerk', 'azp: { equals: ["https://app.test"] }', 0],
    ['entra', 'azp: [web]', 1],
    ['workos', 'org_id: [org_1]', 0],
    ['workos', 'iss: ["https://a.test"]', 1],
    ['hydra', 'client_id: [web]', 0],
  ];
  for (const [provider, rule, count] of stands) {
    const lines = `provider: ${provider}\nissuer: https://a.test\ndiscovery: true\nclaims: { ${rule} }`;
    t.equal(problemsOf(lines).length, count, `${provider}: ${rule}`);
  }
});

t.test('J18 responses of Spring must have the type that only those about access tokens have', async (t) => {
  const asked = `
provider: spring
introspection: { url: https://auth.test/oauth2/introspect, client_id: gateway, client_secret: secret }
audiences: [web]`;
  t.strictSame(load(asked).issuers['login']?.required_claims, ['token_type']);
  const own = load(`${asked}\nrequired_claims: [sub]`).issuers['login'];
  t.strictSame(own?.required_claims, ['sub', 'token_type']);
});

t.test(
  'V14 tokens of Hydra have the session of its logout tokens where the consent application adds it',
  async (t) => {
    const hydra = 'provider: hydra\nissuer: https://hydra.test\ndiscovery: true\naudiences: [api]';
    const logout = 'backchannel_logout: { host: api.test, path: /logout, client_ids: [web] }';
    const session = (lines: string): unknown => load(lines).issuers['login']?.claim_names.session;
    t.strictSame(session(hydra), null, 'a revocation by session is refused where no logout can name one');
    t.strictSame(session(`${hydra}\n${logout}`), ['ext.sid', 'sid']);
    t.strictSame(warningsOf(`${hydra}\n${logout}\nrequired_claims: [ext.sid]`), []);
    t.match(warningsOf(`${hydra}\n${logout}`), [/backchannel_logout/]);
  },
);

t.test('J19 google wants a rule on whose account it is', async (t) => {
  const google = 'provider: google\nissuer: https://accounts.google.com\ndiscovery: true\naudiences: [a]';
  const cases: [string, boolean][] = [
    ['', false],
    ['claims: { hd: [example.com] }', true],
    ['claims: { hd: { absent: true } }', false],
    ['claims: { hd: { prefix: example.com } }', false],
    ['claims: { sub: ["1"] }', true],
    ['claims: { email: [a@example.com] }', false],
    ['claims: { email: [a@example.com], email_verified: [true] }', true],
    ['claims: { email: [a@example.com], email_verified: true }', true],
    ['claims: { email: [a@example.com], email_verified: [true, false] }', false],
    ['claims: { email_verified: [true] }', false],
  ];
  for (const [rules, loads] of cases)
    t.strictSame(problemsOf(`${google}\n${rules}`).length, loads ? 0 : 1, rules);
  t.match(problemsOf(google), [/^3: provider: google .*; add claims: \{ hd/]);
});

t.test('J19 github-actions wants a rule on the id of the repository or its owner', async (t) => {
  const github =
    'provider: github-actions\nissuer: https://token.actions.githubusercontent.com\ndiscovery: true\naudiences: [a]';
  t.match(problemsOf(github), [/^3: provider: github-actions .*repository_owner_id/]);
  t.match(problemsOf(`${github}\nclaims: { repository: [acme/shop] }`), [/^3: provider/]);
  t.match(problemsOf(`${github}\nclaims: { repository_owner_id: { prefix: "6" } }`), [/^3: provider/]);
  t.match(problemsOf(`${github}\nclaims: { repository_owner_id: [65] }`), [
    /^7: claims\.repository_owner_id: .*put quotes/,
  ]);
  t.strictSame(problemsOf(`${github}\nclaims: { repository_owner_id: ["65"] }`), []);
  t.strictSame(problemsOf(`${github}\nclaims: { repository_id: "74" }`), []);
});

t.test('J19 kubernetes wants a rule on the service account', async (t) => {
  const kubernetes = 'provider: kubernetes\nissuer: https://cluster.test\ndiscovery: true\naudiences: [a]';
  const cases: [string, boolean][] = [
    ['', false],
    ['claims: { sub: ["system:serviceaccount:prod:a"] }', true],
    ['claims: { sub: { prefix: "system:serviceaccount:prod:" } }', true],
    ['claims: { sub: { prefix: "system:serviceaccount:" } }', false],
    ['claims: { sub: { prefix: system } }', false],
    ['claims: { sub: { prefix: ["system:serviceaccount:prod:", "system:"] } }', false],
    ['claims: { sub: { absent: true } }', false],
  ];
  for (const [rules, loads] of cases)
    t.equal(problemsOf(`${kubernetes}\n${rules}`).length, loads ? 0 : 1, rules);
});

t.test('J19 supabase never lets the role anon pass', async (t) => {
  const supabase = 'provider: supabase\nissuer: https://a.supabase.co/auth/v1\ndiscovery: true';
  t.strictSame(load(supabase).issuers['login']?.claims, { role: ['authenticated'] });
  t.strictSame(problemsOf(`${supabase}\nclaims: { role: [authenticated, editor] }`), []);
  t.match(problemsOf(`${supabase}\nclaims: { role: [authenticated, anon] }`), [/^6: claims\.role: .*anon/]);
  t.match(problemsOf(`${supabase}\nclaims: { role: null }`), [/^3: provider: supabase .*anon/]);
  t.match(problemsOf(`${supabase}\nclaims: { role: { prefix: a } }`), [/^3: provider: supabase/]);
});

t.test('google and firebase accept ID tokens, and only for audiences', async (t) => {
  for (const provider of ['google', 'firebase']) {
    const lines = `provider: ${provider}\nissuer: https://a.test\ndiscovery: true\nclaims: { sub: [a] }`;
    t.match(
      problemsOf(lines),
      [/^3: provider: \w+ sets token_type: "id_token"\. .*needs audiences/],
      provider,
    );
    t.equal(load(`${lines}\naudiences: [a]`).issuers['login']?.token_type, 'id_token');
  }
});

t.test('entra asks for the client claim of the version that the issuer has', async (t) => {
  const required = (issuer: string, environment?: Record<string, string>): unknown =>
    load(`provider: entra\nissuer: ${issuer}\ndiscovery: true\naudiences: [a]`, environment).issuers['login']
      ?.required_claims;
  t.strictSame(required('https://login.microsoftonline.com/T/v2.0'), ['azp']);
  t.strictSame(required('https://sts.windows.net/T/'), ['appid']);
  t.strictSame(
    required('${ISSUER}', { ISSUER: 'https://login.microsoftonline.com/T/v2.0' }),
    ['azp'],
    'by a variable',
  );
});

t.test('a preset for opaque tokens sets names only, those of RFC 7662 first', async (t) => {
  const lines = `provider: okta
introspection: { url: "https://a.test/introspect", client_id: gw, client_secret: secret }
audiences: [api]`;
  t.match(load(lines).issuers['login'], {
    claim_names: { subject: 'uid', client: ['client_id', 'cid'], scopes: ['scope', 'scp'] },
    required_claims: [],
    claims: {},
  });
  t.match(problemsOf(lines.replace('audiences: [api]', '')), [/^3: provider: okta .*audiences/]);
});

t.test('where tokens name no session, a logout of the issuer keeps the usual names', async (t) => {
  const auth0 = 'provider: auth0\nissuer: https://a.auth0.com/\ndiscovery: true\naudiences: [a]';
  const logout = 'backchannel_logout: { host: api.test, path: /logout, client_ids: [web], ends: both }';
  t.equal(load(auth0).issuers['login']?.claim_names.session, null);
  t.strictSame(load(`${auth0}\n${logout}`).issuers['login']?.claim_names.session, ['sid', 'session_id']);
});

t.test('problems stand where the user wrote, and say what a preset has set', async (t) => {
  t.match(problemsOf('provider: keycloack\nissuer: https://a.test\ndiscovery: true'), [
    /^3: provider: must be one of keycloak, entra.*; did you mean keycloak\?$/,
  ]);
  const aliases = {
    Azure: 'entra',
    'azure-ad': 'entra',
    github: 'github-actions',
    aws: 'cognito',
    gke: 'kubernetes',
  };
  for (const [name, provider] of Object.entries(aliases))
    t.match(problemsOf(`provider: ${name}\nissuer: https://a.test\ndiscovery: true`), [
      new RegExp(`^3: provider: must be one of .*; did you mean ${provider}\\?$`),
    ]);
  t.match(problemsOf('provider: [keycloak]\nissuer: https://a.test\ndiscovery: true'), [/^3: provider/]);
  t.match(problemsOf('provider: toString\nissuer: https://a.test\ndiscovery: true'), [/^3: provider/]);
  t.match(problemsOf(`${KEYCLOAK}\naudience: [x]`), [/^7: audience: unknown key; did you mean audiences\?/]);
  t.match(problemsOf(`${KEYCLOAK}\nrequired_claims: [1]`), [/^7: required_claims\[0\]: must be a text/]);
  t.match(problemsOf(`${KEYCLOAK}\nclaims: [azp]`), [/^7: claims: must be/]);
  t.match(problemsOf(`${KEYCLOAK}\nclaims: { typ: {} }`), [/^7: claims\.typ: /]);
  t.match(problemsOf(`${KEYCLOAK}\nclaim_names: { client: 7 }`), [/^7: claim_names\.client: /]);
  t.match(problemsOf('provider: duende\nissuer: https://a.test\ndiscovery: true\naudiences: []'), [
    /^6: audiences: is empty/,
  ]);
});
