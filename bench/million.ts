/**
 * Measures a long revocation list against an empty one: the time to load it from a local Redis, the memory that it
 * takes, and the CPU time of a request.
 *
 *   node bench/million.ts [--entries 1000000]
 */
import { createHash } from 'node:crypto';
import { parseArgs } from 'node:util';
import { systemClock } from '../src/clock.ts';
import { RedisStore } from '../src/revocation/redis-store.ts';
import { startOn } from './arena.ts';
import { comparePairs, withBenchEnvironment } from './pairs.ts';
import { freePort, listening } from './ports.ts';

const { values } = parseArgs({ options: { entries: { type: 'string', default: '1000000' } } });
const entries = Number(values.entries);

await withBenchEnvironment(async ({ folder, processes, configuration, costOf }) => {
  const port = await freePort();
  const redis = [
    'redis-server',
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--dir',
    folder,
    '--save',
    '',
  ];
  processes.push(startOn(1, redis));
  await listening(port);
  const location = { url: `redis://127.0.0.1:${port}`, keyPrefix: 'full' };
  const store = new RedisStore(location, systemClock);
  const expiresAt = Math.floor(Date.now() / 1000) + 86_400;
  for (let from = 0; from < entries; from += 1_000) {
    await store.merge(
      Array.from({ length: 1_000 }, (_, index) => ({
        id: createHash('sha256')
          .update(`${from + index}`)
          .digest()
          .toString('base64url', 0, 16),
        revoked: true,
        issuedBefore: null,
        expiresAt,
        version: { timeMs: Date.now(), counter: index },
      })),
    );
  }
  await store.close();
  console.log(`${entries} entries are in Redis`);
  const withList = (key_prefix: string) => () =>
    costOf(configuration({ revocation: { store: location.url, key_prefix } }));
  await comparePairs(
    withList('empty'),
    withList(location.keyPrefix),
    (few, all) =>
      `, ${(((all.residentMiB - few.residentMiB) * 2 ** 20) / entries).toFixed(0)} bytes an entry`,
  );
});
