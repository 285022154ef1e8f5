/**
 * What is decided of one security event token, whichever way it came: by push (RFC 8935) or poll (RFC 8936), which have the same
 * codes of errors. Pure.
 */
import type { JsonObject, JsonValue } from '../token/claims.ts';
import type { EventName } from './signal-events.ts';

/** RFC 8935 section 2.4, and of OpenID SSF 1.0 section 8.1.4.1 `invalid_state`. A closed list: it is a metric label. */
export const SIGNAL_ERRORS = [
  'invalid_request',
  'invalid_key',
  'invalid_issuer',
  'invalid_audience',
  'invalid_state',
  'authentication_failed',
  'access_denied',
] as const;
export type SignalError = (typeof SIGNAL_ERRORS)[number];

/** The token is refused, and its transmitter told why: by a code and fixed text, which holds nothing of the token. */
export class SignalRefused extends Error {
  override readonly name = 'SignalRefused';
  readonly err: SignalError;

  constructor(err: SignalError, description: string) {
    super(description);
    this.err = err;
  }
}

/** One event of a token that was verified. */
export interface SignalEvent {
  readonly name: EventName;
  /** The event's own members. */
  readonly payload: JsonObject;
  /** `sub_id`, or in the event itself, as older drafts have it; not yet read. */
  readonly subject: JsonValue | undefined;
}

/**
 * `taken` and `repeated` may be acknowledged: the store has every entry that the token asks for. What is refused will not become
 * better by another try.
 */
export type SignalVerdict =
  | {
      readonly kind: 'taken' | 'repeated';
      readonly jti: string;
      /** The `verification` and `stream-updated` events of a stream are among them. */
      readonly events: readonly SignalEvent[];
    }
  | { readonly kind: 'refused'; readonly err: SignalError; readonly description: string };

/** Takes the tokens of one transmitter. */
export interface TakesSignals {
  /** The configured name of the transmitter. */
  readonly transmitter: string;
  /**
   * Resolves once the store has what the token asks for (rule V17).
   *
   * @param set the token as it came
   * @param from the address that it came from, for the log and the audit lines
   * @throws GatewayError 503 where keys or the store are unavailable: nothing may be acknowledged, and the same token is to be
   *         taken again
   */
  take(set: string, from: string): Promise<SignalVerdict>;
  /** Counts and logs what is refused before there is a token. */
  refuse(refusal: SignalRefused, from: string): void;
}

/** Decides on events of the stream itself (`verification`, `stream-updated`) before their token is acknowledged. */
export interface StreamEvents {
  /** @throws SignalRefused `invalid_state` where the state is not the one that was asked for (SSF 1.0 section 8.1.4.1) */
  heard(event: SignalEvent): void;
}
