/** Why a call to a transmitter came to nothing. Pure. */

/**
 * `refused`: 401 or 403. `no_token`: the gateway has no token to send. `busy`: 429, or 503 with Retry-After. `status`: any other
 * that is no success. `too_large`: the response is larger than any that is read. `unreadable`: the response is not what it must be.
 * `unreachable`: no complete response arrived.
 */
export type TransmitterFailure =
  'refused' | 'no_token' | 'busy' | 'status' | 'too_large' | 'unreadable' | 'unreachable';

export class TransmitterError extends Error {
  override readonly name = 'TransmitterError';
  readonly failure: TransmitterFailure;
  /** Undefined where none arrived. */
  readonly status: number | undefined;
  /** How long the transmitter asks to be left alone; undefined: it does not say. */
  readonly retryAfterSeconds: number | undefined;

  /** @param message fixed text, at most with a URL of the configuration: it goes into the log */
  constructor(
    failure: TransmitterFailure,
    message: string,
    more: {
      readonly status?: number;
      readonly retryAfterSeconds?: number | undefined;
      readonly cause?: unknown;
    } = {},
  ) {
    super(message, { cause: more.cause });
    this.failure = failure;
    this.status = more.status;
    this.retryAfterSeconds = more.retryAfterSeconds;
  }
}
