/** Clients and upstreams that are slow or idle. Rule H19. */
import t from 'tap';
import { once } from 'node:events';
import { connect } from 'node:net';
import { send, sendRaw, statuses } from '../support/client.ts';
import { OPEN } from '../support/forwarding.ts';
import { handled, standsStill, startGateway, until } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { startRawUpstream, startServer, startUpstream } from '../support/upstream.ts';

t.test('H19 a client that sends its headers too slowly gets 408', async (t) => {
  const upstream = await startUpstream(t);
  const gateway = await startGateway(t, {
    timeouts: { headers: '200ms' },
    routes: [OPEN],
    upstreams: { u: { targets: [upstream.url] } },
  });
  const received = await sendRaw(gateway.port, 'GET /open HTTP/1.1\r\nHost: a\r\nX-Slow: ');
  t.strictSame(statuses(received), [408]);
});

t.test(
  'H19 an idle connection is closed after timeouts.idle, one with a request in flight is not',
  async (t) => {
    const waiting: (() => void)[] = [];
    const upstream = await startUpstream(t, (_, response) => void waiting.push(() => response.end('ok')));
    const clock = new ManualClock();
    const gateway = await startGateway(
      t,
      { timeouts: { idle: '60s' }, routes: [OPEN], upstreams: { u: { targets: [upstream.url] } } },
      { clock },
    );
    const ask = 'GET /open HTTP/1.1\r\nHost: a\r\n\r\n';
    let received = '';
    const socket = connect(gateway.port, '127.0.0.1');
    socket.on('data', (chunk) => (received += chunk.toString()));
    socket.write(ask);
    await until(() => waiting.length === 1);
    clock.advance(20_000);
    waiting[0]?.();
    await until(() => received.endsWith('ok'));
    clock.advance(30_000);
    socket.write(ask);
    await until(() => waiting.length === 2);
    waiting[1]?.();
    await until(() => received.endsWith('ok') && statuses(received).length === 2);
    const closed = once(socket, 'close');
    clock.advance(61_000);
    await closed;
    t.strictSame(statuses(received), [200, 200]);
  },
);

