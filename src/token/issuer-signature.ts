/**
 * Which key of an issuer has signed a JWT, of whatever type: the algorithm, the key, the signature; no claim.
 * Rules J3, J5, K0 to K2.
 */
import { invalidToken, unavailable } from '../auth-errors.ts';
import type { MaybePromise } from '../maybe-promise.ts';
import { isHmac, SIGNATURE_ALGORITHMS, type SignatureAlgorithm } from './algorithms.ts';
import type { JsonObject } from './claims.ts';
import { isKeyFor, type IssuerIdentity } from './issuer-template.ts';
import { verifySignature } from './jws-signature.ts';
import type { KeySet } from './key-set.ts';
import type { JwsText } from './lexical-gate.ts';
import type { TokenCaller } from './token-verifier.ts';
import type { VerificationKey } from './verification-key.ts';

/** A key that names another issuer, or another of its tenants, signs for that one only. */
export interface SigningPolicy extends IssuerIdentity {
  readonly issuerName: string;
  readonly algorithms: readonly SignatureAlgorithm[];
}

/** The claims, of which nothing is verified, say for which tenant it is. */
type Signed = JwsText & { readonly claims?: JsonObject };

const KEYS_RETRY_AFTER_SECONDS = 5;

export class IssuerSignature {
  readonly #policy: SigningPolicy;
  readonly #keys: KeySet;

  constructor(policy: SigningPolicy, keys: KeySet) {
    this.#policy = policy;
    this.#keys = keys;
  }

  /**
   * Without a Promise where the key is known (rule K1).
   *
   * @throws GatewayError 401 with its reason; 503 `keys_unavailable` where it is unknown whether there is such a key
   */
  findSigningKey(jws: Signed, caller: TokenCaller): MaybePromise<VerificationKey> {
    const algorithm = this.#acceptedAlgorithm(jws);
    const candidates = this.#keys.candidates(jws.keyId, algorithm);
    const key = this.#signerAmong(candidates, jws, algorithm);
    if (key !== undefined) return key;
    // A token that names a known key has a bad signature; so has one that is signed by the key of another tenant. One that
    // names none may be signed by a new key, but not by a new secret: that changes with the configuration only.
    if (candidates.length > 0 && (jws.keyId !== undefined || this.#keys.isFixed || isHmac(algorithm)))
      throw invalidToken('bad_signature', this.#policy.issuerName);
    return this.#awaited(jws, algorithm, caller);
  }

  /** The issuer's list decides, before any key is looked up: never the header (rule J5). */
  #acceptedAlgorithm({ algorithm }: JwsText): SignatureAlgorithm {
    const accepted = this.#policy.algorithms.find((candidate) => candidate === algorithm);
    if (accepted === undefined) {
      const { issuerName } = this.#policy;
      const detail = `${shownAlgorithm(algorithm)} is not among issuers.${issuerName}.algorithms`;
      throw invalidToken('bad_signature', issuerName, detail);
    }
    return accepted;
  }

  /** Waits until the key is there, or the authorization server has said since that it is not. */
  async #awaited(jws: Signed, algorithm: SignatureAlgorithm, caller: TokenCaller): Promise<VerificationKey> {
    const keys = this.#keys;
    const { generation } = keys;
    const signer = (): VerificationKey | undefined =>
      this.#signerAmong(keys.candidates(jws.keyId, algorithm), jws, algorithm);
    const isFound =
      jws.keyId === undefined
        ? () => keys.generation !== generation && signer() !== undefined
        : () => keys.candidates(jws.keyId, algorithm).length > 0;
    const isDecided = await keys.refetch(caller, isFound);
    const key = signer();
    if (key !== undefined) return key;
    const { issuerName } = this.#policy;
    if (!isDecided || !keys.available)
      throw unavailable('keys_unavailable', KEYS_RETRY_AFTER_SECONDS, { issuer: issuerName });
    const isKnown = jws.keyId !== undefined && isFound();
    throw invalidToken(isKnown ? 'bad_signature' : 'unknown_key', issuerName);
  }

  #signerAmong(
    candidates: readonly VerificationKey[],
    jws: Signed,
    algorithm: SignatureAlgorithm,
  ): VerificationKey | undefined {
    return candidates.find(
      ({ key, issuer }) =>
        isKeyFor(this.#policy, issuer, jws.claims?.['iss']) && verifySignature(jws, key, algorithm),
    );
  }
}

/** What a token says of itself does not enter an error: only names that we know. */
function shownAlgorithm(algorithm: string): string {
  const known = KNOWN_ALGORITHMS.find((candidate) => candidate === algorithm);
  return known === undefined
    ? 'the algorithm of the token, which is unknown here,'
    : `the algorithm ${known}`;
}

const KNOWN_ALGORITHMS = [...SIGNATURE_ALGORITHMS, 'none', 'ES256K', 'Ed448'] as const;
