/**
 * The way from the limits of a process to the store in which they count together. What the requests of one turn have to tell goes
 * out together, and only so much at once, however many keys there are. While the store is unavailable it says so, and asks whether it is
 * back. Rule L4.
 */
import type { Clock } from '../clock.ts';
import type { LeaseAccount } from './lease-account.ts';
import { RESPONSE_MS, type LeaseAsk, type LeaseReply, type LeaseStore } from './lease-store.ts';
import { WAIT_MS } from './lease.ts';

/** What is not urgent waits so long for more to tell with it. */
const GATHER_MS = 25;
/** Keys that the store is asked about in one call: it does nothing else meanwhile, for about a millisecond. */
const BATCH_KEYS = 256;
/** Calls without a response. */
const MAX_CALLS = 4;
/** Keys about which there is something to tell. Requests of more keys are decided without the store. */
const MAX_OPEN = 10_000;
/** A store that has not responded in this time is unavailable, until it does. */
const LOST_MS = RESPONSE_MS / 2;
/** How often it is asked then. */
const PROBE_MS = 500;
/** It is back, for people, when it has failed nothing for so long: else each failure would have a line of its own. */
const CALM_MS = 5_000;

const PROBE: LeaseAsk = {
  kind: 'probe',
  key: 'probe',
  rate: { emissionMs: 1, burst: 1 },
  passed: 0,
  wanted: 0,
  aheadMs: 0,
  maxAheadMs: 1,
};

export interface LeaseDeskParts {
  readonly store: LeaseStore;
  readonly clock: Clock;
  /** How many processes count together, this one too, as far as is known. */
  readonly gateways: () => number;
}

export class LeaseDesk {
  /** Told once when limits are counted by each gateway alone, and once when they are counted together again. */
  onLost: (error: unknown) => void = () => undefined;
  /** Told of each further failure in between. */
  onFailing: (error: unknown) => void = () => undefined;
  onBack: (lostMs: number) => void = () => undefined;
  readonly #parts: LeaseDeskParts;
  readonly #open = new Set<LeaseAccount>();
  readonly #due = new Set<LeaseAccount>();
  #calls = 0;
  #isAvailable = true;
  /** Of the outage that is told of. */
  #lostAtMs: number | undefined;
  #failedAtMs = -Infinity;
  /** When the last call was sent that has a response. */
  #respondedToMs = -Infinity;
  #flushesSoon = false;
  #flushesLater = false;
  #isClosed = false;
  #cancelProbe: () => void = () => undefined;
  #cancelLater: () => void = () => undefined;

  constructor(parts: LeaseDeskParts) {
    this.#parts = parts;
  }

  /** False: each gateway gives its share. */
  get isAvailable(): boolean {
    return this.#isAvailable;
  }

  /** Since when each gateway counts alone, as people were told; undefined: all count together. */
  get lostAtMs(): number | undefined {
    return this.#lostAtMs;
  }

  get gateways(): number {
    return Math.max(1, this.#parts.gateways());
  }

  /** Keys about which there is something to tell. */
  get size(): number {
    return this.#open.size;
  }

  get hasRoom(): boolean {
    return this.#open.size < MAX_OPEN;
  }

  /** There is something to tell of it. */
  tell(account: LeaseAccount): void {
    this.#open.add(account);
    if (account.isOnTheWay) return;
    this.#due.add(account);
    if (!this.#isAvailable) return;
    if (account.isUrgent) this.#flushSoon();
    else this.#flushLater();
  }

  /** Requests wait for it, for a bounded time. */
  waitFor(account: LeaseAccount): void {
    account.cancelWait = this.#parts.clock.after(WAIT_MS, () => {
      // This process may have stood still itself: responses that have arrived meanwhile are read first.
      setImmediate(() => account.release());
    });
    this.tell(account);
  }

