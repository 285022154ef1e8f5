/** Tokens without `iss`: accepted where a route names their issuer alone, and nowhere else. Rule J3. */
import t from 'tap';
import { ConfigurationError, parseConfiguration } from '../../src/config/load.ts';
import { send } from '../support/client.ts';
import { introspectedBy, startFallibleServer } from '../support/fallible-authorization-server.ts';
import { loginIssuer, startGateway } from '../support/gateway.ts';
import { AUDIENCE, claimsOf, createKey, ISSUER, mint } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const upstream = await startUpstream(t);
const key = createKey('ES256', 'shared-kid');
const other = createKey('ES256', 'shared-kid');
const home = { no_iss: true, audiences: [AUDIENCE], jwks: { keys: [key.jwk] } };
const route = (name: string, issuers?: string[]): object => ({
  name,
  match: { path_prefix: `/${name}` },
  upstream: 'u',
  ...(issuers && { auth: { issuers } }),
});
const configuration = (issuers: object, ...routes: object[]): Record<string, unknown> => ({
  issuers,
  routes,
  upstreams: { u: { targets: [upstream.url] } },
});
const both = { home, login: loginIssuer(key), second: { ...home, jwks: { keys: [other.jwk] } } };
const gateway = await startGateway(
  t,
  configuration(both, route('home', ['home']), route('second', ['second']), route('rest')),
);

async function outcome(path: string, token: string): Promise<[number, string | undefined]> {
  const lines = gateway.log.length;
  const before = upstream.seen.length;
  const { status } = await send(gateway.url, path, { token });
  if (status !== 200 && upstream.seen.length !== before) throw new Error('the upstream saw it');
  const line = gateway.log.slice(lines).find(({ msg }) => msg === 'request');
  return [status, (line?.['auth'] as { reason?: string } | undefined)?.reason];
}

const without = (changes: Record<string, unknown> = {}): Record<string, unknown> =>
  claimsOf({ iss: undefined, ...changes });

t.test('J3 a token without iss passes on the route of its issuer alone', async (t) => {
  const token = mint(key, without());
  t.strictSame(await outcome('/home', token), [200, 'ok']);
  t.equal(upstream.seen.at(-1)?.headers['x-token-issuer'], 'home');
  t.strictSame(
    await outcome('/rest', token),
    [401, 'unknown_issuer'],
    'every JWT issuer does not mean this one',
  );
  t.strictSame(await outcome('/second', token), [401, 'bad_signature'], 'another issuer has other keys');
  t.strictSame(await outcome('/second', mint(other, without())), [200, 'ok']);
});

t.test('J3 an issuer without iss refuses a token that has any', async (t) => {
  for (const iss of [ISSUER, 'home', '', null, 7, [], {}, false])
    t.strictSame(
      await outcome('/home', mint(key, claimsOf({ iss }))),
      [401, 'unknown_issuer'],
      JSON.stringify(iss),
    );
  t.strictSame(await outcome('/rest', mint(key, claimsOf())), [200, 'ok'], 'its own issuer takes it');
});

t.test('J2 J4 everything else about the token is checked, too', async (t) => {
  t.strictSame(await outcome('/home', mint(key, without({ aud: 'other' }))), [401, 'wrong_audience']);
  t.strictSame(await outcome('/home', mint(key, without({ exp: 1 }))), [401, 'expired']);
  t.strictSame(await outcome('/home', mint(key, without({ jti: undefined }))), [401, 'claim']);
});

t.test('V11 V12 it is revoked by the configured name, and one token by its text', async (t) => {
  const [token, same] = ['one', 'two'].map((jti) => mint(key, without({ jti, sub: 'bob' })));
  const elsewhere = mint(other, without({ sub: 'bob' }));
  for (const text of [token, same]) t.strictSame(await outcome('/home', text ?? ''), [200, 'ok']);
  t.equal((await gateway.admin('POST', '/v1/revocations', { token })).status, 201);
  t.strictSame(await outcome('/home', token ?? ''), [401, 'revoked']);
  t.strictSame(await outcome('/home', same ?? ''), [200, 'ok']);
  const body = { issuer: 'home', subject: 'bob' };
  t.equal((await gateway.admin('POST', '/v1/revocations', body)).status, 201);
  t.strictSame(await outcome('/home', same ?? ''), [401, 'revoked']);
  t.strictSame(await outcome('/second', elsewhere), [200, 'ok'], 'the other issuer has another bob');
});

t.test('V13 what no issuer without iss can ever let pass is an error of the API, and no entry', async (t) => {
  const size = gateway.instance.view.size;
  const revoke = async (token: string): Promise<number> =>
    (await gateway.admin('POST', '/v1/revocations', { token })).status;
  for (const [what, token] of Object.entries({
    forged: mint(createKey('ES256', key.kid), without()),
    'of another type': mint(key, without(), { typ: 'logout+jwt', kid: key.kid }),
  }))
    t.equal(await revoke(token), 400, what);
  t.equal(gateway.instance.view.size, size);
  const elsewhere = mint(other, without({ jti: 'of-second' }));
  const early = mint(key, without({ nbf: Math.floor(Date.now() / 1000) + 600, jti: 'early' }));
  const unnamed = mint(createKey('ES256'), without(), { kid: undefined });
  for (const token of [elsewhere, early, unnamed]) t.equal(await revoke(token), 201);
  t.strictSame(
    await outcome('/second', elsewhere),
    [401, 'revoked'],
    'one issuer takes it, and the other not',
  );
});

t.test('V13 a forged token without iss that a server is asked about is ended, too', async (t) => {
  const server = await startFallibleServer(t);
  server.otherwise = { active: true };
  const asked = await startGateway(
    t,
    configuration(
      { home, partner: introspectedBy(server, { jwt: true, cache: '0s' }) },
      route('home', ['home']),
      route('asked', ['partner']),
    ),
  );
  const token = mint(createKey('ES256', key.kid), without());
  t.equal((await send(asked.url, '/asked', { token })).status, 200);
  t.equal((await asked.admin('POST', '/v1/revocations', { token })).status, 201);
  const before = upstream.seen.length;
  t.equal((await send(asked.url, '/asked', { token })).status, 401);
  t.equal(upstream.seen.length, before);
});

t.test('J3 a configuration that leaves a choice is refused', async (t) => {
  const problemsOf = (document: object): readonly string[] => {
    try {
      parseConfiguration(JSON.stringify(document), 'f.json', '/tmp', {});
      return [];
    } catch (error) {
      if (error instanceof ConfigurationError) return error.problems;
      throw error;
    }
  };
  const alone = route('home', ['home']);
  t.strictSame(problemsOf(configuration({ home }, alone)), []);
  t.match(problemsOf(configuration(both, route('home', ['home', 'login']))), [
    /routes\[0\]\.auth\.issuers: .*no_iss/,
  ]);
  t.match(problemsOf(configuration(both, route('home', ['login', 'home']))), [/no_iss/]);
  t.match(problemsOf(configuration({ home }, route('home'))), [/routes\[0\]\.auth.*: .*no issuer/]);
  t.match(problemsOf(configuration({ home: { ...home, issuer: ISSUER } }, alone)), [/issuers\.home\.issuer/]);
  t.match(problemsOf(configuration({ home: { ...home, jwks: undefined, discovery: true } }, alone)), [
    /issuers\.home\.discovery/,
  ]);
  const logout = { host: 'h.example', path: '/logout', client_ids: ['web'] };
  t.match(problemsOf(configuration({ home: { ...home, backchannel_logout: logout } }, alone)), [
    /issuers\.home\.backchannel_logout/,
  ]);
});
