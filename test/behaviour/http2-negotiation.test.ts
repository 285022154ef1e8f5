/** `protocol: auto`: the target chooses between HTTP/2 and HTTP/1.1, on each connection. Rules H12, H15. */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { WebSocket } from 'ws';
import { startAlpnUpstream, type AlpnUpstream } from '../support/alpn-upstream.ts';
import { certificateAuthority, noOpenssl } from '../support/certificates.ts';
import { send } from '../support/client.ts';
import { sallyport } from '../support/command.ts';
import { startGateway, until, withTestPorts } from '../support/gateway.ts';
import { temporaryFolder } from '../support/process.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { startRawUpstream } from '../support/upstream.ts';

const ROUTE = { name: 'all', match: {}, upstream: 'u', auth: { mode: 'none' }, retries: { attempts: 0 } };
const BOTH = ['h2', 'http/1.1'];

async function setUp(t: Test, more: object = {}, respond?: Parameters<typeof startAlpnUpstream>[2]) {
  const folder = temporaryFolder(t);
  const files = certificateAuthority(folder).issue('server', 'IP:127.0.0.1');
  const upstream = await startAlpnUpstream(t, files, respond);
  const u = { targets: [upstream.url], protocol: 'auto', tls: { ca_file: 'ca.crt' }, ...more };
  const gateway = await startGateway(
    t,
    { routes: [{ ...ROUTE, upgrade: ['websocket'] }], upstreams: { u } },
    { folder },
  );
  return { upstream, gateway, folder };
}

const endAll = async ({ sockets }: AlpnUpstream): Promise<void> => {
  for (const socket of sockets) socket.destroy();
  await until(() => sockets.size === 0);
};

t.test(
  'what the server chooses is spoken, and another choice on the next connection',
  { skip: noOpenssl },
  async (t) => {
    const { upstream, gateway } = await setUp(t);
    for (const choice of ['h2', 'http/1.1', 'h2', 'http/1.1']) {
      upstream.choice = () => choice;
      await endAll(upstream);
      upstream.offers.length = 0;
      const version = choice === 'h2' ? '2.0' : '1.1';
      // The gateway may not have seen the end of the connection yet.
      await until(async () => (await send(gateway.url, '/')).body === version);
      t.equal((await send(gateway.url, '/', { method: 'POST', body: 'small' })).body, version);
      t.equal(upstream.seen.at(-1), `${version} POST small`);
      t.ok(upstream.offers.every((offer) => String(offer) === String(BOTH)));
      t.equal(upstream.sockets.size, 1, 'the connection is kept');
    }
  },
);

t.test(
  'servers of both kinds behind one name: every request gets its response',
  { skip: noOpenssl },
  async (t) => {
    const seed = Date.now() % 1_000_000;
    t.comment(`seed ${seed}`);
    const random = new SeededRandom(seed);
    let served = 0;
    const { upstream, gateway } = await setUp(
      t,
      { connections: 6, streams: 3 },
      ({ httpVersion }, response) =>
        setImmediate(() => {
          // Some connections end with their response, in order.
          served++;
          if (httpVersion === '1.1' && served % 4 === 0) response.setHeader('connection', 'close');
          if (httpVersion === '2.0' && served % 8 === 0) response.stream.session?.close();
          response.end(httpVersion);
        }),
    );
    // Whatever the seed, both are spoken.
    for (const [choice, version] of [
      ['h2', '2.0'],
      ['http/1.1', '1.1'],
    ] as const) {
      upstream.choice = () => choice;
      await endAll(upstream);
      await until(async () => (await send(gateway.url, '/')).body === version);
    }
    t.strictSame(new Set(upstream.seen.map((line) => line.slice(0, 3))), new Set(['1.1', '2.0']));
    const before = upstream.seen.length;
    upstream.choice = () => random.of(BOTH);
    let most = 0;
    let left = 200;
    let refusedTwice = 0;
    const wrong: string[] = [];
    const worker = async (): Promise<void> => {
      while (left-- > 0) {
        most = Math.max(most, upstream.sockets.size);
        const { status, body } = await send(gateway.url, '/', { method: 'POST', body: String(left) });
        // What two connections in turn have refused, since both were ending, is not sent a third time.
        if (status === 502 && body.includes('"upstream_reset"')) refusedTwice++;
        else if (status !== 200) wrong.push(`${status} ${body}`);
      }
    };
    await Promise.all(Array.from({ length: 25 }, worker));
    t.strictSame(wrong, []);
    t.comment(`${refusedTwice} refused twice`);
    t.equal(upstream.seen.length - before, 200 - refusedTwice, 'each once');
    t.ok(upstream.offers.length > 6);
  },
);

