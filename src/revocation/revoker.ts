/**
 * Revokes: from a command to an entry in the store and in this gateway's view. docs/revocation.md.
 */
import type { Clock } from '../clock.ts';
import { GatewayError } from '../errors.ts';
import { issuersBehind, issuersMatched, lifeOf, skewOf, type RevocableIssuer } from './entry-life.ts';
import { CANARY_ISSUER, CANARY_LIFE_SECONDS, CANARY_MAKER, canaryTarget } from './canary.ts';
import { ANY_ISSUER, isForGood, targetId, type RevocationTarget } from './revocation-target.ts';
import type { RevocationMark } from './mark.ts';
import type { RevocationEntry, RevocationStore } from './revocation-store.ts';
import type { RevocationView } from './revocation-view.ts';

/** What to revoke: one token by its text, or a target. Dates are in seconds. */
export type RevokeCommand = {
  readonly reason: string | null;
  readonly createdBy: string;
} & (
  | { readonly token: string; readonly issuerName: string | undefined }
  | { readonly target: RevocationTarget; readonly issuedBefore: number | undefined }
);

/** `changed`: the list is another than before, by a new entry, or by a later cutoff or expiry of one that was there. */
export type RevocationOutcome = { readonly changed: boolean } & (
  | { readonly kind: 'created' | 'repeated'; readonly entry: RevocationEntry }
  /** The token cannot be used any more anyway: nothing is stored. */
  | { readonly kind: 'expired'; readonly entry: Omit<RevocationEntry, 'version'> }
);

/** The command makes no sense; `message` is fixed text for the caller. */
export class RevocationRefused extends Error {
  override readonly name = 'RevocationRefused';
}

/** The one entry that ends a token on every route, and how long it is needed. */
export interface TokenIdentity {
  readonly target: RevocationTarget;
  /** In seconds, the skew of all issuers included; undefined where the token does not say. */
  readonly endsAt: number | undefined;
}

export interface RevokerParts {
  readonly store: RevocationStore;
  readonly view: RevocationView;
  readonly issuers: readonly RevocableIssuer[];
  /** By what a token is revoked, expired or not. */
  readonly identify: (token: string, issuerName: string | undefined) => Promise<TokenIdentity>;
  /** How long an entry lives at least, where it ends more than one token or no expiry can be known. */
  readonly keepSeconds: number;
  readonly clock: Clock;
}

export class Revoker {
  readonly #parts: RevokerParts;

  constructor(parts: RevokerParts) {
    this.#parts = parts;
  }

  /**
   * Resolves once the store has it; this gateway refuses the token from then on.
   *
   * @throws RevocationRefused for a command that makes no sense; GatewayError where the token cannot be verified;
   *         any other Error where the store is unavailable
   */
  async revoke(command: RevokeCommand): Promise<RevocationOutcome> {
    return 'token' in command ? this.#revokeToken(command) : this.#revokeTarget(command);
  }

  /** What a command would revoke, without revoking it. A token is verified for that, as it would be. */
  async targetOf(command: RevokeCommand): Promise<RevocationTarget> {
    if ('token' in command) return (await this.#identify(command)).target;
    this.#issuersOf(command.target);
    return command.target;
  }

  /** Resolves once the store has the entry of this canary, which takes the way of every other. */
  async revokeCanary(digest: string): Promise<void> {
    const nowSeconds = Math.floor((await this.#parts.store.nowMs()) / 1000);
    const target = canaryTarget(digest);
    await this.#store({
      id: targetId(target),
      target,
      issuedBefore: null,
      expiresAt: nowSeconds + CANARY_LIFE_SECONDS,
      createdBy: CANARY_MAKER,
      reason: null,
    });
  }

  async undo(id: string): Promise<RevocationMark | undefined> {
    const tombstone = await this.#parts.store.undo(id);
    if (tombstone) this.#parts.view.apply([tombstone]);
    return tombstone;
  }

  /**
   * The exact `iss` for what an operator wrote: that, or the configured name. The name of an issuer of many tenants, or its
   * template, stands for all of them. Undefined where there is none such.
   */
  resolveIssuer(text: string): string | undefined {
    const { issuers } = this.#parts;
    const known = issuers.find(({ issuer }) => issuer === text) ?? issuers.find(({ name }) => name === text);
    if (known) return known.issuer ?? known.name;
    return issuers.some(({ template }) => template?.tenantOf(text) !== undefined) ? text : undefined;
  }

  async #revokeToken(
    command: RevokeCommand & { token: string; issuerName: string | undefined },
  ): Promise<RevocationOutcome> {
    const { store, clock, keepSeconds } = this.#parts;
    const { target, endsAt } = await this.#identify(command);
    const nowSeconds = Math.floor((await store.nowMs()) / 1000);
    const expiresAt = endsAt === undefined ? nowSeconds + keepSeconds : Math.ceil(endsAt);
    const request = {
      id: targetId(target),
      target,
      issuedBefore: null,
      expiresAt,
      createdBy: command.createdBy,
      reason: command.reason,
    };
    if (expiresAt < Math.min(nowSeconds, clock.nowMs() / 1000)) {
      return {
        kind: 'expired',
        entry: { ...request, revoked: true, createdAt: nowSeconds },
        changed: false,
      };
    }
    return this.#store(request);
  }

