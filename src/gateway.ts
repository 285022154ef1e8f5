/**
 * The life of a request, in one straight line. The order is security, so it is code and not data: each step
 * returns a value that only that step can make, and the next step asks for it. Forwarding without an
 * AuthorizedRequest does not compile.
 */
import type { Clock } from './clock.ts';
import type { RequestHead } from './http/request-head.ts';
import { whenReady, type MaybePromise } from './maybe-promise.ts';
import type { Policy } from './policy.ts';
import { authorize } from './stages/authorize.ts';
import { checkRevocation, type Revocations } from './stages/check-revocation.ts';
import { extractToken } from './stages/extract-token.ts';
import { matchRoute, RouteTable } from './stages/match-route.ts';
import type { Exchange, Observer } from './stages/observe.ts';
import { rewriteHeaders, type OutboundRequest } from './stages/rewrite-headers.ts';
import { verifyToken } from './stages/verify-token.ts';
import { vouch, type AssertionSigner } from './stages/vouch.ts';
import type { TokenVerifier } from './token/token-verifier.ts';

export interface GatewayParts {
  readonly policy: Policy;
  /** By the issuer set of the route. */
  readonly verifiers: ReadonlyMap<string, TokenVerifier>;
  readonly revocations: Revocations;
  readonly signer: AssertionSigner | undefined;
  readonly observer: Observer;
  readonly clock: Clock;
}

/** What a listener knows of a client's connection. */
export interface Connection {
  /** The peer's address, IPv4-mapped IPv6 as IPv4. */
  readonly peer: string;
  readonly peerIsTrusted: boolean;
  readonly scheme: 'http' | 'https';
  /**
   * Set with an answer that ends the connection: whatever the client has pipelined behind the request must not
   * be served any more.
   */
  closing: boolean;
  /** Requests being served on it. */
  inFlight: number;
  /** Since when nothing has been served on it, on the monotonic clock. */
  idleSinceMs: number;
}

export class Gateway {
  readonly policy: Policy;
  readonly #parts: GatewayParts;
  readonly #routes: RouteTable;

  constructor(parts: GatewayParts) {
    this.policy = parts.policy;
    this.#parts = parts;
    this.#routes = new RouteTable(parts.policy.routes);
  }

  /**
   * May this request pass, and as what? The whole pipeline up to the point where the upstream comes in; nothing
   * has been sent anywhere but to the authorities that the route names.
   *
   * @throws GatewayError, at once or later
   */
  decide(head: RequestHead, connection: Connection, exchange: Exchange): MaybePromise<OutboundRequest> {
    const { policy, verifiers, revocations, signer, observer, clock } = this.#parts;
    const nowMs = clock.nowMs();

    const route = (exchange.route = matchRoute(this.#routes, head));
    const presented = extractToken(head, route, policy.tokenBytes);
    const sinceMs = clock.monotonicMs();
    return whenReady(verifyToken(verifiers, presented, route, nowMs), (verified) => {
      const verifiedMs = observer.verified(exchange, verified, sinceMs);
      const unrevoked = checkRevocation(revocations, verified, route, policy.maxViewAgeMs);
      const authorized = authorize(route, unrevoked);
      observer.authorized(exchange, unrevoked, verifiedMs);
      const vouched = vouch(signer, authorized, nowMs);
      return rewriteHeaders(head, vouched, exchange, policy.name, connection);
    });
  }
}
