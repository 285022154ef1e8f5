/** The routes of the admin listener, as one table. docs/reference.md, "Admin listener". */
import type { ApiKeysApi } from './api-keys-api.ts';
import { isJson } from '../http/media-type.ts';
import { adminProblem, type AdminResponse } from './http-response.ts';
import { explainResponse, type Explain } from './explain-api.ts';
import type { FleetApi } from './fleet-api.ts';
import type { KeysApi } from './keys-api.ts';
import { pageResponses } from './page-files.ts';
import type { Caller, Role } from './caller.ts';
import type { RevocationsApi } from './revocations-api.ts';
import type { SeenApi } from './seen-api.ts';

/** Whether the gateway should get requests. */
export interface Readiness {
  readonly ready: boolean;
  /** Some routes respond with 503, though the gateway is ready. */
  readonly degraded: boolean;
  /** One line for each thing that was asked, for `?verbose`. */
  readonly report: readonly string[];
}

/** What the handlers respond from. */
export interface RouteParts {
  readonly revocations: RevocationsApi;
  readonly apiKeys: ApiKeysApi;
  readonly keys: KeysApi;
  readonly seen: SeenApi;
  readonly fleet: FleetApi;
  /** Undefined where this process explains no requests. */
  readonly explain?: Explain | undefined;
  readonly readiness: () => Readiness;
  readonly status: () => object | Promise<object>;
  readonly metrics: () => Promise<{ readonly contentType: string; readonly body: string }>;
  /** Returns the JWK Set of the assertion keys; undefined where none are configured. */
  readonly publicKeys: (() => object) | undefined;
  /** The JWK Set of receipts and checkpoints; undefined where none are signed. */
  readonly proofKeys: object | undefined;
}

export interface OpenRequest {
  readonly query: URLSearchParams;
  /** What the path names: its first group; else empty. */
  readonly name: string;
}

export interface ApiRequest extends OpenRequest {
  readonly caller: Caller;
  /** Empty where the route takes none. */
  readonly body: Buffer;
}

/** Which bodies a route accepts. */
export interface BodyRule {
  readonly accepts: (mediaType: string) => boolean;
  readonly maxBytes: number;
}

type Handler<R> = (parts: RouteParts, request: R) => AdminResponse | Promise<AdminResponse>;

/** Which checks come first: `open`, none; `host`, the Host; a role, the Host, the token and what it may do. */
export type Access = 'open' | 'host' | Role;

/** GET stands for HEAD, too. */
type Method = 'GET' | 'POST' | 'DELETE';
type Path = string | RegExp;

export type Route =
  | readonly [Method, Path, needs: Exclude<Access, Role>, body: undefined, Handler<OpenRequest>]
  | readonly [Method, Path, needs: Role, body: BodyRule | undefined, Handler<ApiRequest>];

const REVOCATION = /^\/v1\/revocations\/(?!bulk$)([A-Za-z0-9_-]{1,64})$/;
/** Issuer and id of an API key. */
const API_KEY = /^\/v1\/api-keys\/([A-Za-z0-9._-]{1,64}\/[A-Za-z0-9._~-]{1,128})$/;
const API_KEY_ROTATE = /^\/v1\/api-keys\/([A-Za-z0-9._-]{1,64}\/[A-Za-z0-9._~-]{1,128})\/rotate$/;
const KEYS_REFRESH = /^\/v1\/issuers\/([A-Za-z0-9._-]{1,64})\/keys\/refresh$/;
/** Larger than any honest one. */
const MAX_BODY_BYTES = 64 * 1024;
const JSON_BODY: BodyRule = { accepts: isJson, maxBytes: MAX_BODY_BYTES };
const BULK_BODY: BodyRule = { accepts: isJson, maxBytes: 1024 * 1024 };
const FORM_BODY: BodyRule = {
  accepts: (mediaType) => mediaType === 'application/x-www-form-urlencoded',
  maxBytes: MAX_BODY_BYTES,
};

const livez: Handler<OpenRequest> = () => ({ status: 200, body: 'ok\n' });

const readyz: Handler<OpenRequest> = (parts, { query }) => {
  const { ready, degraded, report } = parts.readiness();
  const status = ready ? 200 : 503;
  const verdict = ready ? 'ok' : 'not ready';
  if (!query.has('verbose')) return { status, body: `${verdict}\n` };
  return { status, body: `${report.join('\n')}\n${ready && degraded ? 'degraded' : verdict}\n` };
};

const metrics: Handler<OpenRequest> = async (parts) => {
  const { contentType, body } = await parts.metrics();
  return { status: 200, headers: { 'content-type': contentType }, body };
};

const publicKeys: Handler<OpenRequest> = (parts) =>
  parts.publicKeys === undefined
    ? adminProblem(404, 'not_found', 'no assertion keys are configured')
    : { status: 200, headers: { 'cache-control': 'max-age=60' }, body: parts.publicKeys() };

const proofKeys: Handler<OpenRequest> = ({ proofKeys: keys }) =>
  keys === undefined
    ? adminProblem(404, 'not_found', 'no key of proofs is configured')
    : { status: 200, headers: { 'cache-control': 'max-age=60' }, body: keys };

/** Who is signed in, so that a page shows what it may do. */
const session: Handler<ApiRequest> = (_, { caller }) => ({
  status: 200,
  body: { name: caller.name, role: caller.role, expires_at: caller.expiresAt ?? null },
});
const status: Handler<ApiRequest> = async (parts) => ({ status: 200, body: await parts.status() });
const list: Handler<ApiRequest> = ({ revocations }, { query }) => revocations.list(query);
const create: Handler<ApiRequest> = ({ revocations }, { body, caller, query }) =>
  revocations.create(body, caller, query);
