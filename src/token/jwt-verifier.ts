/**
 * Verifies the JWTs of one issuer: algorithm, key, signature, then every claim (RFC 7519 section 7.2, RFC 8725,
 * RFC 9068 section 4). No cache and no dates that pass: those stand around it.
 *
 * Rules J1 to J7, J12.
 */
import type { Clock } from '../clock.ts';
import { invalidToken } from '../auth-errors.ts';
import { whenReady, type MaybePromise } from '../maybe-promise.ts';
import type { SignatureAlgorithm } from './algorithms.ts';
import { isIdentifier, namesAreTyped, type ClaimNames, type IdentifierType } from './claim-names.ts';
import { authenticToken, type RevocableClaim } from './authentic-token.ts';
import { satisfies, type ClaimRule } from './claim-rules.ts';
import {
  claimAt,
  givenClaim,
  numberOf,
  parseClaimPath,
  stringClaim,
  type ClaimPath,
  type JsonObject,
  type JsonValue,
} from './claims.ts';
import { missingClaims } from './claims-of-type.ts';
import { IssuerSignature } from './issuer-signature.ts';
import { isIssOf, type IssuerIdentity } from './issuer-template.ts';
import type { KeySet } from './key-set.ts';
import type { JwtText } from './lexical-gate.ts';
import { signedContentDigest } from './token-digest.ts';
import { isAccessJwt, type TokenType } from './token-kind.ts';
import type { AuthenticToken, TokenCaller } from './token-verifier.ts';
import type { VerificationKey } from './verification-key.ts';

export interface JwtPolicy extends IssuerIdentity {
  readonly issuerName: string;
  /** Undefined: `aud` is not compared. */
  readonly audiences: readonly string[] | undefined;
  readonly algorithms: readonly SignatureAlgorithm[];
  readonly tokenType: TokenType;
  readonly claimNames: ClaimNames;
  readonly requiredClaims: readonly string[];
  readonly claimRules: readonly ClaimRule[];
  readonly clockSkewSeconds: number;
  readonly futureIatSeconds: number;
  readonly maxLifetimeSeconds: number;
  readonly revocableClaims: readonly RevocableClaim[];
}

/** A verified JWT and the key that proved it, for as long as that key is current. */
export interface VerifiedJwt {
  readonly token: AuthenticToken;
  readonly key: VerificationKey;
}

export class JwtVerifier {
  readonly policy: JwtPolicy;
  readonly keys: KeySet;
  readonly #signers: IssuerSignature;
  readonly #clock: Clock;
  readonly #requiredClaims: readonly ClaimPath[];

  constructor(policy: JwtPolicy, keys: KeySet, clock: Clock) {
    this.policy = policy;
    this.keys = keys;
    this.#signers = new IssuerSignature(policy, keys);
    this.#clock = clock;
    this.#requiredClaims = policy.requiredClaims.map(parseClaimPath);
  }

  /** Is this the `iss` of its tokens? */
  hasIssued(iss: string | undefined): boolean {
    return isIssOf(this.policy, iss);
  }

  /**
   * Verifies a token whose `iss` is this issuer's.
   *
   * @throws GatewayError 401 with its reason; 503 `keys_unavailable` where the keys are unavailable
   */
  verify(jwt: JwtText, caller: TokenCaller): MaybePromise<VerifiedJwt> {
    this.#refuseWrongType(jwt);
    return whenReady(this.#signers.findSigningKey(jwt, caller), (key) => this.#accept(jwt, key));
  }

  #accept(jwt: JwtText, key: VerificationKey): VerifiedJwt {
    this.#checkClaims(jwt.claims);
    const { issuerName, issuer, tenants, claimNames, clockSkewSeconds, futureIatSeconds, revocableClaims } =
      this.policy;
    return {
      key,
      token: authenticToken({
        issuerName,
        issuer: tenants === undefined ? issuer : (stringClaim(jwt.claims, 'iss') ?? issuer),
        // An entry for the template ends tokens of every tenant.
        ...(tenants && { otherIssuers: [issuer] }),
        claims: jwt.claims,
        names: claimNames,
        digest: () => signedContentDigest(jwt.content),
        clockSkewSeconds,
        futureIatSeconds,
        revocableClaims,
      }),
    };
  }

