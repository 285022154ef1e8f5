/** What a dry run tells: the shape of it, and what can be said without running anything. Pure. */
import type { AuthReason, GatewayError } from '../errors.ts';
import { fieldPairs } from '../http/field-list.ts';
import type { AskedMetadata } from '../handlers/resource-endpoint.ts';
import type { EndpointPlace } from '../handlers/server-endpoint.ts';
import type { Route } from '../policy.ts';
import type { Exchange, StageName } from '../telemetry/exchange.ts';
import type { Choice } from './describe-choice.ts';
import type { ExplainedLimit } from './describe-limits.ts';
import type { NearRoute } from './nearest-routes.ts';

export const STAGES: readonly StageName[] = [
  'read_head',
  'match_route',
  'limit_address',
  'extract_token',
  'verify_token',
  'check_possession',
  'check_revocation',
  'authorize',
  'limit_caller',
  'choose_upstream',
  'sign_assertion',
  'rewrite_headers',
];

/** Those that have something to say of requests to the route. */
export function stagesOf(route: Route | undefined): StageName[] {
  const { address = [], caller = [] } = route?.limits ?? {};
  return STAGES.filter(
    (stage) =>
      (stage !== 'limit_address' || address.length > 0) && (stage !== 'limit_caller' || caller.length > 0),
  );
}

export interface ExplainedStage {
  readonly stage: StageName;
  /** `assumed`: passed, but not all of it could be checked. `reported`: refused, on a route that lets it pass. */
  readonly outcome: 'passed' | 'assumed' | 'refused' | 'reported' | 'unknown' | 'not_reached';
  readonly detail: string;
}

export interface Explanation {
  /** `unknown`: it cannot be told without `online`. */
  readonly decision: 'allow' | 'deny' | 'error' | 'report' | 'fail_open' | 'unknown';
  readonly reason: AuthReason | null;
  /** What the client gets from the gateway; null where the upstream responds. */
  readonly status: number | null;
  readonly code: string | null;
  readonly route: string | null;
  readonly issuer: string | null;
  /** Those of limits only where the route has such. */
  readonly stages: readonly ExplainedStage[];
  /** What counts the request. */
  readonly limits: readonly ExplainedLimit[];
  /** Where no route matched. */
  readonly nearest_routes: readonly NearRoute[];
  /** The gateway's own response. */
  readonly answer: { readonly headers: readonly Line[]; readonly body: string } | null;
  readonly upstream: {
    readonly name: string;
    readonly chosen_by: Choice['by'];
    readonly shares: Choice['shares'];
    readonly method: string;
    readonly target: string;
    /** The client's, where the route preserves it; null: the target's own. */
    readonly host: string | null;
    readonly headers: readonly Line[];
    /** Where it may go: each target, with its addresses where `online` says that names may be resolved. */
    readonly targets?: readonly string[];
  } | null;
}
export type Line = readonly [name: string, value: string];

/** The gateway responds to a browser's preflight request itself, without a token. */
export function preflightExplanation(exchange: Exchange, headers: readonly string[]): Explanation {
  return {
    ...withoutToken(
      exchange,
      `${exchange.route?.name}: a preflight request, which the cors section of the route handles`,
    ),
    decision: 'allow',
    status: 204,
    answer: { headers: fieldPairs(headers), body: '' },
  };
}

/** What is sent to such an endpoint is decided by its body, which a dry run does not have. */
export function endpointExplanation(exchange: Exchange, { issuerName, purpose }: EndpointPlace): Explanation {
  return { ...withoutToken(exchange, purpose), decision: 'allow', issuer: issuerName };
}

/** Why a path is refused that is not exactly that of the keys. */
export const KEYS_PATH_TEXT =
  'the path can also be read as that of the public keys of assertions (identity.assertion.publish)';

/** The public keys of assertions, which need no token. */
export function keysExplanation(exchange: Exchange): Explanation {
  const text = 'the public keys of assertions, which the gateway serves itself (identity.assertion.publish)';
  return { ...withoutToken(exchange, text), decision: 'allow', status: 200 };
}

/** Why a path is refused that is not exactly one of the metadata of a protected resource. */
export const METADATA_PATH_TEXT =
  'the path can also be read as one where the gateway serves the metadata of protected resources itself';

/** The metadata of a protected resource, which need no token. */
export function metadataExplanation(exchange: Exchange, asked: AskedMetadata): Explanation {
  if (asked === 'preflight')
    return {
      ...withoutToken(exchange, 'a preflight request for the metadata of a protected resource'),
      decision: 'allow',
      status: 204,
    };
  const text = `the metadata of the protected resource ${asked.url.href}, which the gateway serves itself`;
  return { ...withoutToken(exchange, text), decision: 'allow', status: 200 };
}

/** The gateway responds itself, before it looks for a token. */
function withoutToken({ route, head, method }: Exchange, matched: string): Omit<Explanation, 'decision'> {
  return {
    reason: null,
    status: null,
    code: null,
    route: route?.name ?? null,
    issuer: null,
    stages: stagesOf(undefined).map((stage) => ({
      stage,
      outcome: stage === 'read_head' || stage === 'match_route' ? 'passed' : 'not_reached',
      detail: stage === 'match_route' ? matched : stage === 'read_head' ? `${method} ${head?.path}` : '',
    })),
    limits: [],
    nearest_routes: [],
    answer: null,
    upstream: null,
  };
}

/** What is refused for another reason than its token, or the lack of one, is refused all the same. */
export function decided(
  decision: Exchange['decision'],
  error: GatewayError | undefined,
): Explanation['decision'] {
  if (error && error.reason === undefined) return 'deny';
  return decision?.decision ?? 'allow';
}