  /** How a bucket stands. Rejects where that is not known. */
  async look(ask: LeaseAsk): Promise<LeaseReply> {
    const [reply] = await this.#parts.store.ask([ask]);
    if (!reply) throw new Error('the store gave no reply');
    return reply;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelProbe();
    this.#cancelLater();
    for (const account of this.#open) account.release();
    await this.#parts.store.close();
  }

  #flushSoon(): void {
    if (this.#flushesSoon) return;
    this.#flushesSoon = true;
    // After the reads of this turn: each request arrives in a callback of its own.
    setImmediate(() => {
      this.#flushesSoon = false;
      this.#flush();
    });
  }

  #flushLater(): void {
    if (this.#flushesLater || this.#flushesSoon) return;
    this.#flushesLater = true;
    this.#cancelLater = this.#parts.clock.after(GATHER_MS, () => {
      this.#flushesLater = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#isClosed) return;
    while (this.#isAvailable && this.#due.size > 0 && this.#calls < MAX_CALLS)
      void this.#call(this.#nextDue());
  }

  #nextDue(): LeaseAccount[] {
    const accounts: LeaseAccount[] = [];
    for (const account of this.#due) {
      this.#due.delete(account);
      if (account.isOpen) accounts.push(account);
      else this.#settled(account);
      if (accounts.length === BATCH_KEYS) break;
    }
    return accounts;
  }

  async #call(accounts: readonly LeaseAccount[]): Promise<void> {
    const { store, clock } = this.#parts;
    const sentAtMs = clock.monotonicMs();
    const { gateways } = this;
    const asks = accounts.map((account) => account.send(sentAtMs, gateways));
    let isPending = true;
    const cancel = clock.after(LOST_MS, () => {
      setImmediate(() => {
        if (isPending) this.#failed(new Error('the store does not respond'), sentAtMs);
      });
    });
    this.#calls++;
    try {
      const replies = await store.ask(asks.length > 0 ? asks : [PROBE]);
      const nowMs = clock.monotonicMs();
      for (const [index, account] of accounts.entries()) {
        const reply = replies[index];
        if (reply) account.replied(reply, nowMs);
        else account.failed();
      }
      this.#responded(sentAtMs);
    } catch (error) {
      for (const account of accounts) account.failed();
      this.#failed(error, sentAtMs);
    } finally {
      isPending = false;
      cancel();
      this.#calls--;
      for (const account of accounts) this.#goOn(account);
      if (this.#due.size > 0 && this.#calls === MAX_CALLS - 1) this.#flushSoon();
    }
  }

  #goOn(account: LeaseAccount): void {
    if (account.isWaitedFor) this.waitFor(account);
    else if (account.isOpen) this.tell(account);
    else this.#settled(account);
  }

  #settled(account: LeaseAccount): void {
    this.#open.delete(account);
    account.onSettled();
  }

  #responded(sentAtMs: number): void {
    this.#respondedToMs = Math.max(this.#respondedToMs, sentAtMs);
    if (!this.#isAvailable) {
      this.#isAvailable = true;
      this.#flushSoon();
    }
  }

  /** One that was lost on the way says nothing of a store that has responded to a later one. */
  #failed(error: unknown, sentAtMs: number): void {
    if (this.#isClosed || sentAtMs < this.#respondedToMs) return;
    const nowMs = this.#parts.clock.monotonicMs();
    this.#failedAtMs = nowMs;
    this.#isAvailable = false;
    for (const account of this.#open) account.release();
    if (this.#lostAtMs !== undefined) {
      this.onFailing(error);
      return;
    }
    this.#lostAtMs = nowMs;
    this.onLost(error);
    this.#probeLater();
  }

  /** Until it is back for people. */
  #probeLater(): void {
    this.#cancelProbe = this.#parts.clock.after(PROBE_MS, () => {
      const nowMs = this.#parts.clock.monotonicMs();
      if (this.#isClosed || this.#lostAtMs === undefined) return;
      if (this.#isAvailable && nowMs - this.#failedAtMs >= CALM_MS) {
        const lostMs = nowMs - this.#lostAtMs;
        this.#lostAtMs = undefined;
        this.onBack(lostMs);
        return;
      }
      if (!this.#isAvailable && this.#calls < MAX_CALLS) void this.#call(this.#nextDue());
      this.#probeLater();
    });
  }
}
