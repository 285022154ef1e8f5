/**
 * HTTP/2 upstreams that send frames at random. A response that passes as whole was sent whole, on one stream; no request
 * is sent again that may have been looked at; requests to other upstreams are served. Rules H15, G2, G3, G4.
 */
import t from 'tap';
import { startGateway, until } from '../support/gateway.ts';
import {
  startHttp2Upstream,
  startRawHttp2Upstream,
  type RawHttp2Connection,
} from '../support/http2-upstream.ts';
import { block, END_HEADERS, END_STREAM, FRAME, frame, uint32 } from '../support/raw-http2.ts';
import { SeededRandom } from '../support/seeded-random.ts';

const REQUESTS = 200;
const WORKERS = 12;
const CODES = [0, 1, 2, 7, 8, 11, 99];

/** What was sent on each stream, by `CONNECTION.STREAM`. */
/** RFC 9113 section 6.1 */
const PADDED = 8;

class Sent {
  readonly bodies = new Map<string, string>();
  readonly ended = new Set<string>();
  requests = 0;
  /** Streams that the upstream said it had not looked at: their requests may be sent again. */
  refused = 0;
}

function dataFrame(sent: Sent, name: string, stream: number, flags: number): Buffer {
  if (!sent.ended.has(name)) sent.bodies.set(name, `${sent.bodies.get(name) ?? ''}${name};`);
  if (flags === END_STREAM) sent.ended.add(name);
  return frame(FRAME.data, flags, stream, Buffer.from(`${name};`));
}

const ending = (sent: Sent, name: string, stream: number): Buffer =>
  dataFrame(sent, name, stream, END_STREAM);

/** How many of these streams the frame says were not looked at. */
function skipped(sent: Buffer, streams: readonly number[]): number {
  if (sent[3] === FRAME.resetStream) return sent.readUInt32BE(9) === 7 ? 1 : 0;
  return sent[3] === FRAME.goAway ? streams.filter((id) => id > sent.readUInt32BE(9)).length : 0;
}

/** One random frame for a stream. */
function randomFrame(random: SeededRandom, sent: Sent, name: string, stream: number): Buffer {
  const headers = (flags: number, ...fields: string[]): Buffer => {
    if (flags === END_STREAM) sent.ended.add(name);
    return frame(FRAME.headers, END_HEADERS | flags, stream, block(...fields));
  };
  const data = (flags: number): Buffer => dataFrame(sent, name, stream, flags);
  const setting = (id: number, value: number): Buffer =>
    frame(FRAME.settings, 0, 0, Buffer.concat([Buffer.from([0, id]), uint32(value)]));
  const makers: (() => Buffer)[] = [
    () => data(0),
    () => data(END_STREAM),
    () => headers(0, ':status', random.of(['200', '103', '100', '999', ''])),
    () => headers(END_STREAM, random.of([':status', ':path', 'x', 'connection']), '200'),
    () => headers(0, ':status', '200', random.of([':status', ':evil', 'Upper', 'transfer-encoding']), '200'),
    () => frame(FRAME.resetStream, 0, stream, uint32(random.of(CODES))),
    () =>
      frame(FRAME.goAway, 0, 0, Buffer.concat([uint32(random.below(stream + 2)), uint32(random.of(CODES))])),
    () => frame(FRAME.windowUpdate, 0, random.of([0, stream]), uint32(random.of([0, 1, 65_535, 0x7fffffff]))),
    () => setting(4, random.of([0, 1, 65_535, 0x7fffffff, 0x80000000])),
    () => setting(3, random.of([1, 2, 100])),
    () => setting(random.of([1, 2, 5, 6, 0x99]), random.of([0, 1, 16_384, 0xffffffff])),
    () => frame(FRAME.ping, random.below(2), 0, Buffer.alloc(8)),
    () => frame(FRAME.pushPromise, END_HEADERS, stream, Buffer.concat([uint32(2), block(':method', 'GET')])),
    () => Buffer.concat(Array.from({ length: 200 }, () => headers(0, ':status', '103', 'link', '</a>'))),
    () =>
      Buffer.concat(Array.from({ length: 200 }, () => frame(FRAME.continuation, 0, stream, block('x', 'y')))),
    () => Buffer.concat(Array.from({ length: 200 }, () => setting(4, random.below(100_000)))),
    () => {
      const type = random.of([FRAME.data, FRAME.headers, 2, 4, 5, 6, 8, 9, 10, 0xbe]);
      const payload = Buffer.from(Array.from({ length: random.below(40) }, () => random.below(256)));
      // More padding than there is: what is random must not be the good end of a response.
      if (type === FRAME.data) payload.fill(255, 0, Math.min(1, payload.length));
      const flags = random.below(256) | (type === FRAME.data ? PADDED : 0);
      const to = random.of([0, 1, 2, stream, stream + 2]);
      // Trailers may be all that the response still lacked.
      if (type === FRAME.headers && (flags & END_STREAM) !== 0) sent.ended.add(`${name.split('.')[0]}.${to}`);
      return frame(type, flags, to, payload);
    },
  ];
  return random.of(makers)();
}

