/** npm run bench: what it reports is a race between gateways that do the same job. */
import t, { type Test } from 'tap';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { chart } from '../bench/chart.ts';
import type { Contestant } from '../bench/contestants/contestant.ts';
import { haproxy } from '../bench/contestants/haproxy.ts';
import { sallyport } from '../bench/contestants/sallyport.ts';
import { measureKind } from '../bench/cpu.ts';
import { goalsOf, NAMES } from '../bench/goals.ts';
import { KINDS, type KindName } from '../bench/kinds.ts';
import { conditionsOf, readReport } from '../bench/report.ts';
import { figuresOf, type Effort, type Row } from '../bench/row.ts';
import { tableMarkdown, tableText, withFigures } from '../bench/table.ts';
import { openWallet, type Wallet } from '../bench/wallet.ts';
import { temporaryFolder } from './support/process.ts';

const SHORT: Effort = { rounds: 1, seconds: 1, warmUpSeconds: 0 };
const FEW = 40;
const missing = ['nginx', 'haproxy', 'wrk', 'taskset'].filter(
  (program) => spawnSync('which', [program]).status !== 0,
);
const skip =
  (missing.length > 0 && `${missing.join(', ')} must be installed`) ||
  (cpus().length < 2 && 'proxy and load need a core each');

/** Of the test: the wallets of real runs are not touched. */
function walletOf(t: Test, algorithm: 'RS256' | 'ES256' = 'RS256'): Wallet {
  return openWallet(algorithm, FEW, temporaryFolder(t));
}

/** A server in the place of a gateway. `respond` is the body of a function of request, response and the upstream's port. */
function stub(t: Test, name: string, respond: string): Contestant {
  const file = join(temporaryFolder(t), 'stub.mjs');
  writeFileSync(
    file,
    `import { createServer, get } from 'node:http';
const [port, upstreamPort] = process.argv.slice(2);
const claimsOf = ({ headers }) => JSON.parse(Buffer.from((headers.authorization ?? '').split('.')[1] ?? 'e30', 'base64url'));
const pass = (request, response, headers) =>
  get({ port: upstreamPort, path: request.url, headers, agent: false }, (answer) => answer.pipe(response));
let served = 0;
createServer((request, response) => {${respond}}).listen(port, '127.0.0.1');
`,
  );
  return {
    name,
    version: () => '1',
    kinds: Object.keys(KINDS) as KindName[],
    blindTo: [],
    warmsUp: false,
    start: ({ port, upstreamPort }) => ({
      command: [process.execPath, file, String(port), String(upstreamPort)],
    }),
  };
}

const HANDS_ON = `{ 'x-user-id': 'user-4711', 'x-scopes': 'orders:read orders:write' }`;
const REFUSE = 'response.writeHead(401).end()';

