/**
 * The refusals of one limit: 429 with Retry-After, and with the fields of draft-ietf-httpapi-ratelimit-headers-10, which are structured fields
 * (RFC 9651). A refusal says nothing of its request but how long to wait, so that one error serves all that wait as long: under
 * a flood, which is what limits are for, a refusal costs no stack trace.
 */
import { fixed, type GatewayError } from '../errors.ts';
import type { Verdict } from './limiter.ts';
import type { RateLimit } from './rate-limit.ts';

/** Kept for each limit. */
const MAX_KEPT = 1_000;

export class LimitRefusals {
  readonly #limit: string;
  readonly #policy: string;
  readonly #bySeconds = new Map<number, GatewayError>();

  constructor({ name, count, windowMs }: RateLimit) {
    this.#limit = name;
    // A name of the configuration needs no escape.
    this.#policy = `"${name}";q=${count};w=${windowMs / 1000}`;
  }

  of({ retryAfterMs }: Verdict): GatewayError {
    const seconds = Math.max(1, Math.ceil(retryAfterMs / 1000));
    const known = this.#bySeconds.get(seconds);
    if (known !== undefined) return known;
    if (this.#bySeconds.size >= MAX_KEPT) this.#bySeconds.clear();
    const error = fixed(429, 'rate_limited', 'The caller has sent more requests than it may.', {
      limit: this.#limit,
      retryAfterSeconds: seconds,
      headers: ['ratelimit-policy', this.#policy, 'ratelimit', `"${this.#limit}";r=0;t=${seconds}`],
    });
    this.#bySeconds.set(seconds, error);
    return error;
  }
}
