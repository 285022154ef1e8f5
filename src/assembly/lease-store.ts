/** Where gateways count requests together: where the configuration has the revocation list. */
import { resolve } from 'node:path';
import type { Clock } from '../clock.ts';
import type { LoadedConfiguration } from '../config/load.ts';
import { redisLocation } from '../config/redis-location.ts';
import type { LeaseStore } from '../limits/lease-store.ts';
import { RedisLeaseStore } from '../limits/redis-lease-store.ts';
import { SqliteLeaseStore } from '../limits/sqlite-lease-store.ts';

/** Nothing is opened before the first request that a limit counts. Undefined: the gateway shares its store with no other. */
export function openLeaseStore(
  { configuration, folder }: LoadedConfiguration,
  clock: Clock,
): LeaseStore | undefined {
  const { store } = configuration.revocation;
  const location = redisLocation(configuration.revocation);
  if (location) return new RedisLeaseStore(location, clock);
  if (typeof store !== 'string') throw new TypeError('unknown kind of revocation store');
  if (store === 'memory:') return undefined;
  return new SqliteLeaseStore(resolve(folder, store.slice('sqlite:'.length)), clock);
}
