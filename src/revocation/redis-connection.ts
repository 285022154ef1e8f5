/**
 * Connections to Redis: one server, one found through Sentinel, or a cluster. No command hangs, and none waits in a
 * queue for a connection that may never come.
 *
 * The only file that imports the Redis client. It is loaded when a store is made, so that a gateway without Redis never
 * loads it.
 */
import { createRequire } from 'node:module';
import type * as Client from 'ioredis';
import type { Cluster, Redis, RedisOptions as AnyRedisOptions } from 'ioredis';
import type { TlsClient } from '../tls/client-options.ts';
import { LEASE_SCRIPT } from './redis-lease-script.ts';
import {
  BEAT_SCRIPT,
  INVENTORY_SCRIPT,
  KEY_NAMES,
  MERGE_SCRIPT,
  PUT_SCRIPT,
  RENEW_SCRIPT,
  REVOKE_SCRIPT,
  UNDO_SCRIPT,
} from './redis-scripts.ts';

const require = createRequire(import.meta.url);
/** Loads it, once. */
export const redisClient = (): typeof Client => require('ioredis') as typeof Client;

/** Replies are mapped as usual: with exactOptionalPropertyTypes, ioredis' type allows no undefined there. */
type RedisOptions = Omit<AnyRedisOptions, 'replyMapping'>;

/** Where Redis is. Nodes are `host:port`. */
export type RedisLocation = {
  readonly keyPrefix: string;
  /** Absent: TLS is not spoken. */
  readonly tls?: TlsClient;
} & (
  | ({ readonly url: string } & Partial<RedisLogin>)
  | ({ readonly sentinels: readonly string[]; readonly name: string; readonly db: number } & SentinelLogin &
      RedisLogin)
  | ({ readonly cluster: readonly string[] } & RedisLogin)
);

interface RedisLogin {
  readonly username: string | undefined;
  readonly password: string | undefined;
}

interface SentinelLogin {
  readonly sentinelUsername: string | undefined;
  readonly sentinelPassword: string | undefined;
}

interface Scripts {
  sallyportRevoke(...args: string[]): Promise<[outcome: number, mark: string, detail: string]>;
  sallyportUndo(...args: string[]): Promise<string | null>;
  sallyportRenew(...args: string[]): Promise<string | null>;
  sallyportMerge(...args: string[]): Promise<number>;
  sallyportInventory(
    ...args: string[]
  ): Promise<[lastId: string, count: number, checksum: string, replicationId: string]>;
  sallyportBeat(key: string, id: string, text: string, keptMs: string): Promise<number>;
  sallyportPut(key: string, text: string, keptMs: string): Promise<number>;
  /** The number of keys, the keys, and as many texts. */
  sallyportLease(...args: string[]): Promise<string[]>;
}
/** A connection that knows our scripts. */
export type ScriptedRedis = (Redis | Cluster) & Scripts;

const SCRIPTS: Readonly<Record<keyof Scripts, { readonly lua: string; readonly numberOfKeys?: number }>> = {
  sallyportRevoke: ofList(REVOKE_SCRIPT),
  sallyportUndo: ofList(UNDO_SCRIPT),
  sallyportRenew: ofList(RENEW_SCRIPT),
  sallyportMerge: ofList(MERGE_SCRIPT),
  sallyportInventory: ofList(INVENTORY_SCRIPT),
  sallyportBeat: { lua: BEAT_SCRIPT, numberOfKeys: 1 },
  sallyportPut: { lua: PUT_SCRIPT, numberOfKeys: 1 },
  sallyportLease: { lua: LEASE_SCRIPT },
};

function ofList(lua: string): { lua: string; numberOfKeys: number } {
  return { lua, numberOfKeys: KEY_NAMES.length };
}

const CONNECT_TIMEOUT_MS = 2_000;
/** Redis does not respond to the closing of a connection that waits in XREAD: no reason to wait for it at the end. */
const DISCONNECT_TIMEOUT_MS = 50;

/** A connection that is being made, or is there, until it is lost. It never comes back: a new one is made instead. */
export interface RedisConnection {
  readonly redis: ScriptedRedis;
  /** Rejects with what kept it from being made. It is listened to here: a caller may leave before it waits for it. */
  readonly ready: Promise<void>;
}

