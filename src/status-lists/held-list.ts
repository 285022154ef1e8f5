/**
 * One list of an issuer: fetched when a token names it, refreshed in the background, used while its server is down, until it is
 * too old. No request waits while it is there. Rules K2 to K5, V18.
 *
 * It never goes back: what was issued before the list that is held is refused, wherever it comes from.
 */
import { createHash } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { KeyWaiters } from '../token/key-waiters.ts';
import type { TokenCaller } from '../token/token-verifier.ts';
import type { FetchedText } from './fetch-list.ts';
import { ListRefused, type IssuedList, type ListVerifier } from './status-list-token.ts';

/** One list is fetched at most once in this time, whatever is wrong with it and however short its ttl is. */
export const REFETCH_INTERVAL_MS = 5_000;
/** While it cannot be fetched it is tried again after the interval above, then twice that, up to this. */
const MAX_RETRY_MS = 30_000;
/** Gateways that started together must not ask together. */
const JITTER = 0.1;
/** Requests that wait for one list; they hold a slot and a timer each. */
const WAITERS = { all: 1_024, perClient: 64 } as const;

/** What a fetch came to. `full`: there is no room for the list. */
export const FETCH_RESULTS = ['success', 'not_modified', 'unavailable', 'refused', 'full'] as const;
export type FetchResult = (typeof FETCH_RESULTS)[number];

export interface HeldListParts {
  readonly uri: string;
  /** @param etag undefined: the whole list */
  readonly fetch: (uri: string, etag: string | undefined) => Promise<FetchedText | 'unchanged'>;
  readonly verifier: Pick<ListVerifier, 'verify' | 'signerOf'>;
  readonly refreshMs: number;
  readonly maxAgeMs: number;
  readonly clock: Clock;
  /** Is there room for a list of this size, in the place of the one that is held? */
  readonly admits: (list: HeldList, bytes: number) => boolean;
  readonly ended: (list: HeldList, result: FetchResult, error?: unknown) => void;
  /** Asked before each refresh: nothing needs a list that no token names any more. */
  readonly isWanted: (list: HeldList) => boolean;
}

/** A list as it is handed to the next generation. */
export interface HeldState {
  readonly uri: string;
  readonly issued: IssuedList;
  readonly source: Source;
  readonly confirmedAtMs: number;
  readonly usedAtMs: number;
}

interface Source {
  readonly etag: string | undefined;
  /** SHA-256 of the text: what is the same is not verified again. */
  readonly digest: string;
}

export class HeldList {
  readonly uri: string;
  /** When a token last named it, on the monotonic clock. */
  usedAtMs: number;
  readonly #parts: HeldListParts;
  readonly #waiters: KeyWaiters;
  #issued: IssuedList | undefined;
  #source: Source | undefined;
  /** When the fetch began that said last that it is current. */
  #confirmedAtMs = -Infinity;
  #begun = 0;
  #begunAtMs = -Infinity;
  #failures = 0;
  #fetching: Promise<void> | undefined;
  #cancel: () => void = () => undefined;
  #isStopped = false;

  constructor(parts: HeldListParts) {
    this.uri = parts.uri;
    this.#parts = parts;
    this.#waiters = new KeyWaiters(parts.clock, WAITERS);
    this.usedAtMs = parts.clock.monotonicMs();
  }

  get bytes(): number {
    return this.#issued?.list.bytes ?? 0;
  }

  /** Milliseconds since its server last said that it is current; Infinity before the first time. */
  get ageMs(): number {
    return this.#parts.clock.monotonicMs() - this.#confirmedAtMs;
  }

  /** May it be gone by? Not where it is too old, by our clock or by its own `exp`. */
  get isCurrent(): boolean {
    return this.ageMs <= this.#parts.maxAgeMs && this.#isInForce;
  }

  /** What the list that is held says, however old it is; undefined where it says nothing. */
  statusAt(index: number): number | undefined {
    const issued = this.#issued;
    // What a key has signed that has left the set proves nothing any more (rule K5).
    return issued && !issued.signer.retired ? issued.list.at(index) : undefined;
  }

