/** The steps of the line, each with what the step before it has made of one request with a token. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SILENT_OBSERVER } from '../../src/assembly/issuer-observer.ts';
import { compilePolicy } from '../../src/assembly/compile-policy.ts';
import { Issuers } from '../../src/assembly/issuers.ts';
import { NOT_AT_HAND } from '../../src/api-keys/api-key.ts';
import { systemClock as clock } from '../../src/clock.ts';
import { loadConfiguration } from '../../src/config/load.ts';
import type { GatewayError } from '../../src/errors.ts';
import { ONE_TOKEN } from '../../src/explain/explain.ts';
import { Gateway, type RequestContext } from '../../src/gateway.ts';
import { LastCredentials } from '../../src/http/credentials.ts';
import { readHead, type RawHead, type RequestHead } from '../../src/http/request-head.ts';
import { orThrow, type MaybePromise } from '../../src/maybe-promise.ts';
import type { Policy } from '../../src/policy.ts';
import type { RevocationMark } from '../../src/revocation/mark.ts';
import { MemoryStore } from '../../src/revocation/memory-store.ts';
import { targetId } from '../../src/revocation/revocation-target.ts';
import { RevocationView } from '../../src/revocation/revocation-view.ts';
import { authorize, type AuthorizedRequest } from '../../src/stages/authorize.ts';
import { checkPossession } from '../../src/stages/check-possession.ts';
import { checkRevocation, type OffSwitches, type Revocations } from '../../src/stages/check-revocation.ts';
import { chooseUpstream, type ChosenUpstream } from '../../src/stages/choose-upstream.ts';
import { extractToken, type PresentedToken } from '../../src/stages/extract-token.ts';
import { limitAddress } from '../../src/stages/limit-address.ts';
import { limitCaller } from '../../src/stages/limit-caller.ts';
import { matchRoute, RouteTable } from '../../src/stages/match-route.ts';
import { rewriteHeaders } from '../../src/stages/rewrite-headers.ts';
import { signAssertion, type AssertedRequest } from '../../src/stages/sign-assertion.ts';
import { verifyToken } from '../../src/stages/verify-token.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { Observer } from '../../src/telemetry/observer.ts';
import { AuthorizationServerClient } from '../../src/token/authorization-server-client.ts';
import { TokenCaches } from '../../src/token/token-caches.ts';
import type { TokenVerifier } from '../../src/token/token-verifier.ts';
import { VERSION } from '../../src/version.ts';
import type { Credentials } from '../credentials.ts';

const CUTOFFS = 100_000;
const PEER = '127.0.0.1';
const NO_LIMITS = { callers: new Map(), addresses: new Map() };
const silent = (): void => undefined;

export type Steps = ReadonlyMap<string, () => unknown>;

/** Whatever all steps share. */
interface Parts {
  readonly policy: Policy;
  readonly issuers: Issuers;
  readonly verifiers: ReadonlyMap<string, TokenVerifier>;
  readonly raw: RawHead;
  readonly head: RequestHead;
  readonly context: Context;
  /** The list is empty. */
  readonly few: OffSwitches;
}

/** @param tokens two valid ones */
export async function prepareStages(
  folder: string,
  { issuer, audience }: Credentials,
  tokens: readonly string[],
): Promise<Steps> {
  const loaded = loadConfiguration(writeConfiguration(folder, issuer, audience), {});
  const policy = compilePolicy(loaded.configuration);
  const issuers = new Issuers(loaded, {
    client: new AuthorizationServerClient(),
    caches: new TokenCaches(loaded.configuration.caches),
    clock,
    observer: SILENT_OBSERVER,
    storedKeys: () => NOT_AT_HAND,
  });
  await issuers.start();
  const raw = rawHead(tokens[0] ?? '');
  const parts = {
    policy,
    issuers,
    verifiers: issuers.verifiersOf(policy),
    raw,
    head: readHead(raw, policy.headerTable, policy.headLimits),
    context: contextOf(),
    few: { revocations: listWith(0, issuer), statuses: issuers.statusLists },
  };
  return new Map([
    ...(await stepsUpToRevocation(parts, tokens, listWith(CUTOFFS, issuer))),
    ...(await laterSteps(parts)),
    ['the line, with its notes', wholeLine(parts)],
  ]);
}

/** The steps of one request, as far as its token is known to be good. */
async function known({ policy, verifiers, head, context, few }: Parts) {
  const routes = new RouteTable(policy.routes);
  const open = await passed(limitAddress(NO_LIMITS, matchRoute(routes, head), PEER, clock, silent));
  const presented = extractToken(head, open, policy.tokenBytes, context.connection.credentials);
  const verify = (): ReturnType<typeof verifyToken> =>
    verifyToken(verifiers, presented, open, context, clock.nowMs());
  // The first two sights: from then on the cache has it.
  await passed(verify());
  const verified = await passed(verify());
  const possess = (): ReturnType<typeof checkPossession> =>
    checkPossession(undefined, presented, verified, open, head, context, clock.nowMs());
  const possessed = await possess();
  return {
    ...{ routes, open, verify, possess, possessed },
    unrevoked: await checkRevocation(few, possessed, open, policy.maxViewAgeMs, context),
  };
}

