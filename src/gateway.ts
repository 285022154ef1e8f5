/**
 * The pipeline of a request, in one straight line: Gateway.decide, of which Gateway.permit is all but steps 9 and 11. The order is
 * security, so it is code and not data. Each step returns a value that only that step can make, and the next step asks for
 * it: forwarding without an AdmittedRequest does not compile.
 *
 *    read head          http/request-head.ts          before, in the handler (handlers/base-handler.ts, proxy-handler.ts)
 *    limit in flight    handlers/in-flight-limiter.ts
 *    logout, keys,      handlers/server-endpoint.ts, handlers/keys-endpoint.ts,
 *    metadata,          handlers/resource-endpoint.ts
 *    preflight          http/cors.ts: they end here
 * 1. match route        stages/match-route.ts
 * 2. limit address      stages/limit-address.ts       may wait
 * 3. extract token      stages/extract-token.ts
 * 4. verify token       stages/verify-token.ts        may wait
 * 5. check possession   stages/check-possession.ts    may wait
 * 6. check revocation   stages/check-revocation.ts    may wait
 * 7. authorize          stages/authorize.ts
 * 8. limit caller       stages/limit-caller.ts        may wait, and then looks once more whether the token is revoked
 * 9. choose upstream    stages/choose-upstream.ts     only where this gateway forwards the request itself
 * 10. sign assertion    stages/sign-assertion.ts
 * 11. rewrite headers   stages/rewrite-headers.ts     only where this gateway forwards the request itself
 *    forward            upstream/upstream-forwarder.ts   after: handlers/proxy-handler.ts
 *    respond            handlers/response-writer.ts
 *
 * Rules with a letter and a number, such as B4, are in docs/security-rules.md.
 */
import type { Clock } from './clock.ts';
import { GatewayError } from './errors.ts';
import { allowsPreflight, preflightHeaders, preflightMethod } from './http/cors.ts';
import type { LastCredentials } from './http/credentials.ts';
import type { RequestHead } from './http/request-head.ts';
import type { RateLimit } from './limits/rate-limit.ts';
import { orElse, whenReady, type MaybePromise } from './maybe-promise.ts';
import type { Policy, Route } from './policy.ts';
import { authorize, passReported, type AuthorizedRequest } from './stages/authorize.ts';
import { checkPossession, type Holder, type PossessedToken, type Proofs } from './stages/check-possession.ts';
import {
  checkRevocation,
  revokedMeanwhile,
  type Revocations,
  type Statuses,
  type UnrevokedToken,
} from './stages/check-revocation.ts';
import { chooseUpstream } from './stages/choose-upstream.ts';
import { extractToken, type PresentedToken } from './stages/extract-token.ts';
import { limitAddress, type OpenRoute } from './stages/limit-address.ts';
import { limitCaller, type AdmittedRequest } from './stages/limit-caller.ts';
import { matchRoute, RouteTable } from './stages/match-route.ts';
import {
  rewriteHeaders,
  type ClientEnd,
  type ExchangeIds,
  type OutboundRequest,
} from './stages/rewrite-headers.ts';
import { signAssertion, type AssertedRequest, type AssertionSigner } from './stages/sign-assertion.ts';
import { verifyToken } from './stages/verify-token.ts';
import type { Exchange } from './telemetry/exchange.ts';
import type { Observer } from './telemetry/observer.ts';
import type { FailureLimit } from './token/failure-limit.ts';
import type { Limiters } from './token/placed-limits.ts';
import type { TokenCaller, TokenVerifier } from './token/token-verifier.ts';

/** What the pipeline needs to know of a request besides its head. The handler of the request is one. */
export interface RequestContext extends TokenCaller, ExchangeIds, Holder {
  /** The client's end of the connection. */
  readonly connection: ClientEnd & { readonly credentials?: LastCredentials };
  /** The route is known: from now on responses to the request, refusals too, carry the CORS headers of the route. */
  matched(route: Route): void;
}

