/** What happens to log lines whose reader is slow, stops, and goes on. A FIFO is a pipe that the test can open at both ends. */
import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, readFileSync, readSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { systemClock, type Clock } from '../../src/clock.ts';
import { LineSplitter } from '../../src/cli/line-splitter.ts';
import { LogWriter, type LogWriterOptions } from '../../src/cli/log-writer.ts';
import { temporaryFolder } from '../support/process.ts';

/** Nothing is written behind the back of a test, least of all to a file that has the number of one that was closed. */
const still: Clock = { ...systemClock, after: () => () => undefined };

function start(t: Test, options: LogWriterOptions = {}) {
  const file = join(temporaryFolder(t), 'pipe');
  execFileSync('mkfifo', [file]);
  const fd = openSync(file, constants.O_RDWR | constants.O_NONBLOCK);
  t.teardown(() => closeSync(fd));
  const writer = new LogWriter(fd, { clock: still, ...options });
  const buffer = Buffer.alloc(64 * 1024);
  const chunks: string[] = [];
  /** Reads until this text comes; then all that was read. */
  const readUntil = async (awaited: string): Promise<string> => {
    // It may have come in two pieces.
    while (!chunks.slice(-2).join('').includes(awaited)) {
      writer.flush();
      try {
        chunks.push(buffer.toString('latin1', 0, readSync(fd, buffer)));
      } catch {
        // A thread of this process writes the next pipeful, so there is no need to wait for longer.
        await turn();
      }
    }
    return chunks.join('');
  };
  return { writer, readUntil };
}

const PADDING = 'x'.repeat(4_000);
const line = (number: number): string => `${JSON.stringify({ number, PADDING })}\n`;
const END = '{"end":1}\n';

/** The lines, parsed: a line that is cut or mixed with another throws. */
const parsed = (text: string): Record<string, unknown>[] =>
  text
    .split('\n')
    .slice(0, -1)
    .map((each) => JSON.parse(each) as Record<string, unknown>);

t.test(
  'a reader that stops: lines beyond the bound are dropped, audit lines are not, and it is told',
  async (t) => {
    const told: number[] = [];
    const { writer, readUntil } = start(t, { drained: (dropped) => told.push(dropped) });
    const REQUESTS = 2_500;
    const AUDITS = 300;
    for (let number = 0; number < REQUESTS; number++) writer.write(line(number), 'request');
    const { dropped } = writer;
    t.ok(dropped > 0 && dropped < REQUESTS / 2, `${dropped}`);
    for (let audit = 0; audit < AUDITS; audit++)
      writer.write(`{"audit":${audit},"PADDING":"${PADDING}"}\n`, 'audit');
    writer.write(END, 'event');
    t.equal(writer.dropped, dropped, 'there is room for what explains it');
    t.strictSame(told, [], 'not while it lasts');
    const lines = parsed(await readUntil(END));
    t.strictSame(told, [dropped], 'once');
    const of = (name: string): unknown[] => lines.flatMap((each) => each[name] ?? []);
    t.equal(of('number').length, REQUESTS - dropped);
    t.strictSame(
      of('audit'),
      Array.from({ length: AUDITS }, (_, audit) => audit),
      'each, in their order',
    );
  },
);

t.test('an audit line does not wait for others, and goes out before them', async (t) => {
  const { writer, readUntil } = start(t);
  writer.write(line(1), 'request');
  writer.write('{"audit":1}\n', 'audit');
  t.match(await readUntil('\n'), /^\{"audit":1\}\n/);
});

t.test('a reader that is slow gets every line whole', async (t) => {
  const { writer, readUntil } = start(t);
  const LINES = 200;
  for (let number = 0; number < LINES; number++) writer.write(line(number), 'request');
  writer.write(END, 'request');
  t.strictSame(
    parsed(await readUntil(END)).flatMap(({ number }) => number ?? []),
    Array.from({ length: LINES }, (_, number) => number),
  );
  t.equal(writer.dropped, 0);
});

