/**
 * `npm run bench:stages`: what each step of the line costs, in nanoseconds, in this process and without a connection. A step
 * in a loop finds its code and data in the processor's caches, which a request does not: these are lower bounds, good for a
 * comparison of two versions and of the steps with each other. See docs/performance.md.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createCredentials, createToken } from './credentials.ts';
import { median } from './row.ts';
import { prepareStages } from './stages/prepare.ts';

const HELP = `npm run bench:stages -- [options]

Measures each step of the line by itself. Needs nothing but this checkout.

  --rounds N   how often each step is measured (default: 15); the table shows the median, the lowest and the highest
  --ms N       how long one measurement takes, in milliseconds (default: 50)
  --json       prints [{ step, ns, lowest, highest }]
`;

const { values } = parseArgs({
  options: {
    help: { type: 'boolean', short: 'h' },
    rounds: { type: 'string', default: '15' },
    ms: { type: 'string', default: '50' },
    json: { type: 'boolean', default: false },
  },
});

/** Nanoseconds of one call: the mean over so many calls as fit into the time. */
async function nanosecondsOf(step: () => unknown, ms: number): Promise<number> {
  const untilNs = process.hrtime.bigint() + BigInt(Math.round(ms * 1e6));
  const startedNs = process.hrtime.bigint();
  let calls = 0;
  while (process.hrtime.bigint() < untilNs) {
    // The clock is read once for many calls, and a step that waits is waited for.
    for (let index = 0; index < 100; index++) {
      const result = step();
      if (result instanceof Promise) await result;
    }
    calls += 100;
  }
  return Number(process.hrtime.bigint() - startedNs) / calls;
}

/** @throws Error for what is no number above zero */
function positive(name: string, text: string): number {
  const number = Number(text);
  if (!(number > 0)) throw new Error(`--${name}: "${text}" is no number above zero`);
  return number;
}

async function run(): Promise<void> {
  const [rounds, ms] = [positive('rounds', values.rounds), positive('ms', values.ms)];
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-bench-'));
  try {
    const credentials = createCredentials();
    writeFileSync(join(folder, 'jwks.json'), JSON.stringify(credentials.jwks));
    const tokens = ['user-1', 'user-2'].map((sub) => createToken(credentials, { sub }));
    const steps = await prepareStages(folder, credentials, tokens);
    const figures = new Map([...steps.keys()].map((name) => [name, [] as number[]]));
    // Turns, so that a busy moment does not fall on one step; the first turn warms up.
    for (let round = 0; round <= rounds; round++)
      for (const [name, step] of steps) {
        const nanoseconds = await nanosecondsOf(step, ms);
        if (round > 0) figures.get(name)?.push(nanoseconds);
      }
    tell([...figures].map(([step, all]) => ({ step, ...spread(all) })));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Figure {
  readonly step: string;
  readonly ns: number;
  readonly lowest: number;
  readonly highest: number;
}

function spread(all: readonly number[]): Omit<Figure, 'step'> {
  const [ns, lowest, highest] = [median(all), Math.min(...all), Math.max(...all)].map(Math.round);
  return { ns: ns ?? NaN, lowest: lowest ?? NaN, highest: highest ?? NaN };
}

function tell(figures: readonly Figure[]): void {
  if (values.json) {
    console.log(JSON.stringify(figures, undefined, 2));
    return;
  }
  const width = Math.max(...figures.map(({ step }) => step.length));
  for (const { step, ns, lowest, highest } of figures)
    console.log(`${step.padEnd(width)}  ${String(ns).padStart(8)} ns   ${lowest} to ${highest}`);
}

if (values.help === true) console.log(HELP.trimEnd());
else await run();