/**
 * Begins to connect.
 *
 * @param commandTimeoutMs undefined for a follower, whose commands wait by design
 */
export function connectRedis(location: RedisLocation, commandTimeoutMs?: number): RedisConnection {
  const redis = createClient(location, {
    lazyConnect: true,
    connectTimeout: CONNECT_TIMEOUT_MS,
    disconnectTimeout: DISCONNECT_TIMEOUT_MS,
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    retryStrategy: () => null,
    ...(commandTimeoutMs !== undefined && { commandTimeout: commandTimeoutMs }),
  }) as ScriptedRedis;
  for (const [name, script] of Object.entries(SCRIPTS)) redis.defineCommand(name, script);
  // ioredis tells the cause here, and then rejects with "Connection is closed."
  let cause: unknown;
  redis.on('error', (error) => (cause = causeOf(error)));
  const connect = async (): Promise<void> => {
    try {
      await redis.connect();
    } catch (error) {
      throw cause ?? error;
    }
  };
  const ready = connect();
  // A connection that is opened and closed in one tick has no other listener, and an unhandled rejection ends the
  // process.
  ready.catch(() => undefined);
  return { redis, ready };
}

/** A cluster tells only that no node responded; why, its last node knows. */
function causeOf(error: unknown): unknown {
  return error instanceof Error && 'lastNodeError' in error && error.lastNodeError instanceof Error
    ? error.lastNodeError
    : error;
}

function createClient(location: RedisLocation, options: RedisOptions): Redis | Cluster {
  const tls = location.tls && { tls: location.tls };
  const { username, password } = location;
  const login: RedisOptions = {
    ...options,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...tls,
  };
  const { Redis, Cluster } = redisClient();
  // What the URL says counts before the login.
  if ('url' in location) return new Redis(location.url, login);
  if ('cluster' in location) {
    return new Cluster(location.cluster.map(nodeOf), {
      lazyConnect: true,
      enableOfflineQueue: false,
      redisOptions: login,
      slotsRefreshTimeout: CONNECT_TIMEOUT_MS,
      clusterRetryStrategy: () => null,
    });
  }
  const { sentinels, name, db, sentinelUsername, sentinelPassword } = location;
  return new Redis({
    ...login,
    sentinels: sentinels.map(nodeOf),
    name,
    db,
    failoverDetector: true,
    // A sentinel that is there but says nothing is passed over.
    sentinelCommandTimeout: CONNECT_TIMEOUT_MS,
    sentinelRetryStrategy: () => null,
    ...(sentinelUsername !== undefined && { sentinelUsername }),
    ...(sentinelPassword !== undefined && { sentinelPassword }),
    ...(location.tls && { enableTLSForSentinelMode: true, sentinelTLS: location.tls }),
  });
}

/** `host:port`; an IPv6 address stands in brackets. */
function nodeOf(node: string): { host: string; port: number } {
  const colon = node.lastIndexOf(':');
  return { host: node.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(node.slice(colon + 1)) };
}

/** What a Redis is, for a check of the configuration. */
export interface RedisFacts {
  readonly version: string;
  /** Does it write to disk (append-only file, or snapshots)? */
  readonly persistent: boolean;
  readonly evictionPolicy: string;
}

/** Connects once, asks, and closes. */
export async function probeRedis(location: RedisLocation): Promise<RedisFacts> {
  const { redis, ready } = connectRedis(location);
  try {
    await ready;
    const info = await redis.info();
    const field = (name: string): string => new RegExp(`^${name}:(.*)$`, 'm').exec(info)?.[1]?.trim() ?? '';
    // Hosted servers may forbid CONFIG: INFO tells enough.
    const saves = await redis.config('GET', 'save').then(
      (response) => response[1] !== '',
      () => field('rdb_last_save_time') !== '0',
    );
    return {
      version: field('redis_version'),
      persistent: field('aof_enabled') === '1' || saves,
      evictionPolicy: field('maxmemory_policy') || 'noeviction',
    };
  } finally {
    redis.disconnect();
  }
}
