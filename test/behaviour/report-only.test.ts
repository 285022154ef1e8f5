/** A route that only reports what it would refuse. Rules H2, H13, C1, C4. */
import t from 'tap';
import { send, sendRaw, statuses, type SendOptions } from '../support/client.ts';
import { loginIssuer, startGateway, until } from '../support/gateway.ts';
import { claimsOf, createKey, mint, nowSeconds } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const key = createKey('ES256');
const stranger = createKey('ES256', key.kid);
const upstream = await startUpstream(t);
const asked = ['X-User-Id', 'X-Client-Id', 'X-Scopes', 'X-Token-Issuer', 'X-Big'];
const gateway = await startGateway(t, {
  issuers: {
    login: loginIssuer(key),
    gone: { introspection: { url: 'http://127.0.0.1:1/', client_id: 'x', client_secret: 'y' } },
  },
  limits: { body_bytes: '1KiB' },
  identity: {
    headers: { 'X-User-Id': 'sub', 'X-Client-Id': 'client_id', 'X-Scopes': 'scope', 'X-Big': 'big' },
    max_bytes: '1KiB',
  },
  routes: ['required', 'optional'].map((mode) => ({
    name: mode,
    match: { path_prefix: `/${mode}` },
    upstream: 'u',
    auth: {
      mode,
      issuers: ['login', 'gone'],
      scopes: ['orders:read'],
      claims: { 'tenant.id': ['acme'] },
      report_only: true,
    },
  })),
  upstreams: { u: { targets: [upstream.url] } },
});
const good = claimsOf({ tenant: { id: 'acme' } });
const revoked = mint(key, { ...good, jti: 'revoked' });
await gateway.admin('POST', '/v1/revocations', { token: revoked });

interface Case {
  readonly send: SendOptions;
  readonly reason: string;
  readonly decision?: string;
  /** The token is good, and its holder known. */
  readonly identity?: boolean;
  readonly path?: string;
}
const withLines = (...lines: string[]): SendOptions => ({
  headers: lines.flatMap((line) => ['authorization', line]),
});
const cases: Record<string, Case> = {
  'a good token is allowed': {
    send: { token: mint(key, good) },
    reason: 'ok',
    decision: 'allow',
    identity: true,
  },
  'no token': { send: {}, reason: 'missing' },
  'another scheme': { send: withLines('Basic YTpi'), reason: 'missing' },
  'two tokens': { send: withLines('Bearer a', 'Bearer b'), reason: 'malformed' },
  'a token in the query': { send: {}, path: '?access_token=x', reason: 'malformed' },
  'a token too long': { send: { token: 'x'.repeat(9_000) }, reason: 'too_large' },
  'a forged token': { send: { token: mint(stranger, good) }, reason: 'bad_signature' },
  'an expired token': { send: { token: mint(key, { ...good, exp: nowSeconds() - 60 }) }, reason: 'expired' },
  'another audience': { send: { token: mint(key, { ...good, aud: 'x' }) }, reason: 'wrong_audience' },
  'a revoked token': { send: { token: revoked }, reason: 'revoked' },
  'a missing scope': {
    send: { token: mint(key, { ...good, scope: 'x' }) },
    reason: 'insufficient_scope',
    identity: true,
  },
  'a claim rule': {
    send: { token: mint(key, { ...good, tenant: { id: 'globex' } }) },
    reason: 'claim_rule',
    identity: true,
  },
  'an identity too large': {
    send: { token: mint(key, { ...good, big: 'x'.repeat(2_000) }) },
    reason: 'identity_too_large',
  },
  'an authority that is down': { send: { token: 'opaque' }, reason: 'introspection_unavailable' },
};

const SPOOFED = asked.flatMap((name) => [name, 'root', name.replaceAll('-', '_'), 'root']);

for (const route of ['required', 'optional']) {
  for (const [
    name,
    { send: options, reason, decision = 'report', identity = false, path = '' },
  ] of Object.entries(cases)) {
    t.test(`${route}: ${name} passes, and is reported as ${reason}`, async (t) => {
      const before = upstream.seen.length;
      const response = await send(gateway.url, `/${route}${path}`, {
        ...options,
        headers: [...(options.headers ?? []), ...SPOOFED, 'connection', 'X-User-Id'],
      });
      t.match(response, { status: 200, body: 'ok' });
      t.equal(response.headers['www-authenticate'], undefined, 'nothing tells the client');
      t.equal(upstream.seen.length, before + 1);
      const seen = upstream.seen.at(-1)?.headers ?? {};
      t.equal(
        seen['x-user-id'],
        identity ? 'alice' : undefined,
        'C1 C4 only a valid token gives an identity',
      );
      t.equal(seen['x_user_id'], undefined);
      t.equal(seen.authorization, undefined);
      const requestId = response.headers['x-request-id'];
      await until(() => gateway.log.some((line) => line['request_id'] === requestId));
      t.match(
        gateway.log.find((line) => line['request_id'] === requestId),
        {
          status: 200,
          auth: { decision, reason },
        },
      );
    });
  }
}

t.test('each report is counted', async (t) => {
  const series = (reason: string, issuer = 'login'): string =>
    `sallyport_auth_decisions_total{route="required",issuer="${issuer}",decision="report",reason="${reason}"}`;
  t.equal(await gateway.metric(series('revoked')), 1);
  t.equal(await gateway.metric(series('insufficient_scope')), 1);
  t.equal(await gateway.metric(series('missing', '')), 2);
});

t.test('A5 the admin API tells by route, client and reason what would have been refused', async (t) => {
  const batch = (changes: object): string => mint(key, { ...good, client_id: 'batch', ...changes });
  for (const token of [batch({ scope: 'x' }), batch({ scope: 'y' }), batch({ tenant: { id: 'globex' } })])
    await send(gateway.url, '/required', { token });
  const response = await gateway.admin('GET', '/v1/report-only');
  const { gateways, reported } = (await response.json()) as {
    gateways: object;
    reported: { client_id: string; reason: string }[];
  };
  t.match(gateways, { silent: [], complete: true });
  const of = { route: 'required', issuer: 'login', client_id: 'batch' };
  t.match(
    reported.filter(({ client_id }) => client_id === 'batch'),
    [
      { ...of, reason: 'insufficient_scope', lack: 'orders:read', requests: 2 },
      { ...of, reason: 'claim_rule', lack: null, requests: 1 },
    ],
  );
  t.match(
    reported.find(({ client_id, reason }) => client_id === null && reason === 'missing'),
    { requests: 2 },
    'those without a token are one row of each route and reason',
  );
  t.notMatch(JSON.stringify(reported), /alice|globex/);
  for (const query of ['limit=0', 'limit=x', 'gateways=some'])
    t.equal((await gateway.admin('GET', `/v1/report-only?${query}`)).status, 400, query);
  const one = (await (await gateway.admin('GET', '/v1/report-only?limit=1')).json()) as {
    reported: object[];
  };
  t.equal(one.reported.length, 1);
});

t.test('H13 H2 paths, framing and limits are enforced all the same', async (t) => {
  const before = upstream.seen.length;
  t.equal((await send(gateway.url, '/required/../x')).status, 400);
  t.equal((await send(gateway.url, '/required/%2e%2e/x')).status, 400);
  t.equal((await send(gateway.url, '/required', { method: 'POST', body: 'x'.repeat(2_000) })).status, 413);
  const smuggled =
    'POST /required HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n';
  t.strictSame(statuses(await sendRaw(gateway.port, smuggled)), [400]);
  t.equal((await send(gateway.url, '/elsewhere')).status, 404);
  t.equal(upstream.seen.length, before);
});
