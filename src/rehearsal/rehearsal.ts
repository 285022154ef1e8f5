/**
 * Decides logged requests again under another configuration, by the gateway's own code and from what the log holds. What a log
 * does not hold is tried in every way that could matter; where the ways differ, the request is not decidable, and why is told.
 *
 * Taken for unchanged: keys, tokens and the revocation list as they were when the request came; what a proof or a certificate was
 * good for. Not looked at: limits, sizes of headers and identity headers, what upstreams say.
 */
import type { Clock } from '../clock.ts';
import { GatewayError } from '../errors.ts';
import type { RequestHead } from '../http/request-head.ts';
import type { Route } from '../policy.ts';
import type { TokenBinding } from '../token/token-binding.ts';
import type { ConfigurationRules } from './configuration-rules.ts';
import { KnownToken } from './known-token.ts';
import { loggedOutcome, type Logged } from './logged-outcome.ts';
import type { LoggedAuth, LoggedRequest } from './logged-request.ts';
import {
  common,
  passing,
  refusedWith,
  REPORT_UNKNOWN,
  servedItself,
  Undecided,
  type Outcome,
} from './outcome.ts';
import { possibleHeaders } from './possible-headers.ts';
import { outcomeOfAll } from './possible-tokens.ts';
import { rehearsedHead } from './rehearsed-head.ts';
import {
  acceptanceOf,
  provesTheSame,
  readsNoMore,
  readsNoOtherFields,
  readsTheSame,
  verifiesTheSame,
  type Compared,
} from './same-rules.ts';
import { STAND_IN, STAND_IN_CERTIFICATE, STAND_IN_KEY, StandInGateway } from './stand-in-gateway.ts';

export interface Verdict {
  readonly before: Outcome;
  readonly after: Outcome | Undecided;
}

/** Refusals after which nothing is known of the token but that it is authentic, and not by whom. */
const JUDGED: ReadonlySet<string> = new Set([
  'ok',
  'revoked',
  'step_up',
  'insufficient_scope',
  'claim_rule',
  'identity_too_large',
]);
const OUTAGES: ReadonlySet<string> = new Set([
  'keys_unavailable',
  'introspection_unavailable',
  'revocation_unavailable',
  'status_unavailable',
  'replay_unavailable',
]);
/** Refusals by what a client holds, or does not. */
const OF_POSSESSION: ReadonlySet<string> = new Set(['binding', 'proof']);
const SWITCHING_PROTOCOLS = 101;

/** What there is of one request while it is decided. */
interface Case {
  readonly request: LoggedRequest;
  readonly logged: Logged;
  /** The route before, by the rules of before, where they are known and fit the line. */
  readonly routeBefore: Route | undefined;
  readonly fields: readonly string[];
}

export class Rehearsal {
  readonly #now: ConfigurationRules;
  readonly #before: ConfigurationRules | undefined;
  readonly #gateway: StandInGateway;
  /** Lines that the given earlier configuration cannot have written. */
  unfit = 0;

  /** @param before the configuration that the log was written under, where it is known */
  constructor(now: ConfigurationRules, before: ConfigurationRules | undefined, clock: Clock) {
    this.#now = now;
    this.#before = before;
    this.#gateway = new StandInGateway(now.policy, clock);
  }

  decide(request: LoggedRequest): Verdict | Undecided {
    const logged = loggedOutcome(request);
    if (logged instanceof Undecided) return logged;
    return { before: logged.outcome, after: this.#after(request, logged) };
  }

  /** Once for each way in which headers may have chosen the route. */
  #after(request: LoggedRequest, logged: Logged): Outcome | Undecided {
    const { before, now } = { before: this.#before, now: this.#now };
    const headWith = (fields: readonly string[]): RequestHead =>
      rehearsedHead(request, now.policy, { fields });
    const routeBefore = before?.route(request.route);
    try {
      headWith([]);
      const found = before &&
        routeBefore && {
          matching: before.matching,
          headWith: (fields: readonly string[]) => rehearsedHead(request, before.policy, { fields }),
          route: request.route,
        };
      const consistent = possibleHeaders(now.matching, headWith, found);
      const fits = consistent === undefined || consistent.length > 0;
      if (before && (!fits || (!routeBefore && request.route !== 'unmatched'))) this.unfit++;
      const ways = fits ? consistent : possibleHeaders(now.matching, headWith, undefined);
      if (ways === undefined) return new Undecided('headers');
      const known = fits ? routeBefore : undefined;
      return this.#afterAll(ways.map((fields) => ({ request, logged, routeBefore: known, fields })));
    } catch (error) {
      if (error instanceof GatewayError) return refusedWith(error, 'unmatched');
      throw error;
    }
  }

  #afterAll(cases: readonly Case[]): Outcome | Undecided {
    let found: Outcome | undefined;
    for (const each of cases) {
      const outcome = this.#afterOne(each);
      if (outcome instanceof Undecided) return outcome;
      const together = found ? common(found, outcome) : outcome;
      if (!together) return new Undecided('headers');
      found = together;
    }
    return found ?? new Undecided('headers');
  }

