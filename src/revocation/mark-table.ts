/**
 * Marks by key, exact and compact: some 65 bytes each, without an object for any of them, so that a million cost the
 * garbage collector nothing. Pure.
 *
 * Marks lie in pages of typed arrays, which never move as the table grows. An index of open addressing finds them:
 * each cell holds a word of the key, so that a key that is not there is known without a look at any mark.
 */
import { CHECKSUM_MODULUS, markChecksum, type RevocationMark } from './mark.ts';
import { idOfKey, keyOfId, type TargetKey } from './revocation-target.ts';

const PAGE_BITS = 14;
const PAGE_MARKS = 1 << PAGE_BITS;
const KEY_WORDS = 4;
const FIRST_CELLS = 1 << 10;
/** The index doubles when it is fuller than this. */
const MAX_LOAD = 0.7;
/** Two words: the first of the key, and the slot plus one; 0 is an empty cell. */
const CELL_WORDS = 2;

interface MarkPage {
  readonly keys: Uint32Array;
  /** NaN for a mark that revokes for good. */
  readonly issuedBefore: Float64Array;
  readonly expiresAt: Float64Array;
  readonly versionTimeMs: Float64Array;
  readonly versionCounter: Uint32Array;
  readonly flags: Uint8Array;
}

const REVOKED = 1;
const SEEN = 2;

export class MarkTable {
  readonly #pages: MarkPage[] = [];
  #size = 0;
  #revoked = 0;
  #cutoffs = 0;
  #checksum = 0;
  #index = new Uint32Array(FIRST_CELLS * CELL_WORDS);

  /** Marks, tombstones too. */
  get size(): number {
    return this.#size;
  }

  /** Marks that revoke. */
  get revoked(): number {
    return this.#revoked;
  }

  /** Marks that end what they match for good: of one token, of a session. */
  get forGood(): number {
    return this.#size - this.#cutoffs;
  }

  /** Marks that end what was issued up to a date. */
  get withCutoff(): number {
    return this.#cutoffs;
  }

  get checksum(): number {
    return this.#checksum;
  }

  /**
   * Does the mark under this key revoke a token issued then? Undefined where there is no mark.
   *
   * @param issuedAt `iat` in seconds; a token without one matches every cutoff
   */
  verdict(key: TargetKey, issuedAt: number | undefined): boolean | undefined {
    const slot = this.#find(key);
    if (slot < 0) return undefined;
    const page = this.#page(slot);
    const at = slot & (PAGE_MARKS - 1);
    if (((page.flags[at] ?? 0) & REVOKED) === 0) return false;
    const issuedBefore = page.issuedBefore[at] ?? NaN;
    // Both cut to whole seconds: a login within the second of the cutoff is ended too, the next one lives.
    return Number.isNaN(issuedBefore) || issuedAt === undefined || Math.floor(issuedAt) <= issuedBefore;
  }

  get(id: string): RevocationMark | undefined {
    const slot = this.#find(keyOfId(id));
    return slot < 0 ? undefined : this.#markAt(slot);
  }