t.test('random frames', async (t) => {
  const seed = Number(process.env['FUZZ_SEED'] ?? Date.now() % 1_000_000);
  t.comment(`seed ${seed}`);
  const random = new SeededRandom(seed);
  const sent = new Sent();
  const numbers = new Map<RawHttp2Connection, number>();
  const lastLookedAt = new Map<RawHttp2Connection, number>();
  const hostile = await startRawHttp2Upstream(t, (connection, { type, stream }) => {
    if (type !== FRAME.headers) return;
    sent.requests++;
    // It was on its way when the upstream said that it would look at no more.
    if (stream > (lastLookedAt.get(connection) ?? Infinity)) sent.refused++;
    if (!numbers.has(connection)) numbers.set(connection, numbers.size);
    const name = `${numbers.get(connection)}.${stream}`;
    if (sent.requests === 1) {
      connection.send(frame(FRAME.headers, END_HEADERS, stream, block(':status', '200')));
      return connection.send(ending(sent, name, stream));
    }
    const frames =
      random.below(4) > 0 ? [frame(FRAME.headers, END_HEADERS, stream, block(':status', '200'))] : [];
    for (let count = random.below(3); count > 0; count--)
      frames.push(randomFrame(random, sent, name, stream));
    if (random.below(3) > 0) frames.push(ending(sent, name, stream));
    for (const each of frames) {
      sent.refused += skipped(each, connection.streams);
      if (each[3] === FRAME.goAway)
        lastLookedAt.set(
          connection,
          Math.min(lastLookedAt.get(connection) ?? Infinity, each.readUInt32BE(9)),
        );
    }
    connection.send(...frames);
    if (random.below(5) === 0) connection.socket.end();
  });
  const good = await startHttp2Upstream(t, (_, response) => response.end('good'));
  const route = {
    auth: { mode: 'none' },
    timeouts: { response: '400ms', idle: '400ms' },
    retries: { attempts: 0 },
  };
  const gateway = await startGateway(t, {
    routes: [
      { name: 'r', match: {}, upstream: 'u', ...route },
      { name: 'g', match: { path: '/good' }, upstream: 'g', ...route, timeouts: { response: '1m' } },
    ],
    upstreams: { u: { targets: [hostile.url], connections: 4 }, g: { targets: [good.url] } },
  });
  const wrong: string[] = [];
  let whole = 0;
  let left = REQUESTS;
  const ask = async (): Promise<void> => {
    try {
      const response = await fetch(gateway.url, { method: random.of(['GET', 'POST']) });
      const body = await response.text();
      if (response.status >= 500) return;
      whole++;
      const name = body.split(';')[0] ?? '';
      if (body !== '' && !(sent.ended.has(name) && sent.bodies.get(name) === body)) wrong.push(body);
    } catch {
      // A broken message.
    }
  };
  const worker = async (): Promise<void> => {
    while (left-- > 0) {
      await ask();
      const response = await fetch(`${gateway.url}/good`);
      if ((await response.text()) !== 'good') wrong.push('another upstream was harmed');
    }
  };
  left--;
  await ask();
  t.equal(whole, 1, 'the first is sent whole, whatever the seed, and passes');
  await Promise.all(Array.from({ length: WORKERS }, worker));
  t.strictSame(wrong, []);
  t.comment(`${whole} whole responses`);
  const retries = await gateway.metric('sallyport_upstream_retries_total{upstream="u"}');
  t.ok(retries <= sent.refused, `${retries} sent again, ${sent.refused} refused`);
  t.ok(sent.requests <= REQUESTS + retries, `${sent.requests} requests`);
  t.ok(hostile.connections.filter(({ socket }) => !socket.destroyed).length <= REQUESTS / 4);
  await until(async () => (await gateway.metric('sallyport_requests_in_flight')) === 0);
});
