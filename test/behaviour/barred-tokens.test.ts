/** Opaque tokens with `|`, as Laravel Sanctum issues them: for validation services, and for no other issuer. Rules B2, C7, I5. */
import t, { type Test } from 'tap';
import {
  introspectedBy,
  startFallibleServer,
  validatedBy,
} from '../support/fallible-authorization-server.ts';
import { send } from '../support/client.ts';
import { loginIssuer, startGateway } from '../support/gateway.ts';
import { createKey, mint } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const upstream = await startUpstream(t);
const key = createKey();
const TOKEN = '12|aBcDeF0123456789';

async function scene(test: Test) {
  const [sanctum, hydra] = [await startFallibleServer(test), await startFallibleServer(test)];
  sanctum.otherwise = (response) => response.writeHead(404).end();
  sanctum.tokens.set(TOKEN, { active: true, sub: 'olga' });
  const route = (name: string, auth: Record<string, unknown>) => ({
    name,
    match: { path_prefix: `/${name}` },
    upstream: 'u',
    auth,
  });
  const gateway = await startGateway(test, {
    issuers: {
      login: loginIssuer(key),
      sanctum: validatedBy(sanctum, { invalid: [404] }),
      hydra: introspectedBy(hydra, {}, { token_prefix: 'h' }),
    },
    routes: [
      route('sanctum', { issuers: ['sanctum'] }),
      route('mixed', { issuers: ['login', 'sanctum'] }),
      route('jwt', { issuers: ['login'] }),
      route('hydra', { issuers: ['hydra'] }),
    ],
    upstreams: { u: { targets: [upstream.url] } },
  });
  const refused = async (path: string, token: string, status: number): Promise<void> => {
    const seen = upstream.seen.length;
    test.equal((await send(gateway.url, path, { token })).status, status, `${path} ${token}`);
    test.equal(upstream.seen.length, seen);
  };
  return { gateway, sanctum, hydra, refused };
}

t.test('a validation service gets the token as it came, once, and its user passes', async (t) => {
  const { gateway, sanctum } = await scene(t);
  for (const path of ['/sanctum', '/mixed', '/sanctum']) {
    t.equal((await send(gateway.url, path, { token: TOKEN })).status, 200);
    t.equal(upstream.seen.at(-1)?.headers['x-user-id'], 'olga');
  }
  t.strictSame(sanctum.asked, [TOKEN]);
  t.notMatch(JSON.stringify(gateway.log), /aBcDeF/, 'A5');
});

t.test('B2 routes of other issuers refuse it, and their servers are not asked', async (t) => {
  const { gateway, hydra, refused } = await scene(t);
  await refused('/jwt', TOKEN, 400);
  await refused('/hydra', 'h|aBcDeF', 400);
  t.strictSame(hydra.asked, []);
  t.equal((await send(gateway.url, '/mixed', { token: mint(key) })).status, 200, 'JWTs pass beside it');
});

t.test('a bar makes no second spelling of another token', async (t) => {
  const { sanctum, refused } = await scene(t);
  const jwt = mint(key);
  const [header = '', payload = '', signature = ''] = jwt.split('.');
  for (const token of [`${header}|.${payload}.${signature}`, `|${jwt}`, `${jwt}|`, jwt.replace('.', '|.')])
    await refused('/mixed', token, 401);
  t.strictSame(sanctum.asked, [], 'it is no opaque token either');
  for (const token of [`${TOKEN}|`, `|${TOKEN}`, '12||aBcDeF0123456789', '12aBcDeF0123456789'])
    await refused('/sanctum', token, 401);
  for (const token of [`${TOKEN} |`, `${TOKEN},|`, `"${TOKEN}"`, `${TOKEN}=|`])
    await refused('/sanctum', token, 400);
});

t.test('it is revoked by itself, and only a gateway that accepts bars takes it', async (t) => {
  const { gateway, refused } = await scene(t);
  t.equal((await send(gateway.url, '/sanctum', { token: TOKEN })).status, 200);
  t.equal((await gateway.admin('POST', '/v1/revocations', { token: TOKEN })).status, 201);
  await refused('/sanctum', TOKEN, 401);
  const without = await startGateway(t, {
    issuers: { login: loginIssuer(key) },
    routes: [{ name: 'all', match: {}, upstream: 'u' }],
    upstreams: { u: { targets: [upstream.url] } },
  });
  t.equal((await without.admin('POST', '/v1/revocations', { token: TOKEN })).status, 400);
});

t.test('of several issuers of opaque tokens, an introspection endpoint never gets it', async (t) => {
  const [service, server] = [await startFallibleServer(t), await startFallibleServer(t)];
  const gateway = await startGateway(t, {
    issuers: {
      service: validatedBy(service, {}, { token_prefix: '1' }),
      server: introspectedBy(server, {}, { token_prefix: '2' }),
    },
    routes: [{ name: 'all', match: {}, upstream: 'u', auth: { issuers: ['service', 'server'] } }],
    upstreams: { u: { targets: [upstream.url] } },
  });
  const seen = upstream.seen.length;
  t.equal((await send(gateway.url, '/', { token: '2|abc' })).status, 401);
  t.equal((await gateway.admin('POST', '/v1/revocations', { token: '2|abc' })).status, 400);
  t.equal(upstream.seen.length, seen);
  t.strictSame([service.asked, server.asked], [[], []]);
});
