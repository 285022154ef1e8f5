import { once } from 'node:events';
import { createServer } from 'node:http2';
import { connect, type AddressInfo } from 'node:net';
import t from 'tap';
import { FieldCounter } from '../../src/server/http2-field-count.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { until } from '../support/gateway.ts';
import { BlockWriter } from '../support/hpack-blocks.ts';
import { END_HEADERS, FRAME, frame } from '../support/raw-http2.ts';

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const SEED = Date.now() % 1_000_000;
const CONNECTIONS = 40;
const REQUESTS = 25;

t.test(`C27 counts as many fields as came, and Node hands over the good ones; seed ${SEED}`, async (t) => {
  const random = new SeededRandom(SEED);
  const server = createServer({ strictFieldWhitespaceValidation: false, strictSingleValueFields: false });
  const delivered: number[] = [];
  server.on('stream', (stream, _headers, _flags, rawHeaders) => {
    delivered.push(rawHeaders.length / 2);
    stream.on('error', () => undefined);
    stream.respond({ ':status': 204 }, { endStream: true });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const wrong: unknown[] = [];
  let dropped = 0;
  for (let connection = 0; connection < CONNECTIONS; connection++) {
    const writer = new BlockWriter(random);
    const counter = new FieldCounter();
    const requests = Array.from({ length: REQUESTS }, (_, index) => writer.request(2 * index + 1));
    const bytes = Buffer.concat([
      PREFACE,
      frame(FRAME.settings, 0, 0),
      ...requests.map((each) => each.bytes),
    ]);
    for (let at = 0; at < bytes.length;) {
      const size = random.of([1, 2, 9, 100, 5_000]);
      if (!counter.read(bytes.subarray(at, at + size))) wrong.push({ connection, at });
      at += size;
    }
    delivered.length = 0;
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    socket.on('error', () => undefined).resume();
    socket.write(bytes);
    await until(() => delivered.length === REQUESTS || socket.destroyed);
    requests.forEach(({ fields, bad }, index) => {
      const counted = counter.take(2 * index + 1);
      if (counted !== fields || delivered[index] !== fields - bad)
        wrong.push({ connection, index, fields, bad, counted, delivered: delivered[index] });
      dropped += bad;
    });
    socket.destroy();
  }
  t.strictSame(wrong, []);
  t.ok(dropped > 0, `${dropped} fields were dropped`);
});

t.test('what cannot be counted ends the connection', async (t) => {
  const read = (...frames: Buffer[]): boolean => {
    const counter = new FieldCounter();
    counter.read(PREFACE);
    return counter.read(Buffer.concat(frames));
  };
  const block = (...bytes: number[]): Buffer => frame(FRAME.headers, END_HEADERS, 1, Buffer.from(bytes));
  t.notOk(read(block(0x40, 5, 0x61)), 'a string that ends with the block');
  t.notOk(read(block(0x7f)), 'an integer that does');
  t.notOk(read(block(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)), 'an integer beyond 32 bits');
  t.notOk(read(frame(FRAME.headers, END_HEADERS | 8, 1, Buffer.from([9, 0x82]))), 'more padding than frame');
  t.notOk(read(frame(FRAME.headers, END_HEADERS | 0x20, 1, Buffer.from([0]))), 'no room for the priority');
  t.notOk(
    read(...Array.from({ length: 2_001 }, (_, index) => frame(FRAME.headers, END_HEADERS, 2 * index + 1))),
    'requests that are never handed over',
  );
  t.ok(read(block(0x82), block(0x82)), 'trailers are not counted as a request');
  t.equal(new FieldCounter().take(1), undefined);
});

t.test('priorities of the connection itself end it, those of streams are skipped', async (t) => {
  const priority = (stream: number): Buffer => Buffer.concat([PREFACE, frame(2, 0, stream, Buffer.alloc(5))]);
  t.equal(new FieldCounter().read(priority(0)), false, 'RFC 9113 section 6.3');
  t.equal(new FieldCounter().read(priority(256)), true);
});
