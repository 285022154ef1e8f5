/** Stores of leases in Redis, and what is asked of them. */
import type { Test } from 'tap';
import { randomBytes } from 'node:crypto';
import { systemClock } from '../../src/clock.ts';
import type { LeaseAsk } from '../../src/limits/lease-store.ts';
import { RedisLeaseStore } from '../../src/limits/redis-lease-store.ts';
import type { RedisLocation } from '../../src/revocation/redis-connection.ts';

/** Closes with the test. */
export function openLeases(t: Test, location: RedisLocation): RedisLeaseStore {
  const store = new RedisLeaseStore(location, systemClock);
  t.teardown(() => store.close());
  return store;
}

export const newKey = (): string => randomBytes(16).toString('base64url');

export const ask = (key: string, wanted: number, rate = { emissionMs: 10_000, burst: 20 }): LeaseAsk => ({
  kind: 'callers',
  key,
  rate,
  passed: 0,
  wanted,
  aheadMs: 0,
  maxAheadMs: 1e6,
});
