/** Why a DPoP proof was refused: for the log and `explain`. The client learns only that it was. Pure. */

/** What is wrong, by the check that found it. Fixed text: nothing of a proof is in it. */
const FAULTS = {
  length: 'the proof is longer than 8 KiB',
  form: 'the DPoP header is not one well-formed JWT',
  typ: 'typ of the proof is not dpop+jwt',
  alg: 'alg of the proof is not among dpop.algorithms',
  jwk: 'jwk of the proof is missing, or no public key of EC, RSA or OKP',
  jkt: 'the key of the proof is not the one that the token is bound to',
  claims: 'the proof has no jti (of 1 to 256 characters), htm, htu, iat or ath, or one of another type',
  htm: 'htm of the proof is not the method of the request',
  htu: 'htu of the proof is not the URL of the request',
  ath: 'ath of the proof is not the hash of the token',
  iat: 'iat of the proof is older than dpop.max_age, or further ahead than dpop.future_iat',
  lifetime: 'the proof is not valid now, by its exp or nbf',
  nonce: 'the proof has no nonce, or one that this fleet does not accept now',
  signature: 'the signature of the proof is not by its jwk',
} as const;
export type ProofCheck = keyof typeof FAULTS;

/** The text of a check that has no more exact one. */
export function faultOf(check: ProofCheck): string {
  return FAULTS[check];
}

export class ProofRefused extends Error {
  override readonly name = 'ProofRefused';
  readonly check: ProofCheck;

  /** @param text fixed; more exact than that of the check */
  constructor(check: ProofCheck, text: string = FAULTS[check]) {
    super(text);
    this.check = check;
  }

  /** `nonce`: the same client may try again, with the nonce that it gets (RFC 9449 section 9). */
  get kind(): 'invalid' | 'nonce' {
    return this.check === 'nonce' ? 'nonce' : 'invalid';
  }
}
