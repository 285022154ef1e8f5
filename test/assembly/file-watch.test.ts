/** Files are compared by name and content, within a second of the clock, whatever else happens. */
import { mkdirSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { setImmediate as breathe } from 'node:timers/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Clock } from '../../src/clock.ts';
import { contentsOf, FileWatch } from '../../src/assembly/file-watch.ts';
import { until } from '../support/gateway.ts';
import { temporaryFolder } from '../support/process.ts';

/** Its time stands still until a timer is fired: each look of the watch is one step of the test. */
class StepClock implements Clock {
  #nowMs = 0;
  #timer: { readonly atMs: number; readonly callback: () => void } | undefined;
  nowMs = (): number => this.#nowMs;
  monotonicMs = (): number => this.#nowMs;
  after(delayMs: number, callback: () => void): () => void {
    this.#timer = { atMs: this.#nowMs + delayMs, callback };
    return () => (this.#timer = undefined);
  }
  /** To the next look, until that is over. */
  async step(): Promise<void> {
    const timer = this.#timer;
    if (!timer) throw new Error('nothing waits');
    this.#timer = undefined;
    this.#nowMs = timer.atMs;
    timer.callback();
    await until(() => this.#timer !== undefined);
    await breathe();
  }
}

async function watched(t: Test) {
  const folder = temporaryFolder(t);
  const file = join(folder, 'a.json');
  writeFileSync(file, 'one');
  const clock = new StepClock();
  const told: string[][] = [];
  const watch = new FileWatch(contentsOf([file]), clock, async (files) => {
    told.push([...files]);
    watch.use(contentsOf([file]));
  });
  watch.start();
  t.teardown(() => watch.close());
  // Beyond the time in which it compares contents without a sign of change.
  for (let looks = 0; looks < 6; looks++) await clock.step();
  return { folder, file, clock, told };
}

/** Looks until it tells, and the milliseconds that took. */
async function tells(clock: StepClock, told: readonly unknown[]): Promise<number> {
  const [before, sinceMs] = [told.length, clock.nowMs()];
  for (let looks = 0; looks < 10 && told.length === before; looks++) await clock.step();
  return told.length === before ? Infinity : clock.nowMs() - sinceMs;
}

t.test('a write, a rename in its place and a turned link are told within a second, once', async (t) => {
  const { folder, file, clock, told } = await watched(t);
  const changes: Record<string, () => void> = {
    write: () => writeFileSync(file, 'two'),
    rename: () => {
      writeFileSync(join(folder, 'new'), 'three');
      renameSync(join(folder, 'new'), file);
    },
    link: () => {
      mkdirSync(join(folder, 'v1'));
      writeFileSync(join(folder, 'v1', 'a'), 'four');
      symlinkSync('v1', join(folder, '..data'));
      symlinkSync('..data/a', join(folder, 'new'));
      renameSync(join(folder, 'new'), file);
    },
    turn: () => {
      mkdirSync(join(folder, 'v2'));
      writeFileSync(join(folder, 'v2', 'a'), 'five');
      symlinkSync('v2', join(folder, '..new'));
      renameSync(join(folder, '..new'), join(folder, '..data'));
    },
  };
  for (const [name, change] of Object.entries(changes)) {
    change();
    t.ok((await tells(clock, told)) <= 1_000, name);
    t.equal(await tells(clock, told), Infinity, `${name}: once`);
  }
});

t.test('a file that never stops changing is told of within a second', async (t) => {
  const { file, clock, told } = await watched(t);
  const sinceMs = clock.nowMs();
  for (let round = 0; told.length === 0 && round < 10; round++) {
    writeFileSync(file, `round ${round}`);
    await clock.step();
  }
  t.ok(clock.nowMs() - sinceMs <= 1_000);
});

t.test(
  'a file that is away for a moment is not told of; one that stays away is, within a second',
  async (t) => {
    const { file, clock, told } = await watched(t);
    rmSync(file);
    await clock.step();
    await clock.step();
    writeFileSync(file, 'one');
    t.equal(await tells(clock, told), Infinity);
    rmSync(file);
    t.ok((await tells(clock, told)) <= 1_000);
    writeFileSync(file, 'one');
    t.ok((await tells(clock, told)) <= 1_000, 'and it is told when it comes back, with whatever content');
  },
);

t.test('new times and the same content, and other files in the folder, are not told', async (t) => {
  const { folder, file, clock, told } = await watched(t);
  utimesSync(file, 1, 1);
  writeFileSync(join(folder, 'other.log'), 'x');
  t.equal(await tells(clock, told), Infinity);
});

t.test('a pipe is not waited for', async (t) => {
  t.strictSame([...contentsOf(['/dev/zero', '/nowhere']).values()], ['', '']);
});
