/**
 * By what one token is revoked, so that no route lets it pass any more: the token is verified where that can be done,
 * and else ended by its digest, which needs no server's response. Rules V11, V12, V13.
 */
import { invalidToken } from '../auth-errors.ts';
import { GatewayError } from '../errors.ts';
import { ANY_ISSUER, type RevocationTarget } from '../revocation/revocation-target.ts';
import { RevocationRefused, type TokenIdentity } from '../revocation/revoker.ts';
import { numberOf, stringClaim } from './claims.ts';
import type { JwtVerifier } from './jwt-verifier.ts';
import { isMisspeltJwt, readJwt, type JwtText } from './lexical-gate.ts';
import type { OpaqueVerifier } from './opaque-verifier.ts';
import { presentedDigest, signedContentDigest } from './token-digest.ts';
import { hasBars } from './token-text.ts';
import { OPERATOR, type AuthenticToken } from './token-verifier.ts';

export class TokenIdentifier {
  readonly #jwtVerifiers: readonly JwtVerifier[];
  readonly #opaqueVerifiers: readonly OpaqueVerifier[];
  readonly #keyIssuers: readonly string[];
  /** A token may be in time for the issuer that allows the most. */
  readonly #skewSeconds: number;

  /** @param keyIssuers names of the issuers of API keys, which issue no tokens */
  constructor(
    jwtVerifiers: readonly JwtVerifier[],
    opaqueVerifiers: readonly OpaqueVerifier[],
    keyIssuers: readonly string[],
  ) {
    this.#keyIssuers = keyIssuers;
    this.#jwtVerifiers = jwtVerifiers;
    this.#opaqueVerifiers = opaqueVerifiers;
    this.#skewSeconds = Math.max(
      0,
      ...[...jwtVerifiers, ...opaqueVerifiers].map(({ policy }) => policy.clockSkewSeconds),
    );
  }

  /**
   * @param issuer whose token it is, where the caller says so: the exact iss, or the configured name of an issuer
   * @throws GatewayError 401 for a token that no route can ever let pass; RevocationRefused where it is not this issuer's
   */
  async identify(token: string, issuer: string | undefined): Promise<TokenIdentity> {
    const jwt = readJwt(token);
    if (issuer !== undefined) this.#checkNamed(issuer, token, jwt);
    return jwt ? this.#identifyJwt(jwt) : this.#identifyOpaque(token);
  }

  /** Is the issuer known, and may the token be one of its own? Nothing in the token is verified. */
  #checkNamed(issuer: string, token: string, jwt: JwtText | undefined): void {
    const isMeant = ({ policy }: JwtVerifier | OpaqueVerifier): boolean =>
      policy.issuerName === issuer || policy.issuer === issuer;
    const isMeantJwt = (verifier: JwtVerifier): boolean => isMeant(verifier) || verifier.hasIssued(issuer);
    const own = jwt && stringClaim(jwt.claims, 'iss');
    const takes = (verifier: OpaqueVerifier): boolean =>
      token.startsWith(verifier.prefix) && (jwt === undefined || verifier.takesJwtOf(own));
    const verifiers = this.#jwtVerifiers.filter(isMeantJwt);
    const servers = this.#opaqueVerifiers.filter(isMeant);
    // Tokens of an issuer without a configured iss may have any.
    const isTaken = servers.some(takes) || (own === issuer && this.#opaqueVerifiers.some(takes));
    // Named by the iss of one tenant, it is not that of another.
    const isOwn = (verifier: JwtVerifier): boolean =>
      verifier.hasIssued(own) && (isMeant(verifier) || own === issuer);
    if (isTaken || (jwt && verifiers.some(isOwn))) return;
    throw new RevocationRefused(
      verifiers.length + servers.length === 0 && !this.#keyIssuers.includes(issuer)
        ? 'no issuer with this iss or name is configured; correct it, or leave it out'
        : 'the token cannot be one of this issuer; name its own issuer, or leave it out',
    );
  }

  async #identifyJwt(jwt: JwtText): Promise<TokenIdentity> {
    const issuer = stringClaim(jwt.claims, 'iss');
    const verifiers = this.#jwtVerifiers.filter((candidate) => candidate.hasIssued(issuer));
    const isIntrospected = this.#opaqueVerifiers.some((candidate) => candidate.takesJwtOf(issuer));
    if (verifiers.length === 0 && !isIntrospected) throw invalidToken('unknown_issuer');
    const endsAt = this.#endsAt(numberOf(jwt.claims['exp']));
    const refusals: GatewayError[] = [];
    for (const verifier of verifiers) {
      const verified = await verifiedOrRefused(verifier, jwt);
      if (verified instanceof GatewayError) refusals.push(verified);
      // Its own jti, and not one that a server adds: every route knows the token by it. Without an iss it has no such name
      // that all routes know, and several issuers may have signed it.
      else if (verifier.policy.withoutIss !== true) return { target: verified.revocable.target, endsAt };
    }
    const [refusal] = refusals;
    const canNeverPass =
      refusals.length === verifiers.length && refusals.every((error) => staysRefused(error, jwt));
    if (refusal && canNeverPass && !isIntrospected) throw refusal;
    // Not by its jti: unverified, it could name the token of another.
    return { target: digestTarget(signedContentDigest(jwt.content)), endsAt };
  }

  async #identifyOpaque(token: string): Promise<TokenIdentity> {
    if (isMisspeltJwt(token)) throw invalidToken('malformed');
    const takers = this.#opaqueVerifiers.filter(
      ({ prefix, policy }) => token.startsWith(prefix) && !(policy.isIntrospection && hasBars(token)),
    );
    if (takers.length === 0) throw invalidToken('unknown_issuer');
    const digest = presentedDigest(token);
    const [only, second] = takers;
    // Where several servers may know it, none is asked: it may be a secret of one of the others.
    const known = only && second === undefined ? await authenticOrNone(only, token, digest) : undefined;
    const target = known?.revocable.target;
    return {
      target: target?.kind === 'token_id' ? target : digestTarget(digest),
      endsAt: this.#endsAt(known?.expiresAt),
    };
  }

  #endsAt(expiresAt: number | undefined): number | undefined {
    return expiresAt === undefined ? undefined : expiresAt + this.#skewSeconds;
  }
}

/**
 * Can the token never pass? Most refusals may end: with time, or with keys that are yet to come. Of a token without
 * `kid` a new key may be the right one, too.
 */
function staysRefused({ reason }: GatewayError, { keyId }: JwtText): boolean {
  return reason === 'wrong_type' || (reason === 'bad_signature' && keyId !== undefined);
}

async function verifiedOrRefused(
  verifier: JwtVerifier,
  jwt: JwtText,
): Promise<AuthenticToken | GatewayError> {
  try {
    return (await verifier.verify(jwt, OPERATOR)).token;
  } catch (error) {
    if (error instanceof GatewayError) return error;
    throw error;
  }
}

/** Undefined where the server does not vouch for the token, or gives no response: the digest ends it all the same. */
async function authenticOrNone(
  verifier: OpaqueVerifier,
  token: string,
  digest: string,
): Promise<AuthenticToken | undefined> {
  try {
    return (await verifier.verify(token, digest, undefined, OPERATOR)).token;
  } catch (error) {
    if (error instanceof GatewayError) return undefined;
    throw error;
  }
}

function digestTarget(digest: string): RevocationTarget {
  return { issuer: ANY_ISSUER, kind: 'token', value: digest };
}