t.test('a response that pauses for longer than timeouts.idle is aborted', async (t) => {
  const upstream = await startRawUpstream(t, (socket, text) => {
    if (text.includes('\r\n\r\n')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart');
  });
  const clock = new ManualClock();
  const gateway = await startGateway(
    t,
    { routes: [{ ...OPEN, timeouts: { idle: '5s' } }], upstreams: { u: { targets: [upstream.url] } } },
    { clock },
  );
  let received = '';
  const socket = connect(gateway.port, '127.0.0.1');
  socket.on('data', (chunk) => (received += chunk.toString()));
  socket.write('GET /open HTTP/1.1\r\nHost: a\r\n\r\n');
  await until(() => received.endsWith('part'));
  const closed = once(socket, 'close');
  clock.advance(6_000);
  await closed;
  t.notMatch(received, /504/);
  await until(() => gateway.log.some(({ msg }) => msg === 'request'));
  t.match(gateway.log.at(-1), { error: 'upstream_timeout', cause: /timeouts\.idle$/ });
});

t.test(
  'H19 slow clients are disconnected after timeouts.idle, and the upstream is not ejected',
  async (t) => {
    let steadyBytes = 0;
    let sentBytes = (): number => 0;
    const url = await startServer(t, (request, response) => {
      request.on('error', () => undefined);
      request.on('data', (chunk: Buffer) => {
        if (request.url === '/steady') steadyBytes += chunk.length;
      });
      request.on('end', () => response.end(request.url === '/large' ? Buffer.alloc(50_000_000) : 'ok'));
      if (request.url === '/large') sentBytes = () => request.socket.bytesWritten;
    });
    const clock = new ManualClock();
    const gateway = await startGateway(
      t,
      {
        routes: [
          { name: 'all', match: {}, upstream: 'u', auth: { mode: 'none' }, timeouts: { idle: '10m' } },
        ],
        upstreams: { u: { targets: [url], eject: { errors: 1, for: '1h' } } },
      },
      { clock },
    );
    const log = (path: string): Record<string, unknown> | undefined =>
      gateway.log.find((line) => line['path'] === path);
    const inFlight = (): Promise<number> => gateway.metric('sallyport_requests_in_flight');

    t.test('a body that stops: 408', async (t) => {
      const response = sendRaw(
        gateway.port,
        'POST /stops HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\npart',
      );
      await until(async () => (await inFlight()) === 1);
      clock.advance(601_000);
      t.match(await response, /^HTTP\/1\.1 408/);
      t.match(await response, /"code":"request_timeout"/);
    });

    t.test('a body that drips: 408', async (t) => {
      const dripping = connect(gateway.port, '127.0.0.1');
      let received = '';
      dripping.on('error', () => undefined);
      dripping.on('data', (chunk: Buffer) => (received += chunk.toString()));
      dripping.write('POST /drips HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
      await until(async () => (await inFlight()) === 1);
      const closed = once(dripping, 'close');
      // A minute for each byte. The last are lost where the gateway has closed the connection.
      for (let minute = 0; minute < 12; minute++) {
        dripping.write('1\r\nx\r\n');
        await handled(gateway);
        clock.advance(60_000);
      }
      await closed;
      t.match(received, /^HTTP\/1\.1 408/);
    });

    t.test('a slow but steady body is served', async (t) => {
      const steady = connect(gateway.port, '127.0.0.1');
      const closed = once(steady, 'close');
      let received = '';
      steady.on('data', (chunk: Buffer) => (received += chunk.toString()));
      steady.write('POST /steady HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 6000\r\n\r\n');
      for (let part = 0; part < 5; part++) {
        clock.advance(part === 0 ? 0 : 300_000);
        steady.write('x'.repeat(1_200));
        await until(() => steadyBytes === 1_200 * (part + 1));
      }
      await closed;
      t.match(received, /^HTTP\/1\.1 200/);
    });

    t.test('a client that does not read its response is disconnected', async (t) => {
      const lazy = connect(gateway.port, '127.0.0.1');
      lazy.on('error', () => undefined);
      lazy.pause();
      lazy.write('GET /large HTTP/1.1\r\nHost: a\r\n\r\n');
      await until(() => sentBytes() > 0);
      await standsStill(gateway, () => sentBytes());
      clock.advance(601_000);
      await until(() => log('/large') !== undefined);
      t.match(log('/large'), { status: 200, error: 'request_timeout' });
      lazy.destroy();
    });

    t.equal((await send(gateway.url, '/')).status, 200, 'no target was ejected');
  },
);

t.test(
  'H19 a client that never reads the end of its response is disconnected after timeouts.idle',
  async (t) => {
    const upstream = await startUpstream(t, (_request, response) => response.end(Buffer.alloc(60_000)));
    const clock = new ManualClock();
    const gateway = await startGateway(
      t,
      {
        timeouts: { idle: '10m' },
        routes: [{ name: 'all', match: {}, upstream: 'u', auth: { mode: 'none' } }],
        upstreams: { u: { targets: [upstream.url] } },
      },
      { clock },
    );
    const deaf = connect(gateway.port, '127.0.0.1');
    deaf.on('error', () => undefined);
    deaf.pause();
    // Until the kernel's buffers for responses are full.
    deaf.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(1_000));
    await until(() => upstream.seen.length > 0);
    await standsStill(gateway, () => upstream.seen.length);
    t.equal(await gateway.metric('sallyport_requests_in_flight'), 1);
    clock.advance(601_000);
    await until(async () => (await gateway.metric('sallyport_requests_in_flight')) === 0);
    t.ok(upstream.seen.length < 1_000);
  },
);