export interface GatewayParts {
  readonly policy: Policy;
  /** By the issuer set of the route. */
  readonly verifiers: ReadonlyMap<string, TokenVerifier>;
  /** Undefined where no route accepts proofs of possession. */
  readonly proofs?: Proofs | undefined;
  readonly revocations: Revocations;
  readonly statuses: Statuses;
  /** What counts by each limit of the policy. One that is not there counts nothing. */
  readonly limiters: Limiters;
  /** Undefined: an address may send as many refused credentials as it likes. */
  readonly failures?: FailureLimit | undefined;
  readonly signer: AssertionSigner | undefined;
  readonly observer: Observer;
  readonly clock: Clock;
  /** From 0 to below 1; default: Math.random. It shares requests out by weight; no secret depends on it. */
  readonly random?: () => number;
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
   * The gateway's response to a browser's preflight request, where the route that it asks about has `cors`. It needs no
   * token: browsers send none.
   *
   * @throws GatewayError 400 BAD_PATH
   */
  preflight(head: RequestHead, request: RequestContext, exchange: Exchange): readonly string[] | undefined {
    const cors = this.#preflightRoute(head, request, exchange)?.cors;
    return cors && preflightHeaders(cors, head);
  }

  /**
   * May a preflight request pass to an upstream that responds to it itself? For a decision listener, since the request
   * has no token. Only where the route allows the origin and the method; any other request is decided by permit.
   *
   * @throws GatewayError 400 BAD_PATH
   */
  permitsPreflight(head: RequestHead, request: RequestContext, exchange: Exchange): boolean {
    const cors = this.#preflightRoute(head, request, exchange)?.cors;
    return cors !== undefined && allowsPreflight(cors, head);
  }

  /** The route of the method that a preflight request asks about, where the route has `cors`. */
  #preflightRoute(head: RequestHead, request: RequestContext, exchange: Exchange): Route | undefined {
    if (!this.#hasCors) return undefined;
    const method = preflightMethod(head);
    if (method === undefined) return undefined;
    const asked = { ...head, method };
    if (!this.#routes.find(asked, head.path)?.cors) return undefined;
    return this.#matchRoute(asked, request, exchange);
  }

  /**
   * May this request pass, and which upstream gets it, as what? For a listener that forwards. Nothing has been sent anywhere
   * but to the authorization servers that the route names.
   *
   * @returns a refusal, where it costs little to know it
   * @throws GatewayError, at once or later
   */
  decide(
    head: RequestHead,
    request: RequestContext,
    exchange: Exchange,
  ): MaybePromise<OutboundRequest | GatewayError> {
    const { signer, clock, random = Math.random } = this.#parts;
    return whenReady(this.#admitted(head, request, exchange), (admitted) => {
      if (admitted instanceof GatewayError) return admitted;
      exchange.enter('choose_upstream');
      const upstream = chooseUpstream(admitted, head.path, random);
      exchange.upstream = upstream;

      exchange.enter('sign_assertion');
      const asserted = signAssertion(signer, admitted, upstream, clock);

      exchange.enter('rewrite_headers');
      return rewriteHeaders(head, asserted, upstream, request, this.policy.name, request.connection);
    });
  }

