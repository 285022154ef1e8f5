/**
 * The revocation list of a gateway with workers, at the primary: what is revoked through any of them is in force in all when
 * it is acknowledged, and what other gateways revoke is passed on as it arrives. Rules V5 to V7.
 */
import { once } from 'node:events';
import { FollowedMarkTable } from '../revocation/followed-mark-table.ts';
import { supersedes } from '../revocation/merge-rules.ts';
import type { RevocationMark } from '../revocation/mark.ts';
import type { RevocationStore } from '../revocation/revocation-store.ts';
import type { RevocationView } from '../revocation/revocation-view.ts';
import type { Comparison, ListChanges, PrimaryCalls } from './calls.ts';
import type { Handlers } from './channel.ts';

const PAGE_MARKS = 1_000;

/** Those that must know. */
export interface ListFollowers {
  /** Resolves once all that serve refuse by these marks. Never rejects: a worker that does not respond is ended. */
  refuse(marks: readonly RevocationMark[]): Promise<void>;
  changed(changes: ListChanges): void;
}

export type ListCalls = Pick<
  PrimaryCalls,
  'position' | 'page' | 'compare' | 'nowMs' | 'revoke' | 'renew' | 'undo' | 'merge' | 'find'
>;

export class SharedList {
  /** Of the primary's view: as far as the log of the store was read. */
  readonly marks = new FollowedMarkTable();
  readonly #store: RevocationStore;
  readonly #followers: ListFollowers;
  #view: RevocationView | undefined;
  /** In force, and perhaps not in the table yet; by id. */
  readonly #recent = new Map<string, RevocationMark>();
  /** Not told yet, by id. */
  #changes = new Map<string, { readonly mark: RevocationMark; readonly isDropped: boolean }>();
  #number = 0;
  #isFollowed = false;

  constructor(store: RevocationStore, followers: ListFollowers) {
    this.#store = store;
    this.#followers = followers;
    this.marks.changed = (mark, isDropped) => this.#note(mark, isDropped);
  }

  /** The view over the table. */
  use(view: RevocationView): void {
    this.#view = view;
  }

  /** The store, for the primary itself. */
  get store(): RevocationStore {
    const store = this.#store;
    return {
      kind: store.kind,
      ...(store.board && { board: store.board }),
      nowMs: () => store.nowMs(),
      revoke: (request) => this.#revoke(request),
      renew: (id, lifeSeconds) => this.#publish(store.renew(id, lifeSeconds)),
      undo: (id) => this.#publish(store.undo(id)),
      find: (id) => store.find(id),
      list: (query) => store.list(query),
      announce: (text) => store.announce(text),
      position: () => store.position(),
      snapshot: () => store.snapshot(),
      merge: (marks) => store.merge(marks),
      follow: (position, signal) => store.follow(position, signal),
      close: () => store.close(),
    };
  }

  /** What workers may ask. */
  get handlers(): Handlers<ListCalls> {
    const store = this.#store;
    return {
      position: async () => ({ ...(await this.#position()) }),
      page: (before) => this.marks.pageBefore(before, PAGE_MARKS),
      compare: () => this.#comparison(),
      nowMs: () => store.nowMs(),
      revoke: (request) => this.#revoke(request),
      renew: ({ id, lifeSeconds }) => this.#publish(store.renew(id, lifeSeconds)),
      undo: (id) => this.#publish(store.undo(id)),
      merge: (marks) => store.merge(marks),
      find: (id) => store.find(id),
    };
  }

  async #revoke(request: Parameters<RevocationStore['revoke']>[0]): ReturnType<RevocationStore['revoke']> {
    const revoked = await this.#store.revoke(request);
    await this.#inForce(revoked.entry);
    return revoked;
  }

  async #publish(change: Promise<RevocationMark | undefined>): Promise<RevocationMark | undefined> {
    const mark = await change;
    if (mark) await this.#inForce(mark);
    return mark;
  }

  /** Resolves once it counts everywhere: here, and in each worker that serves. */
  async #inForce({ id, revoked, issuedBefore, expiresAt, version }: RevocationMark): Promise<void> {
    const mark = { id, revoked, issuedBefore, expiresAt, version };
    this.#forgetKnown();
    this.#recent.set(id, mark);
    this.#view?.apply([mark]);
    await this.#followers.refuse([mark]);
  }

  /** The log has brought them by now. */
  #forgetKnown(): void {
    for (const [id, mark] of this.#recent) {
      const known = this.marks.get(id);
      if (known && !supersedes(mark, known)) this.#recent.delete(id);
    }
  }

  /** Resolves once there is a list. */
  async #position(): Promise<PrimaryCalls['position']['gives']> {
    const view = this.#view;
    if (view && view.ageMs === Infinity) await once(view, 'loaded');
    this.#isFollowed = true;
    this.#tell();
    this.#forgetKnown();
    return {
      position: String(this.#number),
      ageMs: view?.ageMs ?? Infinity,
      inForce: [...this.#recent.values()],
    };
  }

  #comparison(): Comparison | undefined {
    const view = this.#view;
    if (!view || !view.connected) return undefined;
    this.#tell();
    const { size: count, checksum } = this.marks;
    return { number: this.#number, inventory: { count, checksum }, ageMs: view.ageMs };
  }

  #note(mark: RevocationMark, isDropped: boolean): void {
    if (!this.#isFollowed) return;
    if (this.#changes.size === 0) setImmediate(() => this.#tell());
    this.#changes.set(mark.id, { mark, isDropped });
  }

  #tell(): void {
    if (this.#changes.size === 0) return;
    const changes = [...this.#changes.values()];
    this.#changes = new Map();
    const of = (isDropped: boolean): RevocationMark[] =>
      changes.flatMap((change) => (change.isDropped === isDropped ? [change.mark] : []));
    this.#followers.changed({ number: ++this.#number, marks: of(false), dropped: of(true) });
  }
}
