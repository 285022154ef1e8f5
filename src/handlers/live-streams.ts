/**
 * Tunnels, event streams and long transfers that a token has opened. They are checked a few times a second: where the
 * token was revoked, here or in the list of its issuer, they are closed, streams also when it has expired. The deadlines check requests that still wait for
 * their response. Rules V10, V15.
 */
import type { Clock } from '../clock.ts';
import { GatewayError } from '../errors.ts';
import type { RevocableToken } from '../revocation/revocation-target.ts';
import type { OffSwitches, Statuses } from '../stages/check-revocation.ts';
import type { RevocableClaim } from '../token/authentic-token.ts';
import type { AuthenticToken } from '../token/token-verifier.ts';

export const CLOSE_REASONS = ['revoked', 'status', 'expired'] as const;
export type CloseReason = (typeof CLOSE_REASONS)[number];

export interface LiveStream {
  readonly token: AuthenticToken;
  /** Is it closed when its token expires? Otherwise it may then end by itself. */
  readonly endsWithToken: boolean;
  close(reason: CloseReason): void;
}

/** A stream lives on for at most this long after its token was revoked here: well within a second. */
const LOOK_EVERY_MS = 250;

export class LiveStreams {
  readonly #revocations: OffSwitches['revocations'];
  readonly #statuses: Pick<Statuses, 'heldVerdictOf'>;
  readonly #clock: Clock;
  readonly #count: (reason: CloseReason) => void;
  readonly #streams = new Set<LiveStream>();
  #cancel: () => void = () => undefined;
  /** Undefined until a reload has changed them: then each token was verified with those that count. */
  #claims: readonly RevocableClaim[] | undefined;
  /** The tokens that have been looked at, by those claims; null: one of them is too long to be looked through. */
  #revocables = new WeakMap<AuthenticToken, RevocableToken | null>();
  #revision = 0;

  constructor(
    {
      revocations,
      statuses,
    }: Pick<OffSwitches, 'revocations'> & { readonly statuses: Pick<Statuses, 'heldVerdictOf'> },
    clock: Clock,
    count: (reason: CloseReason) => void,
  ) {
    this.#revocations = revocations;
    this.#statuses = statuses;
    this.#clock = clock;
    this.#count = count;
  }

  watch(stream: LiveStream): void {
    this.#streams.add(stream);
    if (this.#streams.size === 1) this.#lookLater();
  }

  unwatch(stream: LiveStream): void {
    this.#streams.delete(stream);
    if (this.#streams.size === 0) this.#cancel();
  }

  /** A reload has changed the claims by which tokens are revoked: they count for open streams and waiting requests, too. */
  useClaims(claims: readonly RevocableClaim[]): void {
    this.#claims = claims;
    this.#revocables = new WeakMap();
    this.#revision++;
  }

  /** A status list says something else, or others count. */
  statusChanged(): void {
    this.#revision++;
  }

  /** Another number after each such change: a request that waits may have to end. */
  get revision(): number {
    return this.#revision;
  }

  /** Why a request that waits for its response must end: its token was revoked, or it is to end with it. It is counted as closed. */
  ends(waiting: Pick<LiveStream, 'token' | 'endsWithToken'>): CloseReason | undefined {
    const reason = this.#reasonToClose(waiting, this.#clock.nowMs() / 1000);
    if (reason !== undefined) this.#count(reason);
    return reason;
  }

  #lookLater(): void {
    this.#cancel();
    this.#cancel = this.#clock.after(LOOK_EVERY_MS, () => this.#look());
  }

  #look(): void {
    const nowSeconds = this.#clock.nowMs() / 1000;
    for (const stream of [...this.#streams]) {
      const reason = this.#reasonToClose(stream, nowSeconds);
      if (reason === undefined) continue;
      this.#streams.delete(stream);
      this.#count(reason);
      stream.close(reason);
    }
    if (this.#streams.size > 0) this.#lookLater();
  }

  #reasonToClose(
    { token, endsWithToken }: Pick<LiveStream, 'token' | 'endsWithToken'>,
    nowSeconds: number,
  ): CloseReason | undefined {
    const { expiresAt = Infinity, clockSkewSeconds } = token;
    const end = this.#endOf(token);
    if (end !== undefined) return end;
    return endsWithToken && nowSeconds >= expiresAt + clockSkewSeconds ? 'expired' : undefined;
  }

  /** Of a list of the issuer counts what is held: a refresh of it is seen here at the next look. */
  #endOf(token: AuthenticToken): Exclude<CloseReason, 'expired'> | undefined {
    if (this.#isRevoked(token)) return 'revoked';
    return this.#statuses.heldVerdictOf(token) instanceof Error ? 'status' : undefined;
  }

  /** An API key that is stored no more has ended as if it were revoked. A token that cannot be looked through is refused, here as on a new request. */
  #isRevoked(token: AuthenticToken): boolean {
    if (token.hasEnded?.() === true) return true;
    const revocable = this.#claims === undefined ? token.revocable : this.#revocableBy(this.#claims, token);
    return revocable === null || this.#revocations.isRevoked(revocable, token.issuedAt);
  }

  #revocableBy(claims: readonly RevocableClaim[], token: AuthenticToken): RevocableToken | null {
    let revocable = this.#revocables.get(token);
    if (revocable !== undefined) return revocable;
    try {
      revocable = token.revocableBy(claims);
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      revocable = null;
    }
    this.#revocables.set(token, revocable);
    return revocable;
  }
}
