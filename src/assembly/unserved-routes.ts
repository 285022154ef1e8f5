/** Which routes refuse requests while something that they need is unavailable, for the log and /readyz?verbose. Pure. */
import type { Policy, Route } from '../policy.ts';

/** Routes that respond with 503 to requests with a token while the local view of the revocation list is too old. */
export function routesThatRefuseStale({ routes }: Policy): string[] {
  return routes.filter((route) => asks(route) && route.whenStale === 'deny').map(({ name }) => name);
}

/** Routes that respond with 503 to tokens of this issuer while its keys are unavailable. */
export function routesThatNeedKeysOf(issuer: string, { routes }: Policy): string[] {
  return routes.filter((route) => asks(route) && route.issuers.includes(issuer)).map(({ name }) => name);
}

/** Routes that respond with 503 to those tokens of this issuer whose status list is unavailable. */
export function routesThatNeedListsOf(issuer: string, { routes }: Policy): string[] {
  return routes
    .filter((route) => asks(route) && route.issuers.includes(issuer) && route.whenStale === 'deny')
    .map(({ name }) => name);
}

/** Routes that accept proofs, and do this while it is not known whether a proof was used before. */
export function routesWithProofs(whenUnknown: 'deny' | 'allow', { routes }: Policy): string[] {
  return routes
    .filter((route) => asks(route) && route.senderConstrained !== undefined)
    .filter(({ whenReplayUnknown }) => whenReplayUnknown === whenUnknown)
    .map(({ name }) => name);
}

/** A report-only route lets requests pass that it cannot decide about. */
function asks({ mode, reportOnly }: Route): boolean {
  return mode !== 'none' && !reportOnly;
}

const MOST_NAMES = 20;

/** Names in a sentence: the first ones, and how many more there are. */
export function namesText(names: readonly string[]): string {
  const more = names.length - MOST_NAMES;
  return `${names.slice(0, MOST_NAMES).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
