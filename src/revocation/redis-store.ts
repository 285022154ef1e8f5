/**
 * Revocations in Redis: the store of a fleet. One script changes everything at once; a stream tells every
 * gateway of each change as it happens. Rules V5, V7, V9.
 *
 * The only file that imports the Redis client.
 */
import { Redis } from 'ioredis';
import type { Clock } from '../clock.ts';
import { KEY_NAMES, REVOKE_SCRIPT, UNDO_SCRIPT } from './redis-scripts.ts';
import type {
  Batch,
  Page,
  Position,
  RevocationEntry,
  RevocationMark,
  RevocationRequest,
  RevocationStore,
} from './revocation-store.ts';
import type { RevocationTarget } from './revocation-target.ts';

/** All keys share one slot of a cluster. */
const KEY_PREFIX = '{sallyport}:revocation:';

const CONNECT_TIMEOUT_MS = 2_000;
/** Redis does not answer the closing of a connection that waits in XREAD: no reason to wait for it at the end. */
const DISCONNECT_TIMEOUT_MS = 50;
const COMMAND_TIMEOUT_MS = 2_000;
/** XREAD waits this long for news; its silence beyond the watchdog's limit means the connection is dead. */
const BLOCK_MS = 1_000;
const WATCHDOG_MS = 2_500;
const BATCH_ENTRIES = 1_000;
const SCAN_COUNT = '1000';
const MAX_RECONNECT_DELAY_MS = 500;

interface Detail {
  readonly target: RevocationTarget;
  readonly created_at: number;
  readonly created_by: string;
  /** Absent where none was given: cjson would turn null into something else. */
  readonly reason?: string;
}

interface ScriptedRedis extends Redis {
  sallyportRevoke(...args: string[]): Promise<[created: number, mark: string, detail: string]>;
  sallyportUndo(...args: string[]): Promise<string | null>;
}

export class RedisStore implements RevocationStore {
  readonly #url: string;
  readonly #clock: Clock;
  readonly #commands: ScriptedRedis;
  readonly #keys = KEY_NAMES.map((name) => `${KEY_PREFIX}${name}`);
  readonly #followers = new Set<Redis>();

  /** Connects in the background; each method says for itself whether Redis could be had. */
  constructor(url: string, clock: Clock) {
    this.#url = url;
    this.#clock = clock;
    const redis = this.#connect(COMMAND_TIMEOUT_MS);
    redis.defineCommand('sallyportRevoke', { numberOfKeys: KEY_NAMES.length, lua: REVOKE_SCRIPT });
    redis.defineCommand('sallyportUndo', { numberOfKeys: KEY_NAMES.length, lua: UNDO_SCRIPT });
    this.#commands = redis as ScriptedRedis;
  }

