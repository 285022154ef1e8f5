/**
 * The bounded memories of verification. Entries are replaced with the policy that made them: a new policy
 * starts with empty caches. Lives are checked on use, on the monotonic clock, never by the cache itself.
 */
import { LRUCache } from 'lru-cache';
import type { Clock } from '../clock.ts';
import type { GatewayError } from '../errors.ts';
import { FirstSight } from './first-sight.ts';
import type { KeySet } from './key-set.ts';
import type { Verification } from './token-verifier.ts';
import type { VerificationKey } from './verification-key.ts';

/** A JWT whose signature and claims were good. Its dates and its revocation are looked at on every use. */
export interface CachedJwt {
  readonly verification: Verification;
  readonly key: VerificationKey;
  readonly sizeBytes: number;
}

/** A JWT that can only become valid if the keys change. */
export interface CachedRefusal {
  readonly error: GatewayError;
  readonly keys: KeySet;
  readonly generation: number;
}

/** What an authorization server said of an opaque token. */
export interface CachedResponse {
  readonly verification: Verification;
  readonly usableUntilMs: number;
  readonly sizeBytes: number;
}

export interface CachedInactive {
  readonly error: GatewayError;
  readonly usableUntilMs: number;
}

export interface CacheBounds {
  readonly tokens: { readonly entries: number; readonly bytes: number };
  readonly negatives: { readonly entries: number };
  readonly introspection: { readonly entries: number; readonly bytes: number };
}

export const CACHE_NAMES = ['tokens', 'negatives', 'introspection'] as const;
export type CacheName = (typeof CACHE_NAMES)[number];

interface LookupCount {
  hit: number;
  miss: number;
}

/** A cache with fewer entries takes each token at once: it holds too little to be worth a wait. */
const WORTH_KEEPING = 1_000;

export class TokenCaches {
  readonly tokens: LRUCache<string, CachedJwt>;
  // Apart from the good ones: a flood of bad tokens can push out nothing but bad tokens.
  readonly negatives: LRUCache<string, CachedRefusal>;
  readonly lookups: Readonly<Record<CacheName, LookupCount>>;
  readonly #bounds: CacheBounds;
  #introspection: LRUCache<string, CachedResponse> | undefined;
  #inactive: LRUCache<string, CachedInactive> | undefined;
  readonly #seenGood = new FirstSight();
  readonly #seenBad = new FirstSight();

  /** @param lookups what was counted before these caches, to be counted on */
  constructor(bounds: CacheBounds, lookups?: Readonly<Record<CacheName, LookupCount>>) {
    this.lookups = lookups ?? {
      tokens: { hit: 0, miss: 0 },
      negatives: { hit: 0, miss: 0 },
      introspection: { hit: 0, miss: 0 },
    };
    this.tokens = new LRUCache({
      max: bounds.tokens.entries,
      maxSize: bounds.tokens.bytes,
      sizeCalculation: ({ sizeBytes }: CachedJwt) => sizeBytes,
    });
    this.negatives = new LRUCache({ max: bounds.negatives.entries });
    this.#bounds = bounds;
  }

  /** Made for the first opaque token, like `inactive`: an empty cache takes 24 bytes for each entry that it may have. */
  get introspection(): LRUCache<string, CachedResponse> {
    const { entries, bytes } = this.#bounds.introspection;
    return (this.#introspection ??= new LRUCache({
      max: entries,
      maxSize: bytes,
      sizeCalculation: ({ sizeBytes }) => sizeBytes,
    }));
  }

  get inactive(): LRUCache<string, CachedInactive> {
    return (this.#inactive ??= new LRUCache({ max: this.#bounds.negatives.entries }));
  }

  /**
   * Keeps a good JWT; where that would push one of many out, only on its second sight.
   *
   * @param digest SHA-256 of the token, base64url
   */
  keepToken(cacheKey: string, digest: string, entry: CachedJwt): void {
    const { size, max, calculatedSize, maxSize } = this.tokens;
    const isFull = size >= max || calculatedSize + entry.sizeBytes > maxSize;
    if (!isFull || size < WORTH_KEEPING || this.#seenGood.again(digest)) this.tokens.set(cacheKey, entry);
  }

  /** The same for a bad one. */
  keepRefusal(cacheKey: string, digest: string, entry: CachedRefusal): void {
    const { size, max } = this.negatives;
    if (size < max || size < WORTH_KEEPING || this.#seenBad.again(digest))
      this.negatives.set(cacheKey, entry);
  }

  /**
   * What an authorization server has said of a token, as long as that counts: until its exp by the wall clock, without any
   * skew. From then on only the server can say whether it still counts.
   */
  vouched(cacheKey: string, clock: Clock): Verification | undefined {
    const known = this.introspection.get(cacheKey);
    if (known === undefined || clock.monotonicMs() >= known.usableUntilMs) return undefined;
    const { expiresAt } = known.verification.token;
    const hasExpired = expiresAt !== undefined && clock.nowMs() >= expiresAt * 1000;
    return hasExpired ? undefined : known.verification;
  }

  entries(cache: CacheName): number {
    if (cache === 'tokens') return this.tokens.size;
    if (cache === 'introspection') return this.#introspection?.size ?? 0;
    return this.negatives.size + (this.#inactive?.size ?? 0);
  }
}

/** What an entry costs at most: its text as parsed claims, and the objects around them. An estimate. */
export function estimatedBytes(tokenOrClaims: string): number {
  return 1_500 + 6 * tokenOrClaims.length;
}
