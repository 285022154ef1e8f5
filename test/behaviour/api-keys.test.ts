/** API keys in the line: who passes, as whom, and what ends a key. Rules X1, X3, V1, V11 to V13. */
import t, { type Test } from 'tap';
import { readFileSync } from 'node:fs';
import { keySha256, makeKey } from '../../src/api-keys/key-text.ts';
import { keyFile, keyIssuer, newKey } from '../support/api-keys.ts';
import { send } from '../support/client.ts';
import { introspectedBy, startFallibleServer } from '../support/fallible-authorization-server.ts';
import { advance, loginIssuer, startGateway, until } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { createKey, mint } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const upstream = await startUpstream(t);
const signing = createKey();
const clock = (): ManualClock => new ManualClock();

const route = (name: string, auth: Record<string, unknown>, more: Record<string, unknown> = {}) => ({
  name,
  match: { path_prefix: `/${name}` },
  upstream: 'u',
  auth,
  ...more,
});

async function scene(t: Test, { now = clock() }: { now?: ManualClock } = {}) {
  const nowSeconds = Math.floor(now.nowMs() / 1000);
  const reports = newKey('reports-1', {
    subject: 'team-reports',
    client: 'reporter',
    scopes: ['orders:read', 'orders:list'],
    claims: { plan: 'gold', org: 'acme' },
    created: nowSeconds - 100,
    expires: nowSeconds + 3600,
    note: 'for the nightly job',
  });
  const endless = newKey('endless-1', { client: 'backup', created: nowSeconds - 50 });
  const dateless = newKey('dateless-1', { subject: 'old' });
  const file = keyFile(t, [reports.entry, endless.entry, dateless.entry]);
  const server = await startFallibleServer(t);
  const gateway = await startGateway(
    t,
    {
      issuers: {
        login: loginIssuer(signing),
        opaque: introspectedBy(server),
        partners: { ...keyIssuer(), claim_names: { tenant: 'org' } },
      },
      revocation: { claims: ['plan'] },
      identity: { headers: { 'X-Tenant': '$tenant', 'X-Plan': 'plan', 'X-Key-Id': 'jti' } },
      routes: [
        route('keys', { issuers: ['partners'] }),
        route('both', { issuers: ['login', 'opaque', 'partners'] }),
        route('scoped', { issuers: ['partners'], scopes: ['orders:read'], claims: { plan: ['gold'] } }),
        route('jwt', {}),
        route('servers', { issuers: ['opaque'] }),
        route('open', { issuers: ['partners'], mode: 'optional' }),
      ],
      upstreams: { u: { targets: [upstream.url] } },
    },
    { clock: now, folder: file.folder },
  );
  const refused = async (path: string, token: string, reason: string): Promise<void> => {
    const seen = upstream.seen.length;
    const { status, headers } = await send(gateway.url, path, { token });
    t.equal(status, 401, `${path} ${reason}`);
    t.match(headers['www-authenticate'], /^Bearer realm="test", error="invalid_token"/);
    t.equal(upstream.seen.length, seen, 'the upstream saw nothing');
    await until(() => gateway.log.length > 0);
    t.match(gateway.log.filter(({ msg }) => msg === 'request').at(-1), { auth: { reason } }, reason);
  };
  return { gateway, server, file, now, refused, reports, endless, dateless };
}

t.test('a key passes as its entry says, with identity headers, log and metrics of any token', async (t) => {
  const { gateway, reports, endless } = await scene(t);
  for (const path of ['/keys', '/both', '/scoped', '/open']) {
    t.equal((await send(gateway.url, path, { token: reports.key })).status, 200, path);
    t.match(upstream.seen.at(-1)?.headers, {
      'x-user-id': 'team-reports',
      'x-client-id': 'reporter',
      'x-scopes': 'orders:read orders:list',
      'x-token-issuer': 'partners',
      'x-tenant': 'acme',
      'x-plan': 'gold',
      'x-key-id': 'reports-1',
    });
    t.notOk(upstream.seen.at(-1)?.headers.authorization);
  }
  t.equal((await send(gateway.url, '/scoped', { token: endless.key })).status, 403);
  t.equal((await send(gateway.url, '/both', { token: mint(signing) })).status, 200, 'tokens pass beside');
  t.equal(
    await gateway.metric(
      'sallyport_auth_decisions_total{route="keys",issuer="partners",decision="allow",reason="ok"}',
    ),
    1,
  );
  t.match(
    gateway.log.find(({ route }) => route === 'keys'),
    { auth: { issuer: 'partners', decision: 'allow' } },
  );
});

t.test('X1 only digests are stored: no key is in the file, nor in anything that is kept', async (t) => {
  const { gateway, reports, file } = await scene(t);
  t.equal((await send(gateway.url, '/keys', { token: reports.key })).status, 200);
  const stored = readFileSync(file.file, 'utf8');
  t.notOk(stored.includes('sp_live_'));
  t.ok(stored.includes(keySha256(reports.key)));
  // The digest opens nothing.
  for (const text of [keySha256(reports.key), `sp_live_${keySha256(reports.key).slice(0, 49)}`])
    t.equal((await send(gateway.url, '/keys', { token: text })).status, 401);
});

