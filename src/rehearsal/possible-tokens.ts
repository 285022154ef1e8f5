/**
 * The tokens that a logged request may have had, as far as a route can tell them apart: what is not known of scopes and rules is
 * tried both ways. Only where all of them come to the same, the request is decided. Pure.
 */
import type { Route } from '../policy.ts';
import { claimRuleKey, stepUpKey } from '../token/rule-key.ts';
import type { KnownToken } from './known-token.ts';
import { common, Undecided, type Outcome, type WhyUndecided } from './outcome.ts';

/** What a route asks for. */
interface Asked {
  readonly kind: 'scopes' | 'claims' | 'login';
  /** Name of a scope, or key of a rule. */
  readonly name: string;
  readonly known: boolean | undefined;
}

/** What of all that is true of one token. */
export interface Granted {
  readonly scopes: ReadonlySet<string>;
  readonly holds: ReadonlySet<string>;
  readonly login: string | undefined;
}

/** Tried are two to the power of it. */
const MOST_UNKNOWN = 8;

/** @param decide what happens to the request with a token to which this is granted */
export function outcomeOfAll(
  route: Route,
  token: KnownToken,
  decide: (granted: Granted) => Outcome,
): Outcome | Undecided {
  const asked = askedBy(route, token);
  const known = asked.filter((each) => each.known === true);
  const unknown = asked.filter((each) => each.known === undefined);
  // The two ends first: mostly they differ.
  let found = decide(granted([...known, ...unknown]));
  if (unknown.length === 0) return found;
  const tooMany = unknown.length > MOST_UNKNOWN;
  for (let way = 0; way < 2 ** Math.min(unknown.length, MOST_UNKNOWN) - 1; way++) {
    const chosen = unknown.filter((_, index) => Math.floor(way / 2 ** index) % 2 === 1);
    const together = common(found, decide(granted([...known, ...chosen])));
    if (!together || tooMany) return new Undecided(whyOf(unknown));
    found = together;
  }
  return found;
}

function whyOf(unknown: readonly Asked[]): WhyUndecided {
  const kinds = new Set(unknown.map(({ kind }) => kind));
  return kinds.has('claims') ? 'claims' : kinds.has('scopes') ? 'scopes' : 'login';
}

function askedBy(route: Route, token: KnownToken): readonly Asked[] {
  const ways = [route, ...route.anyOf];
  const scopes = new Set(ways.flatMap(({ scopes: { all, any } }) => [...all, ...any]));
  const rules = new Map(ways.flatMap(({ claims }) => claims).map((rule) => [claimRuleKey(rule), rule]));
  const { stepUp } = route;
  return [
    ...[...scopes].map((name) => ({ kind: 'scopes', name, known: token.hasScope(name) }) as const),
    ...[...rules].map(([name, rule]) => ({ kind: 'claims', name, known: token.keeps(rule) }) as const),
    ...(stepUp ? [{ kind: 'login', name: stepUpKey(stepUp), known: token.keepsLogin(stepUp) } as const] : []),
  ];
}

function granted(asked: readonly Asked[]): Granted {
  const named = (kind: Asked['kind']): string[] =>
    asked.filter((each) => each.kind === kind).map(({ name }) => name);
  return {
    scopes: new Set(named('scopes')),
    holds: new Set(named('claims')),
    login: named('login')[0],
  };
}
