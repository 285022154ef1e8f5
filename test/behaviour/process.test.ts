/** The gateway as a process: tunnels, signals, shared ports, restarts. Rules H12, V6. */
import t from 'tap';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';
import { send } from '../support/client.ts';
import { ADMIN_TOKEN, loginIssuer, startGateway, until } from '../support/gateway.ts';
import { startGatewayProcess, temporaryFolder } from '../support/process.ts';
import { freePort, startRedis } from '../support/redis.ts';
import { createKey, mint } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const key = createKey();
const routes = [{ name: 'r', match: { path_prefix: '/' }, upstream: 'u', upgrade: ['websocket'] }];
const issuers = { login: loginIssuer(key) };

async function startEcho(): Promise<{ url: string; handshakes: Record<string, unknown>[] }> {
  const server = createServer();
  const handshakes: Record<string, unknown>[] = [];
  const sockets = new WebSocketServer({
    server,
    perMessageDeflate: false,
    verifyClient: ({ req }, done) => done(req.url !== '/no', 418),
  });
  sockets.on('connection', (socket, request) => {
    handshakes.push(request.headers);
    socket.send('welcome');
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of sockets.clients) socket.terminate();
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, handshakes };
}
const echo = await startEcho();

function open(base: string, path = '/', token: string | undefined = mint(key)): WebSocket {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}`, 'x-user-id': 'eve' };
  return new WebSocket(`${base.replace('http', 'ws')}${path}`, { headers });
}

t.test('H12 a WebSocket: authenticated, told who is calling, and carried both ways', async (t) => {
  const gateway = await startGateway(t, { issuers, routes, upstreams: { u: { targets: [echo.url] } } });
  const socket = open(gateway.url);
  const [welcome] = (await once(socket, 'message')) as [Buffer];
  t.equal(welcome.toString(), 'welcome', 'what the upstream sends right behind its 101');
  t.equal(echo.handshakes.at(-1)?.['x-user-id'], 'alice');
  t.notOk('authorization' in (echo.handshakes.at(-1) ?? {}));
  const big = Buffer.alloc(300_000, 7);
  socket.send(big);
  const [back] = (await once(socket, 'message')) as [Buffer];
  t.ok(back.equals(big));
  socket.close(1000);
  const [code] = (await once(socket, 'close')) as [number];
  t.equal(code, 1000);
  await until(() => gateway.log.some(({ status }) => status === 101));

  for (const [path, token, status] of [
    ['/', undefined, 401],
    ['/', 'bad', 401],
    ['/no', mint(key), 418],
  ] as const) {
    const refused = open(gateway.url, path, token ?? undefined);
    if (token === undefined) {
      const anonymous = new WebSocket(gateway.url.replace('http', 'ws'));
      const [error] = (await once(anonymous, 'error')) as [Error];
      t.match(error.message, /401/);
      refused.on('error', () => undefined);
      refused.terminate();
      continue;
    }
    const [error] = (await once(refused, 'error')) as [Error];
    t.match(error.message, new RegExp(String(status)), `${path} ${status}`);
  }
});

t.test(
  'SIGTERM: no new connections, requests in flight end, tunnels get until the drain ends, exit 0',
  async (t) => {
    let release: () => void = () => undefined;
    const upstream = await startUpstream(t, (request, response) => {
      if (request.url !== '/never') release = () => response.end('finished');
    });
    const gateway = await startGatewayProcess(t, {
      issuers,
      timeouts: { drain: '4s' },
      routes: [
        { name: 'ws', match: { path_prefix: '/ws' }, upstream: 'echo', upgrade: ['websocket'] },
        { ...routes[0], name: 'slow' },
      ],
      upstreams: { u: { targets: [upstream.url] }, echo: { targets: [echo.url] } },
    });
    const idle = connect(gateway.port, '127.0.0.1');
    await once(idle, 'connect');
    const idleClosed = once(idle, 'close');
    idle.resume();
    const socket = open(gateway.url, '/ws');
    await once(socket, 'message');
    const tunnelClosed = once(socket, 'close');
    const inFlight = send(gateway.url, '/', { token: mint(key) });
    const cutOff = t.rejects(send(gateway.url, '/never', { token: mint(key) }));
    await until(() => upstream.seen.length === 2);
    gateway.kill('SIGTERM');
    await until(() => gateway.output().includes('"msg":"draining"'));
    await until(async () => {
      const { promise, resolve } = Promise.withResolvers<boolean>();
      const probe = connect(gateway.port, '127.0.0.1');
      probe.on('connect', () => resolve(false));
      probe.on('error', () => resolve(true));
      const isRefused = await promise;
      probe.destroy();
      return isRefused;
    });
    release();
    t.match(await inFlight, { status: 200, body: 'finished' });
    t.equal(await gateway.exited, 0);
    await Promise.all([idleClosed, tunnelClosed, cutOff]);
    await until(() => gateway.output().includes('"msg":"stopped"'));
    const cut = gateway.output().match(/"status":\d+(?=,.*"error":"cut_off")/g);
    t.strictSame(cut?.sort(), ['"status":101', '"status":503'], 'their clients are not said to have left');
  },
);

t.test('SIGTERM while it still waits for its store: exit 0', async (t) => {
  const upstream = await startUpstream(t);
  const store = `redis://127.0.0.1:${await freePort()}/0`;
  const gateway = await startGatewayProcess(
    t,
    { issuers, routes, upstreams: { u: { targets: [upstream.url] } }, revocation: { store } },
    temporaryFolder(t),
    '"msg":"listening"',
  );
  await until(() => gateway.output().includes('"list_loaded":false'));
  gateway.kill('SIGTERM');
  t.equal(await gateway.exited, 0);
});

