/**
 * Buckets in the memory of one process: the primary has them for its workers. Bounded: where there is no room, new keys of the same
 * rate share one bucket. Rule L1.
 */
import type { Clock } from '../clock.ts';
import { BucketTable, KeyBudget } from './bucket-table.ts';
import { FULL, type Rate } from './gcra.ts';
import type { LeaseAsk, LeaseReply, LeaseStore } from './lease-store.ts';
import { settle } from './lease.ts';

export class MemoryLeaseStore implements LeaseStore {
  readonly #clock: Clock;
  readonly #keys: () => number;
  /** By kind. */
  readonly #budgets = new Map<string, KeyBudget>();
  /** By kind and rate: buckets of one rate fill up in the same time. */
  readonly #tables = new Map<string, BucketTable>();

  /** @param keys how many buckets of each kind it may have */
  constructor(clock: Clock, keys: () => number) {
    this.#clock = clock;
    this.#keys = keys;
  }

  /** How many buckets it has. */
  get size(): number {
    return [...this.#budgets.values()].reduce((sum, { used }) => sum + used, 0);
  }

  async ask(asks: readonly LeaseAsk[]): Promise<readonly LeaseReply[]> {
    const nowMs = this.#clock.monotonicMs();
    return asks.map((ask) => this.#settle(ask, nowMs));
  }

  async close(): Promise<void> {
    this.#budgets.clear();
    this.#tables.clear();
  }

  #settle(ask: LeaseAsk, nowMs: number): LeaseReply {
    const table = this.#tableOf(ask.kind, ask.rate);
    const known = table.find(ask.key);
    const { granted, aheadMs, tatMs } = settle(ask, known?.tatMs ?? FULL, nowMs);
    if (known) known.tatMs = tatMs;
    else if (aheadMs > 0 && !table.add(ask.key, tatMs, nowMs)) return this.#share(table, ask, nowMs);
    return { granted, aheadMs };
  }

  #share({ overflow }: BucketTable, ask: LeaseAsk, nowMs: number): LeaseReply {
    const { granted, aheadMs, tatMs } = settle(ask, overflow.tatMs, nowMs);
    overflow.tatMs = tatMs;
    return { granted, aheadMs };
  }

  #tableOf(kind: string, { emissionMs, burst }: Rate): BucketTable {
    const name = `${kind} ${emissionMs} ${burst}`;
    const budget = this.#budgetOf(kind);
    let table = this.#tables.get(name);
    if (!table) {
      table = new BucketTable(budget, burst * emissionMs);
      this.#tables.set(name, table);
    }
    return table;
  }

  #budgetOf(kind: string): KeyBudget {
    const budget = this.#budgets.get(kind) ?? new KeyBudget(0);
    budget.max = this.#keys();
    this.#budgets.set(kind, budget);
    return budget;
  }
}
