/**
 * Revocations in Redis: the store of a fleet. One script changes everything at once; a stream tells every
 * gateway of each change as it happens. Rules V5, V6, V7, V9.
 */
import type { Clock } from '../clock.ts';
import { compareVersions, markText, parseMark, parseVersion, type RevocationMark } from './mark.ts';
import { cutoffOf, RENEWAL_STEP_SECONDS } from './merge-rules.ts';
import {
  PositionLost,
  type Batch,
  type ListQuery,
  type Page,
  type Position,
  type RevocationEntry,
  type RevocationRequest,
  type RevocationStore,
  type Revoked,
} from './revocation-store.ts';
import { compareListed, pageOf, parseCursor, type ListPlace } from './list-cursor.ts';
import { RedisBoard } from './redis-board.ts';
import type { RedisLocation } from './redis-connection.ts';
import { detailText, entryOf, liveEntry } from './redis-entry.ts';
import { RedisLink } from './redis-link.ts';
import { KEY_NAMES, LOG_LENGTH, type KeyName } from './redis-scripts.ts';

/** How often a gateway compares itself with the list. XREAD waits for news no longer than that. */
const COMPARE_MS = 1_000;
const BATCH_ENTRIES = 1_000;
const SCAN_COUNT = '2000';

export class RedisStore implements RevocationStore {
  readonly kind = 'redis';
  readonly board: RedisBoard;
  readonly #clock: Clock;
  readonly #link: RedisLink;
  readonly #key: Readonly<Record<KeyName, string>>;
  /** All of them, in the order in which the scripts expect them. */
  readonly #keys: readonly string[];
  /** Of the history that the view was last compared with. */
  #replicationId = '';

  /** Connects when it is first asked; each method says for itself whether Redis could be had. */
  constructor(location: RedisLocation, clock: Clock) {
    this.#clock = clock;
    this.#link = new RedisLink(location, clock);
    // Braces make a hash tag: all keys share one slot of a cluster, so that one script can use them.
    const prefix = `{${location.keyPrefix}}:revocation`;
    const named = KEY_NAMES.map((name) => [name, `${prefix}:${name}`] as const);
    this.#key = Object.fromEntries(named) as Record<KeyName, string>;
    this.#keys = named.map(([, key]) => key);
    this.board = new RedisBoard(this.#link, prefix);
  }

  async nowMs(): Promise<number> {
    const [seconds, microseconds] = await this.#link.run((redis) => redis.time());
    return Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000);
  }

