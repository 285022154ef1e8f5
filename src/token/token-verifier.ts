/**
 * What verifying a token means and what it yields. The interface behind which JWTs, opaque tokens and caches
 * stand.
 */
import type { GatewayError } from '../errors.ts';
import type { MaybePromise } from '../maybe-promise.ts';
import type { RevocableToken } from '../revocation/revocation-target.ts';
import type { RevocableClaim } from './authentic-token.ts';
import type { CallerFacts } from './claim-names.ts';
import type { ClaimPath, JsonObject } from './claims.ts';
import type { TokenBinding } from './token-binding.ts';
import type { KeptValues } from './token-memo.ts';

/**
 * A token whose issuer vouches for it: signature or response checked, issuer, audience, type and lifetime too.
 * Not yet known: whether it is in time now, revoked, or permitted anything.
 */
export interface AuthenticToken extends CallerFacts {
  /** The configured name of the issuer; bounded, fit for a metric label. */
  readonly issuerName: string;
  /** The exact `iss`, or the configured name where its tokens have none. */
  readonly issuer: string;
  readonly claims: JsonObject;
  /**
   * What else is said of the same token: by a JWT of which its server's response counts, or by the response where the JWT counts.
   * It permits nothing, but may take away.
   */
  readonly otherClaims: JsonObject | undefined;
  /** NumericDates, in seconds; undefined where the token has none. */
  readonly expiresAt: number | undefined;
  readonly notBefore: number | undefined;
  readonly issuedAt: number | undefined;
  /** Where its issuer writes when the holder logged in: `auth_time`, or other claims. */
  readonly loginTimeClaims: readonly ClaimPath[];
  readonly clockSkewSeconds: number;
  /** How far ahead of the gateway's clock its issuer's may be. */
  readonly futureIatSeconds: number;
  /** What its holder must prove to hold; undefined: nothing, so that it works for every holder. */
  readonly binding: TokenBinding | undefined;
  readonly revocable: RevocableToken;
  /**
   * The same token by other claims than those of the configuration that verified it.
   *
   * @throws GatewayError 401 `claim` where one of them is too long to be looked through
   */
  readonly revocableBy: (claims: readonly RevocableClaim[]) => RevocableToken;
  /** Is it gone without an entry of the revocation list? For an API key that is stored no more; undefined: it cannot be. */
  readonly hasEnded?: (() => boolean) | undefined;
  /** What TokenMemo has computed for this token. */
  readonly kept: KeptValues;
}

/** A verified token, and whether a cache knew it; undefined: no cache was asked, since nothing needs one. */
export interface Verification {
  readonly token: AuthenticToken;
  readonly cache: 'hit' | 'miss' | undefined;
}

/** Who presents a token. The handler of a request is one, so the hot path makes no object for it. */
export interface TokenCaller {
  /** The client's address, as `client_ip` in the log: IPv4-mapped IPv6 as IPv4. */
  readonly clientIp: string;
}

/** For calls that no client makes: the admin API. */
export const OPERATOR: TokenCaller = { clientIp: 'operator' };

/**
 * Verifies tokens for one set of issuers. Returns without a Promise where it can, so that a cache hit never
 * waits a turn of the event loop.
 */
export interface TokenVerifier {
  /**
   * @param token b64token text, not longer than `limits.token_bytes`
   * @param caller who presents it: waiting and asking are bounded for each client
   * @throws GatewayError 401 with its reason, or 503 where an authorization server is unavailable
   */
  verify(token: string, caller: TokenCaller): MaybePromise<Verification>;
  /**
   * As verify, but a refusal that is known already is returned: to throw costs two microseconds, and a client that sends
   * a bad token sends it again and again.
   *
   * @param digest SHA-256 of the token, base64url, where it is known already
   */
  judge(token: string, caller: TokenCaller, digest?: string): MaybePromise<Judgement>;
  /** Does a cache know this token as good? Then it is judged without cryptography, and as a rule without a call. */
  knows(digest: string): boolean;
}

/** A verified token, or why it is refused. */
export type Judgement = Verification | GatewayError;
