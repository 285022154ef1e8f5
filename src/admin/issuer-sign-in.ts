/**
 * Signs operators in with access tokens of a configured issuer (`admin.auth`): the same steps as for a request of a public
 * listener, with an audience of its own. Rules A1, J3, V1.
 */
import type { Clock } from '../clock.ts';
import { orThrow } from '../maybe-promise.ts';
import { checkRevocation, type OffSwitches } from '../stages/check-revocation.ts';
import { takeUnbound } from '../stages/check-possession.ts';
import { takeToken, type CredentialRules } from '../stages/extract-token.ts';
import { verifyToken } from '../stages/verify-token.ts';
import { claimText } from '../token/claim-texts.ts';
import { claimAt, type ClaimPath } from '../token/claims.ts';
import type { AuthenticToken, TokenVerifier } from '../token/token-verifier.ts';
import { ROLES, type Caller, type Role } from './caller.ts';

export interface SignInPolicy extends OffSwitches {
  /** The scope that a token needs for each role; a role without one is for admin tokens alone. */
  readonly scopes: Readonly<Partial<Record<Role, string | undefined>>>;
  /** Where a token has the name of its holder. */
  readonly nameClaim: ClaimPath;
  /** Accepts tokens of the issuer for the admin audience, and no others. */
  readonly verifier: TokenVerifier;
  readonly maxViewAgeMs: number;
  readonly tokenBytes: number;
}

const RULES: CredentialRules = { mode: 'required', mayHaveBars: false, senderConstrained: undefined };
const ISSUER_SET = 'admin';
/** Longer names are cut. */
const MAX_NAME_CHARACTERS = 128;

export class IssuerSignIn {
  readonly #policy: SignInPolicy;
  readonly #verifiers: ReadonlyMap<string, TokenVerifier>;
  readonly #clock: Clock;

  constructor(policy: SignInPolicy, clock: Clock) {
    this.#policy = policy;
    this.#verifiers = new Map([[ISSUER_SET, policy.verifier]]);
    this.#clock = clock;
  }

  /** What a caller without a sufficient scope is told to get. */
  scopeFor(role: Role): string | undefined {
    const { scopes } = this.#policy;
    return ROLES.slice(ROLES.indexOf(role)).flatMap((enough) => scopes[enough] ?? [])[0];
  }

  /**
   * @param authorization the value of the only Authorization line
   * @throws GatewayError 401 with its reason; 503 where keys, the revocation list or the status list are unavailable
   */
  async identify(authorization: string, address: string): Promise<Caller> {
    const { maxViewAgeMs, tokenBytes } = this.#policy;
    const presented = takeToken([authorization], RULES, tokenBytes);
    const route = { issuerSet: ISSUER_SET, whenStale: 'deny' } as const;
    const caller = { clientIp: address };
    const verified = await verifyToken(this.#verifiers, presented, route, caller, this.#clock.nowMs());
    const possessed = takeUnbound(orThrow(verified));
    const { token } = await checkRevocation(this.#policy, possessed, route, maxViewAgeMs, caller);
    if (!token) throw new TypeError('a token was required, and none was verified');
    return {
      name: this.#nameOf(token),
      address,
      role: this.#roleOf(token),
      source: token.issuerName,
      expiresAt: token.expiresAt,
    };
  }

  #roleOf({ scopes: granted }: AuthenticToken): Role | undefined {
    const { scopes } = this.#policy;
    return ROLES.findLast((role) => scopes[role] !== undefined && granted.has(scopes[role]));
  }

  /** With its issuer in front, so that it is never taken for an admin token's name. */
  #nameOf({ issuerName, claims, subject }: AuthenticToken): string {
    const name = claimText(claimAt(claims, this.#policy.nameClaim)) ?? subject ?? 'unnamed';
    return `${issuerName}:${name.slice(0, MAX_NAME_CHARACTERS)}`;
  }
}