  async #revokeTarget({
    target,
    issuedBefore,
    createdBy,
    reason,
  }: RevokeCommand & {
    target: RevocationTarget;
    issuedBefore: number | undefined;
  }): Promise<RevocationOutcome> {
    const { store, keepSeconds, issuers } = this.#parts;
    const behind = this.#issuersOf(target);
    const nowSeconds = Math.floor((await store.nowMs()) / 1000);
    const cutoff = issuedBefore === undefined ? nowSeconds : Math.floor(issuedBefore);
    if (!isForGood(target.kind) && cutoff > nowSeconds + skewOf(behind))
      throw new RevocationRefused('issued_before is further ahead than the clock skew allows');
    const from = isForGood(target.kind) ? nowSeconds : Math.max(nowSeconds, cutoff);
    return this.#store({
      id: targetId(target),
      target,
      issuedBefore: isForGood(target.kind) ? null : cutoff,
      expiresAt: from + lifeOf(target.kind, issuersMatched(target.kind, behind, issuers), keepSeconds),
      createdBy,
      reason,
    });
  }

  async #identify({
    token,
    issuerName,
  }: {
    readonly token: string;
    readonly issuerName: string | undefined;
  }): Promise<TokenIdentity> {
    const identity = await this.#parts.identify(token, issuerName);
    refuseReserved(identity.target.issuer);
    return identity;
  }

  /**
   * The issuers whose tokens the target can match.
   *
   * @throws RevocationRefused where none of their tokens names such a thing: the entry would end nothing (rule V13)
   */
  #issuersOf({ issuer, kind }: RevocationTarget): readonly RevocableIssuer[] {
    refuseReserved(issuer);
    if (issuer === ANY_ISSUER)
      throw new RevocationRefused('* is the issuer of no token; name an issuer, and revoke for each of them');
    const behind = issuersBehind(this.#parts.issuers, issuer);
    // Beside an issuer whose `iss` this is, those whose tokens may have any do not decide what its tokens name.
    const owners = behind.filter((each) => each.issuer !== undefined || each.template !== undefined);
    const deciding = owners.length > 0 ? owners : behind;
    if (deciding.length > 0 && deciding.every(({ unnamed }) => unnamed.has(kind))) {
      throw new RevocationRefused(
        `no token of this issuer names a ${kind} (claim_names.${kind} is null); revoke by something that its tokens name`,
      );
    }
    return behind;
  }

  async #store(request: Parameters<RevocationStore['revoke']>[0]): Promise<RevocationOutcome> {
    const { entry, created, changed } = await this.#parts.store.revoke(request);
    // At once, not when the log brings it: a caller that revoked through this gateway finds it revoked here.
    this.#parts.view.apply([entry]);
    return { kind: created ? 'created' : 'repeated', entry, changed };
  }
}

/** The entries under this name are not shown: what is revoked for people must not be among them. */
function refuseReserved(issuer: string): void {
  if (issuer === CANARY_ISSUER)
    throw new RevocationRefused(`the issuer ${CANARY_ISSUER} is reserved: no token has it`);
}

/** Was the token itself at fault, rather than an authority that could not be asked? */
export function isTokenFault(error: unknown): boolean {
  return error instanceof GatewayError && error.source === 'client';
}
