/**
 * Where the configuration says that the revocation list is kept. Pure.
 */
import type { RedisLocation } from '../revocation/redis-connection.ts';
import type { Configuration } from './schema.ts';
import { tlsClientOptions } from './tls-schema.ts';

/** Undefined where the list is not kept in Redis. */
export function redisLocation({
  store,
  key_prefix: keyPrefix,
  tls: tlsSection,
}: Configuration['revocation']): RedisLocation | undefined {
  const tls = tlsClientOptions(tlsSection ?? {});
  if (typeof store === 'string') {
    if (!/^rediss?:/.test(store)) return undefined;
    return {
      keyPrefix,
      url: store.replace(/^rediss:/, 'redis:'),
      ...(store.startsWith('rediss:') && { tls }),
    };
  }
  const { username, password } = store;
  const login = { keyPrefix, username, password, ...(store.tls && { tls }) };
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

const REDIS_PORT = '6379';

/** Where the list is kept, for people: host and port, or the file; never a password. */
export function storeAddress({ store }: Pick<Configuration['revocation'], 'store'>): string {
  if (typeof store !== 'string')
    return 'cluster' in store
      ? `cluster ${store.cluster.join(', ')}`
      : `${store.name} of sentinels ${store.sentinels.join(', ')}`;
  if (!/^rediss?:/.test(store)) return store;
  const { hostname, port } = new URL(store);
  return `${hostname}:${port || REDIS_PORT}`;
}
