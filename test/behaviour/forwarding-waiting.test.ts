/** Retries, requests that wait, and clients that disconnect. Rule H10. */
import t from 'tap';
import { once } from 'node:events';
import { createServer, request as httpRequest } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { send } from '../support/client.ts';
import { OPEN } from '../support/forwarding.ts';
import { startGateway, until } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { startRawUpstream, startUpstream } from '../support/upstream.ts';

t.test('H10 only a request that is safe to repeat is retried', async (t) => {
  let connections = 0;
  const upstream = await startRawUpstream(t, (socket, received) => {
    if (!received.includes('\r\n\r\n')) return;
    // Every first try dies with its connection.
    if (++connections % 2 === 1) socket.destroy();
    else socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
  });
  const gateway = await startGateway(t, { routes: [OPEN], upstreams: { u: { targets: [upstream.url] } } });
  t.equal((await send(gateway.url, '/open')).status, 200);
  t.equal(await gateway.metric('sallyport_upstream_retries_total{upstream="u"}'), 1);
  t.equal((await send(gateway.url, '/open', { method: 'POST', body: 'x' })).status, 502);
  t.equal(connections, 3, 'the POST was sent once');
});

t.test('a client that disconnects ends the upstream request', async (t) => {
  const told = Promise.withResolvers<void>();
  const server = createServer((request) => {
    request.on('close', () => told.resolve());
    request.resume();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const gateway = await startGateway(t, {
    routes: [OPEN],
    upstreams: { u: { targets: [`http://127.0.0.1:${port}`] } },
  });
  const request = httpRequest(`${gateway.url}/open`, { agent: false });
  request.on('error', () => undefined);
  request.end();
  await once(server, 'request');
  request.destroy();
  await told.promise;
  await until(() => gateway.log.some(({ status }) => status === 499));
  t.pass('told');
});

t.test('more requests in flight than limits.in_flight: 503 with Retry-After', async (t) => {
  const waiting: (() => void)[] = [];
  const upstream = await startUpstream(t, (_, response) => void waiting.push(() => response.end('ok')));
  const gateway = await startGateway(t, {
    limits: { in_flight: 1 },
    routes: [OPEN],
    upstreams: { u: { targets: [upstream.url] } },
  });
  const first = send(gateway.url, '/open');
  await until(() => waiting.length === 1);
  const second = await send(gateway.url, '/open');
  t.match(second, { status: 503, problem: { code: 'overloaded' }, headers: { 'retry-after': '1' } });
  waiting[0]?.();
  t.equal((await first).status, 200);
});

t.test('a request that waits too long for a connection to its upstream: 504', async (t) => {
  const upstream = await startRawUpstream(t, () => undefined);
  const clock = new ManualClock();
  const gateway = await startGateway(
    t,
    { routes: [OPEN], upstreams: { u: { targets: [upstream.url], connections: 1 } } },
    { clock },
  );
  const both = [send(gateway.url, '/open'), send(gateway.url, '/open')];
  await until(
    async () =>
      (await gateway.metric('sallyport_requests_in_flight')) === 2 && upstream.connections[0] !== '',
  );
  clock.advance(31_000);
  t.strictSame(
    (await Promise.all(both)).map(({ status }) => status),
    [504, 504],
  );
});

t.test(
  'a client that disconnects while its request waits for an upstream connection does not affect other requests',
  async (t) => {
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    const upstream = await startUpstream(t, (_request, response) => void held.then(() => response.end('ok')));
    const gateway = await startGateway(t, {
      routes: [{ name: 'all', match: {}, upstream: 'u', auth: { mode: 'none' } }],
      upstreams: { u: { targets: [upstream.url], connections: 1 } },
    });
    const first = send(gateway.url, '/');
    await until(() => upstream.seen.length === 1);
    const leaving = connect(gateway.port, '127.0.0.1');
    leaving.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\npart');
    await until(async () => (await gateway.metric('sallyport_requests_in_flight')) === 2);
    leaving.destroy();
    await until(async () => (await gateway.metric('sallyport_requests_in_flight')) === 1);
    release();
    t.equal((await first).status, 200);
    t.equal((await send(gateway.url, '/')).status, 200);
    t.equal(upstream.seen.length, 2);
  },
);
