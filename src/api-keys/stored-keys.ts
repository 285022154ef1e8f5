/**
 * The API keys that the store has, kept current: a look-up waits for nothing, and responds from memory.
 *
 * Four times a second it reads what has changed. Where count or checksum show that the store has lost or changed something, at the
 * start, and once a minute, it compares everything: takes what it lacks, and puts back what the store has lost, or has in an older or
 * a forged state. So the keys outlive their store, as long as one gateway runs, or has its copy on disk. Rules V5, V6, X3.
 */
import type { Clock } from '../clock.ts';
import { pause } from '../revocation/abortable-delay.ts';
import { PositionLost, type Position } from '../revocation/revocation-store.ts';
import type { ApiKeySource } from './api-key.ts';
import { keyName, type ApiKeyStore, type NamedText, type Replacement } from './api-key-store.ts';
import { issuerOf, KeyBook, type KeySeals } from './key-book.ts';
import type { KeyEvents } from './key-events.ts';
import type { KeyHolder } from './key-holder.ts';
import { StoreMirror } from './store-mirror.ts';
import { isOver, type StoredKey } from './stored-key.ts';

const LOOK_MS = 250;
const COMPARE_ALL_MS = 60_000;
/** Longer than this without the store, and a key that is not known here may be one that was made meanwhile. */
const CURRENT_MS = 5_000;
/** Others may change the same key at the same time. */
const CHANGE_TRIES = 5;

/** The copy of this gateway, for a start while the store is away. */
export interface KeyCopy {
  load(): Promise<readonly NamedText[]>;
  save(texts: () => Iterable<NamedText>): void;
}

export interface StoredKeysParts {
  readonly store: ApiKeyStore;
  readonly clock: Clock;
  readonly copy: KeyCopy;
  readonly events: KeyEvents;
}

export class StoredKeys implements KeyHolder {
  readonly book = new KeyBook();
  readonly #parts: StoredKeysParts;
  readonly #mirror = new StoreMirror();
  /** By name: what was found and ignored. */
  readonly #ignored = new Map<string, string>();
  readonly #stopping = new AbortController();
  #position: Position | undefined;
  #freshAtMs = -Infinity;
  #comparedAtMs = -Infinity;
  #wasCurrent = false;
  #isLostTold = false;
  #mustReseal = false;
  #issuers: readonly string[] = [];
  #news: NamedText[] = [];
  #syncing: Promise<void> | undefined;
  #telling: Promise<void> = Promise.resolve();
  #running: Promise<void> | undefined;
  readonly #firstLook = Promise.withResolvers<void>();
  readonly asked = this.#firstLook.promise;

  constructor(parts: StoredKeysParts) {
    this.#parts = parts;
  }

