/**
 * Measures what canaries say: three gateways share one Redis and serve requests meanwhile. For each canary, the time until each
 * gateway refused it, as the gateways themselves say, and how far that may be wrong.
 *
 *   node bench/canary.ts [--canaries 30] [--clients 8]
 */
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { ADMIN_TOKEN, quantile, send, startFleet } from './fleet.ts';

const GATEWAYS = 3;
const LOOK_MS = 500;

const { values } = parseArgs({
  options: {
    canaries: { type: 'string', default: '30' },
    clients: { type: 'string', default: '8' },
  },
});
const wanted = Number(values.canaries);

interface Told {
  readonly canary: {
    readonly last: { readonly made_at: number; readonly error_seconds: number | null } | null;
  };
  readonly gateways: readonly {
    readonly name: string;
    readonly canary: {
      readonly made_at: number;
      readonly state: string;
      readonly refused_after_seconds: number | null;
    } | null;
  }[];
}

const fleet = await startFleet(GATEWAYS, { canary: { every: '10s' } });
try {
  fleet.load(Number(values.clients));
  const startedAtMs = performance.now();
  /** By canary, and by gateway: after how many seconds it was refused. */
  const refused = new Map<number, Map<string, number>>();
  const errors = new Map<number, number>();
  const others = new Set<string>();
  const areAllThere = (): boolean =>
    refused.size > wanted || [...refused.values()].filter(({ size }) => size === GATEWAYS).length >= wanted;
  while (!areAllThere()) {
    const { text } = await send(fleet.gateways[0]?.adminPort ?? 0, '/v1/gateways', ADMIN_TOKEN);
    const { gateways, canary } = JSON.parse(text) as Told;
    for (const { name, canary: own } of gateways) {
      if (!own || own.state === 'waiting') continue;
      if (own.refused_after_seconds === null) others.add(`${name} ${own.state} ${own.made_at}`);
      const each = refused.get(own.made_at) ?? new Map<string, number>();
      if (own.refused_after_seconds !== null) each.set(name, own.refused_after_seconds);
      refused.set(own.made_at, each);
    }
    if (canary.last?.error_seconds) errors.set(canary.last.made_at, canary.last.error_seconds);
    await pause(LOOK_MS);
  }
  const seconds = (performance.now() - startedAtMs) / 1_000;
  const rate = Math.round(fleet.sent() / seconds);
  const ms = (all: Iterable<number>): number[] => [...all].map((each) => each * 1_000).sort((a, b) => a - b);
  const rows = {
    'each gateway': ms([...refused.values()].flatMap((each) => [...each.values()])),
    'the slowest': ms([...refused.values()].map((each) => Math.max(...each.values()))),
    'may be wrong by': ms(errors.values()),
  };
  console.log(
    `${refused.size} canaries, ${GATEWAYS} gateways, ${rate} requests a second in all; from the store to the first refusal, in ms`,
  );
  for (const [name, sorted] of Object.entries(rows)) {
    const shown = [0.5, 0.9, 0.99, 1].map((q) => `p${100 * q} ${quantile(sorted, q).toFixed(1)}`);
    console.log(`${name.padEnd(16)} ${shown.join('  ')}`);
  }
  console.log(`not refused, or not known: ${others.size === 0 ? 'none' : [...others].join(', ')}`);
} finally {
  await fleet.stop();
}
