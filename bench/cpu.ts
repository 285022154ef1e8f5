/** The section "CPU a request": one kind of requests, and all contestants that serve it in turns. */
import { Arena, LOAD_CORE, type Running } from './arena.ts';
import { check } from './checks.ts';
import type { Contestant, Lookups } from './contestants/contestant.ts';
import { goalsOf } from './goals.ts';
import { KINDS, LoadOf, type KindName } from './kinds.ts';
import { measure, residentMiB } from './measure.ts';
import { foundVersion } from './programs.ts';
import { figuresOf, type Effort, type Row } from './row.ts';
import { openWallet, type Wallet } from './wallet.ts';

export const CPU_SECTION = 'CPU a request';
/** Enough for a program that is compiled already. */
const SHORT_WARM_UP_SECONDS = 1;
/** Of a kind that says "new": a gateway looks up in vain. */
const MOST_HITS = 0.001;

interface Entry {
  readonly running: Running;
  readonly version: string;
  readonly load: LoadOf;
  readonly cpu: number[];
}

export interface KindOptions {
  readonly wallet?: Wallet;
  /** Of the rows, where one kind is in several tables. */
  readonly title?: string;
}

export async function measureKind(
  kind: KindName,
  contestants: readonly Contestant[],
  effort: Effort,
  { wallet = openWallet(KINDS[kind].algorithm), title = KINDS[kind].title }: KindOptions = {},
): Promise<readonly Row[]> {
  return Arena.use(async (arena) => {
    const entries: Entry[] = [];
    for (const contestant of contestants.filter(({ kinds }) => kinds.includes(kind))) {
      const version = foundVersion(contestant);
      if (version === undefined) continue;
      const running = await arena.start(contestant, kind, wallet);
      const plays = contestant.plays ?? kind;
      await check(arena, running, plays, wallet);
      entries.push({ running, version, load: new LoadOf(plays, wallet), cpu: [] });
    }
    const before = await Promise.all(entries.map(lookupsOf));
    for (const entry of entries) {
      const { warmsUp } = entry.running.contestant;
      if (effort.warmUpSeconds === 0) break;
      await turn(kind, entry, warmsUp ? effort.warmUpSeconds : SHORT_WARM_UP_SECONDS);
    }
    for (const { cpu } of entries) cpu.length = 0;
    for (let round = 0; round < effort.rounds; round++) {
      console.error(`${kind}: round ${round + 1} of ${effort.rounds}`);
      for (const entry of entries) await turn(kind, entry, effort.seconds);
    }
    const after = await Promise.all(entries.map(lookupsOf));
    const rows = entries.map((entry, index) => rowOf(kind, title, entry, before[index], after[index]));
    return goalsOf(kind, rows);
  });
}

/** @throws Error that names the contestant, if a response was not the one that was asked for */
async function turn(kind: KindName, { running, load, cpu }: Entry, seconds: number): Promise<void> {
  const { contestant, pid, port } = running;
  try {
    const measured = await measure(pid, port, load.next(), seconds, LOAD_CORE);
    load.sent(measured.requests);
    cpu.push(measured.cpuMicrosPerRequest);
  } catch (error) {
    throw new Error(`${contestant.name}, ${kind}: not reported`, { cause: error });
  }
}

async function lookupsOf({ running }: Entry): Promise<Lookups | undefined> {
  return running.contestant.lookups?.(running.adminPort);
}

function rowOf(
  kind: KindName,
  title: string,
  { running, version, cpu }: Entry,
  before: Lookups | undefined,
  after: Lookups | undefined,
): Row {
  const { name, blindTo } = running.contestant;
  const notes: string[] = [];
  if (blindTo === undefined) notes.push('authenticates nothing');
  else if (blindTo.length > 0) notes.push(`does not see: ${blindTo.join(', ')}`);
  if (before !== undefined && after !== undefined) notes.push(proofOf(kind, name, before, after));
  return {
    section: CPU_SECTION,
    row: title,
    contestant: `${name} (${version})`,
    unit: 'µs',
    ...figuresOf(cpu),
    residentMiB: residentMiB(running.pid),
    ...(notes.length > 0 && { note: notes.join('; ') }),
  };
}

/** @throws Error if tokens that must be new were in a cache */
function proofOf(kind: KindName, name: string, before: Lookups, after: Lookups): string {
  const hits = after.hits - before.hits;
  const lookups = hits + after.misses - before.misses;
  if (KINDS[kind].isNew && hits > lookups * MOST_HITS)
    throw new Error(`${name}, ${kind}: ${hits} of ${lookups} tokens were in its cache; they must be new`);
  return `${hits} of ${lookups} tokens were in its cache`;
}
