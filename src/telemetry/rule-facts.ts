/**
 * What a line of the access log says about rules, where `log.facts` is on: which of the scopes that any route asks for the token
 * has, and which rules of any route hold for it. So `sallyport check --replay` can decide the request again under other rules.
 * Results and names of the configuration only, never the value of a claim; bounded. Rule A5.
 */
import { hidesKey } from '../api-keys/key-elsewhere.ts';
import { hasAccessToken } from '../http/access-token-query.ts';
import { HeaderKind } from '../http/header-names.ts';
import { valuesOf, type RequestHead } from '../http/request-head.ts';
import { readProtocols } from '../http/websocket-protocol.ts';
import type { Route } from '../policy.ts';
import { satisfies, type ClaimRule } from '../token/claim-rules.ts';
import { loginFault, type StepUpRule } from '../token/login.ts';
import { claimRuleKey, MAX_FACTS_BYTES, stepUpKey } from '../token/rule-key.ts';
import { TokenMemo } from '../token/token-memo.ts';
import type { AuthenticToken } from '../token/token-verifier.ts';
import { asciiJson } from './log-text.ts';

/** Quotes and comma. */
const AROUND_A_NAME = 3;

/** Which rules hold, by their keys. */
interface Results {
  readonly holds: readonly string[];
  readonly fails: readonly string[];
}

/** Of the token alone: kept with it. */
interface TokenResults extends Results {
  /** The members about scopes. */
  readonly scopes: string;
}

export class RuleFacts {
  readonly #scopes: readonly string[];
  /** About the token alone. */
  readonly #rules: ReadonlyMap<string, ClaimRule>;
  /** About a segment of the request's path. */
  readonly #pathRules: ReadonlyMap<string, ClaimRule>;
  readonly #stepUps: ReadonlyMap<string, StepUpRule>;
  readonly #results = new TokenMemo((token) => this.#resultsOf(token));

  constructor(routes: readonly Route[]) {
    const ways = routes.flatMap((route) => [route, ...route.anyOf]);
    const room = new Room(MAX_FACTS_BYTES);
    const named = ways.flatMap(({ scopes }) => [...scopes.all, ...scopes.any]);
    this.#scopes = [...new Set(named)].filter((scope) => room.takes(asciiJson(JSON.stringify(scope))));
    const rules = new Map(ways.flatMap(({ claims }) => claims).map((rule) => [claimRuleKey(rule), rule]));
    const fitting = [...rules].filter(([key]) => room.takes(key));
    this.#rules = new Map(fitting.filter(([, { test }]) => test.kind !== 'path'));
    this.#pathRules = new Map(fitting.filter(([, { test }]) => test.kind === 'path'));
    const stepUps = routes.flatMap(({ stepUp }) => (stepUp ? [[stepUpKey(stepUp), stepUp] as const] : []));
    this.#stepUps = new Map([...new Map(stepUps)].filter(([key]) => room.takes(key)));
  }

  /** The member of the line, as JSON: about the token; where there is none, whether any credentials were sent. Empty: nothing. */
  text(token: AuthenticToken | undefined, head: RequestHead, nowSeconds: number): string {
    if (!token) return bringsCredentials(head) ? '' : '"facts":{"credentials":false}';
    const { scopes, holds, fails } = this.#results.of(token);
    if (this.#pathRules.size === 0 && this.#stepUps.size === 0) return factsText(scopes, { holds, fails });
    const byPath = resultsOf(this.#pathRules, (rule) => satisfies(rule, token.claims, head.path));
    const byLogin = resultsOf(this.#stepUps, (rule) => loginFault(token, rule, nowSeconds) === undefined);
    return factsText(scopes, {
      holds: [...holds, ...byPath.holds, ...byLogin.holds],
      fails: [...fails, ...byPath.fails, ...byLogin.fails],
    });
  }

  #resultsOf(token: AuthenticToken): TokenResults {
    const has = this.#scopes.filter((scope) => token.scopes.has(scope));
    const lacks = this.#scopes.filter((scope) => !token.scopes.has(scope));
    return {
      scopes: listsText({ scopes: has, lacks }),
      ...resultsOf(this.#rules, (rule) => satisfies(rule, token.claims, '')),
    };
  }
}

class Room {
  #left: number;

  constructor(bytes: number) {
    this.#left = bytes;
  }

  takes(name: string): boolean {
    this.#left -= name.length + AROUND_A_NAME;
    return this.#left >= 0;
  }
}

function resultsOf<R>(rules: ReadonlyMap<string, R>, holds: (rule: R) => boolean): Results {
  const { true: held = [], false: failed = [] } = Object.groupBy(rules, ([, rule]) =>
    holds(rule) ? 'true' : 'false',
  );
  return { holds: held.map(([key]) => key), fails: failed.map(([key]) => key) };
}

function factsText(scopes: string, { holds, fails }: Results): string {
  const rules = listsText({ holds, fails });
  return `"facts":{${scopes}${scopes !== '' && rules !== '' ? ',' : ''}${rules}}`;
}

/** Members of an object, of those that are not empty. */
function listsText(lists: Readonly<Record<string, readonly string[]>>): string {
  return Object.entries(lists)
    .filter(([, names]) => names.length > 0)
    .map(([name, names]) => `"${name}":${asciiJson(JSON.stringify(names))}`)
    .join(',');
}

/** Anything that some route could read as credentials. */
function bringsCredentials(head: RequestHead): boolean {
  return (
    head.authorization.length > 0 ||
    head.keyFields.length > 0 ||
    hasAccessToken(head.query) ||
    hidesKey(head.query) ||
    readProtocols(valuesOf(head, HeaderKind.webSocketProtocol)).tokens.length > 0
  );
}
