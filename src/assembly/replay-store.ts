/** Where used proofs are remembered: where the configuration has the revocation list. */
import { resolve } from 'node:path';
import type { Clock } from '../clock.ts';
import type { LoadedConfiguration } from '../config/load.ts';
import { redisLocation } from '../config/redis-location.ts';
import { MemoryReplayStore } from '../replay/memory-replay-store.ts';
import { RedisReplayStore } from '../replay/redis-replay-store.ts';
import type { ReplayStore } from '../replay/replay-store.ts';
import { SqliteReplayStore } from '../replay/sqlite-replay-store.ts';

/** Nothing is opened before the first proof. */
export function openReplayStore({ configuration, folder }: LoadedConfiguration, clock: Clock): ReplayStore {
  const { store } = configuration.revocation;
  const { entries } = configuration.dpop.remembered;
  const location = redisLocation(configuration.revocation);
  if (location) return new RedisReplayStore(location, clock);
  if (typeof store !== 'string') throw new TypeError('unknown kind of revocation store');
  if (store === 'memory:') return new MemoryReplayStore(clock, entries);
  return new SqliteReplayStore(resolve(folder, store.slice('sqlite:'.length)), clock, entries);
}
