/**
 * Rules about one claim, for routes and for issuers: what a rule of the configuration means, in words and for a token. Claims
 * are attackers' text until a rule has compared them. Pure.
 */
import { isSegmentOf, segmentAt, variableAt, type PathTemplate } from '../http/path-template.ts';
import {
  claimAt,
  claimMatches,
  isJsonObject,
  parseClaimPath,
  type ClaimPath,
  type JsonObject,
  type JsonValue,
} from './claims.ts';
import { RawNumber } from './strict-json.ts';

export type PlainValue = string | number | boolean;
type OneOrMore<T> = T | readonly T[];

/** A rule as the configuration has it: the value of an entry of `claims`. Of a list, one is enough. */
export type ClaimRuleSetting =
  | OneOrMore<PlainValue>
  | { readonly equals: OneOrMore<PlainValue> }
  | { readonly prefix: OneOrMore<string> }
  | { readonly has_key: OneOrMore<string> }
  | { readonly absent: true }
  | { readonly path: string };

type ClaimTest =
  | { readonly kind: 'equals'; readonly allowed: readonly PlainValue[] }
  | { readonly kind: 'prefix'; readonly prefixes: readonly string[] }
  | { readonly kind: 'has_key'; readonly names: readonly string[] }
  | { readonly kind: 'absent' }
  /** `segment`: which one of the request's path, counted from 0; undefined where the path has no such variable. */
  | { readonly kind: 'path'; readonly variable: string; readonly segment: number | undefined };

export interface ClaimRule {
  readonly path: ClaimPath;
  /** As configured, for messages. */
  readonly text: string;
  readonly test: ClaimTest;
}

/**
 * @param template of the route's path; undefined for an issuer and for a path without variables
 */
export function compileClaimRules(
  settings: Readonly<Record<string, ClaimRuleSetting>>,
  template?: PathTemplate,
): ClaimRule[] {
  return Object.entries(settings).map(([claim, setting]) => {
    const test = testOf(setting, template);
    return { path: parseClaimPath(claim), text: textOf(claim, test), test };
  });
}

/** A rule in words, as messages have it. */
export function claimRuleText(claim: string, setting: ClaimRuleSetting): string {
  return textOf(claim, testOf(setting, undefined));
}

function testOf(setting: ClaimRuleSetting, template: PathTemplate | undefined): ClaimTest {
  if (isPlain(setting)) return { kind: 'equals', allowed: listOf(setting) };
  if ('equals' in setting) return { kind: 'equals', allowed: listOf(setting.equals) };
  if ('prefix' in setting) return { kind: 'prefix', prefixes: listOf(setting.prefix) };
  if ('has_key' in setting) return { kind: 'has_key', names: listOf(setting.has_key) };
  if ('absent' in setting) return { kind: 'absent' };
  const variable = setting.path;
  return { kind: 'path', variable, segment: template && variableAt(template, variable) };
}

function textOf(claim: string, test: ClaimTest): string {
  switch (test.kind) {
    case 'equals':
      return `${claim} in ${test.allowed.join('|')}`;
    case 'prefix':
      return `${claim} begins with ${test.prefixes.join('|')}`;
    case 'has_key':
      return `${claim} has the key ${test.names.join('|')}`;
    case 'absent':
      return `${claim} is absent`;
    case 'path':
      return `${claim} is {${test.variable}} of the path`;
  }
}

/**
 * Does a token with these claims satisfy the rule?
 *
 * @param requestPath as it came, without the query; empty for an issuer, whose rules look at no path
 */
export function satisfies({ path, test }: ClaimRule, claims: JsonObject, requestPath: string): boolean {
  const claim = claimAt(claims, path);
  switch (test.kind) {
    case 'equals':
      return claimMatches(claim, test.allowed);
    case 'prefix':
      return isOrHas(claim, (value) => test.prefixes.some((prefix) => beginsWith(value, prefix)));
    case 'has_key':
      return isJsonObject(claim) && test.names.some((name) => hasKey(claim, name));
    case 'absent':
      return claim === undefined || claim === null;
    case 'path': {
      if (test.segment === undefined) return false;
      const segment = segmentAt(requestPath, test.segment);
      return segment !== '' && isOrHas(claim, (value) => isSegment(value, segment));
    }
  }
}

/** The claim itself or one element of it, as with plain values: not what is within an element. */
function isOrHas(claim: JsonValue | undefined, fits: (value: JsonValue | undefined) => boolean): boolean {
  return isList(claim) ? claim.some(fits) : fits(claim);
}

function beginsWith(value: JsonValue | undefined, prefix: string): boolean {
  return typeof value === 'string' && value.startsWith(prefix);
}

/** Only own members: `constructor` is no role. A member that is null or false says that it is not given. */
function hasKey(claim: JsonObject, name: string): boolean {
  if (!Object.hasOwn(claim, name)) return false;
  const value = claim[name];
  return value !== null && value !== false;
}

/** Written otherwise, as 1e3 or 1.0, one number has several texts; a segment must name one tenant. */
const PLAIN_INTEGER = /^(?:0|[1-9][0-9]*)$/;

function isSegment(value: JsonValue | undefined, segment: string): boolean {
  if (typeof value === 'string') return isSegmentOf(segment, value);
  const digits =
    value instanceof RawNumber ? value.source : typeof value === 'number' ? String(value) : undefined;
  return digits === segment && PLAIN_INTEGER.test(digits);
}

/**
 * May rules of an issuer stand in for `audiences`? One must ask for a value that tells the provider's tokens for this API from
 * its others: what all its tokens say does not, and neither does a claim that is absent.
 */
export function limitsAudience(settings: Readonly<Record<string, ClaimRuleSetting>>): boolean {
  return Object.entries(settings).some(([claim, setting]) => {
    const test = testOf(setting, undefined);
    if (SAID_BY_ALL.has(claim)) return false;
    if (test.kind === 'equals') return test.allowed.every((value) => typeof value !== 'boolean');
    return test.kind === 'prefix' || test.kind === 'has_key';
  });
}

/** Claims that are alike in the tokens for every API of a provider. */
const SAID_BY_ALL: ReadonlySet<string> = new Set([
  'iss',
  'typ',
  'token_type',
  'token_use',
  'active',
  'ver',
  'acr',
  'amr',
  'email_verified',
  'exp',
  'nbf',
  'iat',
  'auth_time',
]);

function isPlain(setting: ClaimRuleSetting): setting is OneOrMore<PlainValue> {
  return typeof setting !== 'object' || Array.isArray(setting);
}

function isList<T>(value: T | readonly T[]): value is readonly T[] {
  return Array.isArray(value);
}

function listOf<T>(value: T | readonly T[]): readonly T[] {
  return isList(value) ? value : [value];
}
