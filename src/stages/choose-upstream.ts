/**
 * Ninth stage: which upstream of its route gets the request? Pure but for the random number, which the caller gives.
 *
 * It stands after `authorize`, since claims are a client's text before that: an attacker who could be sent by claims that
 * nothing has verified, or by a header, would choose the version of the service that its attack works on. And before `sign
 * assertion`, whose audience is the upstream. Of what a client sends, only a verified token counts here. A weight is no
 * permission: a client that asks often enough reaches every upstream that has one.
 *
 * A route with one upstream passes through without a choice and without an allocation.
 */
import type { SplitRule, TrafficSplit } from '../policy.ts';
import { satisfies } from '../token/claim-rules.ts';
import { lotHolder, lotOf } from '../token/subject-lot.ts';
import type { AuthenticToken } from '../token/token-verifier.ts';
import type { AdmittedRequest } from './limit-caller.ts';

declare const made: unique symbol;

/** The name of the upstream that a permitted request goes to. A text, so that a choice costs no object. */
export type ChosenUpstream = string & { readonly [made]: 'by chooseUpstream' };

/**
 * @param path of the request as it came, without the query: claim rules may compare a segment of it
 * @param random a number from 0 to below 1, as Math.random; asked only where weights decide
 */
export function chooseUpstream(
  { route, token }: AdmittedRequest,
  path: string,
  random: () => number,
): ChosenUpstream {
  const { upstream } = route;
  return (typeof upstream === 'string' ? upstream : choice(upstream, token, path, random)) as ChosenUpstream;
}

function choice(
  split: TrafficSplit,
  token: AuthenticToken | undefined,
  path: string,
  random: () => number,
): string {
  const rule = token && fittingRule(split, token, path);
  if (rule) return rule.name;
  const holder = split.sticky && token ? lotHolder(token) : undefined;
  return token && holder !== undefined ? drawnFor(split, token, holder) : drawnAtRandom(split, random());
}

/** The first rule that the claims fit. A caller without a token has no claims and fits none, not even `absent`. */
export function fittingRule(
  { rules }: TrafficSplit,
  { claims }: AuthenticToken,
  path: string,
): SplitRule | undefined {
  return rules.find((rule) => rule.claims.every((each) => satisfies(each, claims, path)));
}

function drawnAtRandom({ shares, total }: TrafficSplit, random: number): string {
  let left = random * total;
  let last = '';
  for (const { name, weight } of shares) {
    last = name;
    left -= weight;
    if (left < 0) break;
  }
  return last;
}

/**
 * Weighted rendezvous hashing: each upstream runs for the subject, and its weight is its speed; the fastest wins. When
 * weights change, a subject moves only to an upstream that has become faster against its own, so that about as few move as
 * the new shares need. Neither the order of the list nor a common factor of the weights matters.
 */
function drawnFor({ shares }: TrafficSplit, token: AuthenticToken, holder: string): string {
  let fastest = '';
  let best = Infinity;
  for (const { name, weight } of shares) {
    // Exponentially distributed: the share of wins is the share of the weight.
    const time = -Math.log(lotOf(token, holder, name)) / weight;
    if (time < best) {
      best = time;
      fastest = name;
    }
  }
  return fastest;
}
