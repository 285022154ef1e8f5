/**
 * A list as its issuer signs it: a JWT of the type `statuslist+jwt` (draft-ietf-oauth-status-list, "Status List Token in JWT
 * Format"). Every check but that of its place among the lists before it.
 *
 * The signature is the issuer's own, by the keys and algorithms of its access tokens: a list decides who may pass.
 */
import type { Clock } from '../clock.ts';
import { GatewayError } from '../errors.ts';
import { isJsonObject, numberOf, stringClaim, type JsonObject, type JsonValue } from '../token/claims.ts';
import { IssuerSignature, type SigningPolicy } from '../token/issuer-signature.ts';
import { isIssOf } from '../token/issuer-template.ts';
import { audienceOf } from '../token/jwt-verifier.ts';
import type { KeySet } from '../token/key-set.ts';
import { readJwt, type JwtText } from '../token/lexical-gate.ts';
import { OPERATOR } from '../token/token-verifier.ts';
import type { VerificationKey } from '../token/verification-key.ts';
import { isStatusBits, StatusList } from './status-list.ts';

export interface ListPolicy extends SigningPolicy {
  /** Undefined: `aud` is not compared. */
  readonly audiences: readonly string[] | undefined;
  readonly clockSkewSeconds: number;
  readonly futureIatSeconds: number;
}

/** A list that its issuer vouches for. */
export interface IssuedList {
  readonly list: StatusList;
  /** `iat`, in seconds. */
  readonly issuedAt: number;
  /** From when on it says nothing any more, in seconds: `exp` and the clock skew. */
  readonly endsAt: number;
  /** `exp`, in seconds; Infinity where it has none. */
  readonly expiresAt: number;
  /** How long its issuer lets it be kept before it is fetched again. */
  readonly ttlMs: number;
  /** The key that proved it, for as long as that key is current. */
  readonly signer: VerificationKey;
  readonly signature: Pick<JwtText, 'keyId' | 'algorithm'>;
}

/** Why a response is no list that may be used. */
export type ListRefusal =
  | 'malformed'
  | 'wrong type'
  | 'bad signature'
  | 'unknown key'
  | 'another uri in sub'
  | 'another issuer'
  | 'another audience'
  | 'bad date'
  | 'expired'
  | 'not yet valid'
  | 'bad status_list'
  | 'older than the list before'
  | 'no room for it';

/** A response arrived, and is of no use. */
export class ListRefused extends Error {
  override readonly name = 'ListRefused';
  readonly refusal: ListRefusal;

  constructor(refusal: ListRefusal, options?: ErrorOptions) {
    super(`the list is refused: ${refusal}`, options);
    this.refusal = refusal;
  }
}

export class ListVerifier {
  readonly #policy: ListPolicy;
  readonly #keys: KeySet;
  readonly #signature: IssuerSignature;
  readonly #clock: Clock;

  constructor(policy: ListPolicy, keys: KeySet, clock: Clock) {
    this.#policy = policy;
    this.#keys = keys;
    this.#signature = new IssuerSignature(policy, keys);
    this.#clock = clock;
  }

  /** @throws ListRefused; GatewayError 503 `keys_unavailable` */
  async verify(text: string, uri: string): Promise<IssuedList> {
    const jwt = readJwtOrRefuse(text);
    if (!isListType(jwt.header['typ'])) throw new ListRefused('wrong type');
    const signer = await this.#findSigner(jwt);
    this.#checkNames(jwt.claims, uri);
    const dates = this.#datesOf(jwt.claims);
    const list = await listOf(jwt.claims['status_list']);
    return { ...dates, list, signer, signature: { keyId: jwt.keyId, algorithm: jwt.algorithm } };
  }

  /** The same key among those of this issuer, for a list that was verified with others; undefined where it is none of them. */
  signerOf({ signer, signature: { keyId, algorithm } }: IssuedList): VerificationKey | undefined {
    const accepted = this.#policy.algorithms.find((each) => each === algorithm);
    const candidates = accepted === undefined ? [] : this.#keys.candidates(keyId, accepted);
    return candidates.find(({ fingerprint }) => fingerprint === signer.fingerprint);
  }

  async #findSigner(jwt: JwtText): Promise<VerificationKey> {
    try {
      return await this.#signature.findSigningKey(jwt, OPERATOR);
    } catch (error) {
      if (!(error instanceof GatewayError) || error.status !== 401) throw error;
      throw new ListRefused(error.reason === 'unknown_key' ? 'unknown key' : 'bad signature');
    }
  }

  #checkNames(claims: JsonObject, uri: string): void {
    const { audiences } = this.#policy;
    if (claims['sub'] !== uri) throw new ListRefused('another uri in sub');
    // Earlier drafts have `iss`; the present one leaves it to "other claims".
    if (claims['iss'] !== undefined && !isIssOf(this.#policy, stringClaim(claims, 'iss')))
      throw new ListRefused('another issuer');
    if (claims['aud'] === undefined) return;
    const audience = audienceOf(claims['aud']);
    if (audience === undefined || audiences?.some((ours) => audience.includes(ours)) === false)
      throw new ListRefused('another audience');
  }

  #datesOf(claims: JsonObject): Pick<IssuedList, 'issuedAt' | 'expiresAt' | 'endsAt' | 'ttlMs'> {
    const { clockSkewSeconds, futureIatSeconds } = this.#policy;
    const nowSeconds = this.#clock.nowMs() / 1000;
    const dateOf = (name: string, absent: number): number => {
      const date = claims[name] === undefined ? absent : numberOf(claims[name]);
      if (date === undefined) throw new ListRefused('bad date');
      return date;
    };
    const issuedAt = dateOf('iat', NaN);
    const expiresAt = dateOf('exp', Infinity);
    const ttlSeconds = dateOf('ttl', Infinity);
    if (Number.isNaN(issuedAt) || ttlSeconds <= 0) throw new ListRefused('bad date');
    const endsAt = expiresAt + clockSkewSeconds;
    if (nowSeconds >= endsAt) throw new ListRefused('expired');
    // A list from the future would keep out all that come before it.
    if (issuedAt > nowSeconds + futureIatSeconds || dateOf('nbf', -Infinity) > nowSeconds + clockSkewSeconds)
      throw new ListRefused('not yet valid');
    return { issuedAt, expiresAt, endsAt, ttlMs: ttlSeconds * 1000 };
  }
}

function readJwtOrRefuse(text: string): JwtText {
  try {
    const jwt = readJwt(text);
    if (jwt !== undefined) return jwt;
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
  }
  throw new ListRefused('malformed');
}

function isListType(typ: unknown): boolean {
  return typeof typ === 'string' && /^(?:application\/)?statuslist\+jwt$/i.test(typ);
}

async function listOf(claim: JsonValue | undefined): Promise<StatusList> {
  const { bits, lst } = isJsonObject(claim) ? claim : {};
  if (!isStatusBits(bits) || typeof lst !== 'string' || !/^[A-Za-z0-9_-]+$/.test(lst))
    throw new ListRefused('bad status_list');
  try {
    return await StatusList.inflate(bits, Buffer.from(lst, 'base64url'));
  } catch (error) {
    throw new ListRefused('bad status_list', { cause: error });
  }
}