  /** Another configuration is in place: its issuers whose keys are in the store. */
  use(seals: KeySeals): void {
    for (const issuer of this.book.use(seals)) this.#parts.events.ignored(issuer);
    this.#issuers = [...seals.keys()];
    this.#mustReseal = true;
    this.#ignored.clear();
    // Of an issuer that was not there before, only the mirror has keys.
    for (const text of this.#mirror) this.#take(text);
    this.#comparedAtMs = -Infinity;
    // The first time there is nothing yet that could be saved.
    if (this.#running) this.#parts.copy.save(() => this.book.texts());
    void this.#tell();
  }

  /** Those whose keys are in the store. */
  get issuers(): readonly string[] {
    return this.#issuers;
  }

  source(issuer: string): ApiKeySource {
    return this.book.source(issuer, () => this.isCurrent);
  }

  /** Was the store heard of a moment ago? */
  get isCurrent(): boolean {
    return this.ageMs <= CURRENT_MS;
  }

  /** Since the keys were last known to be complete; Infinity before they ever were. */
  get ageMs(): number {
    return this.#parts.clock.monotonicMs() - this.#freshAtMs;
  }

  /** The store's clock. */
  nowMs(): Promise<number> {
    return this.#parts.store.nowMs();
  }

  /** This process's clock, for where the store does not respond. */
  wallMs(): number {
    return this.#parts.clock.nowMs();
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#firstLook.resolve();
    await this.#running;
  }

  /** Resolves when everything that is in the store now is known here. */
  async sync(): Promise<void> {
    // One that has begun may have asked before.
    await this.#syncing?.catch(() => undefined);
    await this.#syncOnce();
  }

  /**
   * Changes one key. Resolves once the store has it, and all who serve here know it.
   *
   * @param next makes the key that is to be stored of the one that is there; undefined: it stays
   * @returns what it is afterwards
   * @throws Error where the store is unavailable
   */
  async change(
    issuer: string,
    id: string,
    next: (known: StoredKey | undefined, nowMs: number) => StoredKey | undefined,
  ): Promise<StoredKey | undefined> {
    const { store } = this.#parts;
    const name = keyName(issuer, id);
    for (let tries = 0; tries < CHANGE_TRIES; tries++) {
      await this.sync();
      const known = this.book.get(issuer, id);
      const changed = next(known, await store.nowMs());
      if (changed === undefined) return known;
      const { text } = this.book.seal(changed);
      if ((await this.#replace([{ name, before: this.#mirror.get(name), text }])) === 0) continue;
      this.#take({ name, text });
      await this.#tell();
      return this.book.get(issuer, id);
    }
    throw new Error('others change this key all the time');
  }

  async #run(): Promise<void> {
    const { clock, copy } = this.#parts;
    const { signal } = this.#stopping;
    for (const text of await copy.load()) this.#take(text);
    for (; !signal.aborted; await pause(clock, LOOK_MS, signal)) {
      // Without such an issuer the store is left alone.
      if (this.#issuers.length > 0) await this.#syncOnce().catch(() => undefined);
      this.#firstLook.resolve();
    }
  }

  async #syncOnce(): Promise<void> {
    const { events } = this.#parts;
    this.#syncing ??= this.#read().finally(() => (this.#syncing = undefined));
    try {
      await this.#syncing;
      if (this.#isLostTold) events.found();
      this.#isLostTold = false;
    } catch (error) {
      if (!this.#stopping.signal.aborted) events[this.#isLostTold ? 'failing' : 'lost'](error);
      this.#isLostTold = true;
      throw error;
    } finally {
      await this.#tell();
    }
  }

  async #read(): Promise<void> {
    const { clock } = this.#parts;
    const askedAtMs = clock.monotonicMs();
    const isDue = askedAtMs - this.#comparedAtMs >= COMPARE_ALL_MS;
    if (isDue || this.#position === undefined || !(await this.#readChanges(this.#position))) {
      await this.#compareAll();
      this.#comparedAtMs = askedAtMs;
    }
    this.#freshAtMs = askedAtMs;
  }

  /** @returns false where something is missing, and only a comparison of everything helps */
  async #readChanges(from: Position): Promise<boolean> {
    const { store } = this.#parts;
    try {
      for (let position = from; ;) {
        const changes = await store.changes(position);
        position = changes.position;
        const older = changes.texts.filter((text) => {
          this.#mirror.set(text.name, text.text);
          return this.#take(text) === 'older';
        });
        this.#position = position;
        await this.#putBack(older.map(({ name }) => name));
        if (changes.complete !== undefined) return this.#mirror.agreesWith(changes.complete);
      }
    } catch (error) {
      if (error instanceof PositionLost) return false;
      throw error;
    }
  }

  async #compareAll(): Promise<void> {
    const { store } = this.#parts;
    const { position } = await store.changes(undefined);
    // A store whose clock is ahead must not have tombstones dropped.
    const nowSeconds = Math.min(await store.nowMs(), this.wallMs()) / 1000;
    const texts = new Map<string, string>();
    for await (const batch of store.snapshot()) for (const { name, text } of batch) texts.set(name, text);
    this.#mirror.replace(texts);
    for (const text of this.#mirror) this.#take(text);
    await this.#drop(nowSeconds);
    const lacking = [...this.book.texts()].filter(({ name, text }) => this.#mirror.get(name) !== text);
    await this.#putBack(lacking.map(({ name }) => name));
    if (this.#mustReseal) await this.#reseal();
    this.#position = position;
  }

  /** What can authenticate no more in any state is forgotten, here and in the store. */
  async #drop(nowSeconds: number): Promise<void> {
    const over = [...this.book.keys()].filter((key) => isOver(key, nowSeconds));
    const names = over.map(({ issuer, entry }) => keyName(issuer, entry.id));
    const dropped = names.map((name) => ({ name, before: this.#mirror.get(name), text: undefined }));
    for (const name of names) this.book.delete(name);
    await this.#replace(dropped.filter(({ before }) => before !== undefined));
    this.#news.push(...names.map((name) => ({ name, text: '' })));
  }

  async #putBack(names: readonly string[]): Promise<void> {
    if (names.length === 0) return;
    const lost = names.map((name) => ({
      name,
      before: this.#mirror.get(name),
      text: this.book.textOf(name),
    }));
    const restored = await this.#replace(lost);
    if (restored > 0) this.#parts.events.restored(restored);
  }

  /** Once for each configuration: during a change of the key, others may sign with the one before it. */
  async #reseal(): Promise<void> {
    const other = [...this.book.texts()].flatMap((known) => {
      const text = this.book.resealed(known);
      return text === known.text ? [] : [{ name: known.name, before: this.#mirror.get(known.name), text }];
    });
    await this.#replace(other);
    for (const { name } of other) this.#take({ name, text: this.#mirror.get(name) ?? '' });
    this.#mustReseal = false;
  }

  /** @returns how many were done; what another gateway has changed meanwhile comes with the next changes */
  async #replace(replacements: readonly Replacement[]): Promise<number> {
    if (replacements.length === 0) return 0;
    const done = await this.#parts.store.replace(replacements);
    for (const [index, { name, text }] of replacements.entries())
      if (done[index] === true) this.#mirror.set(name, text);
    return done.filter(Boolean).length;
  }

  #take(text: NamedText): ReturnType<KeyBook['take']> {
    const taken = this.book.take(text);
    if (taken === 'new') this.#news.push(text);
    if (taken === 'forged' && this.#ignored.get(text.name) !== text.text) {
      this.#ignored.set(text.name, text.text);
      this.#parts.events.ignored(issuerOf(text.name));
    }
    return taken;
  }

  /** In order: who waits for this has waited for what was told before. */
  #tell(): Promise<void> {
    return (this.#telling = this.#telling.then(() => this.#tellNews()));
  }

  async #tellNews(): Promise<void> {
    const { events, copy } = this.#parts;
    const { isCurrent } = this;
    const news = this.#news;
    if (news.length === 0 && isCurrent === this.#wasCurrent) return;
    this.#news = [];
    this.#wasCurrent = isCurrent;
    if (news.length > 0) copy.save(() => this.book.texts());
    await events.changed(news, isCurrent);
  }
}