  async nowMs(): Promise<number> {
    const [seconds, microseconds] = await this.#whenReady((redis) => redis.time());
    return Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000);
  }

  async revoke(request: RevocationRequest): Promise<{ entry: RevocationEntry; created: boolean }> {
    const { id, target, issuedBefore, expiresAt, createdBy, reason } = request;
    const who = { target, created_by: createdBy, ...(reason === null ? {} : { reason }) };
    const [created, mark, detail] = await this.#whenReady((redis) =>
      redis.sallyportRevoke(
        ...this.#keys,
        id,
        issuedBefore === null ? '' : String(issuedBefore),
        String(expiresAt),
        JSON.stringify(who),
      ),
    );
    return { entry: entryOf(parseMark(id, mark), detail), created: created === 1 };
  }

  async undo(id: string): Promise<RevocationMark | undefined> {
    const mark = await this.#whenReady((redis) => redis.sallyportUndo(...this.#keys, id));
    return mark === null ? undefined : parseMark(id, mark);
  }

  async find(id: string): Promise<RevocationEntry | undefined> {
    const nowMs = await this.nowMs();
    const [state = '', detail = ''] = this.#keys;
    const [mark, who] = await this.#whenReady((redis) =>
      Promise.all([redis.hget(state, id), redis.hget(detail, id)]),
    );
    return mark === null ? undefined : liveEntry(parseMark(id, mark), who, nowMs);
  }

  async list({
    cursor,
    limit,
    subject,
  }: {
    cursor?: string;
    limit: number;
    subject?: string;
  }): Promise<Page> {
    const nowMs = await this.nowMs();
    const [state = '', detail = '', expiry = ''] = this.#keys;
    const entries: RevocationEntry[] = [];
    // In the order of the expiry index: by expires_at, then by id. It stays the same while one pages through it.
    let [score, lastId] = parseCursor(cursor);
    for (let offset = 0; ;) {
      const page = pairs(
        await this.#whenReady((redis) =>
          redis.zrangebyscore(expiry, score, '+inf', 'WITHSCORES', 'LIMIT', offset, BATCH_ENTRIES),
        ),
      );
      if (page.length === 0) return { entries, cursor: undefined };
      const fresh = page.filter(([id, expiresAt]) => expiresAt > score || id > lastId);
      const ids = fresh.map(([id]) => id);
      const [marks, details] =
        ids.length === 0
          ? [[], []]
          : await this.#whenReady((redis) =>
              Promise.all([redis.hmget(state, ...ids), redis.hmget(detail, ...ids)]),
            );
      const scoreBefore = score;
      for (const [index, [id, expiresAt]] of fresh.entries()) {
        [score, lastId] = [expiresAt, id];
        const mark = marks[index];
        const entry =
          mark === null || mark === undefined
            ? undefined
            : liveEntry(parseMark(id, mark), details[index] ?? null, nowMs);
        if (entry === undefined || (subject !== undefined && !isSubject(entry, subject))) continue;
        entries.push(entry);
        if (entries.length === limit) return { entries, cursor: formatCursor(score, lastId) };
      }
      // Thousands may expire in the same second: those that were seen are passed over by their number.
      offset = score === scoreBefore ? offset + page.length : 0;
    }
  }

  async position(): Promise<Position> {
    const last = await this.#whenReady((redis) => redis.xrevrange(this.#keys[4] ?? '', '+', '-', 'COUNT', 1));
    return last[0]?.[0] ?? '0-0';
  }

  async *snapshot(): AsyncGenerator<readonly RevocationMark[]> {
    let cursor = '0';
    do {
      const [next, fields] = await this.#whenReady((redis) =>
        redis.hscan(this.#keys[0] ?? '', cursor, 'COUNT', SCAN_COUNT),
      );
      cursor = next;
      const marks: RevocationMark[] = [];
      for (let index = 0; index < fields.length; index += 2) {
        marks.push(parseMark(fields[index] ?? '', fields[index + 1] ?? ''));
      }
      yield marks;
    } while (cursor !== '0');
  }

  async *follow(position: Position, signal: AbortSignal): AsyncGenerator<Batch> {
    // XREAD BLOCK holds its connection, and commandTimeout would end it: one of its own, with a watchdog.
    const redis = this.#connect();
    this.#followers.add(redis);
    const stop = (): void => redis.disconnect();
    signal.addEventListener('abort', stop);
    try {
      await this.#guarded(redis, redis.connect());
      let last = position;
      while (!signal.aborted) {
        const askedAtMs = this.#clock.monotonicMs();
        const answer = await this.#guarded(
          redis,
          redis.xread('COUNT', BATCH_ENTRIES, 'BLOCK', BLOCK_MS, 'STREAMS', this.#keys[4] ?? '', last),
        );
        const changes = answer?.[0]?.[1] ?? [];
        last = changes.at(-1)?.[0] ?? last;
        yield { marks: changes.map(([, fields]) => parseMark(fields[1] ?? '', fields[3] ?? '')), askedAtMs };
      }
    } finally {
      signal.removeEventListener('abort', stop);
      this.#followers.delete(redis);
      redis.disconnect();
    }
  }

  async close(): Promise<void> {
    for (const redis of [...this.#followers, this.#commands]) redis.disconnect();
  }

  /** Waits for an answer no longer than the watchdog allows: a half-open connection never answers. */
  async #guarded<T>(redis: Redis, answer: Promise<T>): Promise<T> {
    const cancel = this.#clock.after(WATCHDOG_MS, () => redis.disconnect());
    try {
      return await answer;
    } finally {
      cancel();
    }
  }

  /**
   * Runs a command on a connection that is there. Commands are never queued for one that is not: they wait a
   * moment for one that is being made, or fail.
   */
  async #whenReady<T>(command: (redis: ScriptedRedis) => Promise<T>): Promise<T> {
    const redis = this.#commands;
    if (redis.status !== 'ready') await this.#ready();
    try {
      return await command(redis);
    } catch (error) {
      // No answer in time: the connection may be half open, and only a new one can tell.
      if (error instanceof Error && error.message === 'Command timed out') redis.disconnect(true);
      throw error;
    }
  }

  async #ready(): Promise<void> {
    const redis = this.#commands;
    if (redis.status === 'wait') {
      await redis.connect();
      return;
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const cancel = this.#clock.after(CONNECT_TIMEOUT_MS, () => reject(new Error('Redis cannot be reached')));
    redis.once('ready', resolve);
    try {
      await promise;
    } finally {
      redis.off('ready', resolve);
      cancel();
    }
  }

  /** @param commandTimeoutMs undefined for a follower, whose one command waits by design */
  #connect(commandTimeoutMs?: number): Redis {
    const redis = new Redis(this.#url, {
      lazyConnect: true,
      connectTimeout: CONNECT_TIMEOUT_MS,
      disconnectTimeout: DISCONNECT_TIMEOUT_MS,
      maxRetriesPerRequest: 0,
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      reconnectOnError: (error) => error.message.startsWith('READONLY'),
      ...(commandTimeoutMs === undefined
        ? { retryStrategy: () => null }
        : {
            commandTimeout: commandTimeoutMs,
            retryStrategy: (times: number) => Math.min(50 * times, MAX_RECONNECT_DELAY_MS),
          }),
    });
    // Without a listener ioredis prints every failed connection; the view reports what matters.
    redis.on('error', () => undefined);
    return redis;
  }
}

