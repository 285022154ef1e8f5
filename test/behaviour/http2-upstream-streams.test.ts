/** Streams of HTTP/2 upstreams over time: clients that leave or are slow, early responses, timeouts, retries, ejection, health checks. Rules H10, H12, H15, H16, C20. */
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import type { Http2ServerRequest, ServerHttp2Stream } from 'node:http2';
import { connect } from 'node:net';
import t, { type Test } from 'tap';
import { send, sendRaw } from '../support/client.ts';
import { sallyport } from '../support/command.ts';
import { OPEN } from '../support/forwarding.ts';
import {
  handled,
  standsStill,
  startGateway,
  until,
  withTestPorts,
  type TestGateway,
} from '../support/gateway.ts';
import { startHttp2Server, startHttp2Upstream, startRawHttp2Upstream } from '../support/http2-upstream.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { temporaryFolder } from '../support/process.ts';
import { FRAME, frame, uint32 } from '../support/raw-http2.ts';
import { startUpstream } from '../support/upstream.ts';
import { writeFileSync } from 'node:fs';

const inFlight = (gateway: TestGateway): Promise<number> => gateway.metric('sallyport_requests_in_flight');

function start(t: Test, targets: readonly string[], upstream: object = {}, route: object = {}) {
  return startGateway(t, { routes: [{ ...OPEN, ...route }], upstreams: { u: { targets, ...upstream } } });
}

