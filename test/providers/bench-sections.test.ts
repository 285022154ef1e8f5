/** The parts of npm run bench that are no race of CPU, in their smallest form. */
import t from 'tap';
import { measureLatency } from '../../bench/latency.ts';
import { measureLimits } from '../../bench/limits.ts';
import { measurePackage } from '../../bench/package.ts';
import { measureScale } from '../../bench/scale.ts';
import { measureTransfer } from '../../bench/transfer.ts';
import type { Effort } from '../../bench/row.ts';
import { vegetaProgram } from '../../bench/vegeta.ts';
import { openWallet } from '../../bench/wallet.ts';
import { measureWorkers } from '../../bench/workers.ts';
import { temporaryFolder } from '../support/process.ts';
import { cannotRace } from './support/race.ts';
import { notInstalled } from './support/installed.ts';
import { missing } from './support/toolchain.ts';

const SHORT: Effort = { rounds: 1, seconds: 1, warmUpSeconds: 0 };
const alone = cannotRace('nginx', 'wrk', 'redis-server');
const skip = alone || missing('Go') || notInstalled('vegeta', vegetaProgram);

t.test('what a gateway adds to latency is measured in an open loop', { skip }, async (t) => {
  const rows = await measureLatency(SHORT, openWallet('RS256', 1, temporaryFolder(t)));
  t.equal(rows.length, 6);
  const [ours, theirs, added] = rows.slice(3);
  t.ok((ours?.median ?? 0) > 0);
  t.ok((theirs?.median ?? 0) > 0);
  t.match(added?.goals?.[0]?.text, /^goal ≤ 1\.0 ms: -?\d/);
});

t.test('the package is measured as its users get it', { skip: alone }, async (t) => {
  const rows = await measurePackage(SHORT, 100);
  t.strictSame(
    rows.map(({ unit }) => unit),
    ['ms', 'MiB', 'MiB'],
  );
  for (const { median } of rows) t.ok(median > 10);
});

t.test(
  'a large body in either direction is measured beside nginx, with its memory',
  { skip: alone },
  async (t) => {
    const rows = await measureTransfer(SHORT, openWallet('RS256', 1, temporaryFolder(t)), 16 * 2 ** 20);
    for (const direction of ['down', 'up']) {
      const of = (what: string) => rows.filter(({ row }) => row === `1 GiB ${direction}, ${what}`);
      const [ours, theirs] = of('throughput');
      t.match(ours?.contestant, /^Sallyport \(/);
      t.match(theirs?.contestant, /^nginx \(/);
      t.ok((ours?.median ?? 0) > 0);
      t.equal(theirs?.ratio?.value, 1);
      t.strictSame(
        ours?.goals?.map(({ text }) => text.split(':', 1)[0]),
        ['goal ≥ 0.60 of nginx', 'wish ≥ 0.90 of nginx'],
      );
      t.equal(of('CPU of the proxy').length, 2);
      t.match(of('growth of memory')[0]?.goals?.[0]?.text, /^goal ≤ 32 MiB in each round: \d/);
    }
  },
);

t.test('many routes and revocations are measured against few', { skip: alone }, async (t) => {
  const rows = await measureScale(SHORT, { routes: 20, revocations: 1_500 });
  t.strictSame(
    rows.map(({ row, contestant }) => `${row}: ${contestant.split(', ')[1]}`),
    ['routes: 10 routes', 'routes: 20 routes', 'revocations: no revocation', 'revocations: 1500 revocations'],
  );
  for (const { median, ratio, goals } of [rows[1], rows[3]].filter((row) => row !== undefined)) {
    t.ok(median > 1);
    t.match(goals?.[0]?.text, `: ${ratio?.value.toFixed(2)}`);
  }
});

t.test('limits are measured against none, within one gateway', { skip: alone }, async (t) => {
  const rows = await measureLimits({ ...SHORT, rounds: 3 });
  t.strictSame(
    rows.map(({ contestant }) => contestant.split(', ')[1]),
    ['no limit', 'a limit of the gateway', 'a limit of a fleet'],
  );
  for (const { median, ratio, goals } of rows.slice(1)) {
    t.ok(median > 1);
    t.match(goals?.[0]?.text, `: ${ratio?.value.toFixed(2)}`);
  }
});

t.test(
  'two workers are measured against one process, beside nginx',
  { skip: cannotRace('nginx', 'wrk', 'h2load') },
  async (t) => {
    const rows = await measureWorkers(SHORT, openWallet('RS256', 1, temporaryFolder(t)));
    t.equal(rows.length, 6);
    for (const { median } of rows) t.ok(median > 1);
    const [goal] = rows.flatMap(({ goals = [] }) => goals);
    t.match(goal?.text, `goal ≤ 1.05 of one process: ${rows[3]?.ratio?.value.toFixed(2)}`);
  },
);