t.test('gateways that do the job are measured, with ratio, goal and proof', { skip }, async (t) => {
  const gateway = sallyport(NAMES.sallyport, { kinds: ['known'] });
  const rows = await measureKind('known', [gateway, haproxy], SHORT, { wallet: walletOf(t) });
  t.equal(rows.length, 2);
  const [ours, theirs] = rows;
  t.match(ours?.contestant, /^Sallyport \(\d/);
  t.match(ours?.note, /^(\d+) of \d+ tokens were in its cache$/);
  t.ok((ours?.median ?? 0) > 1);
  t.equal(theirs?.ratio?.value, 1);
  t.match(ours?.goals?.[0]?.text, /^goal ≤ 0.70 of HAProxy jwt_verify: \d/);
});

t.test('a contestant that authenticates badly is not timed', { skip }, async (t) => {
  const cases: readonly (readonly [name: string, respond: string, message: RegExp])[] = [
    ['passes everything', `pass(request, response, ${HANDS_ON});`, /bad signature must be refused/],
    [
      'refuses everything',
      `${REFUSE};`,
      /a good token must pass with one upstream call; the response was 401/,
    ],
    [
      'answers by itself',
      `request.headers.authorization ? response.end('ok') : ${REFUSE};`,
      /a good token must pass with one upstream call; the response was 200, with 0/,
    ],
    [
      'calls twice',
      `pass(request, { write() {}, end() {}, on() {}, once() {}, emit() {}, removeListener() {} }, ${HANDS_ON});
       pass(request, response, ${HANDS_ON});`,
      /must pass with one upstream call; the response was 200, with 2/,
    ],
    [
      'hands on the token',
      `pass(request, response, { ...${HANDS_ON}, authorization: request.headers.authorization ?? '' });`,
      /the upstream must see subject and scopes, and no token/,
    ],
    [
      'calls, and then refuses',
      `const { aud } = claimsOf(request);
       if (request.headers.authorization?.split('.')[2] && served++ === 0) return pass(request, response, ${HANDS_ON});
       get({ port: upstreamPort, path: request.url, agent: false }, (answer) => answer.resume().on('end', () => ${REFUSE}));`,
      /bad signature must be refused without an upstream call; the response was 401, with 1/,
    ],
  ];
  for (const [name, respond, message] of cases)
    await t.rejects(
      measureKind('known', [stub(t, name, respond)], SHORT, { wallet: walletOf(t) }),
      { message },
      name,
    );
});

t.test('each defect of a token that a contestant does not see is named', { skip }, async (t) => {
  const wallet = walletOf(t);
  const { issuer, audience } = wallet.credentials;
  const good = `pass(request, response, ${HANDS_ON})`;
  const isSigned = `(request.headers.authorization ?? '').split('.')[2]`;
  const right: Record<string, string> = {
    'wrong audience': `aud === '${audience}'`,
    'wrong issuer': `iss === '${issuer}'`,
    expired: 'exp * 1000 > Date.now()',
    'alg none': isSigned,
  };
  for (const defect of Object.keys(right)) {
    const others = Object.entries(right).flatMap(([name, condition]) => (name === defect ? [] : [condition]));
    const respond = `const { aud, iss, exp } = claimsOf(request);
      // The good one comes first, then the one with a bad signature.
      if (request.headers.authorization && served++ !== 1 && ${others.join(' && ')}) ${good}; else ${REFUSE};`;
    await t.rejects(measureKind('known', [stub(t, defect, respond)], SHORT, { wallet }), {
      message: new RegExp(`${defect} must be refused`),
    });
  }
});

t.test(
  'a round with another status than the one that was asked for fails, and says whose',
  { skip },
  async (t) => {
    const wallet = walletOf(t);
    // Right in the checks, wrong under load.
    const broken: Contestant = {
      ...stub(
        t,
        'breaks under load',
        `if (request.url === '/orders') return response.writeHead(served++ < 500 ? 200 : 503).end(); pass(request, response, {});`,
      ),
      blindTo: undefined,
    };
    const failure = await measureKind('known', [broken], SHORT, { wallet }).then(
      () => undefined,
      (error: unknown) => error as Error & { cause: Error },
    );
    t.match(failure?.message, 'breaks under load, known: not reported');
    t.match(failure?.cause.message, /a round with responses other than 200/);

    const lets = { ...broken, name: 'lets bad tokens pass' };
    await t.rejects(measureKind('new-bad', [lets], SHORT, { wallet }), {
      message: 'lets bad tokens pass, new-bad: not reported',
      cause: { message: /responses other than 401/ },
    });
  },
);

t.test('tokens that should be new and come from a cache are not reported', { skip }, async (t) => {
  // The cache of the gateway holds more than this wallet.
  const gateway = sallyport(NAMES.sallyport, { kinds: ['new-es256'] });
  await t.rejects(measureKind('new-es256', [gateway], SHORT, { wallet: walletOf(t, 'ES256') }), {
    message: /tokens were in its cache; they must be new$/,
  });
});

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
  for (const name of [...Object.keys(KINDS), 'dpop', 'grpc', 'latency', 'transfer', 'package', 'scale'])
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
