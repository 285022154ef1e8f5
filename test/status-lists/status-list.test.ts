/** Status lists bit by bit: the examples and test vectors of draft-ietf-oauth-status-list, and what must not unpack. */
import t from 'tap';
import { deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { isStatusBits, MAX_LIST_BYTES, StatusList, statusText } from '../../src/status-lists/status-list.ts';
import vectors from './vectors.json' with { type: 'json' };

for (const { name, bits, size, lst, statuses } of vectors)
  t.test(
    `V18 a list of the draft, ${name}: each status stands where it must, and all others are 0`,
    async (t) => {
      if (!isStatusBits(bits)) throw new Error('bad vector');
      const list = await StatusList.inflate(bits, Buffer.from(lst, 'base64url'));
      t.equal(list.size, size);
      const found: Record<string, number> = {};
      for (let index = 0; index < size; index++) {
        const status = list.at(index);
        if (status !== 0) found[index] = status ?? NaN;
      }
      t.strictSame(found, Object.fromEntries(Object.entries(statuses).filter(([, status]) => status !== 0)));
      t.equal(list.at(size), undefined, 'beyond the end');
      t.equal(list.at(Number.MAX_SAFE_INTEGER), undefined);
    },
  );

t.test('a list has 1, 2, 4 or 8 bits', async (t) => {
  t.strictSame([0, 1, 2, 3, 4, 5, 8, 16, '1', null, undefined, 1.5].filter(isStatusBits), [1, 2, 4, 8]);
});

t.test('what unpacks to more than 8 MiB is refused, and what is no zlib', async (t) => {
  const largest = await StatusList.inflate(1, deflateSync(Buffer.alloc(MAX_LIST_BYTES)));
  t.equal(largest.size, 8 * MAX_LIST_BYTES);
  const bomb = deflateSync(Buffer.alloc(64 * 1024 * 1024));
  t.ok(bomb.length < 100_000, 'a bomb is small');
  const whole = deflateSync(Buffer.from('some statuses that are not all there'));
  for (const [name, bytes] of Object.entries({
    bomb,
    'one byte more': deflateSync(Buffer.alloc(MAX_LIST_BYTES + 1)),
    gzip: gzipSync(Buffer.from([0])),
    'deflate without a header': deflateRawSync(Buffer.from([0])),
    'cut off': whole.subarray(0, -6),
    'a wrong checksum': Buffer.concat([whole.subarray(0, -1), Buffer.from([(whole.at(-1) ?? 0) ^ 1])]),
    nothing: Buffer.alloc(0),
  }))
    await t.rejects(StatusList.inflate(1, bytes), name);
});

t.test('a status has its name in the log', async (t) => {
  t.strictSame([0, 1, 2, 3, 255].map(statusText), ['VALID (0)', 'INVALID (1)', 'SUSPENDED (2)', '3', '255']);
});
