/**
 * The header of a DPoP proof: its type, its algorithm and the key that it brings (RFC 9449 section 4.2). A client writes
 * the same one into all proofs of a key, so what was made of it once is kept. Rules D4 to D7.
 */
import type { KeyObject } from 'node:crypto';
import { RecentReadings } from '../http/recent-readings.ts';
import type { ProofAlgorithm } from './algorithms.ts';
import { isJsonObject, stringClaim, type JsonObject } from './claims.ts';
import { keyThumbprint } from './key-thumbprint.ts';
import { parseHeader, type JwsHeader } from './lexical-gate.ts';
import { ProofRefused } from './proof-refusal.ts';
import { importKey } from './verification-key.ts';

export interface ProofHeader extends JwsHeader {
  readonly algorithm: ProofAlgorithm;
  readonly jwk: JsonObject;
  /** Of `jwk`, as it is spelt. */
  readonly thumbprint: string;
}

/** A header whose key has signed a proof for a token that is bound to it. */
export interface KnownProofHeader extends ProofHeader {
  readonly key: KeyObject;
}

/**
 * `application/` stands before a `typ` without a slash, whether it is written or not, and media types have no case (RFC
 * 7515 section 4.1.9). So both are the value that RFC 9449 asks for, and the media type that its section 12.5 registers.
 */
const TYPE = /^(?:application\/)?dpop\+jwt$/i;

/**
 * Reads the first segment of a proof. No key is made yet.
 *
 * @returns undefined where the segment is no JSON object with `alg`
 * @throws ProofRefused, or GatewayError 401 `malformed`
 */
export function readProofHeader(
  segment: string,
  accepted: readonly ProofAlgorithm[],
): ProofHeader | undefined {
  const read = parseHeader(segment);
  if (read === undefined) return undefined;
  const { typ, jwk } = read.header;
  if (typeof typ !== 'string' || !TYPE.test(typ)) throw new ProofRefused('typ');
  const algorithm = accepted.find((candidate) => candidate === read.algorithm);
  if (algorithm === undefined) throw new ProofRefused('alg');
  const thumbprint = isJsonObject(jwk) ? keyThumbprint(jwk) : undefined;
  if (!isJsonObject(jwk) || thumbprint === undefined) throw new ProofRefused('jwk');
  return { ...read, algorithm, jwk, thumbprint };
}

/**
 * 4096 bits: an attacker chooses this key, and what a signature costs us grows with the square of its length. Of `e` up to
 * 32 bits: OpenSSL takes far longer ones, and the cost grows with them too.
 */
const MAX_RSA_CHARACTERS = { n: base64urlLength(4096 / 8), e: base64urlLength(4) } as const;

/** @throws ProofRefused where it is no key that may make proofs with its algorithm */
export function importProofKey({ jwk, algorithm, thumbprint }: ProofHeader): KeyObject {
  if (jwk['kty'] === 'RSA') {
    const lengthOf = (name: string): number => (stringClaim(jwk, name) ?? '').length;
    if (lengthOf('n') > MAX_RSA_CHARACTERS.n) refuseKey('its modulus is longer than 4096 bits');
    if (lengthOf('e') > MAX_RSA_CHARACTERS.e) refuseKey('its exponent is longer than 32 bits');
  }
  const imported = importKey(jwk, [algorithm]);
  if (typeof imported === 'string') refuseKey(imported);
  const { key } = imported;
  // One key has one spelling and so one thumbprint (RFC 7518 section 6: no padding, no zeros in front).
  if (keyThumbprint(key.export({ format: 'jwk' })) !== thumbprint)
    refuseKey('its numbers are not spelt as RFC 7518 says');
  return key;
}

function refuseKey(reason: string): never {
  throw new ProofRefused('jwk', `jwk of the proof cannot be used: ${reason}`);
}

function base64urlLength(bytes: number): number {
  return Math.ceil((bytes * 4) / 3);
}

/** About 5 KB each, with their key. */
const MAX_RECENT = 2_000;
/** That of a key of 4096 bits has some 1,100. */
const MAX_SEGMENT_CHARACTERS = 2_048;

/** The headers that were used last, by their spelling. */
export class RecentProofHeaders extends RecentReadings<KnownProofHeader> {
  constructor() {
    super({ most: MAX_RECENT, mostCharacters: MAX_SEGMENT_CHARACTERS });
  }
}
