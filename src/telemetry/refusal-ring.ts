/**
 * The latest error responses of the gateway's own, so that support can say why a user is refused. Refused callers with a verified
 * token have a ring of their own: a flood of bad tokens, which needs no credentials, pushes none of them out. Rule A5.
 */
import type { Exchange } from './exchange.ts';
import type { GatewayError } from '../errors.ts';
import { missingScope } from './missing-scope.ts';

/** Entries of each ring. */
export const RING_ENTRIES = 1_000;
/** Longer texts that clients choose are cut. */
const MAX_CHARACTERS = 256;
const FIRST_SERVER_ERROR = 500;

/** One error response. Plain data. */
export interface Refusal {
  /** Milliseconds since 1970. */
  readonly timeMs: number;
  readonly requestId: string;
  readonly route: string;
  readonly status: number;
  readonly code: string;
  /** Where an authentication or authorization decision was made. */
  readonly reason: string | undefined;
  /** The configured name. */
  readonly issuer: string | undefined;
  readonly clientId: string | undefined;
  readonly subjectHash: string | undefined;
  readonly missingScope: string | undefined;
  /** Which check failed, in fixed text, where the reason has more than one. */
  readonly detail: string | undefined;
  /** The entry of the revocation list that refuses the token. */
  readonly revocationId?: string | undefined;
  readonly clientIp: string;
}

/** What is looked for; a member that is undefined matches all. */
export interface RefusalQuery {
  readonly requestId?: string | undefined;
  readonly route?: string | undefined;
  /** The reason, or the code of a refusal without a reason. */
  readonly reason?: string | undefined;
  readonly limit: number;
}

class Ring<T> {
  readonly #entries: (T | undefined)[] = Array.from({ length: RING_ENTRIES }, () => undefined);
  #next = 0;

  add(entry: T): void {
    this.#entries[this.#next] = entry;
    this.#next = (this.#next + 1) % RING_ENTRIES;
  }

  get entries(): T[] {
    return this.#entries.filter((entry) => entry !== undefined);
  }
}

export class RefusalRing {
  readonly #known = new Ring<Refusal>();
  readonly #others = new Ring<Refusal>();

  /**
   * @param about of the token, where it is verified
   * @param timeMs since 1970
   */
  add(
    exchange: Exchange,
    error: GatewayError,
    { subjectHash, revocationId }: Pick<Refusal, 'subjectHash' | 'revocationId'>,
    timeMs: number,
  ): void {
    const { token, requestId, routeName: route, issuerName: issuer, clientIp } = exchange;
    const { status, code, reason, detail } = error;
    const ring = token && status < FIRST_SERVER_ERROR ? this.#known : this.#others;
    ring.add({
      timeMs,
      requestId,
      route,
      status,
      code,
      reason,
      issuer,
      clientId: token?.clientId?.slice(0, MAX_CHARACTERS),
      subjectHash,
      missingScope:
        token && reason === 'insufficient_scope' ? missingScope(error.challenge?.scope, token) : undefined,
      detail,
      revocationId,
      clientIp,
    });
  }

  /** The latest first. */
  search({ requestId, route, reason, limit }: RefusalQuery): Refusal[] {
    return [...this.#known.entries, ...this.#others.entries]
      .filter(
        (refusal) =>
          (requestId === undefined || refusal.requestId === requestId) &&
          (route === undefined || refusal.route === route) &&
          (reason === undefined || (refusal.reason ?? refusal.code) === reason),
      )
      .sort((one, other) => other.timeMs - one.timeMs)
      .slice(0, limit);
  }
}
