/**
 * What is known of the token of a logged request: from `log.facts`, from the scopes that a refusal named, and from the rules that the
 * request passed or failed before, where these are known. What is not known is undefined, and is tried both ways. Pure.
 */
import type { Route } from '../policy.ts';
import type { ClaimRule } from '../token/claim-rules.ts';
import type { StepUpRule } from '../token/login.ts';
import { claimRuleKey, stepUpKey, valuesOf } from '../token/rule-key.ts';
import type { LoggedAuth, LoggedFacts } from './logged-request.ts';

export class KnownToken {
  readonly #scopes = new Map<string, boolean>();
  /** By their keys: claim rules, and what is asked of a login. */
  readonly #results = new Map<string, boolean>();
  /** Rules whose values are known, too: of them others may follow. */
  readonly #rules = new Map<string, ClaimRule>();

  /** @param route that the request had before, by its rules then; undefined: they are not known */
  constructor(auth: LoggedAuth, facts: LoggedFacts | undefined, route: Route | undefined, rules: ClaimRules) {
    if (route) this.#learn(auth, route);
    for (const scope of auth.missingScopes) this.#scopes.set(scope, false);
    for (const scope of facts?.lacks ?? []) this.#scopes.set(scope, false);
    for (const scope of facts?.scopes ?? []) this.#scopes.set(scope, true);
    for (const key of facts?.fails ?? []) this.#results.set(key, false);
    for (const key of facts?.holds ?? []) this.#results.set(key, true);
    for (const key of this.#results.keys()) {
      const rule = rules.get(key);
      if (rule) this.#rules.set(key, rule);
    }
  }

  hasScope(name: string): boolean | undefined {
    return this.#scopes.get(name);
  }

  keepsLogin(rule: StepUpRule): boolean | undefined {
    return this.#results.get(stepUpKey(rule));
  }

  /** Of a list of values one is enough: a rule with more of them follows from one with fewer, and the failure the other way round. */
  keeps(rule: ClaimRule): boolean | undefined {
    const key = claimRuleKey(rule);
    const known = this.#results.get(key);
    if (known !== undefined) return known;
    for (const [other, of] of this.#rules) {
      if (!asksTheSame(of, rule)) continue;
      if (this.#results.get(other) === true && hasAll(rule, of)) return true;
      if (this.#results.get(other) === false && hasAll(of, rule)) return false;
    }
    return undefined;
  }

  /** From what the decision says of the rules of its route. */
  #learn({ reason, namesAllMissing }: LoggedAuth, { scopes, claims, anyOf, stepUp }: Route): void {
    const step = STEPS.indexOf(reason);
    // It was refused before any rule was looked at.
    if (step < 0) return;
    if (stepUp) this.#results.set(stepUpKey(stepUp), step > STEPS.indexOf('step_up'));
    if (reason === 'step_up') return;
    const [onlyScope, second] = scopes.any;
    const asked = second === undefined && onlyScope !== undefined ? [...scopes.all, onlyScope] : scopes.all;
    // A refusal names all that it lacks: what is asked for and not named is there.
    if (reason !== 'insufficient_scope' || namesAllMissing)
      for (const scope of asked) this.#scopes.set(scope, true);
    if (reason === 'insufficient_scope') return;
    const [onlyRule, another] = claims;
    if (reason !== 'claim_rule') for (const rule of claims) this.#results.set(claimRuleKey(rule), true);
    else if (onlyRule && another === undefined && anyOf.length === 0)
      this.#results.set(claimRuleKey(onlyRule), false);
    const [onlyWay, other] = anyOf;
    if (reason === 'claim_rule' || !onlyWay || other !== undefined) return;
    for (const scope of onlyWay.scopes.all) this.#scopes.set(scope, true);
    for (const rule of onlyWay.claims) this.#results.set(claimRuleKey(rule), true);
  }
}

/** The order in which a caller is judged; what comes later was reached only by those who passed the earlier ones. */
const STEPS: readonly string[] = ['step_up', 'insufficient_scope', 'claim_rule', 'identity_too_large', 'ok'];

/** Rules of a configuration by their keys. */
export type ClaimRules = ReadonlyMap<string, ClaimRule>;

export function claimRulesOf(routes: readonly Route[]): ClaimRules {
  const rules = routes.flatMap((route) => [route, ...route.anyOf].flatMap(({ claims }) => claims));
  return new Map(rules.map((rule) => [claimRuleKey(rule), rule]));
}

function asksTheSame(one: ClaimRule, other: ClaimRule): boolean {
  return (
    one.test.kind === other.test.kind &&
    valuesOf(one).length > 0 &&
    JSON.stringify(one.path) === JSON.stringify(other.path)
  );
}

/** Does the first have every value of the second? */
function hasAll(one: ClaimRule, other: ClaimRule): boolean {
  const values = valuesOf(one).map((value) => JSON.stringify(value));
  return valuesOf(other).every((value) => values.includes(JSON.stringify(value)));
}
