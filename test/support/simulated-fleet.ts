/**
 * A fleet in simulated time: gateways that count together over one store, with clocks of their own, ways that take time, and a store
 * that fails. Minutes pass in milliseconds.
 */
import type { Clock } from '../../src/clock.ts';
import { KeyBudget } from '../../src/limits/bucket-table.ts';
import { LeaseDesk } from '../../src/limits/lease-desk.ts';
import type { LeaseAsk, LeaseReply, LeaseStore } from '../../src/limits/lease-store.ts';
import { LeasedLimiter } from '../../src/limits/leased-limiter.ts';
import { FULL, take, type Rate } from '../../src/limits/gcra.ts';
import { MemoryLeaseStore } from '../../src/limits/memory-lease-store.ts';

interface Event {
  readonly atMs: number;
  readonly run: () => void;
  isCancelled: boolean;
}

/** Things happen at their time, in the order of their times. */
export class SimulatedTime {
  nowMs = 0;
  readonly #events: Event[] = [];

  at(atMs: number, run: () => void): () => void {
    const event: Event = { atMs: Math.max(atMs, this.nowMs), run, isCancelled: false };
    // A heap by time would be quicker; there are few events at once.
    let index = this.#events.length;
    while (index > 0 && (this.#events[index - 1] as Event).atMs < event.atMs) index--;
    this.#events.splice(index, 0, event);
    return () => (event.isCancelled = true);
  }

  /** @param offsetMs what the clock shows at the start */
  clock(offsetMs: number): Clock {
    return {
      nowMs: () => this.nowMs + offsetMs,
      monotonicMs: () => this.nowMs + offsetMs,
      after: (delayMs, callback) => this.at(this.nowMs + delayMs, callback),
    };
  }

  async runUntil(untilMs: number): Promise<void> {
    await turn();
    for (;;) {
      const next = this.#events.at(-1);
      if (!next || next.atMs > untilMs) break;
      this.#events.pop();
      this.nowMs = next.atMs;
      if (next.isCancelled) continue;
      next.run();
      await turn();
    }
    this.nowMs = untilMs;
  }
}

/** All that was to be done at once is done. */
async function turn(): Promise<void> {
  for (let each = 0; each < 2; each++) await new Promise((resolve) => void setImmediate(resolve));
}

export interface FleetOptions {
  readonly gateways: number;
  readonly rate: Rate;
  /** The number of the rate. */
  readonly count: number;
  /** One way to the store: milliseconds. */
  readonly latencyMs: () => number;
  /** How many there are, as gateways know it. */
  readonly known?: () => number;
}

export interface Admitted {
  readonly atMs: number;
  readonly gateway: number;
  readonly waitedMs: number;
}

export class SimulatedFleet {
  readonly time = new SimulatedTime();
  readonly admitted: Admitted[] = [];
  /** How many one bucket that knows all at once would have admitted. */
  admittedByOne = 0;
  #one = FULL;
  /** Milliseconds that each refused request has waited. */
  readonly refusedAfterMs: number[] = [];
  readonly limiters: readonly LeasedLimiter[];
  readonly desks: readonly LeaseDesk[];
  /** Calls, and asks in them. */
  calls = 0;
  asks = 0;
  /** refuses: as a server that is gone. swallows: as a way that loses all. */
  state: 'responds' | 'refuses' | 'swallows' = 'responds';
  #store: MemoryLeaseStore;
  readonly #clocks: readonly Clock[];
  readonly #options: FleetOptions;

  constructor(options: FleetOptions) {
    const { gateways, rate, count, known = () => gateways } = options;
    this.#options = options;
    this.#store = this.#emptyStore();
    const store: LeaseStore = { ask: (asks) => this.#ask(asks), close: async () => undefined };
    this.#clocks = Array.from({ length: gateways }, (_, at) => this.time.clock(1e6 * at));
    this.desks = this.#clocks.map((clock) => new LeaseDesk({ store, clock, gateways: known }));
    this.limiters = this.desks.map(
      (desk, at) =>
        new LeasedLimiter({
          limit: { rate, count },
          kind: 'callers',
          budget: new KeyBudget(1_000),
          desk,
          monotonicMs: () => this.now(at),
        }),
    );
  }

  now(gateway: number): number {
    return this.#clocks[gateway]?.monotonicMs() ?? 0;
  }

  /** It forgets all. */
  wipe(): void {
    this.#store = this.#emptyStore();
  }

  send(gateway: number, key = 'a'): void {
    const sentAtMs = this.time.nowMs;
    const next = take(this.#options.rate, this.#one, sentAtMs);
    if (next !== undefined) this.admittedByOne++;
    this.#one = next ?? this.#one;
    const decided = (allowed: boolean): void => {
      const waitedMs = this.time.nowMs - sentAtMs;
      if (allowed) this.admitted.push({ atMs: this.time.nowMs, gateway, waitedMs });
      else this.refusedAfterMs.push(waitedMs);
    };
    const verdict = this.limiters[gateway]?.take(key, this.now(gateway));
    if (verdict instanceof Promise) void verdict.then(({ allowed }) => decided(allowed));
    else decided(verdict?.allowed ?? false);
  }

  /** How many were admitted above the rate, in the window where these are most. */
  get mostAbove(): number {
    const { emissionMs } = this.#options.rate;
    const times = this.admitted.map(({ atMs }) => atMs).sort((one, other) => one - other);
    let least = Infinity;
    let most = 0;
    for (const [index, atMs] of times.entries()) {
      const level = index - atMs / emissionMs;
      least = Math.min(least, level);
      most = Math.max(most, level - least + 1);
    }
    return most;
  }

  #emptyStore(): MemoryLeaseStore {
    return new MemoryLeaseStore(this.time.clock(0), () => 1_000);
  }

  async #ask(asks: readonly LeaseAsk[]): Promise<readonly LeaseReply[]> {
    this.calls++;
    this.asks += asks.length;
    await this.#way();
    if (this.state === 'refuses') throw new Error('refused');
    if (this.state === 'swallows') {
      await new Promise<void>((resolve) => this.time.at(this.time.nowMs + 1_000, resolve));
      throw new Error('no response');
    }
    const replies = await this.#store.ask(asks);
    await this.#way();
    return replies;
  }

  async #way(): Promise<void> {
    await new Promise<void>((resolve) => this.time.at(this.time.nowMs + this.#options.latencyMs(), resolve));
  }
}
