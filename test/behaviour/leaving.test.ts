/** Clients that leave in the middle, and upstreams that do. Rules H10, H12, H15, H17, C19. */
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { send } from '../support/client.ts';
import { handled, startGateway, until } from '../support/gateway.ts';
import { startGatewayProcess } from '../support/process.ts';
import { startRawUpstream, startServer } from '../support/upstream.ts';

const routes = [{ name: 'all', match: {}, upstream: 'u', auth: { mode: 'none' } }];

t.test('1,500 clients that leave mid-upload or mid-download leave nothing behind', async (t) => {
  const CLIENTS = 1_500;
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
    // Of the request or of the response, whichever was incomplete.
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
  // What was cut off was never used again: each of these gets a response, and its own.
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
  const ROUNDS = 100;
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

const HANDSHAKE =
  'GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n';
const SWITCHED = 'HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';

/** A client whose WebSocket handshake has reached an upstream, which sends no response until the test lets it. */
async function startHandshake(t: Test) {
  const upstream = await startRawUpstream(t, () => undefined);
  const gateway = await startGateway(t, {
    routes: [{ ...routes[0], upgrade: ['websocket'], timeouts: { response: '1h', idle: '1h' } }],
    upstreams: { u: { targets: [upstream.url] } },
  });
  const client = connect(gateway.port, '127.0.0.1');
  t.teardown(() => client.destroy());
  client.on('error', () => undefined);
  client.write(HANDSHAKE);
  const seen = (): string => upstream.connections[0] ?? '';
  await until(() => seen().endsWith('\r\n\r\n'));
  const [socket] = upstream.sockets;
  if (!socket) throw new Error('no connection to the upstream');
  return { gateway, client, socket, bodySeen: () => seen().slice(seen().indexOf('\r\n\r\n') + 4) };
}

for (const [how, leave] of Object.entries<(client: Socket) => void>({
  'by an end': (client) => client.destroy(),
  'by an end of its own half': (client) => client.end(),
  'by a reset': (client) => client.resetAndDestroy(),
  'by an end behind early bytes': (client) => client.end('early'),
})) {
  t.test(
    `H12 a client that leaves ${how} before the response to its handshake: the upstream is told`,
    async (t) => {
      const { gateway, client, socket, bodySeen } = await startHandshake(t);
      leave(client);
      if (!socket.destroyed) await once(socket, 'close');
      t.equal(bodySeen(), '');
      await until(async () => (await gateway.metric('sallyport_requests_in_flight')) === 0);
    },
  );
}

for (const [size, length] of Object.entries({ few: 5, many: 300_000 })) {
  t.test(`H12 a client that sends ${size} bytes before the 101: they pass behind it, in order`, async (t) => {
    const { gateway, client, socket, bodySeen } = await startHandshake(t);
    const early = Array.from({ length }, (_, index) => String.fromCharCode(97 + (index % 23))).join('');
    client.write(early);
    await handled(gateway);
    t.equal(bodySeen(), '');
    socket.write(SWITCHED);
    await until(() => bodySeen().length === length);
    client.write('later');
    await until(() => bodySeen().length === length + 5);
    t.ok(bodySeen() === `${early}later`, 'nothing is lost, and nothing comes twice');
  });
}

t.test('H12 clients that leave while the upstream switches leave nothing behind', async (t) => {
  const ROUNDS = 120;
  const sockets: Socket[] = [];
  let switchNow: (socket: Socket) => void = () => undefined;
  const upstream = await startRawUpstream(t, (socket) => switchNow(socket));
  const gateway = await startGateway(t, {
    routes: [{ ...routes[0], upgrade: ['websocket'], timeouts: { response: '1h', idle: '1h' } }],
    upstreams: { u: { targets: [upstream.url] } },
  });
  for (let round = 0; round < ROUNDS; round++) {
    const client = connect(gateway.port, '127.0.0.1');
    client.on('error', () => undefined);
    const switched = Promise.withResolvers<void>();
    switchNow = (socket) => {
      const leave = (): unknown => (round % 2 === 0 ? client.end() : client.resetAndDestroy());
      const say = (): unknown => socket.write(SWITCHED);
      for (const act of round % 4 < 2 ? [leave, say] : [say, leave]) act();
      sockets.push(socket);
      switched.resolve();
    };
    client.write(HANDSHAKE);
    await switched.promise;
  }
  await until(() => sockets.every(({ destroyed, readableEnded }) => destroyed || readableEnded));
  await until(async () => (await gateway.metric('sallyport_requests_in_flight')) === 0);
  t.equal(sockets.length, ROUNDS);
});
