/**
 * Revocations in the memory of this process: for trying things out. A restart forgets them, and no other
 * gateway learns of them.
 */
import type { Clock } from '../clock.ts';
import { MemoryBoard } from './memory-board.ts';
import { compareListed, pageOf, parseCursor } from './list-cursor.ts';
import {
  compareVersions,
  formatVersion,
  nextVersion,
  parseVersion,
  type RevocationMark,
  type Version,
} from './mark.ts';
import { mergedMark, renewedExpiry, restoredEntry, revise } from './merge-rules.ts';
import type {
  Batch,
  ListQuery,
  Page,
  Position,
  RevocationEntry,
  RevocationRequest,
  RevocationStore,
  Revoked,
} from './revocation-store.ts';

const HEARTBEAT_MS = 500;

export class MemoryStore implements RevocationStore {
  readonly kind = 'memory';
  readonly board: MemoryBoard;
  readonly #clock: Clock;
  readonly #entries = new Map<string, RevocationEntry>();
  readonly #followers = new Set<
    (marks: readonly RevocationMark[], announcements: readonly string[]) => void
  >();
  #version: Version = { timeMs: 0, counter: 0 };

  constructor(clock: Clock) {
    this.#clock = clock;
    this.board = new MemoryBoard(clock);
  }

  async nowMs(): Promise<number> {
    return this.#clock.nowMs();
  }

  async revoke(request: RevocationRequest): Promise<Revoked> {
    this.#dropExpired();
    const current = this.#entries.get(request.id);
    const { entry, created, changed } = revise(current, request, this.#nowSeconds);
    return { entry: changed || !current ? this.#put(entry) : current, created, changed };
  }

  async renew(id: string, lifeSeconds: number): Promise<RevocationMark | undefined> {
    const current = this.#entries.get(id);
    const expiresAt = renewedExpiry(current, lifeSeconds, this.#nowSeconds);
    return current && expiresAt !== undefined ? this.#put({ ...current, expiresAt }) : undefined;
  }

  async undo(id: string): Promise<RevocationMark | undefined> {
    const current = await this.find(id);
    return current && this.#put({ ...current, revoked: false });
  }

  async find(id: string): Promise<RevocationEntry | undefined> {
    this.#dropExpired();
    const entry = this.#entries.get(id);
    return entry?.revoked === true ? entry : undefined;
  }

  async list({ cursor, limit, subject }: ListQuery): Promise<Page> {
    this.#dropExpired();
    const after = parseCursor(cursor);
    const matching = [...this.#entries.values()]
      .filter((entry) => entry.revoked && compareListed(entry, after) > 0)
      .filter(
        ({ target }) => subject === undefined || (target?.kind === 'subject' && target.value === subject),
      )
      .sort(compareListed);
    return pageOf(matching, limit);
  }

  async announce(text: string): Promise<void> {
    for (const follower of this.#followers) follower([], [text]);
  }

  async position(): Promise<Position> {
    return formatVersion(this.#version);
  }

  async *snapshot(): AsyncGenerator<readonly RevocationMark[]> {
    yield [...this.#entries.values()];
  }

  async *follow(position: Position, signal: AbortSignal): AsyncGenerator<Batch> {
    const after = parseVersion(position);
    const waiting: RevocationMark[] = [...this.#entries.values()].filter(
      ({ version }) => compareVersions(version, after) > 0,
    );
    const heard: string[] = [];
    let wake: () => void = () => undefined;
    const follower = (marks: readonly RevocationMark[], announcements: readonly string[]): void => {
      waiting.push(...marks);
      heard.push(...announcements);
      wake();
    };
    const stop = (): void => wake();
    this.#followers.add(follower);
    signal.addEventListener('abort', stop);
    try {
      while (!signal.aborted) {
        const askedAtMs = this.#clock.monotonicMs();
        if (waiting.length === 0 && heard.length === 0) {
          const { promise, resolve } = Promise.withResolvers<void>();
          wake = resolve;
          const cancel = this.#clock.after(HEARTBEAT_MS, resolve);
          await promise;
          cancel();
        }
        yield {
          marks: waiting.splice(0),
          announcements: heard.splice(0),
          askedAtMs,
          position: formatVersion(this.#version),
          complete: 'everything',
        };
      }
    } finally {
      signal.removeEventListener('abort', stop);
      this.#followers.delete(follower);
    }
  }

  async merge(marks: readonly RevocationMark[]): Promise<void> {
    for (const mark of marks) {
      const current = this.#entries.get(mark.id);
      const merged = current ? mergedMark(current, mark) : mark;
      if (mark.expiresAt < this.#nowSeconds || merged === current) continue;
      this.#entries.set(mark.id, current ? { ...current, ...merged } : restoredEntry(mark));
      if (compareVersions(mark.version, this.#version) > 0) this.#version = mark.version;
      for (const follower of this.#followers) follower([merged], []);
    }
  }

  async close(): Promise<void> {
    this.#entries.clear();
  }

  get #nowSeconds(): number {
    return Math.floor(this.#clock.nowMs() / 1000);
  }

  #put(entry: Omit<RevocationEntry, 'version'>): RevocationEntry {
    this.#version = nextVersion(this.#version, this.#clock.nowMs());
    const stored = { ...entry, version: this.#version };
    this.#entries.set(stored.id, stored);
    for (const follower of this.#followers) follower([stored], []);
    return stored;
  }

  #dropExpired(): void {
    const nowSeconds = this.#clock.nowMs() / 1000;
    for (const [id, { expiresAt }] of this.#entries) if (expiresAt < nowSeconds) this.#entries.delete(id);
  }
}
