/**
 * What the issuers of a configuration say of their tokens in lists of their own, by issuer name. An issuer that is not among them
 * has none: the claim of its tokens is ignored.
 */
import type { GatewayError } from '../errors.ts';
import type { MaybePromise } from '../maybe-promise.ts';
import type { StatusReference } from '../token/status-claim.ts';
import type { AuthenticToken, TokenCaller } from '../token/token-verifier.ts';
import type { HeldState } from './held-list.ts';
import type { IssuerLists, StatusFacts, StatusVerdict } from './issuer-lists.ts';

export type { StatusFacts, StatusVerdict } from './issuer-lists.ts';

/** By issuer name. */
export type HeldStates = ReadonlyMap<string, readonly HeldState[]>;

export class StatusLists {
  readonly byIssuer: ReadonlyMap<string, IssuerLists>;

  constructor(byIssuer: ReadonlyMap<string, IssuerLists>) {
    this.byIssuer = byIssuer;
  }

  /** May wait for a list. Without a Promise where it is there. */
  verdictOf(token: AuthenticToken, caller: TokenCaller): MaybePromise<StatusVerdict> {
    return this.byIssuer.get(token.issuerName)?.verdictOf(token, caller) ?? 'good';
  }

  /** By what is held, without a wait. */
  heldVerdictOf(token: AuthenticToken): StatusVerdict {
    return this.byIssuer.get(token.issuerName)?.heldVerdictOf(token) ?? 'good';
  }

  /** What the token names: undefined for nothing that is looked at; a refusal where it names nothing that may be fetched. */
  referenceOf(token: AuthenticToken): StatusReference | GatewayError | undefined {
    return this.byIssuer.get(token.issuerName)?.referenceOf(token);
  }

  factsOf(token: AuthenticToken): StatusFacts | undefined {
    return this.byIssuer.get(token.issuerName)?.factsOf(token);
  }

  get states(): HeldStates {
    return new Map([...this.byIssuer].map(([name, lists]) => [name, lists.states]));
  }

  async start(before: HeldStates): Promise<void> {
    await Promise.all([...this.byIssuer].map(([name, lists]) => lists.start(before.get(name) ?? [])));
  }

  stop(): void {
    for (const lists of this.byIssuer.values()) lists.stop();
  }
}
