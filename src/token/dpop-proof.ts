/**
 * Proofs that a client has the key that its token is bound to: each check of RFC 9449 section 4.3 but the first and the
 * last. Those are for who has the request (is there one DPoP header?) and for who has a memory (has its `jti` been spent?).
 *
 * A signature costs far more than all else here, and a key is made of what a client sends. So both come last, and only for
 * the key that a verified token names. Rules D2 to D12.
 */
import { hash } from 'node:crypto';
import { GatewayError } from '../errors.ts';
import { normalisedHtu } from '../http/request-url.ts';
import type { ProofAlgorithm } from './algorithms.ts';
import { numberOf, stringClaim, type JsonObject } from './claims.ts';
import type { NonceAge, ProofNonces } from './dpop-nonce.ts';
import { verifySignature } from './jws-signature.ts';
import { readJwtWith, type JwtText } from './lexical-gate.ts';
import {
  importProofKey,
  readProofHeader,
  RecentProofHeaders,
  type KnownProofHeader,
  type ProofHeader,
} from './proof-header.ts';
import { ProofRefused } from './proof-refusal.ts';
import { presentedDigest } from './token-digest.ts';

export interface ProofPolicy {
  readonly algorithms: readonly ProofAlgorithm[];
  readonly maxAgeSeconds: number;
  readonly futureIatSeconds: number;
  /** Undefined: a proof needs no nonce, and what it has as one is not looked at. */
  readonly nonces: ProofNonces | undefined;
}

/** The request and the token that a proof came with. */
export interface ProofContext {
  readonly method: string;
  /** In the one form of normalisedHtu. */
  readonly url: string;
  readonly accessToken: string;
  /** `cnf.jkt` of the token. */
  readonly keyThumbprint: string;
  readonly nowMs: number;
}

/** A proof that has passed every check but that of its first use. */
export interface AcceptedProof {
  /** A digest of the key and `jti`: what is spent. */
  readonly id: string;
  /** From now on, until no gateway would accept the proof: how long to remember its id. At least 1. */
  readonly usableForMs: number;
  /** Undefined where none is asked for. */
  readonly nonce: NonceAge | undefined;
}

/** Several times as long as the proof of an RSA key of 4096 bits. */
const MAX_PROOF_CHARACTERS = 8_192;
const MAX_JTI_CHARACTERS = 256;

/** The claims that every proof has, of their types. */
interface ProofClaims {
  readonly jti: string;
  readonly htm: string;
  readonly htu: string;
  readonly iat: number;
  readonly ath: string;
}

type ProofText = JwtText & (ProofHeader | KnownProofHeader);

export class ProofVerifier {
  readonly #policy: ProofPolicy;
  readonly #headers = new RecentProofHeaders();
  /** A proof from before may have been used and forgotten. */
  oldestIatSeconds = -Infinity;

  constructor(policy: ProofPolicy) {
    this.#policy = policy;
  }

  /**
   * @param proof the value of the one DPoP header
   * @throws ProofRefused
   */
  verify(proof: string, context: ProofContext): AcceptedProof {
    const text = this.#read(proof);
    if (text.thumbprint !== context.keyThumbprint) throw new ProofRefused('jkt');
    const claims = claimsOf(text.claims);
    if (claims.htm !== context.method) throw new ProofRefused('htm');
    if (claims.htu !== context.url && normalisedHtu(claims.htu) !== context.url)
      throw new ProofRefused('htu');
    if (claims.ath !== presentedDigest(context.accessToken)) throw new ProofRefused('ath');
    this.#checkDates(claims.iat, text.claims, context.nowMs);
    const nonce = this.#checkNonce(text.claims, context.nowMs);
    this.#checkSignature(text);
    const { maxAgeSeconds, futureIatSeconds } = this.#policy;
    // Another gateway's clock may be behind this one's, by as much as iat may be ahead.
    const usableUntilMs = (claims.iat + maxAgeSeconds + futureIatSeconds) * 1_000;
    return {
      // A thumbprint has no dot.
      id: hash('sha256', `${text.thumbprint}.${claims.jti}`, 'base64url'),
      usableForMs: Math.max(1, Math.ceil(usableUntilMs - context.nowMs)),
      nonce,
    };
  }

  readonly #headerOf = (segment: string): ProofHeader | undefined =>
    this.#headers.get(segment) ?? readProofHeader(segment, this.#policy.algorithms);

  #read(proof: string): ProofText {
    if (proof.length > MAX_PROOF_CHARACTERS) throw new ProofRefused('length');
    let text: ProofText | undefined;
    try {
      text = readJwtWith(this.#headerOf, proof);
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
    }
    if (text === undefined) throw new ProofRefused('form');
    return text;
  }

  #checkDates(iat: number, claims: JsonObject, nowMs: number): void {
    const { maxAgeSeconds, futureIatSeconds } = this.#policy;
    const now = nowMs / 1_000;
    const oldest = Math.max(now - maxAgeSeconds, this.oldestIatSeconds);
    if (iat < oldest || iat > now + futureIatSeconds) throw new ProofRefused('iat');
    // Some clients write these too.
    const expiresAt = dateOf(claims, 'exp') ?? Infinity;
    const validFrom = dateOf(claims, 'nbf') ?? -Infinity;
    if (expiresAt <= now || validFrom > now + futureIatSeconds) throw new ProofRefused('lifetime');
  }

  #checkNonce(claims: JsonObject, nowMs: number): NonceAge | undefined {
    const { nonces } = this.#policy;
    if (nonces === undefined) return undefined;
    const age = nonces.ageOf(stringClaim(claims, 'nonce') ?? '', nowMs);
    if (age === undefined) throw new ProofRefused('nonce');
    return age;
  }

  #checkSignature(text: ProofText): void {
    const known = 'key' in text ? text.key : undefined;
    const key = known ?? importProofKey(text);
    if (!verifySignature(text, key, text.algorithm)) throw new ProofRefused('signature');
    if (known !== undefined) return;
    // Only now: what no token is bound to takes no place.
    const { header, algorithm, keyId, jwk, thumbprint } = text;
    this.#headers.add(text.token.slice(0, text.token.indexOf('.')), {
      header,
      algorithm,
      keyId,
      jwk,
      thumbprint,
      key,
    });
  }
}

/** A type that is wrong is as bad as a claim that is missing. */
function claimsOf(claims: JsonObject): ProofClaims {
  const [jti, htm, htu, ath] = ['jti', 'htm', 'htu', 'ath'].map((name) => stringClaim(claims, name));
  const iat = numberOf(claims['iat']);
  if (
    jti === undefined ||
    jti === '' ||
    jti.length > MAX_JTI_CHARACTERS ||
    htm === undefined ||
    htu === undefined ||
    ath === undefined ||
    iat === undefined
  )
    throw new ProofRefused('claims');
  return { jti, htm, htu, ath, iat };
}

/** A date that may be absent. */
function dateOf(claims: JsonObject, name: string): number | undefined {
  const value = claims[name];
  const date = numberOf(value);
  if (value !== undefined && date === undefined) throw new ProofRefused('lifetime');
  return date;
}
