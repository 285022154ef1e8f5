/** What a route asks of a token, and which of it the token lacks, in words. Names rules, never what a claim holds instead. Pure. */
import type { Alternative, Route, ScopeRule } from '../policy.ts';
import { satisfies, type ClaimRule } from '../token/claim-rules.ts';
import { claimAt } from '../token/claims.ts';
import type { AuthenticToken } from '../token/token-verifier.ts';
import { goodLoginTexts, loginLackTexts } from './describe-login.ts';

/** Of a token that has all of it. */
export function permittedText(route: Route | undefined, token: AuthenticToken, nowMs: number): string {
  const rules = [
    ...goodLoginTexts(route?.stepUp, token, nowMs),
    ...(route ? ruleTexts(route) : []),
    ...(route && route.anyOf.length > 0 ? [`one of ${alternativesText(route.anyOf)}`] : []),
  ];
  return rules.length === 0
    ? 'a token is all that is asked for'
    : `it has what is asked for: ${rules.join(', ')}`;
}

function ruleTexts({ scopes, claims }: Alternative): string[] {
  return [
    ...(scopes.text === '' ? [] : [`scope ${scopes.text}`]),
    ...claims.map(({ text }) => `claim ${text}`),
  ];
}

function alternativesText(ways: readonly Alternative[]): string {
  return ways.map((way) => `(${ruleTexts(way).join(', ')})`).join(' or ');
}

/**
 * Everything that keeps the token from the route, in the order in which it is checked.
 *
 * @param path of the request, without the query
 * @param nowMs wall-clock time
 * @returns undefined where the token is permitted
 */
export function notPermittedText(
  route: Route,
  token: AuthenticToken,
  path: string,
  nowMs: number,
): string | undefined {
  const lacks = [...loginLackTexts(route.stepUp, token, nowMs), ...lackTexts(route, token, path)];
  const ways = route.anyOf.map((way) => lackTexts(way, token, path));
  if (ways.length > 0 && ways.every((texts) => texts.length > 0)) {
    const each = ways.map((texts, index) => `any_of[${index}]: ${texts.join(', ')}`);
    lacks.push(`no alternative holds: ${each.join('; ')}`);
  }
  if (lacks.length === 0) return undefined;
  const asksForScopes = [route, ...route.anyOf].some(({ scopes }) => scopes.text !== '');
  return [...lacks, ...(asksForScopes ? [scopesText(token)] : [])].join('; ');
}

/** What the token lacks of these scopes and rules. */
export function lackTexts({ scopes, claims }: Alternative, token: AuthenticToken, path: string): string[] {
  return [
    ...scopeLacks(scopes, token),
    ...claims.filter((rule) => !satisfies(rule, token.claims, path)).map((rule) => failedText(rule, token)),
  ];
}

function scopeLacks({ all, any }: ScopeRule, { scopes }: AuthenticToken): string[] {
  const missing = all.filter((scope) => !scopes.has(scope));
  const hasAny = any.length === 0 || any.some((scope) => scopes.has(scope));
  return [
    ...(missing.length > 0 ? [`scope ${missing.join(' ')} is missing`] : []),
    ...(hasAny ? [] : [`one of the scopes ${any.join(' ')} is needed`]),
  ];
}

function failedText({ text, path, test }: ClaimRule, token: AuthenticToken): string {
  const isAbsent = claimAt(token.claims, path) === undefined;
  const why = isAbsent
    ? 'the token has no such claim'
    : test.kind === 'absent'
      ? 'the token has the claim'
      : 'the claim has another value';
  return `claim rule ${text}: ${why}`;
}

function scopesText({ scopes }: AuthenticToken): string {
  return `it has ${scopes.size === 0 ? 'no scope' : [...scopes].map((scope) => JSON.stringify(scope)).join(', ')}`;
}
