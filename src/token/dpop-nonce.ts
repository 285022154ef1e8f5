/**
 * Nonces that a client puts into its proofs, so that a proof cannot be made long before its use (RFC 9449 sections 8, 9
 * and 11.2). A nonce is the MAC of a slot of time: nothing is stored, and every gateway that has the secret knows it.
 * Rule D10.
 */
import { createHmac, createSecretKey, timingSafeEqual, type KeyObject } from 'node:crypto';

/** `previous`: good, but the client gets the next one with its response. */
export type NonceAge = 'current' | 'previous';

export interface NoncePolicy {
  /** Shared by the fleet. */
  readonly secret: Buffer;
  readonly rotateMs: number;
}

/** The nonces that are good in one slot of time. */
interface Slot {
  readonly number: number;
  readonly current: string;
  readonly good: readonly (readonly [nonce: Buffer, age: NonceAge])[];
}

/** NQCHAR of RFC 6749 appendix A, of which base64url is a part. */
const NONCE = /^[A-Za-z0-9_-]{43}$/;

export class ProofNonces {
  readonly #key: KeyObject;
  readonly #rotateMs: number;
  #slot: Slot | undefined;

  constructor({ secret, rotateMs }: NoncePolicy) {
    this.#key = createSecretKey(secret);
    this.#rotateMs = rotateMs;
  }

  /** The one that clients get now. */
  current(nowMs: number): string {
    return this.#slotAt(nowMs).current;
  }

  /**
   * How old is this nonce?
   *
   * @returns undefined where it is none of ours, or too old
   */
  ageOf(nonce: string, nowMs: number): NonceAge | undefined {
    // Before the comparison of bytes: other characters may have the same ones.
    if (!NONCE.test(nonce)) return undefined;
    const bytes = Buffer.from(nonce, 'latin1');
    let found: NonceAge | undefined;
    for (const [good, age] of this.#slotAt(nowMs).good) if (timingSafeEqual(bytes, good)) found = age;
    return found;
  }

  #slotAt(nowMs: number): Slot {
    const number = Math.floor(nowMs / this.#rotateMs);
    if (this.#slot?.number !== number) this.#slot = this.#makeSlot(number);
    return this.#slot;
  }

  #makeSlot(number: number): Slot {
    const current = this.#nonceOf(number);
    const bytesOf = (slot: number): Buffer => Buffer.from(this.#nonceOf(slot), 'latin1');
    return {
      number,
      current,
      good: [
        [bytesOf(number), 'current'],
        [bytesOf(number - 1), 'previous'],
        // Of a gateway whose clock is ahead.
        [bytesOf(number + 1), 'current'],
      ],
    };
  }

  #nonceOf(slot: number): string {
    // The length of a slot too: where it has changed, one number stands for two times.
    return createHmac('sha256', this.#key)
      .update(`sallyport DPoP-Nonce ${this.#rotateMs} ${slot}`)
      .digest('base64url');
  }
}
