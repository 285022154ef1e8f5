/** Refresh, ID and logout tokens are no access tokens, whichever issuer vouches for them. Rule J18. */
import t, { type Test } from 'tap';
import { ConfigurationError, parseConfiguration } from '../../src/config/load.ts';
import { configurationWarnings } from '../../src/config/warnings.ts';
import {
  introspectedBy,
  startFallibleServer,
  validatedBy,
} from '../support/fallible-authorization-server.ts';
import { send } from '../support/client.ts';
import { loginIssuer, startGateway, type TestGateway } from '../support/gateway.ts';
import { AUDIENCE, claimsOf, createKey, mint } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const upstream = await startUpstream(t);
const key = createKey('ES256');

const configurationOf = (issuers: Record<string, unknown>): Record<string, unknown> => ({
  issuers,
  routes: Object.keys(issuers).map((name) => ({
    name,
    match: { path_prefix: `/${name}` },
    upstream: 'u',
    auth: { issuers: [name] },
  })),
  upstreams: { u: { targets: [upstream.url] } },
});

async function refused(
  t: Test,
  gateway: TestGateway,
  route: string,
  token: string,
  what: string,
): Promise<void> {
  const before = upstream.seen.length;
  const reasons = `sallyport_auth_decisions_total{route="${route}",issuer="${route}",decision="deny",reason="wrong_type"}`;
  const counted = await gateway.metric(reasons);
  t.match(
    await send(gateway.url, `/${route}`, { token }),
    { status: 401, problem: { code: 'invalid_token' } },
    `${route}: ${what}`,
  );
  t.equal(await gateway.metric(reasons), counted + 1, `${route}: ${what}`);
  t.equal(upstream.seen.length, before);
}

const passes = async (
  t: Test,
  gateway: TestGateway,
  route: string,
  token: string,
  what: string,
): Promise<void> =>
  void t.equal((await send(gateway.url, `/${route}`, { token })).status, 200, `${route}: ${what}`);

const neverAccess: Record<string, Record<string, unknown>> = {
  'a refresh token of Keycloak': { typ: 'Refresh' },
  'an offline token of Keycloak': { typ: 'Offline' },
  'a logout token of Keycloak': { typ: 'Logout' },
  'a refresh token by token_use': { token_use: 'refresh' },
  'a refresh token by token_type': { token_type: 'refresh' },
  'a logout token': { events: { 'http://schemas.openid.net/event/backchannel-logout': {} } },
};
const idTokens: Record<string, Record<string, unknown>> = {
  'an ID token of Keycloak': { typ: 'ID' },
  'an ID token of Cognito': { token_use: 'id' },
  'an ID token with at_hash': { at_hash: 'x' },
  'an ID token with c_hash': { c_hash: 'x' },
  'an ID token with s_hash': { s_hash: 'x' },
};

t.test('J18 token_type: any and id_token', async (t) => {
  const gateway = await startGateway(t, configurationOf({ any: { ...loginIssuer(key), token_type: 'any' } }));
  const ids = await startGateway(
    t,
    configurationOf({ ids: { ...loginIssuer(key), token_type: 'id_token', audiences: ['app'] } }),
  );
  const plain = { typ: 'JWT' };
  for (const [what, claims] of Object.entries(neverAccess)) {
    await refused(t, gateway, 'any', mint(key, claimsOf(claims), plain), what);
    await refused(t, ids, 'ids', mint(key, claimsOf({ aud: 'app', ...claims }), plain), what);
  }
  for (const [what, claims] of Object.entries(idTokens)) {
    await refused(t, gateway, 'any', mint(key, claimsOf(claims), plain), what);
    await passes(
      t,
      ids,
      'ids',
      mint(key, claimsOf({ aud: 'app', client_id: undefined, ...claims }), plain),
      what,
    );
  }
  for (const typ of ['logout+jwt', 'secevent+jwt', 'dpop+jwt', 'id+jwt'])
    await refused(t, gateway, 'any', mint(key, claimsOf(), { typ }), typ);
  await passes(t, gateway, 'any', mint(key, claimsOf(), plain), 'a plain JWT');
  await passes(
    t,
    gateway,
    'any',
    mint(key, claimsOf({ typ: 'Bearer' }), { typ: undefined }),
    'an access token',
  );
  await passes(t, gateway, 'any', mint(key), 'at+jwt');
  await refused(t, ids, 'ids', mint(key, claimsOf({ aud: 'app' })), 'an access token is no ID token');
  for (const [what, changes] of Object.entries({
    'the audience of another client': { aud: 'other' },
    'no audience': { aud: undefined },
    'no sub': { sub: undefined },
    'no iat': { iat: undefined },
  })) {
    const before = upstream.seen.length;
    const token = mint(key, claimsOf({ aud: 'app', ...changes }), plain);
    t.equal((await send(ids.url, '/ids', { token })).status, 401, what);
    t.equal(upstream.seen.length, before);
  }
});

