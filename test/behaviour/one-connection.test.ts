/** One token for many requests of a connection: nothing but the reading of its text is remembered. Rules B2, C7, J3, J12, V1. */
import { Agent, request, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import t, { type Test } from 'tap';
import { loginIssuer, startGateway } from '../support/gateway.ts';
import { startFallibleServer, validatedBy } from '../support/fallible-authorization-server.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { createKey, mint } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const upstream = await startUpstream(t);
const key = createKey();
const BARRED = '12|aBcDeF0123456789';
const HOUR_MS = 3_600_000;

/** A client with one connection. Returns the status of its next request on it. */
function client(test: Test, port: number): (path: string, token: string) => Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  test.teardown(() => agent.destroy());
  let socket: unknown;
  return async (path, token) => {
    const headers = { authorization: `Bearer ${token}` };
    const sent = request({ host: '127.0.0.1', port, path, agent, headers });
    sent.end();
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    socket ??= sent.socket;
    test.equal(sent.socket, socket, 'the same connection');
    await once(response.resume(), 'end');
    return response.statusCode ?? 0;
  };
}

async function scene(test: Test) {
  const sanctum = await startFallibleServer(test);
  sanctum.otherwise = (response) => response.writeHead(404).end();
  sanctum.tokens.set(BARRED, { active: true, sub: 'olga' });
  const clock = new ManualClock();
  const route = (name: string) => ({
    name,
    match: { path_prefix: `/${name}` },
    upstream: 'u',
    auth: { issuers: [name] },
  });
  const gateway = await startGateway(
    test,
    {
      issuers: {
        login: loginIssuer(key),
        other: { ...loginIssuer(createKey()), issuer: 'https://other.example.com' },
        sanctum: validatedBy(sanctum, { invalid: [404] }),
      },
      routes: [route('login'), route('other'), route('sanctum')],
      upstreams: { u: { targets: [upstream.url] } },
    },
    { clock },
  );
  return { gateway, clock, send: client(test, gateway.port) };
}

t.test('C7 J3 what the issuers of one route vouch for, those of another do not', async (t) => {
  const { send } = await scene(t);
  const token = mint(key);
  const paths = ['/login', '/login', '/other', '/login', '/sanctum', '/login'];
  const got: number[] = [];
  for (const path of paths) got.push(await send(path, token));
  t.strictSame(got, [200, 200, 401, 200, 401, 200]);
});

t.test('B2 a token with bars passes where it may have some, and nowhere else', async (t) => {
  const { send } = await scene(t);
  const got: number[] = [];
  for (const path of ['/sanctum', '/login', '/sanctum']) got.push(await send(path, BARRED));
  t.strictSame(got, [200, 400, 200]);
});

t.test(
  'V1 a token that is revoked between two requests is refused at the second, and passes after undo',
  async (t) => {
    const { gateway, send } = await scene(t);
    const token = mint(key);
    t.equal(await send('/login', token), 200);
    const revoked = await gateway.admin('POST', '/v1/revocations', { token });
    const { id } = (await revoked.json()) as { id: string };
    t.equal(await send('/login', token), 401);
    t.equal(await send('/login', token), 401);
    t.equal((await gateway.admin('DELETE', `/v1/revocations/${id}`)).status, 204);
    t.equal(await send('/login', token), 200);
  },
);

t.test('J12 a token that expires between two requests is refused at the second', async (t) => {
  const { clock, send } = await scene(t);
  const token = mint(key);
  t.equal(await send('/login', token), 200);
  clock.stepWall(2 * HOUR_MS);
  t.equal(await send('/login', token), 401);
  clock.stepWall(-2 * HOUR_MS);
  t.equal(await send('/login', token), 200);
});

t.test('a bad token is refused each time, and a good one passes behind it', async (t) => {
  const { gateway, send } = await scene(t);
  const [good, bad] = [mint(key), mint({ ...createKey(), kid: key.kid })];
  const got: number[] = [];
  for (const token of [bad, bad, good, bad, good, good]) got.push(await send('/login', token));
  t.strictSame(got, [401, 401, 200, 401, 200, 200]);
  t.equal(await gateway.metric('sallyport_cache_lookups_total{cache="negatives",result="hit"}'), 2);
  t.equal(await gateway.metric('sallyport_cache_lookups_total{cache="tokens",result="hit"}'), 2);
});
