/** What is remembered of one session: who, since when, how often lately. */

/** Requests are counted in steps of five minutes, on the monotonic clock. */
const SLOT_MS = 300_000;
/** One hour. */
const SLOTS = 12;
const MAX_ADDRESSES = 4;

/** Who it is. Equal texts here are one record. */
export interface SessionIdentity {
  /** The exact `iss`, or the configured name where its tokens have none. */
  readonly issuer: string;
  readonly issuerName: string;
  readonly subjectHash: string | undefined;
  readonly sessionHash: string | undefined;
  readonly clientId: string | undefined;
  /** Undefined where the configuration keeps only hashes. */
  readonly subject: string | undefined;
  readonly session: string | undefined;
}

export class SessionRecord {
  readonly identity: SessionIdentity;
  /** Of the table. */
  readonly key: string;
  /** Times on the monotonic clock. */
  readonly firstMs: number;
  lastMs: number;
  /** Is it in the table? */
  isListed = false;
  /** When it was put at the end of the queue of those that are to be forgotten. */
  queuedMs: number;
  /** The latest first; empty where the configuration keeps none. */
  addresses: readonly string[] = [];
  #slot: number;
  readonly #counts: number[] = Array.from({ length: SLOTS }, () => 0);

  constructor(identity: SessionIdentity, key: string, nowMs: number) {
    this.identity = identity;
    this.key = key;
    this.firstMs = this.lastMs = this.queuedMs = nowMs;
    this.#slot = Math.floor(nowMs / SLOT_MS);
  }

  /** A request, on the hot path: it allocates nothing. */
  count(nowMs: number): void {
    this.lastMs = nowMs;
    const slot = Math.floor(nowMs / SLOT_MS);
    if (slot !== this.#slot) this.#advance(slot);
    const index = slot % SLOTS;
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
  }

  /** It came from here. */
  cameFrom(address: string): void {
    if (this.addresses[0] === address) return;
    this.addresses = [address, ...this.addresses.filter((known) => known !== address)].slice(
      0,
      MAX_ADDRESSES,
    );
  }

  /** Requests of the last hour, give or take five minutes. */
  lastHour(nowMs: number): number {
    const slot = Math.floor(nowMs / SLOT_MS);
    if (slot !== this.#slot) this.#advance(slot);
    return this.#counts.reduce((sum, count) => sum + count, 0);
  }

  #advance(slot: number): void {
    const steps = Math.min(slot - this.#slot, SLOTS);
    for (let step = 1; step <= steps; step++) this.#counts[(this.#slot + step) % SLOTS] = 0;
    this.#slot = slot;
  }
}
