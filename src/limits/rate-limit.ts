/**
 * What a limit means, and the keys by which it counts: digests, whatever a client or a token says, so that a table and a store hold
 * nothing of it, and nothing long. Pure. Rule L1.
 */
import { hash } from 'node:crypto';
import type { Rate } from './gcra.ts';

/** By what callers are told apart. */
export type LimitKind = 'subject' | 'client' | 'tenant' | 'issuer' | 'ip' | 'claim';

export interface RateLimit {
  /** Names the limit in responses, metrics and logs: of the configuration, so that it is one of few. */
  readonly name: string;
  readonly by: LimitKind;
  /** The path of the claim, as configured; undefined unless `by` is `claim`. */
  readonly claim: string | undefined;
  /** So many requests in so long, as configured: what clients are told. */
  readonly count: number;
  readonly windowMs: number;
  /** The same as the bucket counts it. */
  readonly rate: Rate;
  /** fleet: all gateways that share a store count together. gateway: each for itself. */
  readonly scope: 'fleet' | 'gateway';
  /** Counts and tells, and refuses nothing. */
  readonly reportOnly: boolean;
}

/** Of base64url: 132 bits of SHA-256. */
export const KEY_CHARACTERS = 22;

/**
 * The key of one caller.
 *
 * @param issuer exact; null where there is no token
 * @param value null: the token does not say, and shares the bucket of all tokens of its issuer that do not
 */
export function limitKey(
  limit: string,
  issuer: string | null,
  kind: LimitKind,
  value: string | null,
): string {
  // As JSON each member ends where it ends: no other four texts give the same one.
  const text = JSON.stringify([limit, issuer, kind, value]);
  return hash('sha256', text, 'base64url').slice(0, KEY_CHARACTERS);
}

/** Limits with the same one count alike: the buckets of one may go on as those of the other. */
export function definitionOf({ name, by, claim, count, windowMs, rate, scope }: RateLimit): string {
  return JSON.stringify([name, by, claim ?? null, count, windowMs, rate.burst, scope]);
}