  #afterOne(each: Case): Outcome | Undecided {
    const { request, logged, fields } = each;
    const now = this.#now;
    const head = rehearsedHead(request, now.policy, { fields });
    // A listener that only decides forwards nothing, and serves nothing itself.
    const decidesOnly = logged.outcome.verdict === 'passes' && logged.outcome.upstreams.length === 0;
    try {
      if (!decidesOnly && now.servesItself(head)) return servedItself();
    } catch (error) {
      if (error instanceof GatewayError) return refusedWith(error, 'unmatched');
      throw error;
    }
    if (logged.outcome.verdict === 'own' && !logged.preflight) return new Undecided('own');
    if (now.mayBePreflight(head)) return new Undecided('preflight');
    const matched = now.matching.of(head);
    if (matched instanceof GatewayError) return refusedWith(matched, 'unmatched');
    if (logged.limited) return new Undecided('limits');
    const decided = this.#onRoute(each, matched);
    // Whatever such a route would say of a caller, the request passes.
    return decided instanceof Undecided && matched.reportOnly
      ? passing(matched.name, upstreamsOf(matched), REPORT_UNKNOWN)
      : decided;
  }

  /** What the new route says of what is known of the caller. */
  #onRoute(each: Case, route: Route): Outcome | Undecided {
    const { auth, facts } = each.request;
    if (route.mode === 'none') return this.#decide(each, []);
    const compared = this.#compared(each, route);
    const broughtNone = facts?.credentials === false;
    if (broughtNone || isAnonymous(each))
      return readsNoOtherFields(compared, broughtNone)
        ? this.#decide(each, [])
        : new Undecided('credentials');
    if (!auth || auth.reason === 'anonymous') return new Undecided('credentials');
    if (auth.reason === 'missing') return this.#withoutToken(each, compared);
    if (OUTAGES.has(auth.reason)) return new Undecided('outage');
    if (auth.isVerified && auth.issuer !== undefined && JUDGED.has(auth.reason))
      return this.#withToken(each, compared, auth, auth.issuer);
    return this.#refusedAgain(each, compared, auth);
  }

  /** It brought no credentials, or some of a scheme that the route does not take. */
  #withoutToken(each: Case, compared: Compared): Outcome | Undecided {
    if (!readsNoMore(compared)) return new Undecided('credentials');
    const nothing = this.#decide(each, []);
    const other = this.#decide(each, ['authorization', 'Basic Og==']);
    return common(nothing, other) ?? new Undecided('credentials');
  }

  /** Its credentials were refused before anyone asked what they permit: by the same rules they are refused again. */
  #refusedAgain(each: Case, compared: Compared, { reason }: LoggedAuth): Outcome | Undecided {
    const { error } = each.request;
    const { route } = compared.now;
    const isForm = error === 'invalid_request' || reason === 'too_large';
    const { before } = compared;
    const same =
      before !== undefined &&
      before.route.mode !== 'none' &&
      readsTheSame(compared) &&
      (isForm || verifiesTheSame(compared)) &&
      (!OF_POSSESSION.has(reason) || provesTheSame(compared));
    if (!same) return new Undecided('token');
    if (route.reportOnly) return passing(route.name, upstreamsOf(route), reason);
    const { outcome } = each.logged;
    if (outcome.verdict === 'refused') return { ...outcome, route: route.name };
    // Before, the route has only reported: where the reason has several refusals, the line does not say which.
    if (SEVERAL_REFUSALS.has(reason)) return new Undecided('token');
    return { ...REFUSED_TOKEN, route: route.name, reason };
  }

  #withToken(each: Case, compared: Compared, auth: LoggedAuth, issuer: string): Outcome | Undecided {
    const { request, routeBefore } = each;
    const { route } = compared.now;
    if (!readsTheSame(compared)) return new Undecided('credentials');
    const binding = bindingOf(auth);
    if (auth.decision === 'fail_open' && deniesInDoubt(route, binding)) return new Undecided('outage');
    if (binding?.keyThumbprint !== undefined && !provesTheSame(compared)) return new Undecided('possession');
    const acceptance = acceptanceOf(issuer, compared);
    if (acceptance === undefined) return new Undecided('issuer');
    const scheme = binding?.keyThumbprint === undefined ? 'Bearer' : 'DPoP';
    const credentials = ['authorization', `${scheme} ${STAND_IN}`];
    if (acceptance === 'unknown_issuer') return this.#decide(each, credentials, acceptance);
    const rules = this.#before?.claimRules ?? this.#now.claimRules;
    const token = new KnownToken(auth, request.facts, routeBefore, rules);
    const isRevoked = auth.reason === 'revoked';
    const outcome = outcomeOfAll(route, token, (granted) =>
      this.#decide(each, credentials, { ...granted, binding, isRevoked }),
    );
    // How large the identity headers are is not in the log.
    const isTooLarge = auth.reason === 'identity_too_large' && !(outcome instanceof Undecided);
    return isTooLarge && outcome.verdict !== 'refused' ? new Undecided('size') : outcome;
  }

  #decide(
    { request, fields }: Case,
    credentials: readonly string[],
    token?: Parameters<StandInGateway['decide']>[1],
  ): Outcome {
    const name = (this.#before ?? this.#now).policy.name;
    const via = request.error === 'loop_detected' ? ['via', `1.1 ${name}`] : [];
    const head = rehearsedHead(request, this.#now.policy, {
      fields: [...fields, ...credentials, ...via],
      handshake: request.status === SWITCHING_PROTOCOLS || request.error === 'upgrade_not_allowed',
    });
    return this.#gateway.decide(head, token);
  }

  #compared({ request, routeBefore }: Case, route: Route): Compared {
    const { configuration, policy } = this.#now;
    const before = this.#before;
    return {
      now: { configuration, policy, route },
      before: before &&
        routeBefore && { configuration: before.configuration, policy: before.policy, route: routeBefore },
      routeBefore: request.route,
    };
  }
}

