/**
 * Signed introspection responses (RFC 9701 section 5): a JWT of its own type, from the issuer, for this client, made
 * just now, whose signature passes the rules for tokens. Rules J0, J3, J5, J8 to J11.
 *
 * Whatever is wrong with one says nothing about the token that was asked about: the request gets 503.
 */
import type { Clock } from '../clock.ts';
import { GatewayError } from '../errors.ts';
import type { AuthorizationServerResponse } from './authorization-server-client.ts';
import { numberOf, type JsonObject, type JsonValue } from './claims.ts';
import { IssuerSignature, type SigningPolicy } from './issuer-signature.ts';
import { audienceOf } from './jwt-verifier.ts';
import type { KeySet } from './key-set.ts';
import { readJwt, type JwtText } from './lexical-gate.ts';
import type { TokenCaller } from './token-verifier.ts';

export const SIGNED_RESPONSE_TYPE = 'application/token-introspection+jwt';

export interface SignedResponsePolicy extends SigningPolicy {
  readonly issuer: string;
  /** The gateway as the authorization server knows it. */
  readonly clientId: string;
  readonly clockSkewSeconds: number;
  readonly futureIatSeconds: number;
}

export class SignedIntrospection {
  readonly #policy: SignedResponsePolicy;
  readonly #signature: IssuerSignature;
  readonly #clock: Clock;

  constructor(policy: SignedResponsePolicy, keys: KeySet, clock: Clock) {
    this.#policy = policy;
    this.#signature = new IssuerSignature(policy, keys);
    this.#clock = clock;
  }

  get nowSeconds(): number {
    return this.#clock.nowMs() / 1000;
  }

  /**
   * @param askedAtSeconds when the request was made: a response from before that is another's
   * @param caller for whom the server was asked: waiting for a key is bounded for each client
   * @returns what the issuer says of the token, of whatever type
   * @throws Error that says what is wrong with the response
   */
  async read(
    { contentType, body }: AuthorizationServerResponse,
    askedAtSeconds: number,
    caller: TokenCaller,
  ): Promise<JsonValue | undefined> {
    if (contentType !== SIGNED_RESPONSE_TYPE)
      throw new Error('the introspection endpoint sent a response that is not signed');
    const jwt = readResponseJwt(body);
    if (!isResponseType(jwt.header['typ'])) throw wrong('typ is not token-introspection+jwt');
    await this.#checkSignature(jwt, caller);
    this.#checkClaims(jwt.claims, askedAtSeconds);
    return jwt.claims['token_introspection'];
  }

  async #checkSignature(jwt: JwtText, caller: TokenCaller): Promise<void> {
    try {
      await this.#signature.findSigningKey(jwt, caller);
    } catch (error) {
      throw wrong(error instanceof GatewayError ? (error.reason ?? error.code) : 'its signature', error);
    }
  }

  #checkClaims(claims: JsonObject, askedAtSeconds: number): void {
    const { issuer, clientId, clockSkewSeconds, futureIatSeconds } = this.#policy;
    if (claims['iss'] !== issuer) throw wrong('iss is not the issuer');
    if (audienceOf(claims['aud'])?.includes(clientId) !== true) throw wrong('aud has no client_id of ours');
    const issuedAt = numberOf(claims['iat']);
    if (issuedAt === undefined) throw wrong('it has no iat');
    // iat may be of whole seconds.
    if (issuedAt < Math.floor(askedAtSeconds) - clockSkewSeconds) throw wrong('it is older than the request');
    if (issuedAt > this.nowSeconds + futureIatSeconds) throw wrong('iat is ahead of the clock');
    const expiresAt = claims['exp'] === undefined ? Infinity : (numberOf(claims['exp']) ?? -Infinity);
    if (expiresAt + clockSkewSeconds <= this.nowSeconds) throw wrong('it has expired');
  }
}

function readResponseJwt(body: Buffer): JwtText {
  let jwt: JwtText | undefined;
  try {
    jwt = readJwt(body.toString('latin1'));
  } catch (error) {
    throw wrong('malformed', error);
  }
  if (jwt === undefined) throw wrong('it is no signed JWT');
  return jwt;
}

/** RFC 9701 section 5; a media type may have its `application/` (RFC 7515 section 4.1.9). */
function isResponseType(typ: JsonValue | undefined): boolean {
  return typeof typ === 'string' && /^(?:application\/)?token-introspection\+jwt$/i.test(typ);
}

function wrong(what: string, cause?: unknown): Error {
  return new Error(`the signed response of the introspection endpoint is of no use: ${what}`, { cause });
}
