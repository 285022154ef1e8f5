/**
 * The revocation store as a worker has it: the list of the primary, copied and followed over the channel; changes go through
 * the primary. What a worker knows is as fresh as what the primary knew when the worker asked for it. Rules V5 to V7.
 */
import type { Clock } from '../clock.ts';
import { pause } from '../revocation/abortable-delay.ts';
import type { RevocationMark } from '../revocation/mark.ts';
import type {
  Batch,
  Page,
  Position,
  RevocationEntry,
  RevocationRequest,
  RevocationStore,
  Revoked,
} from '../revocation/revocation-store.ts';
import type { ListChanges, PrimaryCalls } from './calls.ts';
import type { Channel } from './channel.ts';

/** How often a worker compares itself with the primary. */
const COMPARE_MS = 500;
/** The store of the primary has its own limit. */
const FIND_TIMEOUT_MS = 5_000;

export class CopiedStore implements RevocationStore {
  readonly kind: RevocationStore['kind'];
  readonly #primary: Channel<PrimaryCalls>;
  readonly #clock: Clock;
  readonly #refuse: (marks: readonly RevocationMark[]) => void;
  #ageMs = 0;
  /** Changes that the view has not taken yet. */
  #waiting: ListChanges[] = [];
  #wake: () => void = () => undefined;

  /**
   * @param kind of the store of the primary
   * @param refuse these marks are in force from now on
   */
  constructor(
    kind: RevocationStore['kind'],
    primary: Channel<PrimaryCalls>,
    clock: Clock,
    refuse: (marks: readonly RevocationMark[]) => void,
  ) {
    this.kind = kind;
    this.#primary = primary;
    this.#clock = clock;
    this.#refuse = refuse;
  }

  get ageMs(): number {
    return this.#ageMs;
  }

  /** The primary has told of changes. */
  changed(changes: ListChanges): void {
    this.#waiting.push(changes);
    this.#wake();
  }

  nowMs(): Promise<number> {
    return this.#primary.call('nowMs', undefined);
  }

  revoke(request: RevocationRequest): Promise<Revoked> {
    return this.#primary.call('revoke', request);
  }

  renew(id: string, lifeSeconds: number): Promise<RevocationMark | undefined> {
    return this.#primary.call('renew', { id, lifeSeconds });
  }

  undo(id: string): Promise<RevocationMark | undefined> {
    return this.#primary.call('undo', id);
  }

  merge(marks: readonly RevocationMark[]): Promise<void> {
    return this.#primary.call('merge', marks);
  }

  async position(): Promise<Position> {
    const { position, ageMs, inForce } = await this.#primary.call('position', undefined);
    this.#ageMs = ageMs;
    this.#refuse(inForce);
    return position;
  }

  async *snapshot(): AsyncGenerator<readonly RevocationMark[]> {
    for (let from: number | undefined; from !== 0;) {
      const { marks, before }: { readonly marks: readonly RevocationMark[]; readonly before: number } =
        await this.#primary.call('page', from);
      yield marks;
      from = before;
    }
  }

  async *follow(position: Position, signal: AbortSignal): AsyncGenerator<Batch> {
    let comparedAtMs = -Infinity;
    while (!signal.aborted) {
      const askedAtMs = this.#clock.monotonicMs();
      const untilMs = comparedAtMs + COMPARE_MS - askedAtMs;
      if (untilMs <= 0) {
        comparedAtMs = askedAtMs;
        const compared = await this.#primary.call('compare', undefined);
        const marks = this.#taken(position, compared?.number ?? Infinity);
        yield compared
          ? { ...marks, askedAtMs: askedAtMs - compared.ageMs, complete: compared.inventory }
          : { ...marks, askedAtMs, complete: undefined };
      } else if (this.#waiting.length > 0) {
        yield { ...this.#taken(position, Infinity), askedAtMs, complete: undefined };
      } else {
        await this.#changeWithin(untilMs, signal);
      }
    }
  }

  /** The admin listener is the primary's; a worker asks why it refuses a token. */
  async find(id: string): Promise<RevocationEntry | undefined> {
    // What is undefined is null behind the channel.
    return (await this.#primary.call('find', id, FIND_TIMEOUT_MS)) ?? undefined;
  }

  list(): Promise<Page> {
    return Promise.reject(new TypeError('a worker lists no entries'));
  }

  announce(): Promise<void> {
    return Promise.reject(new TypeError('a worker announces nothing'));
  }

  async close(): Promise<void> {
    // The channel is the process's.
  }

  /** The changes that have arrived, up to this number. The last one of each mark counts. */
  #taken(position: Position, upTo: number): Pick<Batch, 'marks' | 'dropped' | 'position'> {
    const taken = this.#waiting.filter(({ number }) => number <= upTo);
    this.#waiting = this.#waiting.filter(({ number }) => number > upTo);
    const last = new Map<string, { readonly mark: RevocationMark; readonly isDropped: boolean }>();
    for (const { marks, dropped } of taken) {
      for (const mark of marks) last.set(mark.id, { mark, isDropped: false });
      for (const mark of dropped) last.set(mark.id, { mark, isDropped: true });
    }
    const of = (isDropped: boolean): RevocationMark[] =>
      [...last.values()].flatMap((each) => (each.isDropped === isDropped ? [each.mark] : []));
    return { marks: of(false), dropped: of(true), position };
  }

  async #changeWithin(delayMs: number, signal: AbortSignal): Promise<void> {
    const woken = new AbortController();
    this.#wake = () => woken.abort();
    await pause(this.#clock, delayMs, AbortSignal.any([signal, woken.signal]));
    this.#wake = () => undefined;
  }
}
