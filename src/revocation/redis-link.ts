/**
 * The way to Redis that never hangs: a connection is made when it is needed, given up when it does not respond, and
 * made again, from looking for the primary on, by the next command. Rule V9.
 */
import type { Clock } from '../clock.ts';
import {
  connectRedis,
  redisClient,
  type RedisConnection,
  type RedisLocation,
  type ScriptedRedis,
} from './redis-connection.ts';

/** Making a connection, or one command. Redis responds in microseconds: one that does not in this time is lost. */
const RESPONSE_TIMEOUT_MS = 2_000;
/** The same for a follower, whose commands wait up to a second by design: a dead one is noticed within 3 s. */
const FOLLOWER_TIMEOUT_MS = 1_800;

type Command<T> = (redis: ScriptedRedis) => Promise<T>;

/** A connection that is used until it is lost. */
interface Follower {
  run<T>(command: Command<T>): Promise<T>;
  close(): void;
}

export class RedisLink {
  readonly #location: RedisLocation;
  readonly #clock: Clock;
  readonly #followers = new Set<Follower>();
  #connection: RedisConnection | undefined;

  constructor(location: RedisLocation, clock: Clock) {
    this.#location = location;
    this.#clock = clock;
    // What cannot be loaded must show here, and not as a Redis that is away.
    redisClient();
  }

  /**
   * Runs a command on the connection that all commands share. It waits a moment for one that is being made.
   *
   * @param limitMs for both together: a request waits for it. The connection is given up then.
   */
  async run<T>(command: Command<T>, limitMs?: number): Promise<T> {
    const connection = (this.#connection ??= this.#open());
    const { redis, ready } = connection;
    try {
      if (limitMs !== undefined)
        return await this.#within(
          limitMs,
          ready.then(() => command(redis)),
          () => this.#giveUp(connection),
        );
      await ready;
      return await command(redis);
    } catch (error) {
      // No response in time: the connection may be half open, and only a new one can tell.
      // A replica that was a primary takes no change: a new connection finds the one that does.
      if (error instanceof Error && /^Command timed out$|READONLY/.test(error.message))
        this.#giveUp(connection);
      throw error;
    }
  }

  /** A connection of its own, for commands that wait. It ends with the signal. */
  follow(signal: AbortSignal): Follower {
    const { redis, ready } = connectRedis(this.#location);
    const close = (): void => {
      signal.removeEventListener('abort', close);
      this.#followers.delete(follower);
      redis.disconnect();
    };
    const follower: Follower = {
      close,
      run: async (command) =>
        this.#within(
          FOLLOWER_TIMEOUT_MS,
          ready.then(() => command(redis)),
          close,
        ),
    };
    signal.addEventListener('abort', close);
    this.#followers.add(follower);
    return follower;
  }

  close(): void {
    for (const follower of this.#followers) follower.close();
    if (this.#connection) this.#giveUp(this.#connection);
  }

  #open(): RedisConnection {
    const opening = connectRedis(this.#location, RESPONSE_TIMEOUT_MS);
    const { redis } = opening;
    const connection: RedisConnection = {
      redis,
      ready: this.#within(RESPONSE_TIMEOUT_MS, opening.ready, () => this.#giveUp(connection)),
    };
    redis.once('end', () => this.#giveUp(connection));
    return connection;
  }

  #giveUp(connection: RedisConnection): void {
    // Each command that waited for it comes here.
    if (this.#connection !== connection) return;
    this.#connection = undefined;
    connection.redis.disconnect();
  }

  /** Not even the end of a connection that is being made ends the wait for it: only the clock does. */
  async #within<T>(limitMs: number, response: Promise<T>, tooLate: () => void): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    let isDone = false;
    const giveUp = (): void => {
      if (isDone) return;
      tooLate();
      reject(new Error('Redis did not respond in time'));
    };
    // This process may have stood still itself: responses that have arrived meanwhile are read first.
    const cancel = this.#clock.after(limitMs, () => void setImmediate(giveUp));
    response.then(resolve, reject);
    try {
      return await promise;
    } finally {
      isDone = true;
      cancel();
    }
  }
}
