/** Why a back-channel logout was refused: for the log and the metric; the one who sent it learns only that it was. */

/** A closed list: it is a metric label. */
export const LOGOUT_REFUSALS = [
  'not_posted',
  'not_a_form',
  'no_single_token',
  'body_too_large',
  'incomplete',
  'timeout',
  'malformed',
  'wrong_type',
  'bad_signature',
  'unknown_key',
  'wrong_issuer',
  'wrong_audience',
  'no_logout_event',
  'nonce',
  'no_token_id',
  'bad_session',
  'bad_subject',
  'no_session_or_subject',
  'bad_date',
  'too_old',
  'expired',
  'from_the_future',
  'used_before',
  'keys_unavailable',
  'store_unavailable',
] as const;
export type LogoutRefusalReason = (typeof LOGOUT_REFUSALS)[number];

export class LogoutRefused extends Error {
  override readonly name = 'LogoutRefused';
  readonly reason: LogoutRefusalReason;

  constructor(reason: LogoutRefusalReason) {
    super(reason);
    this.reason = reason;
  }
}
