/** Which upstream a request goes to, and why, in words. Names rules, never what a claim holds instead. Pure. */
import { sharesText } from '../config/describe-route.ts';
import type { Route, TrafficSplit } from '../policy.ts';
import { fittingRule } from '../stages/choose-upstream.ts';
import { lotHolder } from '../token/subject-lot.ts';
import type { AuthenticToken } from '../token/token-verifier.ts';
import { lackTexts } from './describe-permission.ts';

export interface Choice {
  /** `only`: there is no choice. `subject`: by weight, the same for each request of this subject. */
  readonly by: 'only' | 'claims' | 'weight' | 'subject';
  /** Where chance decides, the one with the largest share. */
  readonly name: string;
  /** From 0 to 1, where weights decide. */
  readonly shares: readonly { readonly name: string; readonly share: number }[];
  /** Why. */
  readonly text: string;
}

/**
 * @param token that the request passes with
 * @param path of the request, without the query
 * @param chosen what the pipeline chose
 */
export function choiceOf(
  { upstream }: Route,
  token: AuthenticToken | undefined,
  path: string,
  chosen: string,
): Choice {
  if (typeof upstream === 'string')
    return { by: 'only', name: upstream, shares: [], text: 'the upstream of the route' };
  const rule = token && fittingRule(upstream, token, path);
  if (rule) {
    const text = `since the token has claim ${rule.claims.map((each) => each.text).join(', claim ')}`;
    return { by: 'claims', name: rule.name, shares: [], text };
  }
  const missed = missedTexts(upstream, token, path);
  const shares = upstream.shares.map(({ name, weight }) => ({ name, share: weight / upstream.total }));
  const [largest, second] = shares.toSorted((one, other) => other.share - one.share);
  if (second === undefined)
    return { by: 'weight', name: chosen, shares, text: `since no claims fit: ${missed}` };
  const of = `${sharesText(upstream.shares)}${missed === '' ? '' : `; ${missed}`}`;
  if (upstream.sticky && token && lotHolder(token) !== undefined) {
    const holder = token.subject === undefined ? 'client' : 'subject';
    return { by: 'subject', name: chosen, shares, text: `in every request of this ${holder}; shares: ${of}` };
  }
  const lack = upstream.sticky ? ', since the caller has no subject' : '';
  return { by: 'weight', name: largest?.name ?? chosen, shares, text: `by chance${lack}: ${of}` };
}

/** Why the entries with claims do not take the caller. */
function missedTexts({ rules }: TrafficSplit, token: AuthenticToken | undefined, path: string): string {
  const noScopes = { all: [], any: [], text: '' };
  return rules
    .map(({ name, claims }) => {
      const why = token
        ? lackTexts({ scopes: noScopes, claims }, token, path).join(', ')
        : 'no token, no claims';
      return `not ${name}: ${why}`;
    })
    .join('; ');
}