  /** Takes the mark in place of any other under its id. */
  set(mark: RevocationMark): void {
    const key = keyOfId(mark.id);
    let slot = this.#find(key);
    if (slot < 0) {
      slot = this.#size++;
      if (slot >> PAGE_BITS === this.#pages.length) this.#pages.push(newPage());
      this.#page(slot).keys.set(key, (slot & (PAGE_MARKS - 1)) * KEY_WORDS);
      if (this.#size > (this.#index.length / CELL_WORDS) * MAX_LOAD) this.#growIndex();
      else this.#addCell(key[0] ?? 0, slot);
    } else {
      this.#discount(slot);
    }
    const page = this.#page(slot);
    const at = slot & (PAGE_MARKS - 1);
    page.issuedBefore[at] = mark.issuedBefore ?? NaN;
    page.expiresAt[at] = mark.expiresAt;
    page.versionTimeMs[at] = mark.version.timeMs;
    page.versionCounter[at] = mark.version.counter;
    page.flags[at] = (mark.revoked ? REVOKED : 0) | SEEN;
    if (mark.revoked) this.#revoked++;
    if (mark.issuedBefore !== null) this.#cutoffs++;
    this.#checksum = (this.#checksum + markChecksum(mark)) % CHECKSUM_MODULUS;
  }

  delete(id: string): void {
    const key = keyOfId(id);
    const slot = this.#find(key);
    if (slot < 0) return;
    this.#discount(slot);
    this.#removeCell(this.#cellOf(key));
    const last = --this.#size;
    if (slot !== last) this.#move(last, slot);
    // A page is given back when it and the one before it are empty: no thrashing at a page's edge.
    if (this.#pages.length > (this.#size >> PAGE_BITS) + 2) this.#pages.pop();
  }

  /** Forgets which marks were seen; set() and see() mark them as seen again. */
  unseeAll(): void {
    for (const { flags } of this.#pages)
      for (let at = 0; at < flags.length; at++) flags[at] = (flags[at] ?? 0) & ~SEEN;
  }

  see(id: string): void {
    const slot = this.#find(keyOfId(id));
    if (slot < 0) return;
    const { flags } = this.#page(slot);
    const at = slot & (PAGE_MARKS - 1);
    flags[at] = (flags[at] ?? 0) | SEEN;
  }

  /** The marks that were not seen. */
  *unseen(): Generator<RevocationMark> {
    for (let slot = 0; slot < this.#size; slot++)
      if (((this.#page(slot).flags[slot & (PAGE_MARKS - 1)] ?? 0) & SEEN) === 0) yield this.#markAt(slot);
  }

  *values(): Generator<RevocationMark> {
    for (let slot = 0; slot < this.#size; slot++) yield this.#markAt(slot);
  }

  /**
   * Some marks, from the end of the table to its beginning, so that a table that changes meanwhile is seen whole: a mark that
   * moves goes towards the beginning, one that is new stands at the end. A mark may come twice.
   *
   * @param before where the last call ended; undefined: at the end
   */
  pageBefore(
    before: number | undefined,
    count: number,
  ): { readonly marks: RevocationMark[]; readonly before: number } {
    const marks: RevocationMark[] = [];
    let slot = Math.min(before ?? this.#size, this.#size);
    while (slot > 0 && marks.length < count) marks.push(this.#markAt(--slot));
    return { marks, before: slot };
  }

  #page(slot: number): MarkPage {
    return this.#pages[slot >> PAGE_BITS] as MarkPage;
  }

  #markAt(slot: number): RevocationMark {
    const page = this.#page(slot);
    const at = slot & (PAGE_MARKS - 1);
    const issuedBefore = page.issuedBefore[at] ?? NaN;
    return {
      id: idOfKey(page.keys.subarray(at * KEY_WORDS, (at + 1) * KEY_WORDS)),
      revoked: ((page.flags[at] ?? 0) & REVOKED) !== 0,
      issuedBefore: Number.isNaN(issuedBefore) ? null : issuedBefore,
      expiresAt: page.expiresAt[at] ?? 0,
      version: { timeMs: page.versionTimeMs[at] ?? 0, counter: page.versionCounter[at] ?? 0 },
    };
  }

  /** Takes a mark out of the counts before it is replaced or deleted. */
  #discount(slot: number): void {
    const mark = this.#markAt(slot);
    if (mark.revoked) this.#revoked--;
    if (mark.issuedBefore !== null) this.#cutoffs--;
    this.#checksum = (this.#checksum - markChecksum(mark) + CHECKSUM_MODULUS) % CHECKSUM_MODULUS;
  }

  /** Moves a mark to another slot. */
  #move(from: number, to: number): void {
    const source = this.#page(from);
    const target = this.#page(to);
    const [a, b] = [from & (PAGE_MARKS - 1), to & (PAGE_MARKS - 1)];
    const key = source.keys.slice(a * KEY_WORDS, (a + 1) * KEY_WORDS);
    this.#index[this.#cellOf(key) + 1] = to + 1;
    target.keys.set(key, b * KEY_WORDS);
    target.issuedBefore[b] = source.issuedBefore[a] ?? NaN;
    target.expiresAt[b] = source.expiresAt[a] ?? 0;
    target.versionTimeMs[b] = source.versionTimeMs[a] ?? 0;
    target.versionCounter[b] = source.versionCounter[a] ?? 0;
    target.flags[b] = source.flags[a] ?? 0;
  }

  #find(key: TargetKey): number {
    const cell = this.#cellOf(key);
    return cell < 0 ? -1 : (this.#index[cell + 1] ?? 0) - 1;
  }

  /** Where in the index a key is; -1 where it is not. */
  #cellOf(key: TargetKey): number {
    const index = this.#index;
    const mask = index.length - 1;
    const tag = key[0] ?? 0;
    for (let cell = (tag * CELL_WORDS) & mask; ; cell = (cell + CELL_WORDS) & mask) {
      const slot = index[cell + 1] ?? 0;
      if (slot === 0) return -1;
      if (index[cell] === tag && this.#hasKey(slot - 1, key)) return cell;
    }
  }

  #hasKey(slot: number, key: TargetKey): boolean {
    const { keys } = this.#page(slot);
    const at = (slot & (PAGE_MARKS - 1)) * KEY_WORDS;
    return keys[at + 1] === key[1] && keys[at + 2] === key[2] && keys[at + 3] === key[3];
  }

  #addCell(tag: number, slot: number): void {
    const index = this.#index;
    const mask = index.length - 1;
    let cell = (tag * CELL_WORDS) & mask;
    while (index[cell + 1] !== 0) cell = (cell + CELL_WORDS) & mask;
    index[cell] = tag;
    index[cell + 1] = slot + 1;
  }

  /** Cells behind the hole move up, so that no search ends early. */
  #removeCell(removed: number): void {
    const index = this.#index;
    const mask = index.length - 1;
    let hole = removed;
    for (let cell = (hole + CELL_WORDS) & mask; index[cell + 1] !== 0; cell = (cell + CELL_WORDS) & mask) {
      const home = ((index[cell] ?? 0) * CELL_WORDS) & mask;
      // Is the hole between the cell's home and the cell, going round?
      if (((cell - home) & mask) < ((cell - hole) & mask)) continue;
      index[hole] = index[cell] ?? 0;
      index[hole + 1] = index[cell + 1] ?? 0;
      hole = cell;
    }
    index[hole + 1] = 0;
  }

  #growIndex(): void {
    this.#index = new Uint32Array(this.#index.length * 2);
    for (let slot = 0; slot < this.#size; slot++)
      this.#addCell(this.#page(slot).keys[(slot & (PAGE_MARKS - 1)) * KEY_WORDS] ?? 0, slot);
  }
}

function newPage(): MarkPage {
  return {
    keys: new Uint32Array(PAGE_MARKS * KEY_WORDS),
    issuedBefore: new Float64Array(PAGE_MARKS),
    expiresAt: new Float64Array(PAGE_MARKS),
    versionTimeMs: new Float64Array(PAGE_MARKS),
    versionCounter: new Uint32Array(PAGE_MARKS),
    flags: new Uint8Array(PAGE_MARKS),
  };
}