  get #isInForce(): boolean {
    const issued = this.#issued;
    return issued !== undefined && !issued.signer.retired && this.#nowSeconds < issued.endsAt;
  }

  /** Resolves once it was fetched, or has failed once. */
  start(): Promise<void> {
    return this.#fetch();
  }

  /** What another generation held is held here from now on, if its signature still counts. */
  adopt({ issued, source, confirmedAtMs, usedAtMs }: HeldState): boolean {
    const signer = this.#parts.verifier.signerOf(issued);
    if (!signer) return false;
    this.#issued = { ...issued, signer };
    this.#source = source;
    this.#confirmedAtMs = confirmedAtMs;
    this.usedAtMs = usedAtMs;
    this.#schedule(Math.max(0, this.#refreshMs(issued) - this.ageMs));
    return true;
  }

  get state(): HeldState | undefined {
    const { uri, usedAtMs } = this;
    if (!this.#issued || !this.#source) return undefined;
    return { uri, issued: this.#issued, source: this.#source, confirmedAtMs: this.#confirmedAtMs, usedAtMs };
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel();
    // Those who wait for a fetch in flight get what it brings.
    if (!this.#fetching) this.#waiters.failed();
  }

  /**
   * Waits for a fetch that begins from now on, or is in flight where nothing was fetched before.
   *
   * @param isFound does the list say now what is asked?
   * @returns true once it does, or the list was fetched and does not; false where it is unknown: its server cannot be asked, or too
   *          many wait
   */
  async awaited(caller: TokenCaller, isFound: () => boolean): Promise<boolean> {
    if (this.#isStopped || this.#isDown) return false;
    const isFirst = this.#begun === 1 && this.#fetching !== undefined;
    const decided = this.#waiters.join(caller, isFirst ? 0 : this.#begun, isFound);
    if (decided === undefined) return false;
    this.#demand();
    return decided;
  }

  /** A fetch begins as soon as it may, for no request in particular. */
  refresh(): void {
    if (!this.#isStopped && !this.#isDown) this.#demand();
  }

  /** While it cannot be fetched nothing waits for the next failure. */
  get #isDown(): boolean {
    return this.#failures > 0 && !this.#fetching && this.#untilDueMs > 0;
  }

  get #untilDueMs(): number {
    return this.#begunAtMs + REFETCH_INTERVAL_MS - this.#parts.clock.monotonicMs();
  }

  #demand(): void {
    if (this.#fetching) return;
    if (this.#untilDueMs <= 0) void this.#fetch();
    else this.#schedule(this.#untilDueMs);
  }

  /** One fetch at a time, shared by all who ask meanwhile. */
  #fetch(): Promise<void> {
    this.#cancel();
    this.#fetching ??= this.#fetchOnce().finally(() => {
      this.#fetching = undefined;
      if (this.#isStopped) this.#waiters.failed();
      else if (this.#waiters.size > 0) this.#demand();
      else this.#schedule(this.#nextMs);
    });
    return this.#fetching;
  }

  async #fetchOnce(): Promise<void> {
    const { clock, ended } = this.#parts;
    const number = ++this.#begun;
    this.#begunAtMs = clock.monotonicMs();
    try {
      const result = await this.#fetched(this.#begunAtMs);
      this.#failures = 0;
      ended(this, result);
      this.#waiters.fetched(number);
    } catch (error) {
      this.#failures++;
      ended(this, resultOf(error), error);
      this.#waiters.failed();
    }
  }

  /** @throws ListRefused, or what the fetch throws */
  async #fetched(beganAtMs: number): Promise<FetchResult> {
    const { uri, fetch, verifier } = this.#parts;
    // A list that has ended, or whose key has left the set, is fetched whole: it must prove itself again.
    const isGood = this.#isInForce;
    const response = await fetch(uri, isGood ? this.#source?.etag : undefined);
    const digest = response === 'unchanged' ? this.#source?.digest : digestOf(response.text);
    if (isGood && digest === this.#source?.digest) {
      this.#confirmedAtMs = beganAtMs;
      return 'not_modified';
    }
    if (response === 'unchanged') throw new ListRefused('malformed');
    this.#take(await verifier.verify(response.text, uri), { etag: response.etag, digest: digest ?? '' });
    this.#confirmedAtMs = beganAtMs;
    return 'success';
  }

  #take(issued: IssuedList, source: Source): void {
    if (issued.issuedAt < (this.#issued?.issuedAt ?? -Infinity))
      throw new ListRefused('older than the list before');
    if (!this.#parts.admits(this, issued.list.bytes)) throw new ListRefused('no room for it');
    this.#issued = issued;
    this.#source = source;
  }

  get #nowSeconds(): number {
    return this.#parts.clock.nowMs() / 1000;
  }

  get #nextMs(): number {
    if (this.#failures === 0 && this.#issued) return this.#refreshMs(this.#issued);
    const backoffMs = Math.min(REFETCH_INTERVAL_MS * 2 ** (this.#failures - 1), MAX_RETRY_MS);
    // Retries spread upwards, so that none comes before its interval.
    return backoffMs * (1 + JITTER * Math.random());
  }

  /** As often as it is configured, or as the list says where that is more often; and in good time before its end. */
  #refreshMs({ ttlMs, expiresAt }: IssuedList): number {
    const untilEndMs = (expiresAt - this.#nowSeconds) * 1000;
    const wishedMs = Math.min(this.#parts.refreshMs, ttlMs, untilEndMs / 2);
    return Math.max(wishedMs * (1 - JITTER * Math.random()), REFETCH_INTERVAL_MS);
  }

  #schedule(delayMs: number): void {
    this.#cancel();
    this.#cancel = this.#parts.clock.after(delayMs, () => {
      if (this.#parts.isWanted(this)) void this.#fetch();
    });
  }
}

function resultOf(error: unknown): FetchResult {
  if (!(error instanceof ListRefused)) return 'unavailable';
  return error.refusal === 'no room for it' ? 'full' : 'refused';
}

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}
