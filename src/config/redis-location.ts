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
  const ofUrl = (url: string): Pick<RedisLocation, 'keyPrefix' | 'tls'> & { readonly url: string } => ({
    keyPrefix,
    url: url.replace(/^rediss:/, 'redis:'),
    ...(url.startsWith('rediss:') && { tls }),
  });
  if (typeof store === 'string') return /^rediss?:/.test(store) ? ofUrl(store) : undefined;
  const { username, password } = store;
  if ('url' in store) return { ...ofUrl(store.url), username, password };
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
  if (typeof store !== 'string') {
    if ('cluster' in store) return `cluster ${store.cluster.join(', ')}`;
    if ('sentinels' in store) return `${store.name} of sentinels ${store.sentinels.join(', ')}`;
  }
  const url = typeof store === 'string' ? store : store.url;
  if (!/^rediss?:/.test(url)) return url;
  const { hostname, port } = new URL(url);
  return `${hostname}:${port || REDIS_PORT}`;
}
