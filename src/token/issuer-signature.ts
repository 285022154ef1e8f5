/**
 * Which key of an issuer has signed a JWT, of whatever type: the algorithm, the key, the signature; no claim.
 * Rules J3, J5, K1, K2.
 */
import { invalidToken, unavailable } from '../errors.ts';
import { whenReady, type MaybePromise } from '../maybe-promise.ts';
import type { SignatureAlgorithm } from './algorithms.ts';
import { signatureHolds } from './jws-signature.ts';
import type { KeySet } from './key-set.ts';
import type { JwsText } from './lexical-gate.ts';
import type { VerificationKey } from './verification-key.ts';

export interface SigningPolicy {
  readonly issuerName: string;
  readonly algorithms: readonly SignatureAlgorithm[];
}

const KEYS_RETRY_AFTER_SECONDS = 5;

export class IssuerSignature {
  readonly #policy: SigningPolicy;
  readonly #keys: KeySet;

  constructor(policy: SigningPolicy, keys: KeySet) {
    this.#policy = policy;
    this.#keys = keys;
  }

  /** @throws GatewayError 401 with its reason; 503 `keys_unavailable` where the keys cannot be had */
  signerOf(jws: JwsText): MaybePromise<VerificationKey> {
    const algorithm = this.#acceptedAlgorithm(jws);
    return whenReady(this.#candidates(jws, algorithm), (candidates) => {
      const key = candidates.find((candidate) => signatureHolds(jws, candidate.key, algorithm));
      if (key === undefined) throw invalidToken('bad_signature', this.#policy.issuerName);
      return key;
    });
  }

  /** The issuer's list decides, before any key is looked up: never the header (rule J5). */
  #acceptedAlgorithm({ algorithm }: JwsText): SignatureAlgorithm {
    const accepted = this.#policy.algorithms.find((candidate) => candidate === algorithm);
    if (accepted === undefined) throw invalidToken('bad_signature', this.#policy.issuerName);
    return accepted;
  }

  /** Without a Promise where the kid is known (rule K1). */
  #candidates({ keyId }: JwsText, algorithm: SignatureAlgorithm): MaybePromise<readonly VerificationKey[]> {
    const known = this.#keys.candidates(keyId, algorithm);
    return known.length > 0 ? known : this.#refetched(keyId, algorithm);
  }

  async #refetched(
    keyId: string | undefined,
    algorithm: SignatureAlgorithm,
  ): Promise<readonly VerificationKey[]> {
    const refetch = await this.#keys.refetch();
    const found = this.#keys.candidates(keyId, algorithm);
    if (found.length > 0) return found;
    // Unknown and the last fetch failed: it may be a new key that we could not learn of. A good token is
    // not called bad.
    if (refetch === 'failed' || !this.#keys.available)
      throw unavailable('keys_unavailable', KEYS_RETRY_AFTER_SECONDS, { issuer: this.#policy.issuerName });
    throw invalidToken('unknown_key', this.#policy.issuerName);
  }
}
