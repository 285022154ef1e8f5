/** Targets that fail, by their health checks or by how requests end; upstreams behind TLS. */
import { readFileSync } from 'node:fs';
import { createServer as createTlsServer } from 'node:https';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { RequestListener } from 'node:http';
import type { TLSSocket } from 'node:tls';
import t, { type Test } from 'tap';
import { WebSocket, WebSocketServer } from 'ws';
import { certificateAuthority, noOpenssl } from '../support/certificates.ts';
import { send } from '../support/client.ts';
import { startGateway, until, type TestGateway } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { temporaryFolder } from '../support/process.ts';
import { freePort } from '../support/redis.ts';
import { startEcho, startServer } from '../support/upstream.ts';

const OPEN = { name: 'open', match: {}, upstream: 'u', auth: { mode: 'none' }, retries: { attempts: 0 } };

interface Target {
  readonly url: string;
  isWell: boolean;
  checks: number;
  requests: number;
}

async function startTarget(t: Test, name: string): Promise<Target> {
  const url = await startServer(t, (request, response) => {
    if (request.url === '/healthz') {
      target.checks++;
      response.writeHead(target.isWell ? 204 : 503).end();
      return;
    }
    target.requests++;
    if (target.isWell) response.end(name);
    else request.socket.destroy();
  });
  const target: Target = { url, isWell: true, checks: 0, requests: 0 };
  return target;
}

const healthy = (gateway: TestGateway, target: Target): Promise<number> =>
  gateway.metric(`sallyport_upstream_target_healthy{upstream="u",target="${target.url}"}`);

async function sendMany(gateway: TestGateway, count: number): Promise<number[]> {
  const statuses: number[] = [];
  for (let index = 0; index < count; index++) statuses.push((await send(gateway.url, '/')).status);
  return statuses;
}

t.test(
  'health checks take a target out after several failures, and back in after several successes',
  async (t) => {
    const [a, b] = [await startTarget(t, 'a'), await startTarget(t, 'b')];
    const clock = new ManualClock();
    const gateway = await startGateway(
      t,
      {
        routes: [OPEN],
        upstreams: {
          u: {
            targets: [a.url, b.url],
            health: {
              path: '/healthz',
              interval: '10s',
              timeout: '9s',
              healthy_after: 2,
              unhealthy_after: 3,
            },
          },
        },
      },
      { clock },
    );
    /** Time passes until each target was asked so many times more. */
    const checks = async (times: number): Promise<void> => {
      for (let check = 0; check < times; check++) {
        const before = [a.checks, b.checks];
        await until(() => {
          clock.advance(1_000);
          return a.checks > (before[0] ?? 0) && b.checks > (before[1] ?? 0);
        });
      }
    };
    await until(() => a.checks > 0 && b.checks > 0);
    t.strictSame([await healthy(gateway, a), await healthy(gateway, b)], [1, 1]);
    b.isWell = false;
    await checks(1);
    t.equal(await healthy(gateway, b), 1, 'one failure is none');
    b.isWell = true;
    await checks(2);
    b.isWell = false;
    await checks(4);
    await until(async () => (await healthy(gateway, b)) === 0);
    b.requests = 0;
    t.strictSame(await sendMany(gateway, 10), Array<number>(10).fill(200));
    t.equal(b.requests, 0, 'it gets no requests');
    t.ok(
      gateway.log.some(
        ({ upstream, target, level }) => upstream === 'u' && target === b.url && level === 'warn',
      ),
    );
    const status = (await (await gateway.admin('GET', '/v1/status')).json()) as { upstreams: unknown };
    t.match(status.upstreams, [
      {
        name: 'u',
        targets: [
          { url: a.url, healthy: true },
          { url: b.url, healthy: false },
        ],
      },
    ]);
    a.isWell = false;
    await checks(4);
    await until(async () => (await healthy(gateway, a)) === 0);
    a.requests = 0;
    b.requests = 0;
    await sendMany(gateway, 4);
    t.strictSame([a.requests, b.requests], [2, 2], 'where none is well, all are tried');
    b.isWell = true;
    await checks(3);
    await until(async () => (await healthy(gateway, b)) === 1);
    t.strictSame(await sendMany(gateway, 4), [200, 200, 200, 200]);
  },
);

t.test('a target that fails requests in a row is ejected for a while, then tried again', async (t) => {
  const [a, b] = [await startTarget(t, 'a'), await startTarget(t, 'b')];
  const clock = new ManualClock();
  const gateway = await startGateway(
    t,
    { routes: [OPEN], upstreams: { u: { targets: [a.url, b.url], eject: { errors: 3, for: '30s' } } } },
    { clock },
  );
  b.isWell = false;
  const statuses = await sendMany(gateway, 10);
  t.equal(statuses.filter((status) => status === 502).length, 3, 'three failures, and no more');
  t.equal(b.requests, 3);
  t.equal(await healthy(gateway, b), 0);
  const told = gateway.log.filter(({ msg, target }) => msg !== 'request' && target === b.url);
  t.match(told, [{ level: 'warn', cause: /ECONNRESET/ }], 'the log says why');
  t.match(await (await gateway.admin('GET', '/v1/status')).text(), /in a row, the last one by: ECONNRESET/);
  clock.advance(29_000);
  t.strictSame(await sendMany(gateway, 4), [200, 200, 200, 200]);
  clock.advance(2_000);
  t.equal(await healthy(gateway, b), 1);
  t.equal((await sendMany(gateway, 4)).filter((status) => status === 502).length, 1, 'one more is enough');
  t.equal(await healthy(gateway, b), 0);
  b.isWell = true;
  clock.advance(31_000);
  t.strictSame(await sendMany(gateway, 6), Array<number>(6).fill(200));
  t.ok(b.requests > 4);
});