t.test('J18 a refresh or logout token with the type of an access token is still none', async (t) => {
  const gateway = await startGateway(t, configurationOf({ login: loginIssuer(key) }));
  for (const [what, claims] of Object.entries(neverAccess))
    await refused(t, gateway, 'login', mint(key, claimsOf(claims)), what);
});

t.test('J18 introspection: what the response, or the JWT itself, says to be something else', async (t) => {
  const authority = await startFallibleServer(t);
  const gateway = await startGateway(
    t,
    configurationOf({
      partner: introspectedBy(authority, { jwt: true, negative_cache: '0s' }),
      factory: validatedBy(authority, { negative_cache: '0s' }),
    }),
  );
  const good = { active: true, sub: 'olga' };
  for (const [what, claims] of Object.entries({ ...neverAccess, ...idTokens })) {
    authority.tokens.set('token', { ...good, ...claims });
    await refused(t, gateway, 'partner', 'token', what);
    await refused(t, gateway, 'factory', 'token', what);
    const jwt = mint(key, claimsOf(claims), { typ: 'JWT' });
    authority.tokens.set(jwt, good);
    const asked = authority.asked.length;
    await refused(t, gateway, 'partner', jwt, what);
    t.equal(authority.asked.length, asked, 'no server needs to be asked');
  }
  for (const token_type of ['refresh_token', 'N_B', 'mac', 'id_token', 7]) {
    authority.tokens.set('token', { ...good, token_type });
    await refused(t, gateway, 'partner', 'token', `token_type ${token_type}`);
  }
  for (const [index, token_type] of [
    'BEARER',
    'Access_Token',
    'N_A',
    'urn:ietf:params:oauth:token-type:access_token',
    null,
  ].entries()) {
    authority.tokens.set(`good-${index}`, { ...good, token_type });
    await passes(t, gateway, 'partner', `good-${index}`, `token_type ${token_type}`);
  }
  authority.tokens.set('of-their-own', { ...good, token_type: 'session' });
  await passes(t, gateway, 'factory', 'of-their-own', 'a service has words of its own');
});

t.test(
  'check: id_token needs audiences; any is a risk where nothing tells access tokens apart',
  async (t) => {
    const parse = (issuer: Record<string, unknown>) =>
      parseConfiguration(JSON.stringify(configurationOf({ login: issuer })), '/c.json', '/', {});
    const { audiences: _, ...anyAudience } = loginIssuer(key);
    t.throws(() => parse({ ...anyAudience, token_type: 'id_token' }), ConfigurationError);
    const warnings = (issuer: Record<string, unknown>): string[] =>
      configurationWarnings({ configuration: parse(issuer), folder: '/', file: '/c.json' }).filter((text) =>
        text.includes('token_type'),
      );
    const any = { ...loginIssuer(key), token_type: 'any' };
    t.equal(warnings(any).length, 1);
    t.equal(
      warnings({ ...any, required_claims: ['sub', 'auth_time'] }).length,
      1,
      'ID tokens have these too',
    );
    t.equal(warnings({ ...any, required_claims: ['sub', 'scope'] }).length, 0);
    t.equal(warnings({ ...loginIssuer(key), token_type: 'id_token', audiences: [AUDIENCE] }).length, 0);
    t.equal(warnings(loginIssuer(key)).length, 0);
  },
);
