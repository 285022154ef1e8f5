/**
 * The public keys of assertions as services get them (RFC 7517 section 5): those that are configured, and each key that a
 * reload took out until the last assertion that it has signed expires. Pure.
 */
import type { PublicJwk, PublicJwks } from './signing-key.ts';

interface PublishedKey {
  readonly jwk: PublicJwk;
  /** Wall-clock time in milliseconds: until then an assertion that this key has signed may be valid. */
  lastExpiryMs: number;
}

export class PublishedKeys {
  /** The first signs. */
  #own: readonly PublishedKey[];
  #retired: readonly PublishedKey[] = [];
  readonly #lifetimeMs: number;

  /**
   * @param jwks what is configured, each with its `kid`; the first signs
   * @param lifetimeMs of what they sign, at most
   */
  constructor(jwks: readonly PublicJwk[], lifetimeMs: number) {
    this.#own = jwks.map((jwk) => ({ jwk, lastExpiryMs: 0 }));
    this.#lifetimeMs = lifetimeMs;
  }

  /** The first key has signed an assertion. */
  signed(expiryMs: number): void {
    const [first] = this.#own;
    if (first && first.lastExpiryMs < expiryMs) first.lastExpiryMs = expiryMs;
  }

  /** The JWK Set that services verify with at this time. */
  at(nowMs: number): PublicJwks {
    const retired = this.#retired.filter(({ lastExpiryMs }) => lastExpiryMs > nowMs);
    return { keys: [...this.#own, ...retired].map(({ jwk }) => jwk) };
  }

  /**
   * Takes over from the keys of another configuration. Requests in flight may still sign with those, so a key is not copied but
   * shared.
   */
  succeed(before: PublishedKeys, nowMs: number): void {
    // Another process with the same keys, or this one before a restart, may have signed until now.
    for (const key of before.#own) key.lastExpiryMs = Math.max(key.lastExpiryMs, nowMs + before.#lifetimeMs);
    const retired = before.#retired.filter(({ lastExpiryMs }) => lastExpiryMs > nowMs);
    const known = new Map([...retired, ...before.#own].map((key) => [key.jwk['kid'], key]));
    this.#own = this.#own.map(({ jwk }) => {
      const same = known.get(jwk['kid']);
      // A kid that names another key from now on: services could not tell the two apart, so the new one counts.
      known.delete(jwk['kid']);
      return same && isSame(same.jwk, jwk) ? same : { jwk, lastExpiryMs: 0 };
    });
    this.#retired = [...known.values()];
  }
}

function isSame(a: PublicJwk, b: PublicJwk): boolean {
  return a['x'] === b['x'] && a['y'] === b['y'] && a['crv'] === b['crv'];
}
