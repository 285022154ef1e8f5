/**
 * Makes an AuthenticToken of claims that an issuer has vouched for. Pure.
 */
import { invalidToken } from '../auth-errors.ts';
import { RevocableToken, type RevocableActor, type RevocableFacts } from '../revocation/revocation-target.ts';
import { actorsOf } from './actors.ts';
import { callerFacts, revocableNames, type ClaimNames, type RevocableNames } from './claim-names.ts';
import { claimAt, numberOf, parseClaimPath, textClaim, type ClaimPath, type JsonObject } from './claims.ts';
import { claimTexts } from './claim-texts.ts';
import { loginTimes } from './login.ts';
import { bindingOf, type TokenBinding } from './token-binding.ts';
import type { AuthenticToken } from './token-verifier.ts';

/** A claim by which tokens can be revoked (`revocation.claims`). */
export interface RevocableClaim {
  readonly path: string;
  readonly levels: ClaimPath;
}

export function revocableClaims(paths: readonly string[]): RevocableClaim[] {
  return paths.map((path) => ({ path, levels: parseClaimPath(path) }));
}

/** How the revocation list names an issuer, and which claims of its tokens it looks at. */
export interface IssuerNames {
  readonly issuer: string;
  readonly names: ClaimNames;
}

export interface TokenFacts {
  readonly issuerName: string;
  readonly issuer: string;
  readonly claims: JsonObject;
  readonly names: ClaimNames;
  /** SHA-256 of `header.payload` of a JWT, or of an opaque token. */
  readonly digest: () => string;
  /** What else entries of this issuer may name as its issuer: its configured name, where its tokens may have any `iss`. */
  readonly otherIssuers?: readonly string[];
  /** The claims within a JWT that its server was asked about: they count for revocation beside the response's. */
  readonly ownClaims?: JsonObject | undefined;
  /** The issuers that may have issued such a JWT: it has the names that it has on the routes that verify it. */
  readonly owners?: readonly IssuerNames[] | undefined;
  readonly clockSkewSeconds: number;
  readonly futureIatSeconds: number;
  readonly revocableClaims: readonly RevocableClaim[];
  /** As AuthenticToken has it. */
  readonly hasEnded?: (() => boolean) | undefined;
}

/**
 * @throws GatewayError 401 `claim` where a claim by which tokens are revoked is too long to be looked through, or it is unclear who acts
 *         for its subject; `binding` where it is bound to something that cannot be checked
 */
export function authenticToken(facts: TokenFacts): AuthenticToken {
  const { issuerName, issuer, claims, ownClaims, clockSkewSeconds, futureIatSeconds } = facts;
  refuseUnclearActors(facts);
  return {
    issuerName,
    issuer,
    claims,
    otherClaims: ownClaims,
    ...callerFacts(claims, facts.names),
    loginTimeClaims: facts.names.loginTime,
    expiresAt: earlier(numberOf(claims['exp']), numberOf(ownClaims?.['exp'])),
    notBefore: later(numberOf(claims['nbf']), numberOf(ownClaims?.['nbf'])),
    issuedAt: earlier(numberOf(claims['iat']), numberOf(ownClaims?.['iat'])),
    clockSkewSeconds,
    futureIatSeconds,
    binding: boundTo(facts),
    revocable: revocableToken(facts),
    revocableBy: (revocableClaims) => revocableToken({ ...facts, revocableClaims }),
    hasEnded: facts.hasEnded,
    kept: new Map(),
  };
}

/** Here, once for a token, although nothing may be revoked yet: an entry of later must find every actor. */
function refuseUnclearActors({ issuerName, claims, ownClaims }: TokenFacts): void {
  for (const reading of [claims, ownClaims]) {
    if (reading?.['act'] === undefined) continue;
    const actors = actorsOf(reading);
    if (actors === 'too_long')
      throw invalidToken('claim', issuerName, 'its act names more actors than the gateway looks at (8)');
    if (actors === 'unclear') throw invalidToken('claim', issuerName, 'it is unclear whom its act names');
  }
}

/** A response may leave out what a JWT itself says (RFC 7662 section 2.2): both count. */
function boundTo({ claims, ownClaims, issuerName }: TokenFacts): TokenBinding | undefined {
  const binding = bindingOf([claims, ownClaims]);
  if (binding === 'unknown')
    throw invalidToken('binding', issuerName, 'its cnf cannot be read, or names what cannot be checked');
  return binding;
}