/** Writes to a file. Its timers fire when the test calls them. */
function startTimed(t: Test, file: string, options: LogWriterOptions = {}) {
  const timers: { readonly delayMs: number; readonly callback: () => void }[] = [];
  const clock: Clock = {
    ...systemClock,
    after: (delayMs, callback) => {
      timers.push({ delayMs, callback });
      return () => undefined;
    },
  };
  const fd = openSync(file, 'w');
  t.teardown(() => closeSync(fd));
  const writer = new LogWriter(fd, { clock, ...options });
  const fire = async (): Promise<void> => {
    timers.pop()?.callback();
    await writer.settled();
  };
  return { writer, timers, fire };
}

t.test('a line waits 100 ms for others; a process without lines is not woken for them', async (t) => {
  const file = join(temporaryFolder(t), 'log');
  const { writer, timers, fire } = startTimed(t, file);
  t.equal(timers.length, 0);
  writer.write('{"first":1}\n');
  writer.write('{"second":2}\n', 'request');
  t.strictSame(
    timers.map(({ delayMs }) => delayMs),
    [100],
  );
  await fire();
  t.equal(readFileSync(file, 'utf8'), '{"first":1}\n{"second":2}\n');
  t.equal(timers.length, 0, 'nothing waits');
  writer.write('{"third":3}\n');
  t.equal(timers.length, 1, 'the next one waits again');
});

t.test('a line whose time comes while others are being written goes out after them', async (t) => {
  const file = join(temporaryFolder(t), 'log');
  const { writer, fire } = startTimed(t, file, { blockCharacters: 12 });
  writer.write('{"first":1}\n');
  writer.write('{"a":2}\n');
  await fire();
  await fire();
  t.equal(readFileSync(file, 'utf8'), '{"first":1}\n{"a":2}\n');
});

t.test('what a full disk did not take is tried again', async (t) => {
  const { writer, timers, fire } = startTimed(t, '/dev/full');
  writer.write('{"first":1}\n');
  for (let tries = 0; tries < 3; tries++) {
    t.equal(timers.length, 1);
    await fire();
  }
  t.equal(writer.dropped, 0);
});

t.test('at the end of the process nothing waits for a reader that has stopped', async (t) => {
  const { writer } = start(t);
  for (let number = 0; number < 100; number++) writer.write(line(number), 'request');
  writer.flushSync();
  t.ok(writer.dropped > 0);
});

t.test('the last lines come behind those that are being written', async (t) => {
  const { writer, readUntil } = start(t);
  // Threads that wait keep the write from being done.
  const gate = join(temporaryFolder(t), 'gate');
  execFileSync('mkfifo', [gate]);
  const THREADS = 4;
  const opened = Array.from({ length: THREADS }, () => open(gate, constants.O_RDONLY));
  writer.write('{"first":1}\n');
  writer.flush();
  writer.write('{"second":2}\n');
  const settled = writer.settled().then(() => writer.flushSync());
  const release = openSync(gate, constants.O_RDWR | constants.O_NONBLOCK);
  await settled;
  for (const handle of await Promise.all(opened)) await handle.close();
  closeSync(release);
  t.match(await readUntil('second'), /^{"first":1}\n{"second":2}\n$/);
});

t.test(
  'blocks of another process are written as they are; those beyond the bound are counted by lines',
  async (t) => {
    const { writer, readUntil } = start(t);
    const LINES = 16;
    let taken = 0;
    for (; writer.dropped === 0; taken++)
      writer.writeBlock(Buffer.from(line(taken).repeat(LINES - 1) + `{"end":${taken}}\n`));
    t.equal(writer.dropped, LINES);
    const read = parsed(await readUntil(`{"end":${taken - 2}}\n`));
    t.equal(read.length, (taken - 1) * LINES);
  },
);

t.test('what another process writes is cut into whole lines, wherever its pieces end', async (t) => {
  const text = '{"a":1}\n{"b":2}\n{"c":3}\n';
  for (let size = 1; size <= text.length; size++) {
    const blocks: string[] = [];
    const lines = new LineSplitter((bytes) => void blocks.push(bytes.toString()));
    for (let at = 0; at < text.length; at += size) lines.add(Buffer.from(text.slice(at, at + size)));
    t.ok(blocks.every((block) => block.endsWith('\n')));
    lines.add(Buffer.from('{"unfinished"'));
    lines.end();
    t.equal(blocks.join(''), `${text}{"unfinished"\n`, `pieces of ${size}`);
  }
});
