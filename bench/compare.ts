/** What `node bench/pairs.ts` does: two checkouts, the same load, in turns. */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { LOAD_CORE } from './arena.ts';
import { measure } from './measure.ts';
import { withBenchEnvironment, type Gateway } from './pairs.ts';
import { median } from './row.ts';
import { isKindName, KINDS, LoadOf } from './kinds.ts';
import { openWallet } from './wallet.ts';

const HELP = `node bench/pairs.ts [options] FIRST SECOND

Compares the CPU of a request in two checkouts of Sallyport (folders). Both start again for each pair.

  --row NAME       ${Object.keys(KINDS).join(', ')} (default: known)
  --log            with the access log, as it is by default
  --with JSON      top-level keys of the second one's configuration
  --pairs N        pairs of processes (default: 4)
  --rounds N       turns of each process (default: 2)
  --seconds N      of each turn (default: 3)
  --warm-up N      seconds of load before the first turn (default: 4)
`;

interface Side {
  readonly gateway: Gateway;
  readonly load: LoadOf;
}

async function costOf({ gateway, load }: Side, seconds: number): Promise<number> {
  const { requests, cpuMicrosPerRequest } = await measure(
    gateway.pid,
    gateway.port,
    load.next(),
    seconds,
    LOAD_CORE,
  );
  load.sent(requests);
  return cpuMicrosPerRequest;
}

/** Proof that new tokens are new: how many lookups the gateway's cache of tokens has had, and how many found one. */
async function lookups({ adminPort }: Gateway): Promise<string> {
  const text = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
  return [...text.matchAll(/^sallyport_cache_lookups_total\{(.*)\} (\d+)/gm)]
    .map(([, labels, count]) => `${labels} ${count}`)
    .join('; ');
}

function parse(args: readonly string[]) {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      row: { type: 'string', default: 'known' },
      log: { type: 'boolean', default: false },
      with: { type: 'string', default: '{}' },
      pairs: { type: 'string', default: '4' },
      rounds: { type: 'string', default: '2' },
      seconds: { type: 'string', default: '3' },
      'warm-up': { type: 'string', default: '4' },
    },
  });
  const [first, second] = positionals;
  if (first === undefined || second === undefined || positionals.length > 2 || !isKindName(values.row))
    return undefined;
  return { ...values, row: values.row, checkouts: [resolve(first), resolve(second)] as const };
}

export async function compareCheckouts(args: readonly string[]): Promise<void> {
  const options = parse(args);
  if (options === undefined) {
    console.error(HELP);
    process.exitCode = 2;
    return;
  }
  const wallet = openWallet(KINDS[options.row].algorithm);
  await withBenchEnvironment(async ({ start, configuration }) => {
    const startSide = async (checkout: string, more: Record<string, unknown>): Promise<Side> => ({
      gateway: await start(configuration({ access_log: options.log, ...more }), `${checkout}/src/main.ts`),
      load: new LoadOf(options.row, wallet),
    });
    await play(options, startSide);
  }, wallet.credentials);
}

async function play(
  {
    row,
    pairs,
    rounds,
    seconds,
    'warm-up': warmUp,
    with: more,
    checkouts,
    log,
  }: NonNullable<ReturnType<typeof parse>>,
  startSide: (checkout: string, more: Record<string, unknown>) => Promise<Side>,
): Promise<void> {
  console.log(
    `${KINDS[row].title}${log ? ', with the access log' : ''}; CPU µs a request\n  1: ${checkouts[0]}\n  2: ${checkouts[1]} ${more}`,
  );
  const ratios: number[] = [];
  const costs: [number[], number[]] = [[], []];
  for (let pair = 0; pair < Number(pairs); pair++) {
    const first = await startSide(checkouts[0], {});
    const second = await startSide(checkouts[1], JSON.parse(more) as Record<string, unknown>);
    for (const side of [first, second]) await costOf(side, Number(warmUp));
    for (let round = 0; round < Number(rounds); round++) {
      // In every second turn the other one is first.
      const early = (pair + round) % 2 === 0 ? undefined : await costOf(second, Number(seconds));
      const one = await costOf(first, Number(seconds));
      const two = early ?? (await costOf(second, Number(seconds)));
      costs[0].push(one);
      costs[1].push(two);
      ratios.push(two / one);
      console.log(`  ${one.toFixed(1)}  ${two.toFixed(1)}  ${(two / one).toFixed(3)}`);
    }
    if (pair === 0)
      console.log(
        `  lookups, 1: ${await lookups(first.gateway)}\n  lookups, 2: ${await lookups(second.gateway)}`,
      );
    for (const { gateway } of [first, second]) await gateway.stop();
  }
  const low = Math.min(...ratios).toFixed(3);
  const high = Math.max(...ratios).toFixed(3);
  console.log(
    `medians: ${median(costs[0]).toFixed(1)}  ${median(costs[1]).toFixed(1)}; 2 / 1: ${median(ratios).toFixed(3)} (${low} to ${high})`,
  );
}
