/**
 * Verifies JWTs for routes that must know how things stand now (`auth.fresh`): the gateway verifies the token itself, as on
 * every other route, and then asks its server, for each request. No response that was there before counts, and no
 * call that another request began. Rules I5, V12.
 */
import type { Clock } from '../clock.ts';
import { invalidToken, unavailable } from '../auth-errors.ts';
import { GatewayError } from '../errors.ts';
import { orThrow, whenReady, type MaybePromise } from '../maybe-promise.ts';
import { satisfies, type ClaimRule } from './claim-rules.ts';
import { claimAt, scopesIn, textOf, type ClaimPath, type JsonObject } from './claims.ts';
import { audiencesOfResource, isFor } from './audience.ts';
import { readJwt } from './lexical-gate.ts';
import type { ClaimNames } from './claim-names.ts';
import type { OpaqueVerifier } from './opaque-verifier.ts';
import { presentedDigest } from './token-digest.ts';
import type {
  AuthenticToken,
  Judgement,
  TokenCaller,
  TokenVerifier,
  Verification,
} from './token-verifier.ts';

/** Who is asked about the JWTs of one issuer. */
export interface FreshSource {
  readonly server: OpaqueVerifier;
  /** As for the JWT; a response may leave `aud` out. */
  readonly audiences: readonly string[] | undefined;
  /** As for the JWT (`issuers.NAME.claims`); a response may leave out what they look at. */
  readonly claimRules: readonly ClaimRule[];
}

export class FreshTokenVerifier implements TokenVerifier {
  readonly #local: TokenVerifier;
  readonly #sources: ReadonlyMap<string, FreshSource>;
  readonly #clock: Clock;
  readonly #audiences: readonly string[] | undefined;

  /**
   * @param local verifies the JWT itself
   * @param sources by the configured name of each issuer that `local` accepts
   * @param resource that tokens must be for; undefined: for the audiences of their issuer
   */
  constructor(
    local: TokenVerifier,
    sources: ReadonlyMap<string, FreshSource>,
    clock: Clock,
    resource: string | undefined,
  ) {
    this.#local = local;
    this.#sources = sources;
    this.#clock = clock;
    this.#audiences = resource === undefined ? undefined : audiencesOfResource(resource);
  }

  verify(token: string, caller: TokenCaller): MaybePromise<Verification> {
    return whenReady(this.judge(token, caller), orThrow);
  }

  judge(token: string, caller: TokenCaller, digest?: string): MaybePromise<Judgement> {
    return whenReady(this.#local.judge(token, caller, digest), (local): MaybePromise<Judgement> =>
      local instanceof GatewayError ? local : this.#ask(token, local.token, caller),
    );
  }

  knows(digest: string): boolean {
    return this.#local.knows(digest);
  }

  async #ask(text: string, token: AuthenticToken, caller: TokenCaller): Promise<Verification> {
    const { issuerName, expiresAt, clockSkewSeconds } = token;
    const source = this.#sources.get(issuerName);
    const jwt = readJwt(text);
    if (source === undefined || jwt === undefined)
      throw unavailable('introspection_unavailable', 1, { issuer: issuerName });
    // No server needs to be asked about it.
    if (expiresAt !== undefined && this.#clock.nowMs() / 1000 >= expiresAt + clockSkewSeconds)
      throw invalidToken('expired', issuerName);
    const { token: told } = await source.server.verifyAlone(text, presentedDigest(text), jwt, caller);
    checkAudience(told, this.#audiences ?? source.audiences);
    checkCaller(token, told, source.server.policy.claimNames);
    checkRules(token, told, source.claimRules);
    return { token: agreed(token, told), cache: 'miss' };
  }
}

function checkAudience(
  { claims, issuerName }: AuthenticToken,
  audiences: readonly string[] | undefined,
): void {
  const { aud } = claims;
  if (aud !== undefined && audiences !== undefined && !isFor(aud, audiences))
    throw invalidToken('wrong_audience', issuerName);
}

const SUB: ClaimPath = ['sub'];

/** Every claim that names the subject or the client is compared, not only the one that counts: each may tell of another token. */
function checkCaller(own: AuthenticToken, told: AuthenticToken, { subject, client }: ClaimNames): void {
  const differsAt = (path: ClaimPath): boolean =>
    differs(textOf(claimAt(own.claims, path)), textOf(claimAt(told.claims, path)));
  if (differs(own.subject, told.subject) || [...subject, SUB].some(differsAt))
    throw invalidToken('claim', own.issuerName, 'the introspection response names another subject');
  if (differs(own.clientId, told.clientId) || client.some(differsAt))
    throw invalidToken('claim', own.issuerName, 'the introspection response names another client');
}

/** Members of a response that say nothing of the claim with that name (RFC 7662 section 2.2). */
const OF_THE_RESPONSE: ReadonlySet<string | undefined> = new Set(['active', 'token_type']);

/** The rules of the issuer hold for what the response says, as far as it has the claims that they look at. */
function checkRules(own: AuthenticToken, told: AuthenticToken, rules: readonly ClaimRule[]): void {
  const claims = alike(own.claims, told.claims);
  const isBroken = (rule: ClaimRule): boolean => {
    const [name = ''] = rule.path;
    const isTold = !OF_THE_RESPONSE.has(name) && (claimAt(claims, [name]) ?? null) !== null;
    return isTold && !satisfies(rule, claims, '');
  };
  if (rules.some(isBroken))
    throw invalidToken('claim', own.issuerName, 'the introspection response breaks a rule of the issuer');
}

/** The response with `scope` as the JWT has it: a response has text, where some JWTs have a list. */
function alike({ scope: own }: JsonObject, told: JsonObject): JsonObject {
  const { scope } = told;
  return Array.isArray(own) && typeof scope === 'string' ? { ...told, scope: [...scopesIn(scope)] } : told;
}

/** What the token says, as far as its server still says so: the dates are the stricter ones, and every name of both is revoked. */
function agreed(own: AuthenticToken, told: AuthenticToken): AuthenticToken {
  const { expiresAt, notBefore, issuedAt, binding, revocable, revocableBy } = told;
  return {
    ...own,
    otherClaims: told.claims,
    scopes: new Set([...own.scopes].filter((scope) => told.scopes.has(scope))),
    expiresAt,
    notBefore,
    issuedAt,
    binding,
    revocable,
    revocableBy,
    kept: new Map(),
  };
}

/** A response may leave out what it has nothing new to say about (RFC 7662 section 2.2). */
function differs(own: string | undefined, told: string | undefined): boolean {
  return own !== undefined && own !== '' && told !== undefined && told !== '' && own !== told;
}
