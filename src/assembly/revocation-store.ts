/** The revocation store that a configuration names. */
import { resolve } from 'node:path';
import type { Clock } from '../clock.ts';
import { ConfigurationError, type LoadedConfiguration } from '../config/load.ts';
import { redisLocation } from '../config/redis-location.ts';
import { MemoryStore } from '../revocation/memory-store.ts';
import { RedisStore } from '../revocation/redis-store.ts';
import type { RevocationStore } from '../revocation/revocation-store.ts';
import { SqliteStore } from '../revocation/sqlite-store.ts';
import { describeError } from '../telemetry/logger.ts';

/** @throws ConfigurationError where it cannot be opened; Redis is connected to later */
export function openStore(
  { configuration, folder, file }: LoadedConfiguration,
  clock: Clock,
): RevocationStore {
  const { store } = configuration.revocation;
  const location = redisLocation(configuration.revocation);
  if (location) return new RedisStore(location, clock);
  if (typeof store !== 'string') throw new TypeError('unknown kind of revocation store');
  if (store === 'memory:') return new MemoryStore(clock);
  const path = resolve(folder, store.slice('sqlite:'.length));
  try {
    return new SqliteStore(path, clock);
  } catch (error) {
    throw new ConfigurationError([
      `${file}: revocation.store: ${path} cannot be opened (${describeError(error)}); fix its folder or permissions`,
    ]);
  }
}