  /** RFC 9068 section 4; tokens made for other ends never pass, whatever the configuration (RFC 8725 section 3.11). */
  #refuseWrongType({ header, claims }: JwtText): void {
    const { tokenType, issuerName } = this.policy;
    if (!isAccessJwt(header, claims, tokenType)) throw invalidToken('wrong_type', issuerName);
  }

  #checkClaims(claims: JsonObject): void {
    const { tokenType, audiences, claimNames } = this.policy;
    this.#checkIssuer(claims);
    const claimsOk =
      numberOf(claims['exp']) !== undefined &&
      isDateOrAbsent(claims['nbf']) &&
      isDateOrAbsent(claims['iat']) &&
      (claims['jti'] === undefined || typeof claims['jti'] === 'string') &&
      isIdentifier(claims['client_id'], 'string') &&
      isIdentifier(claims['sid'], 'string') &&
      isIdentifier(claims['sub'], SUBJECT_TYPES[tokenType]) &&
      namesAreTyped(claims, claimNames, SUBJECT_TYPES[tokenType], 'string') &&
      missingClaims(claims, tokenType, claimNames).length === 0 &&
      this.#requiredClaims.every((path) => hasValue(givenClaim(claims, path)));
    if (!claimsOk) throw invalidToken('claim', this.policy.issuerName);
    const aud = givenClaim(claims, AUD);
    if (aud !== undefined || audiences !== undefined || tokenType === 'at+jwt') {
      const audience = audienceOf(aud);
      if (
        audience === undefined ||
        (audiences !== undefined && !audiences.some((ours) => audience.includes(ours)))
      ) {
        throw invalidToken('wrong_audience', this.policy.issuerName);
      }
    }
    if (!this.policy.claimRules.every((rule) => satisfies(rule, claims, '')))
      throw invalidToken('claim', this.policy.issuerName);
    this.#checkLifetime(claims);
  }

  /** The tenant in `iss` must be that of its claim: services read the claim. */
  #checkIssuer(claims: JsonObject): void {
    const { tenants, issuerName } = this.policy;
    const { iss } = claims;
    if (!isIssOf(this.policy, iss)) throw invalidToken('unknown_issuer', issuerName);
    if (
      tenants &&
      claimAt(claims, tenants.claim) !== tenants.template.tenantOf(stringClaim(claims, 'iss') ?? '')
    )
      throw invalidToken('claim', issuerName, 'the tenant in iss is not that of claim_names.tenant');
  }

  /** Dates that do not pass: how far ahead iat is, and how long the token lives in all. */
  #checkLifetime(claims: JsonObject): void {
    const nowSeconds = this.#clock.nowMs() / 1000;
    const issuedAt = numberOf(claims['iat']);
    if (issuedAt !== undefined && issuedAt > nowSeconds + this.policy.futureIatSeconds) {
      throw invalidToken('not_yet_valid', this.policy.issuerName);
    }
    const expiresAt = numberOf(claims['exp']) ?? 0;
    if (expiresAt - (issuedAt ?? nowSeconds) > this.policy.maxLifetimeSeconds)
      throw invalidToken('lifetime', this.policy.issuerName);
  }
}

const AUD: ClaimPath = ['aud'];

/** A string; a plain integer too where the issuer's tokens are not RFC 9068's (section 2.2 asks for a string). */
const SUBJECT_TYPES: Readonly<Record<TokenType, IdentifierType>> = {
  'at+jwt': 'string',
  any: 'string or integer',
  id_token: 'string',
};

function isDateOrAbsent(value: JsonValue | undefined): boolean {
  return value === undefined || numberOf(value) !== undefined;
}

function hasValue(value: JsonValue | undefined): boolean {
  return value !== undefined && value !== null;
}

/** `aud` as a list: a string or a non-empty array of strings (rule J4); undefined for anything else. */
export function audienceOf(value: JsonValue | undefined): readonly string[] | undefined {
  if (typeof value === 'string') return [value];
  if (!Array.isArray(value) || value.length === 0) return undefined;
  return value.every((member) => typeof member === 'string') ? value : undefined;
}