t.test(
  'H15 a client that leaves within its upload resets the stream: the part never passes for the whole',
  async (t) => {
    const flags: number[] = [];
    const resets: number[] = [];
    let bytes = 0;
    const upstream = await startRawHttp2Upstream(t, (connection, { type, flags: flag, payload }) => {
      if (type === FRAME.data) {
        // The window of the connection stays open, that of the stream does not.
        if (payload.length > 0) connection.send(frame(FRAME.windowUpdate, 0, 0, uint32(payload.length)));
        bytes += payload.length;
        flags.push(flag);
      }
      if (type === FRAME.resetStream) resets.push(payload.readUInt32BE(0));
    });
    const gateway = await start(t, [upstream.url]);
    for (const size of [4, 60_000, 200_000]) {
      bytes = 0;
      resets.length = 0;
      const client = connect(gateway.port, '127.0.0.1');
      client.on('error', () => undefined);
      client.write('POST /open HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
      client.write(`${size.toString(16)}\r\n${'x'.repeat(size)}\r\n`);
      await until(() => bytes >= Math.min(size, 65_535));
      client.destroy();
      await until(() => resets.length > 0);
      t.strictSame(resets, [8]);
      t.ok(
        flags.every((flag) => (flag & 1) === 0),
        'no END_STREAM',
      );
    }
    t.equal(upstream.connections.length, 1, 'the connection serves on');
    await until(async () => (await inFlight(gateway)) === 0);
  },
);

t.test('a client that leaves before the response, or within it, resets the stream', async (t) => {
  const codes: number[] = [];
  const upstream = await startHttp2Server(t, ({ url, stream }, response) => {
    stream.on('close', () => codes.push(stream.rstCode ?? -1));
    if (url === '/open/part') response.write('part');
  });
  const gateway = await start(t, [upstream.url]);
  for (const path of ['/open/none', '/open/part']) {
    codes.length = 0;
    const request = httpRequest(`${gateway.url}${path}`, { agent: false }).end();
    request.on('error', () => undefined);
    if (path === '/open/part') await once(request, 'response');
    else await until(async () => (await inFlight(gateway)) === 1 && upstream.sessions.size === 1);
    request.destroy();
    await until(() => codes.length === 1);
    t.strictSame(codes, [8]);
  }
});

t.test('H12 a slow client stops its own stream by the window, and no other', async (t) => {
  const chunk = Buffer.alloc(64 * 1024);
  let written = 0;
  const upstream = await startHttp2Server(t, ({ url }, response) => {
    if (url !== '/open/large') {
      response.end('ok');
      return;
    }
    const more = (): void => {
      while (written < 200 * chunk.length) {
        written += chunk.length;
        if (!response.write(chunk)) {
          response.once('drain', more);
          return;
        }
      }
      response.end();
    };
    more();
  });
  const gateway = await start(t, [upstream.url]);
  const client = connect(gateway.port, '127.0.0.1');
  client.pause();
  client.write('GET /open/large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  let last = -1;
  await until(async () => {
    const still = written > 0 && written === last;
    last = written;
    for (let count = 0; count < 30; count++) await send(gateway.url, '/open');
    return still;
  });
  t.ok(written < 200 * chunk.length, `${written} bytes were written`);
  t.equal((await send(gateway.url, '/open')).body, 'ok');
  t.equal(upstream.opened, 1);
  let received = 0;
  client.on('data', (part) => (received += part.length)).resume();
  await once(client, 'close');
  t.ok(received > 200 * chunk.length, 'it gets all once it reads');
});

t.test('C20 a slow upstream stops the upload by the window', async (t) => {
  const held: Http2ServerRequest[] = [];
  const upstream = await startHttp2Server(t, (request, response) => {
    request.pause();
    held.push(request);
    request.on('end', () => response.end('taken'));
  });
  const gateway = await start(t, [upstream.url]);
  const upload = httpRequest(`${gateway.url}/open`, { method: 'POST', agent: false });
  const chunk = Buffer.alloc(256 * 1024);
  let sent = 0;
  const more = (): void => {
    while (sent < 400 && upload.write(chunk)) sent++;
  };
  upload.on('drain', more);
  more();
  await until(() => held.length === 1);
  await standsStill(gateway, () => sent);
  upload.off('drain', more);
  t.ok(sent < 400, `${sent} chunks were taken`);
  upload.end();
  held[0]?.resume();
  const [response] = (await once(upload, 'response')) as [IncomingMessage];
  t.equal(response.statusCode, 200);
  response.resume();
});

t.test('H16 a response before the end of the upload passes whole, and the stream is reset', async (t) => {
  let stream: ServerHttp2Stream | undefined;
  let ended = false;
  const upstream = await startHttp2Server(t, (request, response) => {
    stream = request.stream;
    request.on('end', () => (ended = !request.stream.closed));
    request.resume();
    response.writeHead(413).end('early');
  });
  const gateway = await start(t, [upstream.url]);
  const response = await sendRaw(
    gateway.port,
    'POST /open HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\npart of it',
  );
  t.match(response, /^HTTP\/1\.1 413 [^]*early/);
  await until(() => stream?.closed === true);
  t.notOk(ended, 'the part never passes for the whole');
  t.equal((await send(gateway.url, '/open')).status, 413, 'the connection serves on');
  t.equal(upstream.opened, 1);
});

t.test('no response in time is 504, a pause within it a broken message; the streams are reset', async (t) => {
  const codes: number[] = [];
  const upstream = await startHttp2Server(t, ({ url, stream }, response) => {
    stream.on('close', () => codes.push(stream.rstCode ?? -1));
    if (url === '/open/part') response.write('part');
  });
  const gateway = await start(t, [upstream.url], {}, { timeouts: { response: '300ms', idle: '300ms' } });
  t.match(await send(gateway.url, '/open'), { status: 504, problem: { code: 'upstream_timeout' } });
  await t.rejects(send(gateway.url, '/open/part'), { code: 'ECONNRESET' });
  await until(() => codes.length === 2);
  t.strictSame(codes, [8, 8]);
});

t.test(
  'requests beyond the streams of one connection open another, up to the limit; the rest wait',
  async (t) => {
    const waiting: (() => void)[] = [];
    const upstream = await startHttp2Upstream(
      t,
      (_, response) => void waiting.push(() => response.end('ok')),
    );
    const gateway = await start(t, [upstream.url], { streams: 2, connections: 2 });
    const all = Array.from({ length: 10 }, () => send(gateway.url, '/open'));
    await until(async () => (await inFlight(gateway)) === 10 && waiting.length === 4);
    t.equal(upstream.opened, 2);
    await until(() => {
      waiting.shift()?.();
      return upstream.seen.length === 10 && waiting.length === 0;
    });
    t.ok((await Promise.all(all)).every(({ status }) => status === 200));
    t.equal(upstream.opened, 2);
  },
);

t.test("the peer's own limit of streams holds", async (t) => {
  let open = 0;
  let most = 0;
  const upstream = await startHttp2Upstream(
    t,
    (_, response) => {
      most = Math.max(most, ++open);
      setImmediate(() => {
        open--;
        response.end('ok');
      });
    },
    { settings: { maxConcurrentStreams: 3 } },
  );
  const gateway = await start(t, [upstream.url], { connections: 1 });
  const all = await Promise.all(Array.from({ length: 60 }, () => send(gateway.url, '/open')));
  t.ok(all.every(({ status }) => status === 200));
  t.ok(most <= 3, String(most));
});

t.test('while the peer allows no stream, requests wait, and no other connection is opened', async (t) => {
  const upstream = await startHttp2Upstream(t, undefined, { settings: { maxConcurrentStreams: 0 } });
  const gateway = await start(t, [upstream.url]);
  const all = Array.from({ length: 3 }, () => send(gateway.url, '/open'));
  await until(async () => (await inFlight(gateway)) === 3 && upstream.opened > 0);
  await handled(gateway);
  t.equal(upstream.opened, 1);
  for (const session of upstream.sessions) session.settings({ maxConcurrentStreams: 10 });
  t.ok((await Promise.all(all)).every(({ status }) => status === 200));
  t.equal(upstream.opened, 1);
});

t.test('a connection without streams is closed after a minute', async (t) => {
  const clock = new ManualClock();
  const upstream = await startHttp2Upstream(t);
  const configuration = { routes: [OPEN], upstreams: { u: { targets: [upstream.url] } } };
  const gateway = await startGateway(t, configuration, { clock });
  t.equal((await send(gateway.url, '/open')).status, 200);
  clock.advance(50_000);
  await handled(gateway);
  t.equal(upstream.sessions.size, 1);
  await until(() => {
    clock.advance(1_000);
    return upstream.sessions.size === 0;
  });
  t.equal((await send(gateway.url, '/open')).status, 200);
  t.equal(upstream.opened, 2);
});

t.test(
  'a target that cannot be connected to fails all that wait for it at once, and another is tried',
  async (t) => {
    const mute = await startRawHttp2Upstream(t, () => undefined, null);
    const upstream = await startHttp2Upstream(t);
    const gateway = await start(t, [mute.url, upstream.url], { connect_timeout: '500ms' });
    const all = await Promise.all(Array.from({ length: 40 }, () => send(gateway.url, '/open')));
    t.ok(all.every(({ status }) => status === 200));
    t.ok(mute.connections.length <= 4, `${mute.connections.length} connections`);
  },
);

t.test('a refused POST goes to a target of HTTP/1.1 with its whole body', async (t) => {
  const refusing = await startHttp2Server(t, ({ stream }) => stream.close(7));
  const upstream = await startUpstream(t);
  const gateway = await start(t, [refusing.url, upstream.url]);
  for (let count = 0; count < 6; count++)
    t.equal((await send(gateway.url, '/open', { method: 'POST', body: `body ${count}` })).status, 200);
  const chunked = await sendRaw(
    gateway.port,
    'POST /open HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
  );
  t.match(chunked, /^HTTP\/1\.1 200/);
  t.strictSame(
    upstream.seen.map(({ body }) => body),
    [...Array.from({ length: 6 }, (_, count) => `body ${count}`), 'abc'],
  );
});

t.test('a target whose streams fail is ejected; health checks speak HTTP/2', async (t) => {
  const clock = new ManualClock();
  let isWell = true;
  const checks: string[] = [];
  const a = await startHttp2Server(t, ({ url, headers, stream }, response) => {
    if (url === '/healthz') {
      checks.push(String(headers['user-agent']));
      response.writeHead(isWell ? 204 : 503).end();
    } else stream.close(2);
  });
  const b = await startHttp2Upstream(t);
  const gateway = await startGateway(
    t,
    {
      routes: [OPEN],
      upstreams: {
        u: {
          targets: [a.url, b.url],
          eject: { errors: 3, for: '30s' },
          health: { path: '/healthz', interval: '10s', unhealthy_after: 2 },
        },
      },
    },
    { clock },
  );
  const healthy = (): Promise<number> =>
    gateway.metric(`sallyport_upstream_target_healthy{upstream="u",target="${a.url}"}`);
  const outcomes: number[] = [];
  for (let count = 0; count < 12; count++) outcomes.push((await send(gateway.url, '/open')).status);
  t.equal(outcomes.filter((status) => status === 502).length, 3, 'three failures, and no more');
  t.equal(await healthy(), 0);
  clock.advance(31_000);
  await until(async () => (await healthy()) === 1);
  isWell = false;
  await until(async () => {
    clock.advance(1_000);
    return (await healthy()) === 0;
  });
  t.ok(checks.length >= 2 && checks.every((agent) => agent === 'sallyport-health'));
});

t.test('check --online speaks the protocol of the target', async (t) => {
  const folder = temporaryFolder(t);
  const h2c = await startHttp2Upstream(t);
  const http = await startUpstream(t);
  const check = (target: string) => {
    const file = `${folder}/c.json`;
    writeFileSync(
      file,
      JSON.stringify(withTestPorts({ routes: [OPEN], upstreams: { u: { targets: [target] } } })),
      { mode: 0o600 },
    );
    return sallyport(['check', '-c', file, '--online']);
  };
  t.match(await check(h2c.url), { code: 0 });
  t.match(await check(http.url.replace('http:', 'h2c:')), { code: 1 });
});