/** A token has one identity, whichever route looks at it: an entry for any of its names ends it (rule V12). */
function revocableToken(facts: TokenFacts): RevocableToken {
  const { issuer, claims, names, otherIssuers = [], ownClaims, owners = [] } = facts;
  if (otherIssuers.length === 0 && ownClaims === undefined)
    return new RevocableToken(new ClaimedFacts(facts, { issuer, names }, claims));
  const readings = ownClaims === undefined ? [claims] : [claims, ownClaims];
  const ownIssuer = ownClaims && textClaim(ownClaims, 'iss');
  const own = ownIssuer === undefined ? [] : [ownIssuer];
  const [first, ...others] = [
    ...[...new Set([issuer, ...otherIssuers, ...own])].map((name) => ({ issuer: name, names })),
    ...owners.flatMap((owner) =>
      [owner.issuer, ...own].map((name) => ({ issuer: name, names: owner.names })),
    ),
  ].flatMap((by) => readings.map((reading) => new ClaimedFacts(facts, by, reading)));
  return new RevocableToken(
    first ?? new ClaimedFacts(facts, { issuer, names }, claims),
    others.map((other) => new RevocableToken(other)),
  );
}

/** What of one reading of the claims can be revoked; found out when it is asked for, since an empty list asks for nothing. */
class ClaimedFacts implements RevocableFacts {
  readonly issuer: string;
  readonly digest: () => string;
  readonly claims: RevocableFacts['claims'];
  readonly #facts: TokenFacts;
  readonly #claims: JsonObject;
  readonly #claimNames: ClaimNames;
  #found: RevocableNames | undefined;
  #loggedInAt: number | undefined | typeof NOT_LOOKED = NOT_LOOKED;

  /** @throws GatewayError 401 `claim` */
  constructor(facts: TokenFacts, { issuer, names }: IssuerNames, claims: JsonObject) {
    this.issuer = issuer;
    this.digest = facts.digest;
    this.#facts = facts;
    this.#claims = claims;
    this.#claimNames = names;
    this.claims = facts.revocableClaims.length === 0 ? NO_CLAIMS : textsOfClaims(facts, claims);
  }

  get tokenId(): string | undefined {
    return textClaim(this.#claims, 'jti');
  }

  get subjects(): readonly string[] {
    return this.#names.subjects;
  }

  get sessions(): readonly string[] {
    return this.#names.sessions;
  }

  get clients(): readonly string[] {
    return this.#names.clients;
  }

  get actors(): readonly RevocableActor[] {
    const actors = actorsOf(this.#claims);
    return typeof actors === 'string' ? [] : actors;
  }

  get loggedInAt(): number | undefined {
    if (this.#loggedInAt === NOT_LOOKED) this.#loggedInAt = earliestLogin(this.#facts);
    return this.#loggedInAt;
  }

  get endsAt(): number | undefined {
    const { claims, ownClaims, clockSkewSeconds } = this.#facts;
    const expiresAt = earlier(numberOf(claims['exp']), numberOf(ownClaims?.['exp']));
    return expiresAt === undefined ? undefined : expiresAt + clockSkewSeconds;
  }

  get #names(): RevocableNames {
    return (this.#found ??= revocableNames(this.#claims, this.#claimNames));
  }
}

const NOT_LOOKED = Symbol('not looked at yet');

/** By every claim that says so: those of its issuers, and `auth_time` (OpenID Connect Core section 2). */
function earliestLogin({ claims, ownClaims, names, owners = [] }: TokenFacts): number | undefined {
  const paths = [names, ...owners.map((owner) => owner.names)].flatMap((by) => by.loginTime);
  return [claims, ownClaims ?? {}]
    .flatMap((reading) => loginTimes(reading, [...paths, AUTH_TIME]))
    .reduce<number | undefined>(earlier, undefined);
}

const AUTH_TIME: ClaimPath = ['auth_time'];

const NO_CLAIMS: RevocableFacts['claims'] = [];

function textsOfClaims(
  { issuerName, revocableClaims }: TokenFacts,
  claims: JsonObject,
): RevocableFacts['claims'] {
  return revocableClaims.flatMap(({ path, levels }) => {
    const texts = claimTexts(claimAt(claims, levels));
    if (texts === undefined) throw invalidToken('claim', issuerName);
    return texts.map((text) => [path, text] as const);
  });
}

function earlier(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? (one ?? other) : Math.min(one, other);
}

function later(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? (one ?? other) : Math.max(one, other);
}
