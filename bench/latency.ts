/** The section "Latency": what Sallyport adds to nginx's at half of its own peak, in an open loop. */
import { Arena, LOAD_CORE } from './arena.ts';
import { check } from './checks.ts';
import { nginx } from './contestants/others.ts';
import { sallyport } from './contestants/sallyport.ts';
import { NAMES } from './goals.ts';
import { measure } from './measure.ts';
import { nginxVersion, sallyportVersion } from './programs.ts';
import { figuresOf, type Effort, type Row } from './row.ts';
import { printAlone } from './alone.ts';
import { attack, hasVegeta, type Latencies } from './vegeta.ts';
import { openWallet, type Wallet } from './wallet.ts';

const MOST_ADDED_MS = 1;
/** Half of nginx's responses are there within this where the load can hold its rate. */
const HELD_MS = 2;

export async function measureLatency(
  effort: Effort,
  wallet: Wallet = openWallet('RS256'),
): Promise<readonly Row[]> {
  if (!hasVegeta()) return [];
  return Arena.use(async (arena) => {
    const ours = await arena.start(sallyport(NAMES.sallyport, { kinds: ['known'] }), 'known', wallet);
    await check(arena, ours, 'known', wallet);
    const theirs = await arena.start(nginx, 'known', wallet);
    const { token } = wallet;
    const load = (seconds: number) => measure(ours.pid, ours.port, { token }, seconds, LOAD_CORE);
    if (effort.warmUpSeconds > 0) await load(effort.warmUpSeconds);
    const { requestsPerSecond } = await load(effort.seconds);
    const at = (port: number, seconds: number, rate: number): Promise<Latencies> =>
      attack({ folder: arena.folder, ports: [port], token, rate, seconds });
    // Above what the load itself can send, its own queue would be all that is measured.
    let share = 0.5;
    const rateOf = (): number => Math.max(1, Math.floor(requestsPerSecond * share));
    // Far above it, connections fail too.
    const holds = (): Promise<boolean> =>
      at(theirs.port, 1, rateOf()).then(
        ({ p50 }) => p50 <= HELD_MS,
        () => false,
      );
    while (rateOf() > 1 && !(await holds())) share /= 2;
    const rate = rateOf();
    const rounds: Round[] = [];
    // What is compiled for a full loop is not what a half idle one runs.
    if (effort.warmUpSeconds > 0) await at(ours.port, effort.warmUpSeconds, rate);
    for (let round = 0; round < effort.rounds; round++) {
      console.error(`latency: round ${round + 1} of ${effort.rounds}, ${rate} requests a second`);
      rounds.push({
        theirs: await at(theirs.port, effort.seconds, rate),
        ours: await at(ours.port, effort.seconds, rate),
      });
    }
    const result = { rate, share, rounds };
    return [...rowsOf('p50', 'half of the requests', result), ...rowsOf('p99', '99 of 100 requests', result)];
  });
}

interface Load {
  /** Requests a second, and what part of Sallyport's peak they are. */
  readonly rate: number;
  readonly share: number;
  readonly rounds: readonly Round[];
}

interface Round {
  readonly ours: Latencies;
  readonly theirs: Latencies;
}

function rowsOf(percentile: 'p50' | 'p99', title: string, { rate, share, rounds }: Load): readonly Row[] {
  const name = `${title}, open loop at ${rate} requests a second: ${share} of the peak`;
  const row = { section: 'Latency', row: name, unit: 'ms' };
  const added = figuresOf(rounds.map((each) => each.ours[percentile] - each.theirs[percentile]));
  const goal = `goal ≤ ${MOST_ADDED_MS.toFixed(1)} ms: ${added.median.toFixed(2)}`;
  return [
    {
      ...row,
      contestant: `${NAMES.sallyport} (${sallyportVersion()})`,
      ...figuresOf(rounds.map((each) => each.ours[percentile])),
    },
    {
      ...row,
      contestant: `nginx (${nginxVersion()})`,
      ...figuresOf(rounds.map((each) => each.theirs[percentile])),
      note: 'authenticates nothing',
    },
    {
      ...row,
      contestant: 'added by Sallyport',
      ...added,
      // The goal is for half of the peak: a machine whose load cannot send that does not show that it is met.
      ...(percentile === 'p99' && {
        goals: [{ text: goal, met: share === 0.5 && added.median <= MOST_ADDED_MS }],
      }),
      ...(share < 0.5 && { note: 'the load cannot send half of the peak from its core' }),
    },
  ];
}

if (import.meta.main) await printAlone(measureLatency);