const SEVERAL_REFUSALS: ReadonlySet<string> = new Set(['malformed', 'proof']);
const REFUSED_TOKEN = {
  verdict: 'refused',
  status: 401,
  code: 'invalid_token',
  reported: undefined,
  upstreams: [],
} as const;

function upstreamsOf({ upstream }: Route): readonly string[] {
  return typeof upstream === 'string' ? [upstream] : upstream.names;
}

/** Only where a token is optional, a caller without one is known to have brought none: elsewhere it is not looked at. */
function isAnonymous({ request, routeBefore }: Case): boolean {
  return request.auth?.reason === 'anonymous' && routeBefore?.mode === 'optional';
}

/** Would a list that is too old, or a memory of proofs that is away, refuse here? Which of them it was is not told. */
function deniesInDoubt({ whenStale, whenReplayUnknown }: Route, binding: TokenBinding | undefined): boolean {
  return whenStale === 'deny' || (binding?.keyThumbprint !== undefined && whenReplayUnknown === 'deny');
}

function bindingOf({ binding }: LoggedAuth): TokenBinding | undefined {
  switch (binding) {
    case 'dpop':
      return { keyThumbprint: STAND_IN_KEY, certificateThumbprint: undefined };
    case 'certificate':
      return { keyThumbprint: undefined, certificateThumbprint: STAND_IN_CERTIFICATE };
    case 'dpop_and_certificate':
      return { keyThumbprint: STAND_IN_KEY, certificateThumbprint: STAND_IN_CERTIFICATE };
    default:
      return undefined;
  }
}