  /**
   * May this request pass, and who is calling? For callers that do the forwarding themselves (a decision listener).
   *
   * @returns a refusal, where it costs little to know it
   * @throws GatewayError, at once or later
   */
  permit(
    head: RequestHead,
    request: RequestContext,
    exchange: Exchange,
  ): MaybePromise<AssertedRequest | GatewayError> {
    const { signer, clock } = this.#parts;
    return whenReady(this.#admitted(head, request, exchange), (admitted) => {
      if (admitted instanceof GatewayError) return admitted;
      exchange.enter('sign_assertion');
      return signAssertion(signer, admitted, undefined, clock);
    });
  }

  /** Steps 1 to 8. */
  #admitted(
    head: RequestHead,
    request: RequestContext,
    exchange: Exchange,
  ): MaybePromise<AdmittedRequest | GatewayError> {
    const { limiters, observer, clock } = this.#parts;
    const { clientIp } = request;
    const reported = ({ name }: RateLimit): void => observer.overLimit(exchange, name);
    const route = this.#matchRoute(head, request, exchange);

    exchange.enter('limit_address');
    const open = limitAddress(limiters, route, clientIp, clock, reported);
    const limited = (
      authorized: AuthorizedRequest | GatewayError,
    ): MaybePromise<AdmittedRequest | GatewayError> => {
      if (authorized instanceof GatewayError) return authorized;
      exchange.enter('limit_caller');
      const stillGood = (): AuthorizedRequest | GatewayError => this.#stillGood(authorized, exchange);
      return limitCaller(limiters, authorized, clientIp, clock, reported, stillGood);
    };
    return whenReady(open, (openRoute) =>
      openRoute instanceof GatewayError
        ? openRoute
        : whenReady(this.#authorized(head, openRoute, request, exchange), limited),
    );
  }

  /** A limit has let the request pass, and has waited. */
  #stillGood(authorized: AuthorizedRequest, exchange: Exchange): AuthorizedRequest | GatewayError {
    const { route, token } = authorized;
    const refusal = revokedMeanwhile(this.#parts, token);
    if (!refusal) return authorized;
    if (!route.reportOnly) return refusal;
    this.#parts.observer.reported(exchange, refusal);
    return passReported(route, undefined);
  }

  /** Steps 3 to 7. */
  #authorized(
    head: RequestHead,
    route: OpenRoute,
    request: RequestContext,
    exchange: Exchange,
  ): MaybePromise<AuthorizedRequest | GatewayError> {
    const { policy, verifiers, proofs, failures, observer, clock } = this.#parts;
    const nowMs = clock.nowMs();
    let unrevoked: UnrevokedToken | undefined;

    const line = (): MaybePromise<AuthorizedRequest | GatewayError> => {
      exchange.enter('extract_token');
      const presented = extractToken(head, route, policy.tokenBytes, request.connection.credentials);

      exchange.enter('verify_token');
      const barred = failures && this.#barred(failures, presented, route, request.clientIp, exchange);
      if (barred) return barred;
      return whenReady(verifyToken(verifiers, presented, route, request, nowMs), (verified) => {
        if (verified instanceof GatewayError) return verified;
        observer.verified(exchange, verified);

        exchange.enter('check_possession');
        return whenReady(checkPossession(proofs, presented, verified, route, head, request, nowMs), permit);
      });
    };
    const permit = (possessed: PossessedToken): MaybePromise<AuthorizedRequest> => {
      if (possessed.token?.binding) observer.possessed(exchange, possessed);
      exchange.enter('check_revocation');
      const checked = checkRevocation(this.#parts, possessed, route, policy.maxViewAgeMs, request);
      return whenReady(checked, (passed) => {
        unrevoked = passed;
        exchange.enter('authorize');
        const authorized = authorize(route, passed, head.path, clock.nowMs() / 1000);
        observer.authorized(exchange, passed);
        return authorized;
      });
    };
    const counted = failures ? () => failures.counting(request.clientIp, line) : line;
    if (!route.reportOnly) return counted();

    // What these steps refuse passes, and is reported: with its identity where the token is known to be valid.
    const report = (error: unknown): AuthorizedRequest => {
      if (!(error instanceof GatewayError) || error.reason === undefined) throw error;
      observer.reported(exchange, error);
      return passReported(route, unrevoked);
    };
    return whenReady(orElse(counted, report), (passed) =>
      passed instanceof GatewayError ? report(passed) : passed,
    );
  }

  /** The refusal of an address that has sent too many bad credentials, and now sends some that no cache knows as good. */
  #barred(
    failures: FailureLimit,
    { digest }: PresentedToken,
    route: Route,
    address: string,
    exchange: Exchange,
  ): GatewayError | undefined {
    const { verifiers, observer } = this.#parts;
    const refusal = digest === undefined ? undefined : failures.refusalOf(address);
    if (!refusal || digest === undefined || verifiers.get(route.issuerSet)?.knows(digest)) return undefined;
    if (!failures.reportOnly) return refusal;
    observer.overLimit(exchange, failures.name);
    return undefined;
  }

  #matchRoute(head: RequestHead, request: RequestContext, exchange: Exchange): Route {
    exchange.enter('match_route');
    const route = matchRoute(this.#routes, head);
    exchange.route = route;
    request.matched(route);
    return route;
  }
}
