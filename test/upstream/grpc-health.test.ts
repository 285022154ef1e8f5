/** What a response of the health protocol of gRPC means, byte by byte. Rule G4. */
import t from 'tap';
import { checkRequest, healthFinding } from '../../src/upstream/grpc-health.ts';
import { SeededRandom } from '../support/seeded-random.ts';

const frame = (...message: readonly number[]): Buffer =>
  Buffer.from([0, 0, 0, 0, message.length, ...message]);
const finding = (body: Buffer, status = 200, headers: string[] = [], trailers = ['grpc-status', '0']) =>
  healthFinding(status, headers, body, trailers);

t.test('a request is one frame with the name of the service, or an empty message', async (t) => {
  t.strictSame(checkRequest(''), frame());
  t.strictSame(checkRequest('ab'), frame(0x0a, 2, 0x61, 0x62));
  const long = checkRequest('x'.repeat(300));
  t.strictSame([...long.subarray(0, 8)], [0, 0, 0, 1, 47, 0x0a, 0xac, 0x02]);
});

t.test('only SERVING, whole and in order, passes', async (t) => {
  t.strictSame(finding(frame(8, 1)), { passes: true, says: 'SERVING' });
  t.ok(finding(frame(8, 2, 8, 1)).passes, 'the last one counts');
  t.ok(
    finding(frame(0x12, 1, 0xff, 8, 1, 0x18, 0x80, 1)).passes,
    'fields that are not known are passed over',
  );
  for (const body of [
    Buffer.alloc(0),
    frame(),
    frame(8, 0),
    frame(8, 2),
    frame(8, 3),
    frame(8, 4),
    frame(8, 0x81, 0),
    frame(8),
    frame(8, 0x81),
    frame(8, 1, 0x12, 5),
    frame(8, 1, 0x0d),
    frame(0x10, 1),
    Buffer.concat([frame(8, 1), frame(8, 1)]),
    Buffer.from([1, 0, 0, 0, 2, 8, 1]),
    Buffer.from([0, 0, 0, 0, 9, 8, 1]),
  ]) {
    const { passes } = finding(body);
    t.equal(passes, body.equals(frame(8, 0x81, 0)), body.toString('hex'));
  }
  const good = frame(8, 1);
  t.notOk(finding(good, 503).passes);
  t.notOk(finding(good, 200, [], []).passes, 'no status of gRPC');
  for (const status of ['1', '12', '5', 'x', '', '00'])
    t.notOk(finding(good, 200, [], ['grpc-status', status]).passes, status);
  t.match(finding(Buffer.alloc(0), 200, ['grpc-status', '12'], []), { passes: false, says: /UNIMPLEMENTED/ });
});

t.test('random bytes never throw', async (t) => {
  const seed = Date.now() % 1_000_000;
  t.comment(`seed ${seed}`);
  const random = new SeededRandom(seed);
  for (let count = 0; count < 20_000; count++)
    finding(
      frame(
        ...Array.from({ length: random.below(12) }, () => random.of([8, 1, 0x12, 0x80, random.below(256)])),
      ),
    );
  t.pass('none');
});
