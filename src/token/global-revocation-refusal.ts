/** Why a global token revocation was refused: for the log and the metric; its caller learns only the kind. */

/** A closed list: it is a metric label. */
export const GLOBAL_REVOCATION_REFUSALS = [
  'not_posted',
  'no_credentials',
  'malformed',
  'wrong_type',
  'bad_signature',
  'unknown_key',
  'wrong_issuer',
  'wrong_audience',
  'no_token_id',
  'bad_date',
  'expired',
  'not_yet_valid',
  'lives_too_long',
  'used_before',
  'unknown_caller',
  'not_json',
  'body_too_large',
  'incomplete',
  'timeout',
  'bad_body',
  'unknown_format',
  'other_issuer',
  'names_nothing',
  'keys_unavailable',
  'replay_unavailable',
  'store_unavailable',
] as const;
export type GlobalRevocationRefusalReason = (typeof GLOBAL_REVOCATION_REFUSALS)[number];

export class GlobalRevocationRefused extends Error {
  override readonly name = 'GlobalRevocationRefused';
  readonly reason: GlobalRevocationRefusalReason;

  constructor(reason: GlobalRevocationRefusalReason) {
    super(reason);
    this.reason = reason;
  }
}