const MARK = /^([01])\|(\d*)\|(\d+)\|(\d+)-(\d+)$/;

function parseMark(id: string, text: string): RevocationMark {
  const [, revoked, issuedBefore = '', expiresAt, timeMs, counter] = MARK.exec(text) ?? [];
  if (revoked === undefined)
    throw new Error('the revocation list in Redis holds an entry that is none of ours');
  return {
    id,
    revoked: revoked === '1',
    issuedBefore: issuedBefore === '' ? null : Number(issuedBefore),
    expiresAt: Number(expiresAt),
    version: { timeMs: Number(timeMs), counter: Number(counter) },
  };
}

function entryOf(mark: RevocationMark, detail: string): RevocationEntry {
  const who = JSON.parse(detail) as Detail;
  return {
    ...mark,
    target: who.target,
    createdAt: who.created_at,
    createdBy: who.created_by,
    reason: who.reason ?? null,
  };
}

function liveEntry(mark: RevocationMark, detail: string | null, nowMs: number): RevocationEntry | undefined {
  return mark.revoked && detail !== null && mark.expiresAt >= Math.floor(nowMs / 1000)
    ? entryOf(mark, detail)
    : undefined;
}

function isSubject({ target }: RevocationEntry, subject: string): boolean {
  return target.kind === 'subject' && target.value === subject;
}

function pairs(flat: readonly string[]): [id: string, score: number][] {
  return Array.from({ length: flat.length / 2 }, (_, index) => [
    flat[2 * index] ?? '',
    Number(flat[2 * index + 1]),
  ]);
}

/** Where a page ended: the expiry and the id of its last entry. */
function formatCursor(expiresAt: number, id: string): string {
  return `${expiresAt}.${id}`;
}

function parseCursor(cursor: string | undefined): [expiresAt: number, id: string] {
  if (cursor === undefined) return [0, ''];
  const [, expiresAt, id] = /^(\d{1,15})\.([A-Za-z0-9_-]{1,64})$/.exec(cursor) ?? [];
  if (expiresAt === undefined || id === undefined) throw new RangeError('the cursor is none of ours');
  return [Number(expiresAt), id];
}

/** What a Redis is, for whoever checks a configuration. */
export interface RedisFacts {
  readonly version: string;
  /** Does it write to disk (append-only file, or snapshots)? */
  readonly persistent: boolean;
  readonly evictionPolicy: string;
}

/** Connects once, asks, and closes. */
export async function probeRedis(url: string): Promise<RedisFacts> {
  const redis = new Redis(url, {
    lazyConnect: true,
    connectTimeout: CONNECT_TIMEOUT_MS,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
  });
  redis.on('error', () => undefined);
  try {
    await redis.connect();
    const info = await redis.info();
    const field = (name: string): string => new RegExp(`^${name}:(.*)$`, 'm').exec(info)?.[1]?.trim() ?? '';
    // Hosted servers may forbid CONFIG: INFO tells enough.
    const saves = await redis.config('GET', 'save').then(
      (answer) => answer[1] !== '',
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
