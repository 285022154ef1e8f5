/**
 * The local copy of the revocation list: responds on every request, synchronously, and knows how old it may be.
 *
 * It notes the end of the store's log, loads a snapshot, then follows the log from there, so that nothing falls between.
 * About once a second it compares itself with the store; where they differ, it compares every mark, takes what it lacks
 * and puts back what the store has lost. Rules V1 to V6, V8, V14.
 */
import { EventEmitter } from 'node:events';
import type { Clock } from '../clock.ts';
import { collectAfterList } from '../gc.ts';
import type { RevocationMark } from './mark.ts';
import { MarkTable } from './mark-table.ts';
import { OwnMarks } from './own-marks.ts';
import { mergedMark, supersedes } from './merge-rules.ts';
import {
  PositionLost,
  type Batch,
  type Inventory,
  type Position,
  type RevocationStore,
} from './revocation-store.ts';
import { pause } from './abortable-delay.ts';
import { idOfKey, type RevocableToken, type TargetKey } from './revocation-target.ts';

const FIRST_RETRY_MS = 50;
const MAX_RETRY_MS = 1_000;
const SWEEP_MS = 60_000;
/** Marks put back with one call. */
const MERGE_MARKS = 500;
/** How often comparisons may differ in a row before a full one: the log may be on its way. */
const DIFFERENCES_ALLOWED = 1;

interface ViewEvents {
  /** The list was loaded from the store, at start or after it had been lost. */
  loaded: [];
  /** The store is unavailable: `lost` once for each loss, `failing` for each further try. */
  lost: [error: unknown];
  failing: [error: unknown];
  /** The store had lost marks, and has them again. */
  restored: [marks: number];
  /** Marks were applied; by how much the news was late, in milliseconds of the store's clock. */
  applied: [marks: readonly RevocationMark[]];
  /** The log brought an announcement. */
  announced: [text: string];
  /** Announcements up to now may have been missed: the log is followed from another place. */
  skipped: [];
}

export class RevocationView extends EventEmitter<ViewEvents> {
  readonly #store: RevocationStore;
  readonly #clock: Clock;
  /** As far as the log was read. */
  readonly #marks: MarkTable;
  /** Apart, so that the table can be compared with the store at a place of the log. */
  readonly #own = new OwnMarks();
  readonly #stopping = new AbortController();
  #position: Position | undefined;
  #differences = 0;
  /** The store tells of what it drops, and is compared with the view: the view drops nothing by itself. */
  #isCompared = false;
  #freshAtMs = -Infinity;
  #connected = false;
  #lossTold = false;
  #running: Promise<void> | undefined;
  #cancelSweep: () => void = () => undefined;
  #revision = 0;
  /** Is told of each token that is refused. */
  onRefusal: ((token: RevocableToken, issuedAt: number | undefined) => void) | undefined;

  constructor(store: RevocationStore, clock: Clock, marks = new MarkTable()) {
    super();
    this.#store = store;
    this.#marks = marks;
    this.#clock = clock;
  }

  /** Begins to follow the store, and goes on until stop(). `loaded` is emitted when the list is there. */
  start(): void {
    this.#running ??= this.#run();
    this.#scheduleSweep();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#cancelSweep();
    await this.#running;
  }

  /** Milliseconds since the list was last known to be complete; Infinity before it was ever loaded. */
  get ageMs(): number {
    return this.#clock.monotonicMs() - this.#freshAtMs;
  }

  get connected(): boolean {
    return this.#connected;
  }

  /** Where the log of the store is read to; undefined before the list was ever loaded. */
  get position(): Position | undefined {
    return this.#position;
  }

