/** Clients that leave in the middle, and upstreams that do. Rules H10, H15, H17, C19. */
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import t from 'tap';
import { send } from '../support/client.ts';
import { startGateway, until } from '../support/gateway.ts';
import { startGatewayProcess } from '../support/process.ts';
import { startRawUpstream, startServer } from '../support/upstream.ts';

const routes = [{ name: 'all', match: {}, upstream: 'u', auth: { mode: 'none' } }];

t.test('10,000 clients that leave mid-upload or mid-download leave nothing behind', async (t) => {
  const CLIENTS = 10_000;
  const AT_A_TIME = 250;
  let begun = 0;
  let told = 0;
  let whole = 0;
  const url = await startServer(t, (request, response) => {
    if (request.url === '/ok') {
      response.end('ok');
      return;
    }
    begun++;
    // Of the request or of the answer, whichever was under way.
    response.on('close', () => told++);
    request.on('error', () => undefined);
    request.on('end', () => {
      if (request.method === 'POST') whole++;
    });
    request.resume();
    if (request.method === 'GET') response.write(Buffer.alloc(100_000));
  });
  const gateway = await startGatewayProcess(t, {
    routes,
    upstreams: { u: { targets: [url], connections: 1_000 } },
    access_log: false,
  });
  const descriptors = (): number => readdirSync(`/proc/${gateway.pid}/fd`).length;
  t.equal((await send(gateway.url, '/ok')).status, 200);
  const before = descriptors();
  let left = 0;
  while (left < CLIENTS) {
    const clients: Socket[] = Array.from({ length: AT_A_TIME }, (_, index) => {
      const client = connect(gateway.port, '127.0.0.1');
      client.on('error', () => undefined);
      client.write(
        index % 2 === 0
          ? `POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n${'x'.repeat(1_000)}`
          : 'GET /down HTTP/1.1\r\nHost: a\r\n\r\n',
      );
      return client;
    });
    left += AT_A_TIME;
    await until(() => begun === left);
    for (const [index, client] of clients.entries()) {
      if (index % 4 < 2) client.destroy();
      else client.resetAndDestroy();
    }
    await until(() => told === left);
  }
  t.equal(whole, 0, 'no part passed for a whole');
  // What was cut off was never used again: every one of these is answered, and by its own answer.
  const responses = await Promise.all(Array.from({ length: 100 }, () => send(gateway.url, '/ok')));
  t.ok(responses.every(({ status, body }) => status === 200 && body === 'ok'));
  await until(async () => {
    const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
    return text.includes('\nsallyport_requests_in_flight 0\n');
  });
  // Idle connections to the upstream end after a few seconds.
  await until(() => descriptors() <= before + 2);
});

t.test('H10 an upstream that resets an idle connection never gets a POST twice', async (t) => {
  const ROUNDS = 200;
  const posts = new Map<string, number>();
  const upstream = await startRawUpstream(t, (socket, received) => {
    const last = received.slice(received.lastIndexOf('HTTP/1.1\r\n', received.length - 4));
    if (!last.endsWith('\r\n\r\n') && !last.endsWith('body')) return;
    const id = /(?:^|\n)POST \/(\d+) /g;
    const seen = [...received.matchAll(id)].at(-1)?.[1];
    if (seen !== undefined && received.endsWith('body')) {
      posts.set(seen, (posts.get(seen) ?? 0) + 1);
      // Sometimes the request arrives and is lost all the same.
      if (Number(seen) % 3 === 0) {
        socket.resetAndDestroy();
        return;
      }
    }
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    // The connection ends while the next request may be on its way.
    setImmediate(() => setImmediate(() => socket.resetAndDestroy()));
  });
  const gateway = await startGateway(t, {
    routes: [{ ...routes[0], retries: { attempts: 3 } }],
    upstreams: { u: { targets: [upstream.url] } },
  });
  const outcomes = new Set<number>();
  for (let round = 0; round < ROUNDS; round++) {
    await send(gateway.url, '/first');
    outcomes.add((await send(gateway.url, `/${round}`, { method: 'POST', body: 'body' })).status);
  }
  t.ok(posts.size > 0);
  t.strictSame(
    [...posts].filter(([, count]) => count > 1),
    [],
  );
  for (const status of outcomes) t.ok([200, 502].includes(status), `${status}`);
});

t.test('H15 an upstream that leaves in the middle of an upload', async (t) => {
  const upstream = await startRawUpstream(t, (socket, received) => {
    if (received.includes('\r\n\r\n')) socket.resetAndDestroy();
  });
  const gateway = await startGateway(t, { routes, upstreams: { u: { targets: [upstream.url] } } });
  for (let round = 0; round < 20; round++) {
    const client = connect(gateway.port, '127.0.0.1');
    let received = '';
    client.on('error', () => undefined);
    client.on('data', (chunk: Buffer) => (received += chunk.toString()));
    client.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n${'x'.repeat(10_000)}`);
    await once(client, 'close');
    t.match(received, /^HTTP\/1\.1 502/);
  }
  t.equal(await gateway.metric('sallyport_requests_in_flight'), 0);
});
