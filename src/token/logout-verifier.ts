/**
 * Verifies logout tokens of one issuer: every check of OpenID Connect Back-Channel Logout 1.0, section 2.6.
 */
import type { Clock } from '../clock.ts';
import { GatewayError, INVALID_LOGOUT_TOKEN } from '../errors.ts';
import { isJsonObject, numberOf, stringClaim, type JsonObject } from './claims.ts';
import { IssuerSignature, type SigningPolicy } from './issuer-signature.ts';
import { audienceOf } from './jwt-verifier.ts';
import type { KeySet } from './key-set.ts';
import { readJwt } from './lexical-gate.ts';

export interface LogoutPolicy extends SigningPolicy {
  readonly issuer: string;
  /** The gateway as the authorization server knows it: `aud` holds one of these. */
  readonly clientIds: readonly string[];
  readonly clockSkewSeconds: number;
  readonly futureIatSeconds: number;
}

/** Who has logged out. */
export interface Logout {
  readonly issuer: string;
  /** `sid` where the token has one, else `sub`. */
  readonly kind: 'session' | 'subject';
  readonly value: string;
  /** `iat`, in seconds: what was issued up to then has ended. */
  readonly issuedAt: number;
  readonly tokenId: string;
  /** `exp`, in seconds. */
  readonly expiresAt: number;
}

const EVENT = 'http://schemas.openid.net/event/backchannel-logout';
/** Ids of logout tokens kept until they expire; a flood of valid ones forgets the oldest, whose effect is there anyway. */
const MAX_SPENT = 10_000;

export class LogoutVerifier {
  readonly #policy: LogoutPolicy;
  readonly #signature: IssuerSignature;
  readonly #clock: Clock;
  /** `jti` to its expiry in seconds. */
  readonly #spent = new Map<string, number>();

  constructor(policy: LogoutPolicy, keys: KeySet, clock: Clock) {
    this.#policy = policy;
    this.#signature = new IssuerSignature(policy, keys);
    this.#clock = clock;
  }

  /** @throws GatewayError 400 INVALID_LOGOUT_TOKEN; 503 `keys_unavailable` */
  async verify(token: string): Promise<Logout> {
    try {
      const jwt = readJwt(token);
      if (jwt === undefined || !isLogoutType(jwt.header)) throw INVALID_LOGOUT_TOKEN;
      await this.#signature.signerOf(jwt);
      return this.#checkClaims(jwt.claims);
    } catch (error) {
      // It is not the credentials of this request that are wrong, but what it says.
      throw error instanceof GatewayError && error.status === 401 ? INVALID_LOGOUT_TOKEN : error;
    }
  }

  /** The logout has taken effect: its token must not be used again. */
  spend({ tokenId, expiresAt }: Logout): void {
    for (const [id, until] of this.#spent) {
      if (until > this.#nowSeconds && this.#spent.size < MAX_SPENT) break;
      this.#spent.delete(id);
    }
    this.#spent.set(tokenId, expiresAt + this.#policy.clockSkewSeconds);
  }

  get #nowSeconds(): number {
    return this.#clock.nowMs() / 1000;
  }

  #checkClaims(claims: JsonObject): Logout {
    const { issuer, clientIds, clockSkewSeconds, futureIatSeconds } = this.#policy;
    const nowSeconds = this.#nowSeconds;
    const audience = audienceOf(claims['aud']) ?? [];
    const issuedAt = numberOf(claims['iat']);
    const expiresAt = numberOf(claims['exp']);
    const tokenId = stringClaim(claims, 'jti');
    const events = claims['events'];
    const session = stringClaim(claims, 'sid');
    const subject = stringClaim(claims, 'sub');
    const value = session ?? subject;
    const isGood =
      claims['iss'] === issuer &&
      clientIds.some((id) => audience.includes(id)) &&
      isJsonObject(events) &&
      Object.hasOwn(events, EVENT) &&
      isJsonObject(events[EVENT]) &&
      // An ID token of an attack on the login flow must not pass for a logout token.
      claims['nonce'] === undefined &&
      ['sid', 'sub'].every((name) => claims[name] === undefined || typeof claims[name] === 'string');
    if (
      !isGood ||
      value === undefined ||
      tokenId === undefined ||
      issuedAt === undefined ||
      expiresAt === undefined ||
      nowSeconds >= expiresAt + clockSkewSeconds ||
      issuedAt > nowSeconds + futureIatSeconds ||
      (this.#spent.get(tokenId) ?? 0) > nowSeconds
    )
      throw INVALID_LOGOUT_TOKEN;
    return {
      issuer,
      kind: session === undefined ? 'subject' : 'session',
      value,
      issuedAt,
      tokenId,
      expiresAt,
    };
  }
}

function isLogoutType(header: JsonObject): boolean {
  const typ = header['typ'];
  return typeof typ === 'string' && /^(?:application\/)?logout\+jwt$/i.test(typ);
}
