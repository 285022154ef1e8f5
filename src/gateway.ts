/**
 * The life of a request, in one straight line. The order is security, so it is code and not data: each step
 * returns a value that only that step can make, and the next step asks for it. Forwarding without an
 * AuthorizedRequest does not compile.
 */
import type { Clock } from './clock.ts';
import { GatewayError } from './errors.ts';
import { allowsPreflight, preflightHeaders, preflightMethod } from './http/cors.ts';
import type { RequestHead } from './http/request-head.ts';
import { whenReady, type MaybePromise } from './maybe-promise.ts';
import type { Policy, Route } from './policy.ts';
import { authorize, passReported, type AuthorizedRequest } from './stages/authorize.ts';
import { checkRevocation, type Revocations } from './stages/check-revocation.ts';
import { extractToken } from './stages/extract-token.ts';
import { matchRoute, RouteTable } from './stages/match-route.ts';
import type { Exchange } from './telemetry/exchange.ts';
import type { Observer } from './telemetry/observer.ts';
import { rewriteHeaders, type ClientEnd, type OutboundRequest } from './stages/rewrite-headers.ts';
import { verifyToken } from './stages/verify-token.ts';
import { signAssertion, type AssertionSigner, type VouchedRequest } from './stages/sign-assertion.ts';
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

export class Gateway {
  readonly policy: Policy;
  readonly #parts: GatewayParts;
  readonly #routes: RouteTable;
  readonly #hasCors: boolean;

  constructor(parts: GatewayParts) {
    this.policy = parts.policy;
    this.#parts = parts;
    this.#routes = new RouteTable(parts.policy.routes);
    this.#hasCors = parts.policy.routes.some(({ cors }) => cors !== undefined);
  }

  /**
   * What a preflight request of a browser is answered with, where the route that it asks about says so. It needs no
   * token: browsers send none.
   *
   * @throws GatewayError 400 BAD_PATH
   */
  preflight(head: RequestHead, exchange: Exchange): readonly string[] | undefined {
    const cors = this.#preflightRoute(head, exchange)?.cors;
    return cors && preflightHeaders(cors, head);
  }

  /**
   * May a preflight request pass to an upstream that responds to it itself? For a decision listener, since the request
   * has no token. Only where the route allows the origin and the method; any other request is decided by permit.
   *
   * @throws GatewayError 400 BAD_PATH
   */
  permitsPreflight(head: RequestHead, exchange: Exchange): boolean {
    const cors = this.#preflightRoute(head, exchange)?.cors;
    return cors !== undefined && allowsPreflight(cors, head);
  }

  /** The route of the method that a preflight request asks about, where the route has `cors`. */
  #preflightRoute(head: RequestHead, exchange: Exchange): Route | undefined {
    if (!this.#hasCors) return undefined;
    const method = preflightMethod(head);
    if (method === undefined) return undefined;
    const asked = { ...head, method };
    if (!this.#routes.find(asked, head.path)?.cors) return undefined;
    exchange.stage = 'match_route';
    return (exchange.route = matchRoute(this.#routes, asked));
  }

  /**
   * May this request pass, and as what does the upstream get it? The whole pipeline up to the point where the
   * upstream comes in; nothing has been sent anywhere but to the authorities that the route names.
   *
   * @throws GatewayError, at once or later
   */
  decide(head: RequestHead, client: ClientEnd, exchange: Exchange): MaybePromise<OutboundRequest> {
    return whenReady(this.permit(head, exchange), (asserted) => {
      exchange.stage = 'rewrite_headers';
      return rewriteHeaders(head, asserted, exchange, this.policy.name, client);
    });
  }

  /**
   * May this request pass, and who is calling? For whoever forwards it himself.
   *
   * @throws GatewayError, at once or later
   */
  permit(head: RequestHead, exchange: Exchange): MaybePromise<VouchedRequest> {
    const { signer, clock } = this.#parts;
    const nowMs = clock.nowMs();
    exchange.stage = 'match_route';
    const route = (exchange.route = matchRoute(this.#routes, head));
    const authorized = route.reportOnly
      ? this.#authorizedOrReported(head, route, exchange, nowMs)
      : this.#authorized(head, route, exchange, nowMs);
    return whenReady(authorized, (authorized) => {
      exchange.stage = 'sign_assertion';
      return signAssertion(signer, authorized, nowMs);
    });
  }

  #authorized(
    head: RequestHead,
    route: Route,
    exchange: Exchange,
    nowMs: number,
  ): MaybePromise<AuthorizedRequest> {
    const { policy, verifiers, revocations, observer, clock } = this.#parts;
    exchange.stage = 'extract_token';
    const presented = extractToken(head, route, policy.tokenBytes);
    const sinceMs = clock.monotonicMs();
    exchange.stage = 'verify_token';
    return whenReady(verifyToken(verifiers, presented, route, exchange, nowMs), (verified) => {
      const verifiedMs = observer.verified(exchange, verified, sinceMs);
      exchange.stage = 'check_revocation';
      const unrevoked = checkRevocation(revocations, verified, route, policy.maxViewAgeMs);
      exchange.unrevoked = unrevoked;
      exchange.stage = 'authorize';
      const authorized = authorize(route, unrevoked);
      observer.authorized(exchange, unrevoked, verifiedMs);
      return authorized;
    });
  }

  /** On a report-only route what these stages refuse passes, and is noted. Everything else is refused as ever. */
  #authorizedOrReported(
    head: RequestHead,
    route: Route,
    exchange: Exchange,
    nowMs: number,
  ): MaybePromise<AuthorizedRequest> {
    const passed = (error: unknown): AuthorizedRequest => {
      if (!(error instanceof GatewayError) || error.reason === undefined) throw error;
      this.#parts.observer.reported(exchange, error);
      return passReported(route, exchange.unrevoked);
    };
    try {
      const authorized = this.#authorized(head, route, exchange, nowMs);
      return authorized instanceof Promise ? authorized.catch(passed) : authorized;
    } catch (error) {
      return passed(error);
    }
  }
}
