/**
 * Where the configuration says that Redis is. Pure.
 */
import type { RedisLocation } from '../revocation/redis-connection.ts';
import type { Configuration } from './schema.ts';

/** Undefined where the list is not kept in Redis. */
export function redisLocation({
  store,
  key_prefix: keyPrefix,
}: Configuration['revocation']): RedisLocation | undefined {
  if (typeof store === 'string') return /^rediss?:/.test(store) ? { keyPrefix, url: store } : undefined;
  const { username, password, tls } = store;
  const login = { keyPrefix, username, password, tls };
  if ('cluster' in store) return { ...login, cluster: store.cluster };
  const {
    sentinels,
    name,
    db,
    sentinel_username: sentinelUsername,
    sentinel_password: sentinelPassword,
  } = store;
  return { ...login, sentinels, name, db, sentinelUsername, sentinelPassword };
}