t.test('X1 a key goes to the issuers of keys of its route, and to no server and no cache', async (t) => {
  const { gateway, server, refused, reports } = await scene(t);
  const unknown = makeKey();
  await refused('/jwt', reports.key, 'unknown_issuer');
  await refused('/servers', reports.key, 'unknown_issuer');
  await refused('/both', unknown, 'unknown_api_key');
  await refused('/both', `${unknown.slice(0, -1)}${unknown.endsWith('0') ? '1' : '0'}`, 'malformed');
  await refused('/both', 'sp_live_', 'malformed');
  await refused('/both', `sp_live_${mint(signing)}`, 'malformed');
  t.strictSame(server.asked, [], 'no server was asked');
  const { caches } = gateway.instance.generation;
  t.strictSame(
    [caches.tokens.size, caches.negatives.size, caches.introspection.size, caches.inactive.size],
    [0, 0, 0, 0],
  );
});

t.test('X3 an expired key is refused, without a tolerance, however often it has passed', async (t) => {
  const { gateway, refused, reports, endless, now } = await scene(t);
  t.equal((await send(gateway.url, '/keys', { token: reports.key })).status, 200);
  await advance(gateway, now, 3_500_000);
  t.equal((await send(gateway.url, '/keys', { token: reports.key })).status, 200);
  await advance(gateway, now, 101_000);
  await refused('/keys', reports.key, 'expired');
  t.equal((await send(gateway.url, '/keys', { token: endless.key })).status, 200);
});

t.test('X3 V1 a key is revoked by its text, its id, its subject, its client, and a claim', async (t) => {
  const { gateway, refused, reports, endless, dateless } = await scene(t);
  const nowSeconds = Math.floor(clock().nowMs() / 1000);
  for (const [body, key] of [
    [{ token: reports.key }, reports.key],
    [{ issuer: 'partners', token_id: 'endless-1' }, endless.key],
    [{ issuer: 'partners', client: 'backup' }, endless.key],
    [{ issuer: 'partners', subject: 'team-reports' }, reports.key],
    [{ issuer: 'partners', claim: { plan: 'gold' } }, reports.key],
    [{ issuer: 'partners', subject: 'old', issued_before: nowSeconds - 10_000 }, dateless.key],
  ] as const) {
    t.equal((await send(gateway.url, '/keys', { token: key })).status, 200);
    const revoked = await gateway.admin('POST', '/v1/revocations', body);
    t.equal(revoked.status, 201, JSON.stringify(Object.keys(body)));
    const { id } = (await revoked.json()) as { id: string };
    await refused('/keys', key, 'revoked');
    t.equal((await gateway.admin('DELETE', `/v1/revocations/${id}`)).status, 204);
  }
  // A cutoff is compared with created.
  const early = { issuer: 'partners', client: 'backup', issued_before: nowSeconds - 60 };
  t.equal((await gateway.admin('POST', '/v1/revocations', early)).status, 201);
  t.equal((await send(gateway.url, '/keys', { token: endless.key })).status, 200);
});

t.test('V13 what ends no key is an error: an unknown key, a session, another issuer', async (t) => {
  const { gateway, reports } = await scene(t);
  for (const body of [
    { token: makeKey() },
    { token: reports.key, issuer: 'login' },
    { issuer: 'partners', session: 's1' },
  ])
    t.equal(
      (await gateway.admin('POST', '/v1/revocations', body)).status,
      400,
      JSON.stringify(Object.keys(body)),
    );
  const asked = await gateway.admin('POST', '/v1/revocations', { token: mint(signing), issuer: 'partners' });
  t.equal(asked.status, 400);
  t.notMatch(await asked.json(), { title: /is configured/ }, 'the issuer is known, and issues no tokens');
  const form = 'application/x-www-form-urlencoded';
  const answered = await gateway.admin('POST', '/v1/revoke', `token=${reports.key}`, {
    'content-type': form,
  });
  t.equal(answered.status, 200);
  t.equal((await send(gateway.url, '/keys', { token: reports.key })).status, 401, 'RFC 7009 ends it, too');
});

t.test('V11 a revoked key without expiry stays refused when `keep` has long passed', async (t) => {
  const { gateway, refused, endless, reports, now } = await scene(t);
  for (const body of [{ token: endless.key }, { issuer: 'partners', subject: 'team-reports' }]) {
    const { expires_at } = (await (await gateway.admin('POST', '/v1/revocations', body)).json()) as {
      expires_at: number;
    };
    t.ok(expires_at > now.nowMs() / 1000 + 49 * 365 * 86_400);
  }
  await advance(gateway, now, 400 * 86_400_000);
  await refused('/keys', endless.key, 'revoked');
  await refused('/keys', reports.key, 'expired');
});