t.test('several processes share a port, each with its own admin port', async (t) => {
  const upstream = await startUpstream(t);
  const port = await freePort();
  const shared = {
    issuers,
    routes,
    upstreams: { u: { targets: [upstream.url] } },
    listeners: [{ host: '127.0.0.1', port, reuse_port: true }],
  };
  const [first, second] = await Promise.all([startGatewayProcess(t, shared), startGatewayProcess(t, shared)]);
  t.not(first.adminUrl, second.adminUrl);
  const served = async (adminUrl: string): Promise<boolean> =>
    (await (await fetch(`${adminUrl}/metrics`)).text()).includes('sallyport_http_requests_total{');
  await until(async () => {
    t.equal((await send(`http://127.0.0.1:${port}`, '/', { token: mint(key) })).status, 200);
    return (await served(first.adminUrl)) && (await served(second.adminUrl));
  });
});

t.test('V6 kill -9 and a new start forget no revocation', async (t) => {
  const upstream = await startUpstream(t);
  const redis = await startRedis(t);
  const folder = temporaryFolder(t);
  for (const store of ['sqlite:list.sqlite', redis.url]) {
    const configuration = {
      issuers,
      routes,
      upstreams: { u: { targets: [upstream.url] } },
      revocation: { store },
    };
    const token = mint(key);
    const first = await startGatewayProcess(t, configuration, folder);
    const response = await fetch(`${first.adminUrl}/v1/revocations`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
      body: JSON.stringify({ token }),
    });
    t.equal(response.status, 201);
    first.kill('SIGKILL');
    await first.exited;
    const second = await startGatewayProcess(t, configuration, folder);
    t.equal((await send(second.url, '/', { token })).status, 401, store);
    t.equal((await send(second.url, '/', { token: mint(key) })).status, 200);
    second.kill('SIGTERM');
    t.equal(await second.exited, 0);
  }
});

t.test('the admin listener serves nothing of the public one, nor the other way round (A4)', async (t) => {
  const upstream = await startUpstream(t);
  const gateway = await startGateway(t, {
    issuers,
    routes: [{ name: 'x', match: { path: '/x' }, upstream: 'u' }],
    upstreams: { u: { targets: [upstream.url] } },
  });
  for (const path of ['/metrics', '/livez', '/readyz', '/v1/revocations'])
    t.equal((await send(gateway.url, path)).status, 404);
  t.equal((await send(gateway.adminUrl, '/x', { token: mint(key) })).status, 404);
  const status = (await (await gateway.admin('GET', '/v1/status')).json()) as Record<string, unknown>;
  t.match(status, {
    version: String,
    ready: true,
    routes: [{ name: 'x' }],
    revocation: { entries: 0, store: 'memory' },
  });
});

t.test('an assertion about the caller, signed for the upstream, and its public key', async (t) => {
  const { createRemoteJWKSet, jwtVerify } = await import('jose');
  const { writeFileSync } = await import('node:fs');
  const upstream = await startUpstream(t);
  const folder = temporaryFolder(t);
  const signing = createKey('EdDSA');
  writeFileSync(`${folder}/identity.jwk`, JSON.stringify(signing.privateKey.export({ format: 'jwk' })));
  const gateway = await startGateway(
    t,
    {
      issuers,
      routes,
      upstreams: { u: { targets: [upstream.url] } },
      identity: { assertion: { key_file: 'identity.jwk' } },
    },
    { folder },
  );
  const token = mint(key);
  for (let index = 0; index < 2; index++)
    await send(gateway.url, '/', { token, headers: ['X-Identity-Assertion', 'forged'] });
  const [first, second] = upstream.seen.map(({ headers }) => String(headers['x-identity-assertion']));
  t.equal(first, second, 'signed once for a cached token');
  const keys = createRemoteJWKSet(new URL(`${gateway.adminUrl}/.well-known/sallyport/jwks.json`));
  const { payload, protectedHeader } = await jwtVerify(first ?? '', keys, {
    issuer: 'sallyport',
    audience: 'u',
    typ: 'sallyport-identity+jwt',
  });
  t.match(payload, { sub: 'alice', client_id: 'web', scope: 'orders:read' });
  t.equal(protectedHeader.alg, 'EdDSA');
  t.equal((payload.exp ?? 0) - (payload.iat ?? 0), 60);
});
