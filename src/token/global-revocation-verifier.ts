/**
 * Verifies the JWT by which an authorization server authenticates a global token revocation (draft-parecki-oauth-global-token-revocation-05,
 * which leaves the authentication open; the JWT is the one that Okta's Universal Logout and Auth0 name). Whether it was used before is asked
 * last, by the endpoint: a request that is refused for its body uses nothing up.
 */
import { createHash } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { GatewayError } from '../errors.ts';
import { numberOf, stringClaim, textClaim, type JsonObject } from './claims.ts';
import { GlobalRevocationRefused, type GlobalRevocationRefusalReason } from './global-revocation-refusal.ts';
import { IssuerSignature, type SigningPolicy } from './issuer-signature.ts';
import { isIssOf } from './issuer-template.ts';
import { audienceOf } from './jwt-verifier.ts';
import type { KeySet } from './key-set.ts';
import { readJwt, type JwtText } from './lexical-gate.ts';
import type { TokenCaller } from './token-verifier.ts';

export interface GlobalRevocationPolicy extends SigningPolicy {
  /** The URL of the endpoint, as configured: `aud` holds it. */
  readonly url: string;
  /** Whose `sub` may ask. */
  readonly callers: readonly string[];
  readonly clockSkewSeconds: number;
  readonly futureIatSeconds: number;
}

/** Who asks, and by which JWT. */
export interface GlobalRevocationCaller {
  /** The exact `iss`: of many tenants, that of one. */
  readonly issuer: string;
  /** `sub` */
  readonly caller: string;
  /** What its JWT is remembered by once it is used: 43 base64url characters. */
  readonly useId: string;
  /** How long it must be remembered. */
  readonly usableForMs: number;
}

/** `exp` may be this far ahead: what one JWT can do ends soon, and so does the memory of it. */
const MAX_LIFE_SECONDS = 300;

export class GlobalRevocationVerifier {
  readonly #policy: GlobalRevocationPolicy;
  readonly #signature: IssuerSignature;
  readonly #clock: Clock;

  constructor(policy: GlobalRevocationPolicy, keys: KeySet, clock: Clock) {
    this.#policy = policy;
    this.#signature = new IssuerSignature(policy, keys);
    this.#clock = clock;
  }

  /** @throws GlobalRevocationRefused with the reason; GatewayError 503 `keys_unavailable` */
  async verify(token: string, from: TokenCaller): Promise<GlobalRevocationCaller> {
    const jwt = readJwtOrRefuse(token);
    // Before the signature: an access token, an ID token and the like of the same issuer stay what they are (rule J18).
    if (!isRevocationType(jwt.header['typ'])) throw refused('wrong_type');
    await this.#checkSignature(jwt, from);
    const { claims } = jwt;
    const issuer = this.#issuerOf(claims);
    const audience = audienceOf(claims['aud']) ?? [];
    if (!audience.includes(this.#policy.url)) throw refused('wrong_audience');
    const usableForMs = this.#usableForMs(claims);
    const tokenId = stringClaim(claims, 'jti');
    if (tokenId === undefined || tokenId === '') throw refused('no_token_id');
    const caller = textClaim(claims, 'sub');
    if (caller === undefined || !this.#policy.callers.includes(caller)) throw refused('unknown_caller');
    return { issuer, caller, useId: useIdOf(issuer, tokenId), usableForMs };
  }

  async #checkSignature(jwt: JwtText, from: TokenCaller): Promise<void> {
    try {
      await this.#signature.findSigningKey(jwt, from);
    } catch (error) {
      if (!(error instanceof GatewayError) || error.status !== 401) throw error;
      throw refused(error.reason === 'unknown_key' ? 'unknown_key' : 'bad_signature');
    }
  }

  #issuerOf({ iss }: JsonObject): string {
    if (typeof iss !== 'string' || !isIssOf(this.#policy, iss)) throw refused('wrong_issuer');
    return iss;
  }

  /** `exp` is there and near; `iat` and `nbf` may be absent, and must then not lie ahead. */
  #usableForMs(claims: JsonObject): number {
    const { clockSkewSeconds, futureIatSeconds } = this.#policy;
    const nowSeconds = this.#clock.nowMs() / 1000;
    const expiresAt = numberOf(claims['exp']);
    const [issuedAt, notBefore] = [claims['iat'], claims['nbf']].map((value) =>
      value === undefined ? -Infinity : numberOf(value),
    );
    if (expiresAt === undefined || issuedAt === undefined || notBefore === undefined)
      throw refused('bad_date');
    const usableForSeconds = expiresAt + clockSkewSeconds - nowSeconds;
    if (usableForSeconds <= 0) throw refused('expired');
    // The clock of its issuer may be as far ahead as it may be for `iat` of access tokens.
    if (expiresAt > nowSeconds + MAX_LIFE_SECONDS + futureIatSeconds) throw refused('lives_too_long');
    if (notBefore > nowSeconds + clockSkewSeconds || issuedAt > nowSeconds + futureIatSeconds)
      throw refused('not_yet_valid');
    return usableForSeconds * 1000;
  }
}

function refused(reason: GlobalRevocationRefusalReason): GlobalRevocationRefused {
  return new GlobalRevocationRefused(reason);
}

function readJwtOrRefuse(token: string): JwtText {
  try {
    const jwt = readJwt(token);
    if (jwt !== undefined) return jwt;
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
  }
  throw refused('malformed');
}

function isRevocationType(typ: unknown): boolean {
  return typeof typ === 'string' && /^(?:application\/)?global-token-revocation\+jwt$/i.test(typ);
}

/** A `jti` is unique for its issuer only; JSON keeps the two apart, and a digest bounds them. */
function useIdOf(issuer: string, tokenId: string): string {
  return createHash('sha256')
    .update(JSON.stringify([issuer, tokenId]))
    .digest('base64url');
}