async function stepsUpToRevocation(
  parts: Parts,
  tokens: readonly string[],
  many: Revocations,
): Promise<Steps> {
  const { policy, issuers, raw, head, context, few } = parts;
  const full = { ...few, revocations: many };
  const { routes, open, verify, possess, possessed } = await known(parts);
  const read = (from: RawHead): RequestHead => readHead(from, policy.headerTable, policy.headLimits);
  const extract = (from: RequestHead, credentials: LastCredentials): PresentedToken =>
    extractToken(from, open, policy.tokenBytes, credentials);
  // It holds one of two tokens that come in turns: each is new.
  const verifiers = issuers.verifiersApart(policy, new TokenCaches(ONE_TOKEN));
  const presented = tokens.map((token) => extract(read(rawHead(token)), new LastCredentials()));
  let turn = 0;
  return new Map<string, () => unknown>([
    ['read head', () => read(raw)],
    ['match route', () => matchRoute(routes, head)],
    ['limit address (none)', () => limitAddress(NO_LIMITS, open, PEER, clock, silent)],
    ['extract token, repeated', () => extract(head, context.connection.credentials)],
    ['extract token, another', () => extract(head, new LastCredentials())],
    ['verify token, known', verify],
    [
      'verify token, new RS256',
      () => {
        const next = presented[turn++ % presented.length];
        return next && verifyToken(verifiers, next, open, context, clock.nowMs());
      },
    ],
    ['check possession (not bound)', possess],
    [
      'check revocation, empty list',
      () => checkRevocation(few, possessed, open, policy.maxViewAgeMs, context),
    ],
    [
      `check revocation, ${CUTOFFS.toLocaleString('en')} cutoffs`,
      () => checkRevocation(full, possessed, open, policy.maxViewAgeMs, context),
    ],
  ]);
}

async function laterSteps(parts: Parts): Promise<Steps> {
  const { policy, head, context } = parts;
  const { open, unrevoked } = await known(parts);
  const permit = (): AuthorizedRequest => authorize(open, unrevoked, head.path, clock.nowMs() / 1000);
  const authorized = permit();
  const limit = (): ReturnType<typeof limitCaller> =>
    limitCaller(NO_LIMITS, authorized, PEER, clock, silent, () => authorized);
  const admitted = await passed(limit());
  const choose = (): ChosenUpstream => chooseUpstream(admitted, head.path, Math.random);
  const upstream = choose();
  const assert = (): AssertedRequest => signAssertion(undefined, admitted, upstream, clock);
  const asserted = assert();
  const { name } = policy;
  return new Map<string, () => unknown>([
    ['authorize', permit],
    ['limit caller (none)', limit],
    ['choose upstream', choose],
    ['sign assertion (none)', assert],
    ['rewrite headers', () => rewriteHeaders(head, asserted, upstream, context, name, context.connection)],
  ]);
}

/** All of them, from the route on, and the notes of telemetry between them. */
function wholeLine({ policy, verifiers, head, context, few }: Parts): () => unknown {
  const observer = new Observer(new Metrics(VERSION), clock, undefined);
  const gateway = new Gateway({
    ...{ policy, verifiers, proofs: undefined, limiters: NO_LIMITS, ...few },
    ...{ signer: undefined, observer, clock },
  });
  return () => gateway.decide(head, context, observer.begin('GET', PEER, context.requestId));
}

function writeConfiguration(folder: string, issuer: string, audience: string): string {
  const file = join(folder, 'stages.json');
  const configuration = {
    issuers: { bench: { issuer, jwks_file: 'jwks.json', audiences: [audience] } },
    routes: [
      {
        ...{ name: 'orders', match: { path_prefix: '/orders' }, upstream: 'orders' },
        auth: { scopes: ['orders:read'] },
      },
    ],
    upstreams: { orders: { targets: ['http://127.0.0.1:9'] } },
  };
  writeFileSync(file, JSON.stringify(configuration));
  return file;
}

function rawHead(token: string): RawHead {
  return {
    method: 'GET',
    target: '/orders/4711?expand=lines',
    httpVersion: '1.1',
    rawHeaders: [
      ...['Host', 'api.example.com', 'Authorization', `Bearer ${token}`, 'Accept', 'application/json'],
      ...['Accept-Language', 'en', 'Accept-Encoding', 'gzip', 'User-Agent', 'bench/1.0', 'X-Trace', '1'],
    ],
    scheme: 'http',
    bodyFollows: false,
    wantsTunnel: false,
  };
}

/** A list that was loaded a moment ago. */
function listWith(cutoffs: number, issuer: string): Revocations {
  const view = new RevocationView(new MemoryStore(clock), clock);
  const nowSeconds = Math.floor(clock.nowMs() / 1000);
  view.apply(
    Array.from({ length: cutoffs }, (_, index): RevocationMark => ({
      id: targetId({ issuer, kind: 'subject', value: `someone-else-${index}` }),
      revoked: true,
      issuedBefore: nowSeconds,
      expiresAt: nowSeconds + 86_400,
      version: { timeMs: clock.nowMs(), counter: index },
    })),
  );
  return { ageMs: 0, isRevoked: (token, issuedAt) => view.isRevoked(token, issuedAt) };
}

type Context = RequestContext & { readonly connection: { readonly credentials: LastCredentials } };

function contextOf(): Context {
  return {
    clientIp: PEER,
    requestId: '00000000-0000-4000-8000-000000000000',
    trace: undefined,
    publicUrl: undefined,
    connection: { peer: PEER, peerIsTrusted: false, credentials: new LastCredentials() },
    matched: () => undefined,
    clientCertificate: () => undefined,
    hasUnclearCertificate: () => false,
    offerNonce: () => undefined,
  };
}

/** @throws GatewayError where the step refuses: then nothing is measured */
async function passed<T>(result: MaybePromise<T | GatewayError>): Promise<T> {
  return orThrow(await result);
}