t.test('a success between them forgives failures; a client that leaves is none', async (t) => {
  let answer: RequestListener = (_request, response) => void response.end('ok');
  const url = await startServer(t, (request, response) => answer(request, response));
  const other = await startTarget(t, 'other');
  const gateway = await startGateway(t, {
    routes: [OPEN],
    upstreams: { u: { targets: [{ url, weight: 1 }, other.url], eject: { errors: 2, for: '30s' } } },
  });
  const fail: RequestListener = (request) => void request.socket.destroy();
  const succeed: RequestListener = (_request, response) => void response.end('ok');
  for (const next of [fail, succeed, fail, succeed, fail]) {
    answer = next;
    await sendMany(gateway, 2);
  }
  t.equal(await gateway.metric(`sallyport_upstream_target_healthy{upstream="u",target="${url}"}`), 1);
});

t.test('a refused WebSocket handshake counts as a failure', async (t) => {
  const dead = await freePort();
  const gateway = await startGateway(t, {
    timeouts: { drain: '100ms' },
    routes: [{ ...OPEN, upgrade: ['websocket'] }],
    upstreams: {
      u: { targets: [`http://127.0.0.1:${dead}`, await startEcho(t)], eject: { errors: 1, for: '30s' } },
    },
  });
  const outcomes: string[] = [];
  for (let index = 0; index < 4; index++) {
    const socket = new WebSocket(gateway.url.replace('http', 'ws'));
    const { promise, resolve } = Promise.withResolvers<string>();
    socket.on('open', () => resolve('open'));
    socket.on('error', () => resolve('failed'));
    outcomes.push(await promise);
    socket.terminate();
  }
  t.strictSame(outcomes.filter((outcome) => outcome === 'failed').length, 1);
});

t.test('a WebSocket handshake whose target cannot be reached goes to another', async (t) => {
  const upstream = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(upstream, 'listening');
  t.teardown(() => {
    for (const socket of upstream.clients) socket.terminate();
    upstream.close();
  });
  const gateway = await startGateway(t, {
    routes: [{ ...OPEN, upgrade: ['websocket'], retries: { attempts: 1 } }],
    upstreams: {
      u: { targets: ['http://127.0.0.1:1', `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`] },
    },
  });
  for (let count = 0; count < 4; count++) {
    const socket = new WebSocket(gateway.url.replace('http', 'ws'));
    await once(socket, 'open');
    socket.terminate();
  }
  t.ok((await gateway.metric('sallyport_upstream_retries_total{upstream="u"}')) >= 1);
});

t.test(
  'an upstream behind TLS with an own authority, that asks for a certificate',
  { skip: noOpenssl },
  async (t) => {
    const folder = temporaryFolder(t);
    const authority = certificateAuthority(folder);
    const { cert, key } = authority.issue('server', 'DNS:orders.internal');
    authority.issue('gateway');
    certificateAuthority(folder, 'stranger');
    const clients: string[] = [];
    const server = createTlsServer(
      {
        cert: readFileSync(cert),
        key: readFileSync(key),
        ca: readFileSync(authority.ca),
        requestCert: true,
        rejectUnauthorized: true,
      },
      (request, response) => {
        const { subject } = (request.socket as TLSSocket).getPeerCertificate();
        clients.push(String(subject.CN));
        response.end('ok');
      },
    );
    const sockets = new WebSocketServer({ server });
    sockets.on('connection', (socket) => socket.close());
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.teardown(() => {
      server.closeAllConnections();
      server.close();
    });
    const { port } = server.address() as AddressInfo;
    const start = (tls: Record<string, unknown> | undefined): Promise<TestGateway> =>
      startGateway(
        t,
        {
          routes: [{ ...OPEN, upgrade: ['websocket'] }],
          upstreams: {
            u: { targets: [`https://127.0.0.1:${port}`], ...(tls && { tls }), health: { path: '/' } },
          },
        },
        { folder },
      );
    const tls = {
      ca_file: 'ca.crt',
      cert_file: 'gateway.crt',
      key_file: 'gateway.key',
      server_name: 'orders.internal',
    };
    const gateway = await start(tls);
    t.equal((await send(gateway.url, '/')).status, 200);
    await until(() => clients.length >= 2);
    t.strictSame([...new Set(clients)], ['gateway'], 'requests and health checks show who we are');
    const socket = new WebSocket(gateway.url.replace('http', 'ws'));
    await once(socket, 'close');
    t.pass('WebSockets, too');
    for (const wrong of [
      undefined,
      { ...tls, ca_file: 'stranger.crt' },
      { ...tls, server_name: 'other.internal' },
    ])
      t.equal((await send((await start(wrong)).url, '/')).status, 502);
  },
);
