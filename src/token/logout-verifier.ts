/**
 * Verifies logout tokens of one issuer: every check of OpenID Connect Back-Channel Logout 1.0, section 2.6.
 *
 * Servers of before its last draft send `typ: JWT` or none, and no `exp`. The events claim, the audience and the lack of a
 * nonce tell a logout token from an ID token all the same; without `exp` its `iat` bounds how long it counts.
 */
import type { Clock } from '../clock.ts';
import { GatewayError } from '../errors.ts';
import { numberOf, stringClaim, textClaim, type JsonObject } from './claims.ts';
import { IssuerSignature, type SigningPolicy } from './issuer-signature.ts';
import { isIssOf, type IssuerIdentity } from './issuer-template.ts';
import { audienceOf } from './jwt-verifier.ts';
import type { KeySet } from './key-set.ts';
import { readJwt } from './lexical-gate.ts';
import { hasLogoutEvent } from './logout-event.ts';
import { LogoutRefused } from './logout-refusal.ts';
import type { TokenCaller } from './token-verifier.ts';

export interface LogoutPolicy extends SigningPolicy, IssuerIdentity {
  /** The gateway as the authorization server knows it: `aud` holds one of these. */
  readonly clientIds: readonly string[];
  readonly clockSkewSeconds: number;
  readonly futureIatSeconds: number;
}

/** Who has logged out, of what. One of `session` and `subject` is there, and neither is empty. */
export interface Logout {
  /** The exact `iss`: of many tenants, that of one. */
  readonly issuer: string;
  /** `sid` */
  readonly session: string | undefined;
  /** `sub` */
  readonly subject: string | undefined;
  /** `iat`, in seconds: what was issued up to then has ended. */
  readonly issuedAt: number;
  readonly tokenId: string;
  /** When the token counts for nothing any more, in seconds: its `jti` is spent up to then. */
  readonly spentUntil: number;
}

/** Of a token without `exp`: how old its `iat` may be. */
const MAX_AGE_SECONDS = 120;
/** Ids of logout tokens kept until they expire; a flood of valid ones forgets the oldest, whose effect is there anyway. */
const MAX_SPENT = 10_000;

export class LogoutVerifier {
  readonly #policy: LogoutPolicy;
  readonly #signature: IssuerSignature;
  readonly #clock: Clock;
  /** `iss` and `jti` to its expiry in seconds. */
  readonly #spent = new Map<string, number>();

  constructor(policy: LogoutPolicy, keys: KeySet, clock: Clock) {
    this.#policy = policy;
    this.#signature = new IssuerSignature(policy, keys);
    this.#clock = clock;
  }

  /** @throws LogoutRefused with the reason; GatewayError 503 `keys_unavailable` */
  async verify(token: string, caller: TokenCaller): Promise<Logout> {
    const jwt = readJwtOrRefuse(token);
    if (!isLogoutType(jwt.header['typ'])) throw new LogoutRefused('wrong_type');
    try {
      await this.#signature.findSigningKey(jwt, caller);
    } catch (error) {
      if (!(error instanceof GatewayError) || error.status !== 401) throw error;
      throw new LogoutRefused(error.reason === 'unknown_key' ? 'unknown_key' : 'bad_signature');
    }
    const issuer = this.#checkedIssuer(jwt.claims);
    const who = whoOf(jwt.claims);
    const tokenId = stringClaim(jwt.claims, 'jti');
    if (tokenId === undefined || tokenId === '') throw new LogoutRefused('no_token_id');
    const dates = this.#datesOf(jwt.claims);
    if ((this.#spent.get(spentKey(issuer, tokenId)) ?? 0) > this.#nowSeconds)
      throw new LogoutRefused('used_before');
    return { issuer, ...who, ...dates, tokenId };
  }

  /** The logout has taken effect: its token must not be used again. */
  spend({ issuer, tokenId, spentUntil }: Logout): void {
    for (const [id, until] of this.#spent) {
      if (until > this.#nowSeconds && this.#spent.size < MAX_SPENT) break;
      this.#spent.delete(id);
    }
    this.#spent.set(spentKey(issuer, tokenId), spentUntil);
  }

  get #nowSeconds(): number {
    return this.#clock.nowMs() / 1000;
  }

  /** Is it a logout token, of this issuer, for us? @returns its `iss` */
  #checkedIssuer(claims: JsonObject): string {
    const { clientIds } = this.#policy;
    const audience = audienceOf(claims['aud']) ?? [];
    const { iss } = claims;
    if (typeof iss !== 'string' || !isIssOf(this.#policy, iss)) throw new LogoutRefused('wrong_issuer');
    if (!clientIds.some((id) => audience.includes(id))) throw new LogoutRefused('wrong_audience');
    if (!hasLogoutEvent(claims)) throw new LogoutRefused('no_logout_event');
    // An ID token of an attack on the login flow must not pass for a logout token.
    if (claims['nonce'] !== undefined) throw new LogoutRefused('nonce');
    return iss;
  }

  #datesOf(claims: JsonObject): { issuedAt: number; spentUntil: number } {
    const { clockSkewSeconds, futureIatSeconds } = this.#policy;
    const nowSeconds = this.#nowSeconds;
    const issuedAt = numberOf(claims['iat']);
    const expiresAt = numberOf(claims['exp']);
    if (issuedAt === undefined || (expiresAt === undefined && claims['exp'] !== undefined))
      throw new LogoutRefused('bad_date');
    if (expiresAt === undefined && nowSeconds - issuedAt > MAX_AGE_SECONDS)
      throw new LogoutRefused('too_old');
    const spentUntil = (expiresAt ?? issuedAt + MAX_AGE_SECONDS) + clockSkewSeconds;
    if (nowSeconds >= spentUntil) throw new LogoutRefused('expired');
    if (issuedAt > nowSeconds + futureIatSeconds) throw new LogoutRefused('from_the_future');
    return { issuedAt, spentUntil };
  }
}

function spentKey(issuer: string, tokenId: string): string {
  return JSON.stringify([issuer, tokenId]);
}

function readJwtOrRefuse(token: string): NonNullable<ReturnType<typeof readJwt>> {
  try {
    const jwt = readJwt(token);
    if (jwt !== undefined) return jwt;
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
  }
  throw new LogoutRefused('malformed');
}

/** An empty value names nothing, and what is there must be text (rule V16). */
function whoOf(claims: JsonObject): Pick<Logout, 'session' | 'subject'> {
  const session = stringClaim(claims, 'sid');
  const subject = textClaim(claims, 'sub');
  if (claims['sid'] !== undefined && (session === undefined || session === ''))
    throw new LogoutRefused('bad_session');
  if (claims['sub'] !== undefined && (subject === undefined || subject === ''))
    throw new LogoutRefused('bad_subject');
  if (session === undefined && subject === undefined) throw new LogoutRefused('no_session_or_subject');
  return { session, subject };
}

/** `logout+jwt`, `JWT`, or none. */
function isLogoutType(typ: unknown): boolean {
  return typ === undefined || (typeof typ === 'string' && /^(?:application\/)?(?:logout\+)?jwt$/i.test(typ));
}
