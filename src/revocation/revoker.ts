/**
 * Revokes: from what somebody asks for to an entry in the store and in this gateway's view. CONTRACT.md
 * section 6, "Revocation entries".
 */
import type { Clock } from '../clock.ts';
import { GatewayError } from '../errors.ts';
import type { AuthenticToken } from '../token/token-verifier.ts';
import { targetId, type RevocationTarget } from './revocation-target.ts';
import type { RevocationEntry, RevocationMark, RevocationStore } from './revocation-store.ts';
import type { RevocationView } from './revocation-view.ts';

/** What of an issuer bounds the life of an entry. */
export interface RevocableIssuer {
  readonly name: string;
  /** Undefined where its tokens may have any `iss`, or none. */
  readonly issuer: string | undefined;
  /** Undefined: its tokens may live for ever. */
  readonly maxLifetimeSeconds: number | undefined;
  readonly clockSkewSeconds: number;
}

/** A wish to revoke: one token by its text, or a target. Dates are in seconds. */
export type RevocationWish = {
  readonly reason: string | null;
  readonly createdBy: string;
} & (
  | { readonly token: string; readonly issuerName: string | undefined }
  | { readonly target: RevocationTarget; readonly issuedBefore: number | undefined }
);

export type RevocationOutcome =
  | { readonly kind: 'created' | 'repeated'; readonly entry: RevocationEntry }
  /** The token cannot be used any more anyway: nothing is stored. */
  | { readonly kind: 'expired'; readonly entry: Omit<RevocationEntry, 'version'> };

/** The wish cannot be granted; `message` is fixed text for whoever asked. */
export class RevocationRefused extends Error {
  override readonly name = 'RevocationRefused';
}

export interface RevokerParts {
  readonly store: RevocationStore;
  readonly view: RevocationView;
  readonly issuers: readonly RevocableIssuer[];
  /** Verifies a token of any configured issuer, expired or not. */
  readonly verifyAny: (token: string, issuerName: string | undefined) => Promise<AuthenticToken>;
  /** How long an entry lives when no expiry can be known. */
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
   * @throws RevocationRefused for a wish that makes no sense; GatewayError where the token cannot be verified;
   *         any other Error where the store cannot be had
   */
  async revoke(wish: RevocationWish): Promise<RevocationOutcome> {
    return 'token' in wish ? this.#revokeToken(wish) : this.#revokeTarget(wish);
  }

  /** What a wish would revoke, without revoking it. A token is verified for that, as it would be. */
  async targetOf(wish: RevocationWish): Promise<RevocationTarget> {
    return 'token' in wish
      ? (await this.#parts.verifyAny(wish.token, wish.issuerName)).revocable.target
      : wish.target;
  }

  async undo(id: string): Promise<RevocationMark | undefined> {
    const tombstone = await this.#parts.store.undo(id);
    if (tombstone) this.#parts.view.apply([tombstone]);
    return tombstone;
  }

  /** The exact `iss` for what an operator wrote: that, or the configured name. Undefined where there is none such. */
  resolveIssuer(text: string): string | undefined {
    const { issuers } = this.#parts;
    const known = issuers.find(({ issuer }) => issuer === text) ?? issuers.find(({ name }) => name === text);
    if (known) return known.issuer ?? known.name;
    // An issuer of opaque tokens may give them any iss.
    return issuers.some(({ issuer }) => issuer === undefined) ? text : undefined;
  }

  async #revokeToken(
    wish: RevocationWish & { token: string; issuerName: string | undefined },
  ): Promise<RevocationOutcome> {
    const { store, clock, keepSeconds } = this.#parts;
    const token = await this.#parts.verifyAny(wish.token, wish.issuerName);
    const nowSeconds = Math.floor((await store.nowMs()) / 1000);
    const expiresAt =
      token.expiresAt === undefined
        ? nowSeconds + keepSeconds
        : Math.ceil(token.expiresAt + token.clockSkewSeconds);
    const { target } = token.revocable;
    const request = {
      id: targetId(target),
      target,
      issuedBefore: null,
      expiresAt,
      createdBy: wish.createdBy,
      reason: wish.reason,
    };
    if (expiresAt < Math.min(nowSeconds, clock.nowMs() / 1000)) {
      return { kind: 'expired', entry: { ...request, revoked: true, createdAt: nowSeconds } };
    }
    return this.#store(request);
  }

  async #revokeTarget({
    target,
    issuedBefore,
    createdBy,
    reason,
  }: RevocationWish & {
    target: RevocationTarget;
    issuedBefore: number | undefined;
  }): Promise<RevocationOutcome> {
    const { store, keepSeconds, issuers } = this.#parts;
    const issuer = issuers.find((known) => (known.issuer ?? known.name) === target.issuer);
    const nowSeconds = Math.floor((await store.nowMs()) / 1000);
    const isCutoff = target.kind !== 'token_id';
    const cutoff = issuedBefore === undefined ? nowSeconds : Math.floor(issuedBefore);
    const skew = issuer?.clockSkewSeconds ?? 0;
    if (cutoff > nowSeconds + skew)
      throw new RevocationRefused('issued_before is further ahead than the clock skew allows');
    const from = isCutoff ? Math.max(nowSeconds, cutoff) : nowSeconds;
    const expiresAt =
      issuer?.maxLifetimeSeconds === undefined
        ? from + keepSeconds
        : Math.ceil(from + issuer.maxLifetimeSeconds + 2 * skew);
    return this.#store({
      id: targetId(target),
      target,
      issuedBefore: isCutoff ? cutoff : null,
      expiresAt,
      createdBy,
      reason,
    });
  }

  async #store(request: Parameters<RevocationStore['revoke']>[0]): Promise<RevocationOutcome> {
    const { entry, created } = await this.#parts.store.revoke(request);
    // At once, not when the log brings it: whoever revoked through this gateway finds it revoked here.
    this.#parts.view.apply([entry]);
    return { kind: created ? 'created' : 'repeated', entry };
  }
}

/** Was the token itself at fault, rather than an authority that could not be asked? */
export function isTokenFault(error: unknown): boolean {
  return error instanceof GatewayError && error.source === 'client';
}
