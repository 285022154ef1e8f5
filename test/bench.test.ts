/** npm run bench: what it reports, without a race (test/providers/bench-race.test.ts). */
import t from 'tap';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { chart } from '../bench/chart.ts';
import { goalsOf, NAMES } from '../bench/goals.ts';
import { KINDS } from '../bench/kinds.ts';
import { conditionsOf, readReport } from '../bench/report.ts';
import { figuresOf, type Effort, type Row } from '../bench/row.ts';
import { tableMarkdown, tableText, withFigures } from '../bench/table.ts';
import { temporaryFolder } from './support/process.ts';

const SHORT: Effort = { rounds: 1, seconds: 1, warmUpSeconds: 0 };

const row = (name: string, median: number): Row => ({
  section: 'CPU a request',
  row: 'token seen before, RS256',
  contestant: `${name} (1.2.3)`,
  unit: 'µs',
  ...figuresOf([median, median + 2, median - 1]),
});

t.test('a goal is met or not by its base in the same run, and left out without it', async (t) => {
  const goals = (rows: readonly Row[]): unknown => goalsOf('known', rows)[0]?.goals;
  t.strictSame(goals([row(NAMES.sallyport, 35), row(NAMES.haproxy, 50), row(NAMES.floor, 20)]), [
    { text: 'goal ≤ 0.70 of HAProxy jwt_verify: 0.70, floor 0.40', met: true },
    { text: 'wish ≤ 0.63 of HAProxy jwt_verify: 0.70, floor 0.40', met: false },
  ]);
  t.strictSame(goals([row(NAMES.sallyport, 36), row(NAMES.haproxy, 50)]), [
    { text: 'goal ≤ 0.70 of HAProxy jwt_verify: 0.72', met: false },
    { text: 'wish ≤ 0.63 of HAProxy jwt_verify: 0.72', met: false },
  ]);
  t.equal(goals([row(NAMES.sallyport, 35)]), undefined);
});

t.test('the tables and the chart show every contestant, and which goals are met', async (t) => {
  const rows = goalsOf('known', [row(NAMES.sallyport, 36), row(NAMES.haproxy, 50)]);
  for (const text of [tableText(rows), tableMarkdown(rows)]) {
    t.match(text, 'Sallyport (1.2.3)');
    t.match(text, /36\.0 µs/);
    t.match(text, '35.0 to 38.0');
    t.match(text, '0.72: NOT MET');
  }
  const svg = chart([...rows, { ...row('another unit', 7), unit: 'MiB' }]);
  t.match(svg, '>Sallyport (1.2.3)</text>');
  t.match(svg, '>50.0 µs</text>');
  t.notMatch(svg, 'another unit');
  t.match(svg, 'prefers-color-scheme: dark');
});

t.test('docs/performance.md and its chart show the figures of bench/figures.json', async (t) => {
  const report = readReport(new URL('../bench/figures.json', import.meta.url).pathname);
  const document = readFileSync(new URL('../docs/performance.md', import.meta.url), 'utf8');
  t.equal(withFigures(document, conditionsOf([report]), report.rows), document);
  const svg = readFileSync(new URL('../docs/images/performance.svg', import.meta.url), 'utf8');
  t.equal(svg, chart(report.rows));
});

t.test('the command lists what there is, and refuses a name that there is not', async (t) => {
  const run = (...args: string[]): { status: number | null; text: string } => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [new URL('../bench/run.ts', import.meta.url).pathname, ...args],
      { encoding: 'utf8' },
    );
    return { status, text: stdout + stderr };
  };
  const help = run('--help');
  t.equal(help.status, 0);
  for (const name of [
    ...Object.keys(KINDS),
    'dpop',
    'grpc',
    'latency',
    'transfer',
    'package',
    'scale',
    'limits',
    'workers',
  ])
    t.match(help.text, `\n  ${name} `);
  t.match(run('--only', 'known,other').text, 'there is no "other"');

  const file = join(temporaryFolder(t), 'figures.json');
  writeFileSync(file, '{}');
  t.throws(() => readReport(file), { message: /was not written by/ });
  writeFileSync(
    file,
    JSON.stringify({ at: '2026-11-27T10:00:00.000Z', effort: SHORT, rows: [row(NAMES.haproxy, 50)] }),
  );
  const again = run('--show', file);
  t.equal(again.status, 0);
  t.match(again.text, /HAProxy jwt_verify \(1\.2\.3\) +50\.0 µs/);
});

t.test('each step of the line is measured by itself', async (t) => {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [new URL('../bench/stages.ts', import.meta.url).pathname, ...['--json', '--rounds', '1', '--ms', '0.1']],
    { encoding: 'utf8' },
  );
  t.equal(status, 0, stderr);
  const figures = JSON.parse(stdout) as { step: string; ns: number }[];
  t.ok(figures.every(({ ns }) => ns > 0));
  for (const step of ['read head', 'verify token, known', 'check revocation, empty list', 'rewrite headers'])
    t.ok(
      figures.some((figure) => figure.step === step),
      step,
    );
});