const show: Handler<ApiRequest> = ({ revocations }, { name }) => revocations.show(name);
const csv: Handler<ApiRequest> = ({ revocations }, { query }) => revocations.csv(query);
const bulk: Handler<ApiRequest> = ({ revocations }, { body, caller, query }) =>
  revocations.bulk(body, caller, query);
const undo: Handler<ApiRequest> = ({ revocations }, { name, body, caller, query }) =>
  revocations.undo(name, body, caller, query);
const revoke: Handler<ApiRequest> = ({ revocations }, { body, caller, query }) =>
  revocations.revokeForm(body, caller, query);
const history: Handler<ApiRequest> = ({ seen }) => seen.history();
const refusals: Handler<ApiRequest> = ({ seen }, { query }) => seen.refusals(query);
const limited: Handler<ApiRequest> = ({ seen }, { query }) => seen.limited(query);
const reportOnly: Handler<ApiRequest> = ({ seen }, { query }) => seen.reported(query);
const sessions: Handler<ApiRequest> = ({ seen }, { body }) => seen.sessions(body);
const gateways: Handler<ApiRequest> = ({ fleet }) => fleet.gateways();
const explain: Handler<ApiRequest> = (parts, { body }) => explainResponse(parts.explain, body);
const listKeys: Handler<ApiRequest> = ({ apiKeys }, { query }) => apiKeys.list(query);
const createKey: Handler<ApiRequest> = ({ apiKeys }, { body, caller }) => apiKeys.create(body, caller);
const showKey: Handler<ApiRequest> = ({ apiKeys }, { name }) => apiKeys.show(name);
const rotateKey: Handler<ApiRequest> = ({ apiKeys }, { name, body, caller }) =>
  apiKeys.rotate(name, body, caller);
const revokeKey: Handler<ApiRequest> = ({ apiKeys }, { name, body, caller }) =>
  apiKeys.revoke(name, body, caller);
const refreshKeys: Handler<ApiRequest> = ({ keys }, { name, caller }) => keys.refresh(name, caller);

const ROUTES: readonly Route[] = [
  ['GET', '/livez', 'open', undefined, livez],
  ['GET', '/readyz', 'open', undefined, readyz],
  ['GET', '/metrics', 'open', undefined, metrics],
  ['GET', '/.well-known/sallyport/jwks.json', 'open', undefined, publicKeys],
  ['GET', '/.well-known/sallyport/proof-jwks.json', 'open', undefined, proofKeys],
  ...[...pageResponses()].map(([path, file]): Route => ['GET', path, 'host', undefined, () => file]),
  ['GET', '/v1/session', 'read', undefined, session],
  ['GET', '/v1/status', 'read', undefined, status],
  ['GET', '/v1/gateways', 'read', undefined, gateways],
  ['GET', '/v1/history', 'read', undefined, history],
  ['GET', '/v1/refusals', 'read', undefined, refusals],
  ['GET', '/v1/limited', 'read', undefined, limited],
  ['GET', '/v1/report-only', 'read', undefined, reportOnly],
  ['POST', '/v1/sessions/search', 'read', JSON_BODY, sessions],
  ['GET', '/v1/revocations', 'read', undefined, list],
  ['GET', '/v1/revocations.csv', 'read', undefined, csv],
  ['POST', '/v1/revocations/bulk', 'revoke', BULK_BODY, bulk],
  ['POST', '/v1/revocations', 'revoke', JSON_BODY, create],
  ['GET', REVOCATION, 'read', undefined, show],
  ['DELETE', REVOCATION, 'revoke', JSON_BODY, undo],
  ['POST', '/v1/revoke', 'revoke', FORM_BODY, revoke],
  ['POST', '/v1/explain', 'revoke', JSON_BODY, explain],
  ['GET', '/v1/api-keys', 'read', undefined, listKeys],
  ['POST', '/v1/api-keys', 'operate', JSON_BODY, createKey],
  ['GET', API_KEY, 'read', undefined, showKey],
  ['DELETE', API_KEY, 'revoke', JSON_BODY, revokeKey],
  ['POST', API_KEY_ROTATE, 'operate', JSON_BODY, rotateKey],
  ['POST', KEYS_REFRESH, 'operate', undefined, refreshKeys],
];

/** What the path of a request leads to. */
export interface Destination {
  /** What a path needs before it is known which methods it has. */
  readonly access: 'open' | 'host' | 'token';
  readonly name: string;
  /** One for each method; empty where nothing is at this path. */
  readonly routes: readonly Route[];
}

export function destinationOf(path: string): Destination {
  const routes = ROUTES.filter(([, at]) => (typeof at === 'string' ? at === path : at.test(path)));
  const [, at, access] = routes[0] ?? [];
  return {
    // What the API has, and what it lacks, is only for those with a token.
    access: path.startsWith('/v1/') ? 'token' : access === 'host' ? 'host' : 'open',
    name: at instanceof RegExp ? (at.exec(path)?.[1] ?? '') : '',
    routes,
  };
}

/** The route for a method; 404 or 405 where there is none. */
export function routeFor({ routes }: Destination, method: string): Route | AdminResponse {
  if (routes.length === 0) return adminProblem(404, 'not_found', 'there is nothing here');
  const wanted = method === 'HEAD' ? 'GET' : method;
  const route = routes.find(([of]) => of === wanted);
  if (route) return route;
  const allow = routes.flatMap(([of]) => (of === 'GET' ? ['GET', 'HEAD'] : [of])).join(', ');
  return adminProblem(405, 'method_not_allowed', `use one of ${allow}`, { allow });
}
