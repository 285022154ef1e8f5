/** What upstreams send is read into memory that is not needed any more. */
import t from 'tap';
import { ReadBuffer } from '../../src/upstream/read-buffer.ts';

const LONG = 64 * 1024;

/** A connection that reads so much again and again. @returns what it reads into next */
function afterReads(buffer: ReadBuffer, bytes: number, reads = 1): Buffer {
  let next = buffer.next();
  for (let read = 0; read < reads; read++) {
    buffer.read(bytes);
    next = buffer.next();
  }
  return next;
}

t.test('small responses of all connections are read into one buffer, which cannot be kept', async (t) => {
  const [one, other] = [new ReadBuffer(), new ReadBuffer()];
  const shared = one.next();
  t.equal(shared.length, LONG);
  t.equal(other.next(), shared);
  t.equal(afterReads(one, LONG - 1), shared);
  t.equal(one.keep(), undefined);
});

t.test('a long response gets a buffer of its own, until it ends or becomes slow', async (t) => {
  const buffer = new ReadBuffer();
  const shared = buffer.next();
  const large = afterReads(buffer, LONG);
  t.ok(large.length > LONG);
  t.not(large, shared);
  t.equal(afterReads(buffer, LONG), large, 'used again where nothing of it is kept');
  t.equal(afterReads(buffer, 1_000), shared, 'a slow response needs none');
  afterReads(buffer, LONG);
  buffer.rest();
  t.equal(buffer.next(), shared, 'nor does the next response');
});

t.test('what is kept is not read into before it is released, once for each part', async (t) => {
  const buffer = new ReadBuffer();
  const first = afterReads(buffer, LONG);
  const [one, other] = [buffer.keep(), buffer.keep()];
  const second = afterReads(buffer, LONG);
  t.not(second, first);
  const third = ((): Buffer => {
    buffer.keep();
    one?.();
    one?.();
    return afterReads(buffer, LONG);
  })();
  t.not(third, first, 'the other part is still needed, however often the first is released');
  t.not(third, second);
  other?.();
  buffer.keep();
  t.equal(afterReads(buffer, LONG), first, 'both are released');
  buffer.close();
});

t.test('a connection that closes leaves its buffer to others, once nothing of it is kept', async (t) => {
  const [one, other] = [new ReadBuffer(), new ReadBuffer()];
  const large = afterReads(one, LONG);
  const release = one.keep();
  one.close();
  t.equal(one.next().length, LONG, 'a closed connection takes no other');
  const meanwhile = afterReads(other, LONG);
  t.not(meanwhile, large);
  release?.();
  other.keep();
  t.equal(afterReads(other, LONG), large);
  other.close();
});

t.test('slow clients cannot take more than 64 of them', async (t) => {
  const buffers = Array.from({ length: 200 }, () => new ReadBuffer());
  const releases: ((() => void) | undefined)[] = [];
  let large = 0;
  for (const buffer of buffers) {
    if (afterReads(buffer, LONG).length > LONG) large++;
    releases.push(buffer.keep());
  }
  // Some are still kept by the tests before.
  t.ok(large <= 64 && large > 50, `${large}`);
  for (const buffer of buffers) buffer.close();
  for (const release of releases) release?.();
  const after = Array.from({ length: large }, () => new ReadBuffer());
  t.ok(
    after.every((buffer) => afterReads(buffer, LONG).length > LONG),
    'all of them are there again',
  );
  for (const buffer of after) buffer.close();
});
