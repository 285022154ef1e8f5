/** The parts of npm run bench that need Go or an installed package, in their smallest form. */
import t from 'tap';
import { cpus } from 'node:os';
import { measureLatency } from '../../bench/latency.ts';
import { measurePackage } from '../../bench/package.ts';
import type { Effort } from '../../bench/row.ts';
import { vegetaProgram } from '../../bench/vegeta.ts';
import { openWallet } from '../../bench/wallet.ts';
import { temporaryFolder } from '../support/process.ts';
import { notInstalled } from './support/installed.ts';
import { missing } from './support/toolchain.ts';

const SHORT: Effort = { rounds: 1, seconds: 1, warmUpSeconds: 0 };
const alone = cpus().length < 2 && 'proxy and load need a core each';
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
