/**
 * What a request with an API key costs, beside one with a known JWT: one gateway that knows both, which gets them in turns.
 *
 *   node bench/api-keys.ts [GATEWAYS] [KEYS]
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { keySha256, makeKey } from '../src/api-keys/key-text.ts';
import { LOAD_CORE } from './arena.ts';
import { measure } from './measure.ts';
import { withBenchEnvironment } from './pairs.ts';

const [gateways = 2, count = 10_000] = process.argv.slice(2).map(Number);
const TURNS = 4;
const SECONDS = 3;

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;

await withBenchEnvironment(async ({ folder, token, start, configuration }) => {
  const keys = Array.from({ length: count }, () => makeKey());
  const entries = keys.map((key, index) => ({
    ...{ id: `key-${index}`, sha256: keySha256(key), subject: `team-${index}`, client: 'billing' },
    ...{ scopes: ['orders:read', 'orders:write'], created: 1_790_000_000, note: 'for the nightly job' },
  }));
  writeFileSync(join(folder, 'keys.json'), JSON.stringify(entries));
  const { issuers, routes } = configuration({}) as {
    issuers: Record<string, unknown>;
    routes: readonly Record<string, unknown>[];
  };
  const withKeys = configuration({
    issuers: { ...issuers, partners: { api_keys: { file: 'keys.json', header: 'X-API-Key' } } },
    routes: routes.map((route) => ({ ...route, auth: { issuers: ['bench', 'partners'] } })),
  });
  for (let index = 0; index < gateways; index++) {
    const gateway = await start(withKeys);
    const credentials = { 'known JWT': token, 'API key': keys[index] ?? '' };
    const costs: Record<string, number[]> = { 'known JWT': [], 'API key': [] };
    // The first turn of each warms up.
    for (let turn = 0; turn <= TURNS; turn++)
      for (const [kind, credential] of Object.entries(credentials)) {
        const { cpuMicrosPerRequest: cost } = await measure(
          ...([gateway.pid, gateway.port, { token: credential }, SECONDS, LOAD_CORE] as const),
        );
        if (turn > 0) costs[kind]?.push(cost);
      }
    for (const [kind, values] of Object.entries(costs))
      console.log(
        `${kind}: ${values.map((cost) => cost.toFixed(1)).join(' ')} us a request, median ${median(values).toFixed(1)}`,
      );
    console.log(`${gateway.residentMiB().toFixed(0)} MiB with ${count} keys`);
    await gateway.stop();
  }
});
