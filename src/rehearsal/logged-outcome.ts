/** What the gateway that wrote a line did with its request. Pure. */
import type { LoggedRequest } from './logged-request.ts';
import { passing, servedItself, Undecided, type Outcome } from './outcome.ts';

/** Of a decision that has refused. */
const REFUSING: ReadonlySet<string> = new Set(['deny', 'error']);
/** The gateway refuses with these after its decision, before it sends anything. */
const AFTER_DECISION: ReadonlySet<string> = new Set(['upgrade_not_allowed', 'loop_detected']);
const LIMITS: ReadonlySet<string> = new Set(['rate_limited', 'too_many_proofs']);
const FAILURES: ReadonlySet<string> = new Set(['overloaded', 'internal_error']);
const OF_ROUTES: ReadonlySet<string> = new Set(['no_route', 'bad_path']);
const CLIENT_CLOSED_REQUEST = 499;
const NO_CONTENT = 204;
const UNMATCHED = 'unmatched';

/** How far what the log says of a request goes. */
export interface Logged {
  readonly outcome: Outcome;
  /** A limit has refused it: what comes behind limits is not known. */
  readonly limited: boolean;
  /** The gateway has responded to a browser's preflight. */
  readonly preflight: boolean;
}

export function loggedOutcome(request: LoggedRequest): Logged | Undecided {
  const { route, method, status, error, auth, target, upstream } = request;
  if (!target) return new Undecided('head');
  if (isAltered(request)) return new Undecided('altered');
  if (error !== undefined && FAILURES.has(error)) return new Undecided('failed');
  if (!auth && error === undefined && status === CLIENT_CLOSED_REQUEST) return new Undecided('failed');
  const refused = (): Logged => ({
    outcome: {
      ...{ route, verdict: 'refused', status, code: error, reason: refusalReason(request) },
      ...{ reported: undefined, upstreams: [] },
    },
    limited: error !== undefined && LIMITS.has(error),
    preflight: false,
  });
  if (auth && REFUSING.has(auth.decision)) return refused();
  if (error !== undefined && (LIMITS.has(error) || AFTER_DECISION.has(error))) return refused();
  if (!auth && error !== undefined && OF_ROUTES.has(error)) return refused();
  if (!auth && error !== undefined && route !== UNMATCHED) return new Undecided('failed');
  if (auth) {
    const reported = auth.decision === 'report' ? auth.reason : undefined;
    const outcome = passing(route, upstream === undefined ? [] : [upstream], reported);
    return { outcome, limited: false, preflight: false };
  }
  const preflight = method === 'OPTIONS' && status === NO_CONTENT && route !== UNMATCHED;
  const own = preflight ? { ...servedItself(), route } : servedItself();
  return { outcome: own, limited: false, preflight };
}

function refusalReason({ auth }: LoggedRequest): string | undefined {
  return auth && REFUSING.has(auth.decision) ? auth.reason : undefined;
}

/** Of an API key in a path only this stands in the log; a long method is cut. */
function isAltered({ method, target }: LoggedRequest): boolean {
  const path = target?.path ?? '';
  return path.includes('sp_live_...') || !path.startsWith('/') || method.endsWith('...');
}
