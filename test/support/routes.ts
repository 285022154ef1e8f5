/** Compiled routes and verified tokens for table tests of stages, without configuration files and signatures. */
import { plainChallenge } from '../../src/http/challenge.ts';
import { IdentityContract } from '../../src/identity/identity-headers.ts';
import type { Route } from '../../src/policy.ts';
import { callerFacts } from '../../src/token/claim-names.ts';
import { parseStrictJson, type JsonObject } from '../../src/token/strict-json.ts';
import type { AuthenticToken } from '../../src/token/token-verifier.ts';
import { claimNamesOf } from './claim-names.ts';

const ROUTE: Route = {
  name: 'r',
  match: { hosts: [], path: { kind: 'prefix', value: '/' }, methods: new Set(), headers: [] },
  upstream: 'u',
  mode: 'required',
  issuers: ['login'],
  issuerSet: '["login"]',
  keyHeaders: new Set(),
  mayHaveBars: false,
  fresh: false,
  senderConstrained: undefined,
  whenReplayUnknown: 'deny',
  publicUrl: undefined,
  resource: undefined,
  stepUp: undefined,
  challenge: plainChallenge('api.example'),
  scopes: { all: [], any: [], text: '' },
  claims: [],
  anyOf: [],
  reportOnly: false,
  webSocketProtocol: false,
  whenStale: 'deny',
  leniencies: new Set(),
  rewrite: { stripPrefix: '', forwardedPrefix: '', addPrefix: '', preserveHost: false },
  cors: undefined,
  responseTimeoutMs: 30_000,
  idleTimeoutMs: 60_000,
  retryAttempts: 1,
  identity: new IdentityContract([], 8192),
  forwardAuthorization: false,
  streamsExpired: 'close',
  upgrades: new Set(),
  limits: { address: [], caller: [] },
};

/** A route that asks for a token and nothing else, with changes. */
export function routeOf(changes: Partial<Route> = {}): Route {
  return { ...ROUTE, ...changes };
}

type NotRead = 'expiresAt' | 'notBefore' | 'issuedAt' | 'clockSkewSeconds' | 'revocable' | 'revocableBy';

/**
 * What authorization reads of a verified token with these claims.
 *
 * @param names `claim_names`, as in the configuration
 */
export function tokenOf(claims: Record<string, unknown> | string, names?: unknown): AuthenticToken {
  const text = typeof claims === 'string' ? claims : JSON.stringify(claims);
  const parsed = parseStrictJson(Buffer.from(text)) as JsonObject;
  const token: Omit<AuthenticToken, NotRead> = {
    issuerName: 'login',
    issuer: 'https://login.example',
    claims: parsed,
    otherClaims: undefined,
    ...callerFacts(parsed, claimNamesOf(names)),
    loginTimeClaims: claimNamesOf(names).loginTime,
    futureIatSeconds: 5,
    binding: undefined,
    kept: new Map(),
  };
  return token as AuthenticToken;
}