  async revoke(request: RevocationRequest): Promise<Revoked> {
    const { id, target, expiresAt } = request;
    const issuedBefore = cutoffOf(target, request.issuedBefore);
    const [outcome, mark, detail] = await this.#link.run((redis) =>
      redis.sallyportRevoke(
        ...this.#keys,
        id,
        issuedBefore === null ? '' : String(issuedBefore),
        String(expiresAt),
        detailText(request),
      ),
    );
    return { entry: entryOf(parseMark(id, mark), detail), created: outcome === 1, changed: outcome !== 0 };
  }

  async renew(id: string, lifeSeconds: number): Promise<RevocationMark | undefined> {
    const mark = await this.#link.run((redis) =>
      redis.sallyportRenew(...this.#keys, id, String(lifeSeconds), String(RENEWAL_STEP_SECONDS)),
    );
    return mark === null ? undefined : parseMark(id, mark);
  }

  async undo(id: string): Promise<RevocationMark | undefined> {
    const mark = await this.#link.run((redis) => redis.sallyportUndo(...this.#keys, id));
    return mark === null ? undefined : parseMark(id, mark);
  }

  async find(id: string): Promise<RevocationEntry | undefined> {
    const nowMs = await this.nowMs();
    const { state, detail } = this.#key;
    const [mark, who] = await this.#link.run((redis) =>
      Promise.all([redis.hget(state, id), redis.hget(detail, id)]),
    );
    return mark === null ? undefined : liveEntry(parseMark(id, mark), who, nowMs);
  }

  async list({ cursor, limit, subject }: ListQuery): Promise<Page> {
    const nowMs = await this.nowMs();
    const entries: RevocationEntry[] = [];
    const places: ListPlace[] = [];
    let after = parseCursor(cursor);
    for (let offset = 0; ;) {
      const page = await this.#placesFrom(after.createdAt, offset);
      if (page.length === 0) return pageOf(entries, limit, places);
      const fresh = page.filter((place) => compareListed(place, after) > 0);
      const found = await this.#entriesAt(fresh, nowMs);
      const { createdAt } = after;
      for (const [index, place] of fresh.entries()) {
        after = place;
        const entry = found[index];
        if (entry === undefined || (subject !== undefined && !isSubject(entry, subject))) continue;
        entries.push(entry);
        places.push(place);
        if (entries.length > limit) return pageOf(entries, limit, places);
      }
      // Thousands may be made in the same second: those that were seen are passed over by their number.
      offset = after.createdAt === createdAt ? offset + page.length : 0;
    }
  }

  /** The next places that were made at this time or before it, the latest first. */
  async #placesFrom(createdAt: number, offset: number): Promise<ListPlace[]> {
    const { created } = this.#key;
    const flat = await this.#link.run((redis) =>
      redis.zrevrangebyscore(created, createdAt, '-inf', 'WITHSCORES', 'LIMIT', offset, BATCH_ENTRIES),
    );
    return placesOf(flat);
  }

  /** In the order of the places; undefined where the entry does not live. */
  async #entriesAt(
    places: readonly ListPlace[],
    nowMs: number,
  ): Promise<readonly (RevocationEntry | undefined)[]> {
    // Redis refuses a HMGET without fields.
    if (places.length === 0) return [];
    const { state, detail } = this.#key;
    const ids = places.map(({ id }) => id);
    const [marks, details] = await this.#link.run((redis) =>
      Promise.all([redis.hmget(state, ...ids), redis.hmget(detail, ...ids)]),
    );
    return ids.map((id, index) => {
      const mark = marks[index] ?? null;
      return mark === null ? undefined : liveEntry(parseMark(id, mark), details[index] ?? null, nowMs);
    });
  }

  async announce(text: string): Promise<void> {
    const { log } = this.#key;
    // Laid out like a change; versions that do not know announcements pass over it.
    await this.#link.run((redis) =>
      redis.xadd(log, 'MAXLEN', '~', LOG_LENGTH, '*', 'id', '', 'announcement', text),
    );
  }

  async position(): Promise<Position> {
    const last = await this.#link.run((redis) => redis.xrevrange(this.#key.log, '+', '-', 'COUNT', 1));
    return last[0]?.[0] ?? '0-0';
  }

  async *snapshot(): AsyncGenerator<readonly RevocationMark[]> {
    const scan = (cursor: string): Promise<[cursor: string, fields: string[]]> => {
      const page = this.#link.run((redis) => redis.hscan(this.#key.state, cursor, 'COUNT', SCAN_COUNT));
      // A reader that stops never looks at the page that was asked for ahead.
      page.catch(() => undefined);
      return page;
    };
    for (let next: ReturnType<typeof scan> | undefined = scan('0'); next !== undefined;) {
      const [cursor, fields]: [string, string[]] = await next;
      // Redis works on the next page while this one is taken in.
      next = cursor === '0' ? undefined : scan(cursor);
      const marks: RevocationMark[] = [];
      for (let index = 0; index < fields.length; index += 2)
        marks.push(parseMark(fields[index] ?? '', fields[index + 1] ?? ''));
      yield marks;
    }
  }

  async merge(marks: readonly RevocationMark[]): Promise<void> {
    const args = marks.flatMap((mark) => [mark.id, markText(mark)]);
    await this.#link.run((redis) => redis.sallyportMerge(...this.#keys, ...args));
  }

  async *follow(position: Position, signal: AbortSignal): AsyncGenerator<Batch> {
    // The view may have been stopped while it compared itself with the store.
    if (signal.aborted) return;
    // XREAD BLOCK holds its connection: one of its own.
    const follower = this.#link.follow(signal);
    const { log } = this.#key;
    try {
      let last = position;
      let comparedAtMs = -Infinity;
      while (!signal.aborted) {
        const askedAtMs = this.#clock.monotonicMs();
        const untilCompareMs = comparedAtMs + COMPARE_MS - askedAtMs;
        if (untilCompareMs > 0) {
          const response = await follower.run((redis) =>
            redis.xread('COUNT', BATCH_ENTRIES, 'BLOCK', Math.ceil(untilCompareMs), 'STREAMS', log, last),
          );
          const changes = response?.[0]?.[1] ?? [];
          last = changes.at(-1)?.[0] ?? last;
          if (changes.length > 0) yield batchOf(changes, last, askedAtMs);
          continue;
        }
        comparedAtMs = askedAtMs;
        const [end, count, checksum, replicationId] = await follower.run((redis) =>
          redis.sallyportInventory(...this.#keys),
        );
        const isOther = this.#replicationId !== '' && replicationId !== this.#replicationId;
        this.#replicationId = replicationId;
        // A primary that was a replica may have missed what the one before it acknowledged.
        if (isOther) throw new PositionLost('the store has another history');
        if (compareIds(end, last) < 0) throw new PositionLost('the log ends before the position');
        // Exactly up to where the inventory was taken: what came later is not in it.
        while (compareIds(last, end) < 0) {
          const changes = await follower.run((redis) =>
            redis.xrange(log, `(${last}`, end, 'COUNT', BATCH_ENTRIES),
          );
          last = changes.at(-1)?.[0] ?? end;
          yield batchOf(changes, last, askedAtMs);
        }
        yield {
          marks: [],
          askedAtMs,
          position: last,
          complete: { count, checksum: Number(checksum) },
        };
      }
    } finally {
      follower.close();
    }
  }

  async close(): Promise<void> {
    this.#link.close();
  }
}

/** Changes as the log holds them: id, and `mark`, `dropped` or `announcement`. */
function batchOf(
  changes: readonly (readonly [id: string, fields: readonly string[]])[],
  position: Position,
  askedAtMs: number,
): Batch {
  const of = (kind: string): RevocationMark[] =>
    changes.flatMap(([, [, id = '', field, mark = '']]) => (field === kind ? [parseMark(id, mark)] : []));
  const announcements = changes.flatMap(([, [, , field, text = '']]) =>
    field === 'announcement' ? [text] : [],
  );
  return {
    marks: of('mark'),
    dropped: of('dropped'),
    announcements,
    askedAtMs,
    position,
    complete: undefined,
  };
}

/** Ids of a stream are `milliseconds-counter`. */
function compareIds(a: Position, b: Position): number {
  return compareVersions(parseVersion(a), parseVersion(b));
}

function isSubject({ target }: RevocationEntry, subject: string): boolean {
  return target?.kind === 'subject' && target.value === subject;
}

/** Members and their scores in turn, as the index of what was made when has them. */
function placesOf(flat: readonly string[]): ListPlace[] {
  return Array.from({ length: flat.length / 2 }, (_, index) => ({
    id: flat[2 * index] ?? '',
    createdAt: Number(flat[2 * index + 1]),
  }));
}
