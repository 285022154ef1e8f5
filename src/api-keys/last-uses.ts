/**
 * When each stored key was last used, as this process has seen it. A use costs one entry of a Map; what was noted is taken and
 * written together, so that writes are bounded, however many requests come. It decides nothing, and nothing vouches for it.
 */
import type { Clock } from '../clock.ts';
import type { JsonObject } from '../token/claims.ts';
import { keyName, type KeyUse } from './api-key-store.ts';

/** What of a token says which key it is. The same object for each request with the same key. */
export interface UsedKey {
  readonly issuerName: string;
  /** `jti` is the id of the key. */
  readonly claims: JsonObject;
}

export class LastUses {
  readonly #clock: Clock;
  /** On the monotonic clock. */
  #noted = new Map<UsedKey, number>();
  /** Taken, and perhaps not written yet: by name, in seconds since 1970. */
  readonly #known = new Map<string, number>();
  #issuers: ReadonlySet<string> = new Set();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param issuers whose keys are in the store */
  use(issuers: ReadonlySet<string>): void {
    this.#issuers = issuers;
  }

  /** @param nowMs on the monotonic clock */
  note(key: UsedKey, nowMs: number): void {
    if (this.#issuers.size > 0 && this.#issuers.has(key.issuerName)) this.#noted.set(key, nowMs);
  }

  /** Uses that another process has noted. */
  add(uses: readonly KeyUse[]): void {
    for (const { name, usedAt } of uses) this.#known.set(name, Math.max(usedAt, this.#known.get(name) ?? 0));
  }

  /** What this process knows, until it is written. */
  of(name: string): number | undefined {
    this.#collect();
    return this.#known.get(name);
  }

  /** What was noted since it was last taken. What cannot be written is added again. */
  take(): readonly KeyUse[] {
    this.#collect();
    const uses = [...this.#known].map(([name, usedAt]) => ({ name, usedAt }));
    this.#known.clear();
    return uses;
  }

  #collect(): void {
    if (this.#noted.size === 0) return;
    const noted = this.#noted;
    this.#noted = new Map();
    const aheadMs = this.#clock.nowMs() - this.#clock.monotonicMs();
    this.add(
      [...noted].map(([{ issuerName, claims }, atMs]) => ({
        name: keyName(issuerName, idIn(claims)),
        usedAt: Math.floor((atMs + aheadMs) / 1000),
      })),
    );
  }
}

function idIn({ jti }: JsonObject): string {
  return typeof jti === 'string' ? jti : '';
}
