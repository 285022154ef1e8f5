/**
 * What is still under way for a token: tunnels, event streams, long transfers. A few times a second they are looked
 * at, and those whose token was revoked are closed; streams also when it has expired. Requests that still wait for their
 * response are found by the deadlines. Rules V10, V15.
 */
import type { Clock } from '../clock.ts';
import type { Revocations } from '../stages/check-revocation.ts';
import type { AuthenticToken } from '../token/token-verifier.ts';

export const CLOSE_REASONS = ['revoked', 'expired'] as const;
export type CloseReason = (typeof CLOSE_REASONS)[number];

export interface LiveStream {
  readonly token: AuthenticToken;
  /** Is it closed when its token expires, or does it then come to its end by itself? */
  readonly endsWithToken: boolean;
  close(reason: CloseReason): void;
}

/** A stream lives on for at most this after its token was revoked here: well within a second. */
const LOOK_EVERY_MS = 250;

export class LiveStreams {
  readonly #revocations: Revocations;
  readonly #clock: Clock;
  readonly #count: (reason: CloseReason) => void;
  readonly #streams = new Set<LiveStream>();
  #cancel: () => void = () => undefined;

  constructor(revocations: Revocations, clock: Clock, count: (reason: CloseReason) => void) {
    this.#revocations = revocations;
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

  /** Must what waits for its response with this token end, since it has been revoked? Then it is counted as closed. */
  ends({ revocable, issuedAt }: AuthenticToken): boolean {
    const revoked = this.#revocations.isRevoked(revocable, issuedAt);
    if (revoked) this.#count('revoked');
    return revoked;
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

  #reasonToClose({ token, endsWithToken }: LiveStream, nowSeconds: number): CloseReason | undefined {
    const { revocable, issuedAt, expiresAt = Infinity, clockSkewSeconds } = token;
    if (this.#revocations.isRevoked(revocable, issuedAt)) return 'revoked';
    return endsWithToken && nowSeconds >= expiresAt + clockSkewSeconds ? 'expired' : undefined;
  }
}