  /** Entries in force. */
  get size(): number {
    let size = this.#marks.revoked;
    for (const { id, revoked } of this.#own.values())
      size += Number(revoked) - Number(this.#marks.get(id)?.revoked ?? false);
    return size;
  }

  /** Marks with a cutoff: entries that name a subject, a client or a claim. */
  get cutoffs(): number {
    return this.#marks.withCutoff + this.#own.withCutoff;
  }

  /** Another number after each change of the list: what was decided before it may be decided otherwise now. */
  get revision(): number {
    return this.#revision;
  }

  /**
   * Has this token been revoked?
   *
   * @param issuedAt its `iat` in seconds; a token without one matches every cutoff
   */
  isRevoked(token: RevocableToken, issuedAt: number | undefined): boolean {
    const withCutoff = this.#marks.withCutoff + this.#own.withCutoff;
    const forGood = this.#marks.forGood + this.#own.forGood;
    if (withCutoff + forGood === 0) return false;
    // Keys are looked for where there is something of their kind. Sessions always are: an older gateway gives one a cutoff.
    const revoked =
      (forGood > 0 && this.#anyRevokes(token.tokenKeys, undefined)) ||
      this.#anyRevokes(token.sessionKeys, undefined) ||
      (withCutoff > 0 &&
        (this.#anyRevokes(token.subjectKeys, token.loggedIn(issuedAt)) ||
          this.#anyRevokes(token.clientAndClaimKeys, issuedAt)));
    if (revoked) this.onRefusal?.(token, issuedAt);
    return revoked;
  }

  /**
   * Up to when the entry under this key lives, in seconds, where it revokes a token that was issued then; else undefined.
   *
   * @param issuedAt what a cutoff is compared with; undefined: whenever it was
   */
  expiryOf(key: TargetKey, issuedAt: number | undefined): number | undefined {
    const own = this.#own.verdict(key, issuedAt);
    const table = own === undefined ? this.#marks : this.#own;
    return (own ?? table.verdict(key, issuedAt)) === true ? table.get(idOfKey(key))?.expiresAt : undefined;
  }

  /** The mark under this id, as it counts here. */
  mark(id: string): RevocationMark | undefined {
    return this.#own.get(id) ?? this.#marks.get(id);
  }

  /** Takes in a change that this gateway has made. It counts at once, before the log brings it. */
  apply(marks: readonly RevocationMark[]): void {
    this.#revision++;
    for (const mark of marks) {
      const known = this.mark(mark.id);
      const merged = known ? mergedMark(known, mark) : mark;
      if (merged === known) continue;
      this.#own.add(merged, this.#clock.monotonicMs());
    }
    if (marks.length > 0) this.emit('applied', marks);
  }

  #anyRevokes(keys: readonly TargetKey[], issuedAt: number | undefined): boolean {
    for (const key of keys) {
      const own = this.#own.size === 0 ? undefined : this.#own.verdict(key, issuedAt);
      if (own ?? this.#marks.verdict(key, issuedAt) ?? false) return true;
    }
    return false;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    for (let failures = 0; !signal.aborted;) {
      try {
        await this.#follow(() => (failures = 0));
      } catch (error) {
        if (error instanceof PositionLost) {
          this.#position = undefined;
          continue;
        }
        this.#connected = false;
        if (!signal.aborted) this.emit(this.#lossTold ? 'failing' : 'lost', error);
        this.#lossTold = true;
        await pause(this.#clock, Math.min(FIRST_RETRY_MS * 2 ** failures++, MAX_RETRY_MS), signal);
      }
    }
  }

  async #follow(succeeded: () => void): Promise<void> {
    this.#position ??= await this.#compareAll();
    for await (const batch of this.#store.follow(this.#position, this.#stopping.signal)) {
      this.#applyBatch(batch);
      const { complete, askedAtMs } = batch;
      if (complete === undefined) continue;
      this.#isCompared = complete !== 'everything';
      succeeded();
      if (this.#agreesWith(complete, askedAtMs)) this.#fresh(askedAtMs);
      else if (++this.#differences > DIFFERENCES_ALLOWED)
        throw new PositionLost('the view differs from the store');
    }
  }

  #applyBatch({ marks, dropped, announcements, position }: Batch): void {
    const news: RevocationMark[] = [];
    if (marks.length > 0) this.#revision++;
    for (const mark of marks) {
      const known = this.#marks.get(mark.id);
      const merged = known ? mergedMark(known, mark) : mark;
      if (merged !== known) this.#marks.set(merged);
      const own = this.#own.get(mark.id);
      if (own && !supersedes(own, mark)) this.#own.delete(mark.id);
      else if (!own) news.push(mark);
    }
    for (const mark of dropped ?? []) {
      const known = this.#marks.get(mark.id);
      if (known && !supersedes(known, mark)) this.#marks.delete(mark.id);
    }
    this.#position = position;
    if (news.length > 0) this.emit('applied', news);
    for (const text of announcements ?? []) this.emit('announced', text);
  }

  /** Has everything arrived that was in the store when it was asked? */
  #agreesWith(complete: Inventory | 'everything', askedAtMs: number): boolean {
    const { size, checksum } = this.#marks;
    const same = complete === 'everything' || (complete.count === size && complete.checksum === checksum);
    // What this gateway changed before the store was asked must have come back by its log.
    return same && this.#own.areAllMadeSince(askedAtMs);
  }

  /**
   * Compares every mark with the store's: takes what is new here, puts back what is missing there.
   *
   * @returns the place in the log to go on from
   */
  async #compareAll(): Promise<Position> {
    const askedAtMs = this.#clock.monotonicMs();
    const position = await this.#store.position();
    this.emit('skipped');
    const lacking: RevocationMark[] = [];
    this.#marks.unseeAll();
    let read = 0;
    for await (const marks of this.#store.snapshot()) {
      read += marks.length;
      for (const mark of marks) {
        const known = this.#marks.get(mark.id);
        const merged = known ? mergedMark(known, mark) : mark;
        if (merged === known) this.#marks.see(mark.id);
        else this.#marks.set(merged);
        if (supersedes(merged, mark)) lacking.push(merged);
      }
    }
    this.#revision++;
    const nowSeconds = (await this.#store.nowMs()) / 1000;
    for (const mark of [...this.#marks.unseen()]) {
      // The store drops what has expired, and so does the view, to be comparable.
      if (mark.expiresAt < nowSeconds) this.#marks.delete(mark.id);
      else lacking.push(mark);
    }
    for (const own of [...this.#own.values()]) {
      const known = this.#marks.get(own.id);
      if (known && !supersedes(own, known)) this.#own.delete(own.id);
      else lacking.push(own);
    }
    for (let from = 0; from < lacking.length; from += MERGE_MARKS)
      await this.#store.merge(lacking.slice(from, from + MERGE_MARKS));
    if (lacking.length > 0) this.emit('restored', lacking.length);
    collectAfterList(read);
    this.#fresh(askedAtMs - (this.#store.ageMs ?? 0));
    return position;
  }

  #fresh(askedAtMs: number): void {
    const first = this.#freshAtMs === -Infinity || this.#lossTold;
    this.#differences = 0;
    this.#connected = true;
    this.#lossTold = false;
    this.#freshAtMs = Math.max(this.#freshAtMs, askedAtMs);
    if (first) this.emit('loaded');
  }

  /** Where the store tells of nothing that it drops, what has expired goes by our own clock. */
  #scheduleSweep(): void {
    this.#cancelSweep = this.#clock.after(SWEEP_MS, () => {
      const nowSeconds = this.#clock.nowMs() / 1000;
      for (const { id, expiresAt } of [...this.#own.values()])
        if (expiresAt < nowSeconds) this.#own.delete(id);
      if (!this.#isCompared || !this.#connected)
        for (const { id, expiresAt } of [...this.#marks.values()])
          if (expiresAt < nowSeconds) this.#marks.delete(id);
      if (!this.#stopping.signal.aborted) this.#scheduleSweep();
    });
  }
}