t.test('the limit of connections holds, whatever the server chooses', { skip: noOpenssl }, async (t) => {
  for (const [choice, expected] of [
    ['http/1.1', 2],
    ['h2', 1],
  ] as const) {
    const waiting: (() => void)[] = [];
    const { upstream, gateway } = await setUp(
      t,
      { connections: 2 },
      (_, response) => void waiting.push(() => response.end('ok')),
    );
    upstream.choice = () => choice;
    const all = Array.from({ length: 10 }, () => send(gateway.url, '/'));
    const atOnce = choice === 'h2' ? 10 : 2;
    await until(() => waiting.length === atOnce);
    t.equal(upstream.sockets.size, expected);
    await until(() => {
      waiting.shift()?.();
      return upstream.seen.length === 10 && waiting.length === 0;
    });
    t.ok((await Promise.all(all)).every(({ status }) => status === 200));
    t.equal(upstream.offers.length, expected);
  }
});

t.test('H12 a WebSocket handshake offers HTTP/1.1 alone, and works', { skip: noOpenssl }, async (t) => {
  const { upstream, gateway } = await setUp(t);
  t.equal((await send(gateway.url, '/')).body, '2.0');
  upstream.choice = () => upstream.offers.at(-1)?.[0];
  const socket = new WebSocket(gateway.url.replace('http', 'ws'));
  await once(socket, 'open');
  socket.send('hello');
  const [data] = (await once(socket, 'message')) as [Buffer];
  t.equal(data.toString(), 'hello');
  t.strictSame(upstream.offers.at(-1), ['http/1.1']);
  socket.terminate();
  t.equal((await send(gateway.url, '/')).body, '2.0');
});

t.test(
  'a server that cannot be reached, or says nothing, fails all that wait',
  { skip: noOpenssl },
  async (t) => {
    const mute = await startRawUpstream(t, () => undefined);
    for (const [url, expected] of [
      ['https://127.0.0.1:1', 502],
      [mute.url.replace('http:', 'https:'), 504],
    ] as const) {
      const { gateway } = await setUp(t, { connect_timeout: '300ms', targets: [url] });
      const all = await Promise.all(Array.from({ length: 10 }, () => send(gateway.url, '/')));
      t.ok(all.every(({ status }) => status === expected));
    }
  },
);

t.test('a gateway that stops ends an attempt to connect', async (t) => {
  const mute = await startRawUpstream(t, () => undefined);
  const u = { targets: [mute.url.replace('http:', 'https:')], protocol: 'auto', connect_timeout: '1h' };
  const gateway = await startGateway(t, { timeouts: { drain: '0s' }, routes: [ROUTE], upstreams: { u } });
  const cut = t.rejects(send(gateway.url, '/'));
  await until(() => mute.sockets.length === 1);
  await gateway.stop();
  await cut;
  await until(() => mute.sockets.every(({ destroyed }) => destroyed));
});

t.test('health checks and check --online speak what the server chooses', { skip: noOpenssl }, async (t) => {
  const { upstream, folder } = await setUp(t);
  const file = `${folder}/c.json`;
  const check = (u: object, ...options: string[]) => {
    const upstreams = { u: { tls: { ca_file: 'ca.crt' }, protocol: 'auto', ...u } };
    writeFileSync(file, JSON.stringify(withTestPorts({ routes: [ROUTE], upstreams })), { mode: 0o600 });
    return sallyport(['check', '-c', file, ...options]);
  };
  for (const choice of BOTH) {
    upstream.choice = () => choice;
    upstream.seen.length = 0;
    const { code, out } = await check({ targets: [upstream.url], health: { path: '/' } }, '--online');
    t.equal(code, 0);
    t.match(out, choice === 'h2' ? /HTTP\/2/ : /reached, health/);
    t.strictSame(upstream.seen, [choice === 'h2' ? '2.0 GET ' : '1.1 GET ']);
  }
  for (const other of ['http://a:1', 'h2c://a:1', 'h2://a:1']) {
    const { code, err } = await check({ targets: ['https://b:1', other] });
    t.equal(code, 1, other);
    t.match(err, /upstreams\.u\.protocol/);
  }
  t.equal((await check({ targets: ['https://b:1'], health: { grpc: '' } })).code, 0);
});
