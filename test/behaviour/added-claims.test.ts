/** A claim that a reload adds to `revocation.claims` counts for what is in flight. Rules V10, V15. */
import { once } from 'node:events';
import { get as httpGet, type IncomingMessage, type ServerResponse } from 'node:http';
import t, { type Test } from 'tap';
import { claimTargetValue, targetId } from '../../src/revocation/revocation-target.ts';
import { send } from '../support/client.ts';
import { loginIssuer, startGateway, until, type TestGateway } from '../support/gateway.ts';
import { claimsOf, createKey, ISSUER, mint, nowSeconds } from '../support/tokens.ts';
import { startServer } from '../support/upstream.ts';

const key = createKey('EdDSA');
const tokenOf = (device: unknown): string => mint(key, claimsOf({ device }));

interface Scene {
  readonly gateway: TestGateway;
  /** Responses that the upstream has begun, or not begun, by path. */
  readonly open: Map<string, ServerResponse>;
  readonly addClaim: () => Promise<void>;
}

async function setUp(t: Test): Promise<Scene> {
  const open = new Map<string, ServerResponse>();
  const url = await startServer(t, (request: IncomingMessage, response: ServerResponse) => {
    const path = request.url ?? '';
    open.set(path, response);
    response.on('close', () => open.delete(path));
    if (path.startsWith('/stream')) response.write('begun');
  });
  const gateway = await startGateway(t, {
    issuers: { login: loginIssuer(key) },
    timeouts: { drain: '100ms' },
    routes: [{ name: 'r', match: {}, upstream: 'u', timeouts: { response: '1h', idle: '1h' } }],
    upstreams: { u: { targets: [url] } },
  });
  const { loaded } = gateway;
  const { configuration } = loaded;
  const addClaim = (): Promise<void> =>
    gateway.instance.reload({
      ...loaded,
      configuration: {
        ...configuration,
        revocation: { ...configuration.revocation, claims: ['device'] },
      },
    });
  return { gateway, open, addClaim };
}

async function stream(
  gateway: TestGateway,
  path: string,
  token: string,
): Promise<{ ended: Promise<unknown> }> {
  const request = httpGet(`${gateway.url}${path}`, { headers: { authorization: `Bearer ${token}` } });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  response.resume();
  response.on('error', () => undefined);
  request.on('error', () => undefined);
  const { promise: ended, resolve } = Promise.withResolvers<void>();
  response.on('close', resolve);
  return { ended };
}

t.test('V10, V15 an entry that was there before the reload ends what the new claim names', async (t) => {
  const { gateway, open, addClaim } = await setUp(t);
  const [phone, tablet] = [tokenOf('phone'), tokenOf(['tablet'])];
  // Of a gateway that has the claim in its list already.
  gateway.instance.view.apply([
    {
      id: targetId({ issuer: ISSUER, kind: 'claim', value: claimTargetValue('device', 'phone') }),
      revoked: true,
      issuedBefore: nowSeconds() + 100,
      expiresAt: nowSeconds() + 600,
      version: { timeMs: Date.now(), counter: 0 },
    },
  ]);
  const revoked = await stream(gateway, '/stream/phone', phone);
  const poll = send(gateway.url, '/poll/phone', { token: phone });
  const other = send(gateway.url, '/poll/tablet', { token: tablet });
  await stream(gateway, '/stream/tablet', tablet);
  await until(() => open.size === 4);
  await addClaim();
  await revoked.ended;
  t.match(await poll, { status: 401, problem: { code: 'invalid_token' } });
  await until(() => open.size === 2);
  t.strictSame([...open.keys()].sort(), ['/poll/tablet', '/stream/tablet'], 'others go on');
  t.equal(await gateway.metric('sallyport_streams_closed_total{reason="revoked"}'), 2);
  open.get('/poll/tablet')?.end('late');
  t.equal((await other).status, 200);
});

t.test('V10, V15 a revocation after the reload ends what was open before it', async (t) => {
  const { gateway, open, addClaim } = await setUp(t);
  const phone = tokenOf('phone');
  const { ended } = await stream(gateway, '/stream/phone', phone);
  const poll = send(gateway.url, '/poll/phone', { token: phone });
  await until(() => open.size === 2);
  await addClaim();
  const body = { issuer: ISSUER, claim: { device: 'phone' } };
  t.equal((await gateway.admin('POST', '/v1/revocations', body)).status, 201);
  await ended;
  t.match(await poll, { status: 401, problem: { code: 'invalid_token' } });
});

t.test('V4 what carries more than 256 elements there ends, as a new request is refused', async (t) => {
  const { gateway, addClaim } = await setUp(t);
  const many = tokenOf(Array.from({ length: 257 }, (_, index) => `d${index}`));
  const { ended } = await stream(gateway, '/stream/many', many);
  await addClaim();
  await ended;
  t.equal((await send(gateway.url, '/many', { token: many })).status, 401);
});
