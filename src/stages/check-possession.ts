/**
 * Fifth stage: is the client that presents the token the one that it was issued to? A token that is bound to a key needs a
 * fresh proof of it (DPoP, RFC 9449 sections 4.3 and 7), one that is bound to a certificate this connection's (RFC 8705
 * section 3), cached or not. Rules D1 to D15, M1.
 *
 * It stands behind the verification, since a proof is about a token that is authentic and in time, and in front of
 * revocation, since it may wait for the store of used proofs: a revocation that lands meanwhile must hold. A proof
 * is used up by the last of its checks, so that no other client can use it up.
 */
import { invalidToken, sentWithoutProof } from '../auth-errors.ts';
import { GatewayError } from '../errors.ts';
import { HeaderKind } from '../http/header-names.ts';
import { urlOfRequest, type PublicUrl } from '../http/public-url.ts';
import { valuesOf, type RequestHead } from '../http/request-head.ts';
import type { MaybePromise } from '../maybe-promise.ts';
import type { Route } from '../policy.ts';
import type { AuthenticToken } from '../token/token-verifier.ts';
import type { PresentedToken } from './extract-token.ts';
import type { VerifiedToken } from './verify-token.ts';

/** What a proof must be about. */
export interface ProvenRequest {
  readonly method: string;
  /** As the client has written it, without the query. */
  readonly url: string;
  readonly accessToken: string;
  /** That the token is bound to. */
  readonly keyThumbprint: string;
  readonly whenReplayUnknown: 'deny' | 'allow';
}

export interface AcceptedProof {
  /** The nonce that the client should use from now on; undefined where it need not change. */
  readonly nextNonce: string | undefined;
  /** It is not known whether it was used before, and the route says to let requests pass then. */
  readonly failedOpen: boolean;
}

/** Checks proofs, each of which passes once. */
export interface Proofs {
  /**
   * @param lines the values of the DPoP fields, as they came
   * @throws GatewayError 401 `proof`, 429, 503 `replay_unavailable`
   */
  accept(lines: readonly string[], request: ProvenRequest, nowMs: number): MaybePromise<AcceptedProof>;
  /** The nonce to use now; undefined where none are asked for. */
  nonce(nowMs: number): string | undefined;
}

/** The client of a request, as far as it shows what it holds. */
export interface Holder {
  /** Of the listener; undefined where it has none. */
  readonly publicUrl: PublicUrl | undefined;
  readonly connection: { readonly peerIsTrusted: boolean };
  /** base64url SHA-256 of the client's certificate (DER); undefined: there is none; null: a proxy tells of one in an unclear way. */
  clientCertificate(): string | null | undefined;
  /** Does a proxy tell of its certificate in an unclear way? */
  hasUnclearCertificate(): boolean;
  /** The response tells the client this nonce. */
  offerNonce(nonce: string): void;
}

type PossessionRules = Pick<Route, 'senderConstrained' | 'whenReplayUnknown' | 'publicUrl'>;

/** A token whose holder presents it, or none on a route that allows that. Whether it is revoked is not yet checked. */
class PossessedToken {
  declare protected readonly made: 'by checkPossession';
  readonly token: AuthenticToken | undefined;
  /** Whether its proof was used before is not known, and the route says to let requests pass then. */
  readonly failedOpen: boolean;

  constructor(token: AuthenticToken | undefined, failedOpen = false) {
    this.token = token;
    this.failedOpen = failedOpen;
  }
}
export type { PossessedToken };

const ANONYMOUS = new PossessedToken(undefined);

/**
 * @param proofs undefined where no route accepts any
 * @throws GatewayError 401 `binding` or `proof`, 429, 503 `replay_unavailable`
 */
export function checkPossession(
  proofs: Proofs | undefined,
  { scheme, token: accessToken = '' }: PresentedToken,
  { token }: VerifiedToken,
  { senderConstrained, whenReplayUnknown, publicUrl }: PossessionRules,
  head: RequestHead,
  holder: Holder,
  nowMs: number,
): MaybePromise<PossessedToken> {
  if (!token) return ANONYMOUS;
  const { binding, issuerName } = token;
  const { keyThumbprint, certificateThumbprint } = binding ?? {};
  // Whatever the token is bound to: a proxy that passes on what a client has written there cannot be believed.
  if (holder.hasUnclearCertificate())
    throw invalidToken('binding', issuerName, 'Client-Cert is repeated or malformed');
  if (certificateThumbprint !== undefined && holder.clientCertificate() !== certificateThumbprint)
    throw invalidToken('binding', issuerName, 'it is bound to another certificate than that of the client');
  if (keyThumbprint === undefined) {
    if (scheme === 'DPoP')
      throw invalidToken('binding', issuerName, 'it is bound to no key, and was sent as DPoP');
    if (!binding && senderConstrained === 'required')
      throw invalidToken(
        'binding',
        issuerName,
        'it is bound to nothing, and the route takes only bound tokens',
      );
    return new PossessedToken(token);
  }
  if (scheme !== 'DPoP' || !proofs || senderConstrained === undefined) throw sentWithoutProof(issuerName);
  const url = urlOfRequest(head, publicUrl, holder.publicUrl, holder.connection.peerIsTrusted);
  const request = { method: head.method, url, accessToken, keyThumbprint, whenReplayUnknown };
  const passed = ({ nextNonce, failedOpen }: AcceptedProof): PossessedToken => {
    if (nextNonce !== undefined) holder.offerNonce(nextNonce);
    return new PossessedToken(token, failedOpen);
  };
  const offering = (error: unknown): never => {
    const nonce = proofs.nonce(nowMs);
    if (nonce !== undefined && error instanceof GatewayError && error.challenge?.error === 'use_dpop_nonce')
      holder.offerNonce(nonce);
    throw error;
  };
  try {
    const accepted = proofs.accept(valuesOf(head, HeaderKind.dpop), request, nowMs);
    return accepted instanceof Promise ? accepted.then(passed, offering) : passed(accepted);
  } catch (error) {
    return offering(error);
  }
}

/**
 * For places that take no proof and know no certificate: the admin listener.
 *
 * @throws GatewayError 401 `binding` for a token that is bound to anything
 */
export function takeUnbound({ token }: VerifiedToken): PossessedToken {
  if (token?.binding)
    throw invalidToken('binding', token.issuerName, 'it is bound, and no proof is taken here');
  return new PossessedToken(token);
}
