/** API keys in the store of a fleet: two gateways on one Redis, their admin API and the command line. Rules X1, X3, V5 to V7, V13. */
import t, { type Test } from 'tap';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type {
  ApiKeyJson,
  ApiKeyListJson,
  NewApiKeyJson,
  RotatedApiKeyJson,
} from '../../src/admin/api-key-json.ts';
import { destinationOf, routeFor } from '../../src/admin/routes.ts';
import { keySha256 } from '../../src/api-keys/key-text.ts';
import { send } from '../support/client.ts';
import { sallyport } from '../support/command.ts';
import { ADMIN_TOKEN, startGateway, until, type TestGateway } from '../support/gateway.ts';
import { freePort, startRedis } from '../support/redis.ts';
import { startUpstream } from '../support/upstream.ts';
import { INTEGRITY } from '../support/stored-keys.ts';

const upstream = await startUpstream(t);

function configurationWith(store: string, issuer = 'partners'): Record<string, unknown> {
  const auth = { issuers: [issuer] };
  return {
    revocation: { store },
    issuers: { [issuer]: { api_keys: { store: true, integrity_key: INTEGRITY } } },
    routes: [
      {
        name: 'read',
        match: { path_prefix: '/read' },
        upstream: 'u',
        auth: { ...auth, scopes: ['orders:read'] },
      },
      { name: 'all', match: {}, upstream: 'u', auth },
    ],
    upstreams: { u: { targets: [upstream.url] } },
  };
}

const asks = async ({ url }: TestGateway, token: string, path = '/all'): Promise<number> =>
  (await send(url, path, { token })).status;
const create = (gateway: TestGateway, more: object = {}): Promise<Response> =>
  gateway.admin('POST', '/v1/api-keys', {
    issuer: 'partners',
    subject: 'billing',
    scopes: ['orders:read'],
    ...more,
  });
const made = async (response: Response): Promise<NewApiKeyJson> => (await response.json()) as NewApiKeyJson;
const keyPath = (id: string): string => `/v1/api-keys/partners/${id}`;

async function fleet(t: Test) {
  const redis = await startRedis(t, { persistent: false });
  const a = await startGateway(t, configurationWith(redis.url));
  const b = await startGateway(t, configurationWith(redis.url));
  // Each must have seen the other's heartbeat to wait for it.
  await until(async () => {
    const { gateways } = (await (await a.admin('GET', '/v1/gateways')).json()) as { gateways: unknown[] };
    return gateways.length === 2;
  });
  return { redis, a, b };
}

t.test('V7 X3 a key works on every gateway once it is made, and on none once it is revoked', async (t) => {
  const { redis, a, b } = await fleet(t);
  const response = await create(a, { client: 'billing-app', claims: { tier: 'gold' }, note: 'nightly' });
  t.equal(response.status, 201);
  t.equal(response.headers.get('cache-control'), 'no-store');
  const created = await made(response);
  t.match(created, {
    confirmed: { gateways: 2, know: 2, unconfirmed: [] },
    state: 'active',
    created_by: 'admin',
  });
  t.match(created.key, /^sp_live_/);
  t.strictSame([await asks(a, created.key), await asks(b, created.key)], [200, 200], 'no wait');
  t.equal(await asks(b, created.key, '/read'), 200);
  t.match(await redis.command('HGETALL', '{sallyport}:api-keys:texts'), keySha256(created.key));
  t.notMatch(await redis.command('HGETALL', '{sallyport}:api-keys:texts'), created.key.slice(8, -6));
  const revoked = await b.admin('DELETE', keyPath(created.id), { reason: 'leaked' });
  t.equal(revoked.status, 200);
  t.match(await revoked.json(), { state: 'revoked', reason: 'leaked', confirmed: { gateways: 2, know: 2 } });
  t.strictSame([await asks(a, created.key), await asks(b, created.key)], [401, 401], 'no wait');
  t.equal((await b.admin('DELETE', keyPath(created.id))).status, 200, 'again: it is as it was');
  t.match(await (await a.admin('GET', keyPath(created.id))).json(), { state: 'revoked', reason: 'leaked' });
  // Redis is lost with all that it had: the tombstone holds.
  await redis.kill();
  await redis.start();
  await until(async () => (await redis.command('HLEN', '{sallyport}:api-keys:texts')).includes(':1'));
  t.strictSame([await asks(a, created.key), await asks(b, created.key)], [401, 401]);
  const late = await startGateway(t, configurationWith(redis.url));
  t.equal(await asks(late, created.key), 401, 'a gateway that is ready knows it from its first request');
});

t.test(
  'V7 without the store nothing is made or revoked, keys go on, and an unknown one is 503',
  async (t) => {
    const { redis, a } = await fleet(t);
    const { key, id } = await made(await create(a));
    await redis.kill();
    await until(async () => (await create(a)).status === 503);
    t.equal((await a.admin('DELETE', keyPath(id))).status, 503);
    t.equal(await asks(a, key), 200);
    const list = (await (await a.admin('GET', '/v1/api-keys')).json()) as ApiKeyListJson;
    t.match(list.api_keys, [{ id, state: 'active' }]);
    await redis.start();
    await until(async () => (await a.admin('DELETE', keyPath(id))).status === 200);
    t.equal(await asks(a, key), 401);
    const alone = await startGateway(t, configurationWith(`redis://127.0.0.1:${await freePort()}/0`), {
      notReady: true,
    });
    t.equal(await asks(alone, key), 503, 'it may be a good one');
  },
);

t.test('under load a key is rotated without one refused request, and ends after the overlap', async (t) => {
  const { a, b } = await fleet(t);
  let current = await made(await create(a));
  const first = current;
  const statuses: number[] = [];
  let isDone = false;
  const client = async (gateway: TestGateway): Promise<void> => {
    while (!isDone) statuses.push(await asks(gateway, current.key));
  };
  const clients = [client(a), client(b), client(a), client(b)];
  for (let round = 0; round < 3; round++) {
    const response = await a.admin('POST', `${keyPath(current.id)}/rotate`, { overlap: 3600 });
    t.equal(response.status, 201);
    const rotated = (await response.json()) as RotatedApiKeyJson;
    t.match(rotated, { subject: 'billing', scopes: ['orders:read'], before: { replaced_by: rotated.id } });
    current = rotated;
    const count = statuses.length;
    await until(() => statuses.length > count + 100);
  }
  isDone = true;
  await Promise.all(clients);
  t.strictSame(new Set(statuses), new Set([200]), `${statuses.length} requests`);
  t.equal(await asks(b, first.key), 200, 'the overlap lasts');
  const ended = await a.admin('POST', `${keyPath(current.id)}/rotate`, { overlap: 0 });
  t.equal(ended.status, 201);
  await until(async () => (await asks(a, current.key)) === 401 && (await asks(b, current.key)) === 401);
  t.equal((await a.admin('POST', `${keyPath(first.id)}/rotate`, {})).status, 409, 'once');
});

t.test('when a key was last used is told by the gateway at once, and written once in a while', async (t) => {
  const { redis, a, b } = await fleet(t);
  const { key, id } = await made(await create(a));
  const lastUsed = async (gateway: TestGateway): Promise<number | null> =>
    ((await (await gateway.admin('GET', keyPath(id))).json()) as ApiKeyJson).last_used_at;
  t.equal(await lastUsed(a), null);
  for (let count = 0; count < 50; count++) await asks(b, key);
  t.ok(Math.abs(((await lastUsed(b)) ?? 0) - Date.now() / 1000) < 60);
  t.match(await redis.command('HLEN', '{sallyport}:api-keys:used'), ':0', 'no request writes');
  await b.instance.generation.lasting.apiKeys.writeUses();
  t.ok(Math.abs(((await lastUsed(a)) ?? 0) - Date.now() / 1000) < 60, 'now the other one knows');
  t.match(await redis.command('HLEN', '{sallyport}:api-keys:used'), ':1');
});

t.test('what the API refuses changes nothing, and says why', async (t) => {
  const gateway = await startGateway(t, configurationWith('memory:'));
  const wrong: Record<string, object> = {
    'no issuer': { issuer: 'unknown' },
    'no owner': { subject: undefined },
    'a claim that the gateway decides': { claims: { sub: 'root' } },
    'a scope with a space': { scopes: ['a b'] },
    'an odd id': { id: '../x' },
    'the past': { expires: 1 },
    'an unknown member': { secret: 'mine' },
    'a number that is not exact':
      '{"issuer":"partners","subject":"s","claims":{"n":12345678901234567890}}' as never,
  };
  for (const [name, more] of Object.entries(wrong)) {
    const response =
      typeof more === 'string'
        ? await gateway.admin('POST', '/v1/api-keys', more)
        : await create(gateway, more);
    t.equal(response.status, 400, name);
    t.match(response.headers.get('content-type'), 'application/problem+json');
  }
  t.equal((await create(gateway, { id: 'one' })).status, 201);
  t.equal((await create(gateway, { id: 'one' })).status, 409);
  for (const path of ['/v1/api-keys?limit=0', '/v1/api-keys?state=odd', '/v1/api-keys?cursor=odd'])
    t.equal((await gateway.admin('GET', path)).status, 400, path);
  for (const [method, path] of [
    ['GET', keyPath('unknown')],
    ['DELETE', keyPath('unknown')],
    ['DELETE', '/v1/api-keys/login/one'],
  ] as const)
    t.equal((await gateway.admin(method, path)).status, 404, `${method} ${path}`);
  t.equal((await gateway.admin('POST', `${keyPath('unknown')}/rotate`, {})).status, 404);
  t.equal((await gateway.admin('POST', `${keyPath('one')}/rotate`, { overlap: -1 })).status, 400);
  const { api_keys } = (await (await gateway.admin('GET', '/v1/api-keys')).json()) as ApiKeyListJson;
  t.equal(api_keys.length, 1);
});

t.test('a list has pages and filters, and never a secret', async (t) => {
  const gateway = await startGateway(t, configurationWith('memory:'));
  const secrets: string[] = [];
  for (let index = 0; index < 5; index++)
    secrets.push((await made(await create(gateway, { id: `k${index}`, subject: `s${index % 2}` }))).key);
  await gateway.admin('DELETE', keyPath('k0'));
  const ids: string[] = [];
  let text = '';
  for (let cursor: string | null = ''; cursor !== null;) {
    const query = `limit=2${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`;
    text += await (await gateway.admin('GET', `/v1/api-keys?${query}`)).text();
    const page = JSON.parse(text.split('\n').at(-2) ?? '') as ApiKeyListJson;
    ids.push(...page.api_keys.map(({ id }) => id));
    ({ cursor } = page);
  }
  t.strictSame(ids.sort(), ['k0', 'k1', 'k2', 'k3', 'k4']);
  for (const secret of secrets) t.notMatch(text, secret);
  const filtered = async (query: string): Promise<string[]> =>
    ((await (await gateway.admin('GET', `/v1/api-keys?${query}`)).json()) as ApiKeyListJson).api_keys
      .map(({ id }) => id)
      .sort();
  t.strictSame(await filtered('subject=s0'), ['k0', 'k2', 'k4']);
  t.strictSame(await filtered('subject=s0&state=active'), ['k2', 'k4']);
  t.strictSame(await filtered('state=revoked'), ['k0']);
  t.strictSame(await filtered('client=none'), []);
});

t.test('each change has an audit line and a count, without the key', async (t) => {
  const gateway = await startGateway(t, configurationWith('memory:'));
  const { key, id } = await made(await create(gateway));
  const rotated = await made(await gateway.admin('POST', `${keyPath(id)}/rotate`, {}));
  await gateway.admin('DELETE', keyPath(id), { reason: 'done' });
  await gateway.admin('DELETE', keyPath(id));
  const audits = gateway.log.flatMap((line) => (line['msg'] === 'audit' ? [line['audit'] as object] : []));
  const keys = audits.filter((audit) => JSON.stringify(audit).includes('api_key'));
  t.match(keys, [
    {
      action: 'create_api_key',
      by: 'admin',
      issuer: 'partners',
      id,
      scopes: ['orders:read'],
      expires_at: null,
    },
    { action: 'rotate_api_key', id: rotated.id, replaces: id },
    { action: 'revoke_api_key', id, reason: 'done' },
  ]);
  t.equal(keys.length, 3);
  t.notMatch(JSON.stringify(gateway.log), key);
  for (const action of ['create', 'rotate', 'revoke'])
    t.equal(
      await gateway.metric(`sallyport_api_key_changes_total{issuer="partners",action="${action}"}`),
      1,
      action,
    );
  t.equal(await gateway.metric('sallyport_api_keys{issuer="partners"}'), 1, 'the new one');
  t.equal(await gateway.metric('sallyport_api_key_entries_ignored_total{issuer="partners"}'), 0);
});

t.test('who may only read makes nothing; who may revoke makes none either', async (t) => {
  const needs = (method: string, path: string): unknown => {
    const route = routeFor(destinationOf(path), method);
    return 'status' in route ? route.status : route[2];
  };
  t.equal(needs('GET', '/v1/api-keys'), 'read');
  t.equal(needs('GET', keyPath('a~b.c')), 'read');
  t.equal(needs('POST', '/v1/api-keys'), 'operate');
  t.equal(needs('POST', `${keyPath('one')}/rotate`), 'operate');
  t.equal(needs('DELETE', keyPath('one')), 'revoke');
  t.equal(needs('DELETE', '/v1/api-keys/partners/a/b'), 404);
  const gateway = await startGateway(t, configurationWith('memory:'));
  const body = { issuer: 'partners', subject: 's' };
  t.equal((await gateway.admin('POST', '/v1/api-keys', body, { authorization: '' })).status, 401);
});

t.test('a reload brings an issuer whose keys are in the store already, and takes it away', async (t) => {
  const redis = await startRedis(t, { persistent: false });
  const a = await startGateway(t, configurationWith(redis.url));
  const { key } = await made(await create(a));
  const without = await startGateway(t, configurationWith(redis.url, 'other'));
  await until(async () => (await asks(without, key)) === 401);
  await without.instance.reload({ ...without.loaded, configuration: a.loaded.configuration });
  t.equal(await asks(without, key), 200);
});

t.test('sallyport api-keys: the key alone on standard output, the rest beside it', async (t) => {
  const gateway = await startGateway(t, configurationWith('memory:'));
  const file = join(t.testdir({}), 'token');
  writeFileSync(file, ADMIN_TOKEN, { mode: 0o600 });
  const admin = ['--admin', gateway.adminUrl, '--admin-token-file', file];
  const run = (...args: string[]) => sallyport(['api-keys', ...args, ...admin]);
  const created = await run(
    ...[
      'create',
      '--subject',
      'billing',
      '--client',
      'app',
      '--scope',
      'orders:read orders:list',
      '--scope',
      'x',
    ],
    ...[
      '--claim',
      'tier=gold',
      '--claim',
      'seats:=5',
      '--expires',
      '90d',
      '--note',
      'nightly',
      '--id',
      'one',
    ],
  );
  t.match(created, {
    code: 0,
    out: /^sp_live_\w{49}\n$/,
    err: /created: one of partners; expires 20.*known to 1 of 1/,
  });
  const key = created.out.trim();
  t.notMatch(created.err, key);
  t.equal(await asks(gateway, key, '/read'), 200);
  const listed = await run('list', '--json');
  const [entry] = JSON.parse(listed.out) as ApiKeyJson[];
  t.match(entry, {
    ...{ id: 'one', subject: 'billing', client: 'app', scopes: ['orders:read', 'orders:list', 'x'] },
    ...{ claims: { tier: 'gold', seats: 5 }, note: 'nightly', state: 'active' },
  });
  t.ok(Math.abs((entry?.expires_at ?? 0) - Date.now() / 1000 - 90 * 86_400) < 60);
  t.match(await run('list'), { code: 0, out: /ID +ISSUER[^]*one +partners +active +billing/ });
  t.match(await run('list', '--state', 'revoked'), { code: 0, out: 'there are no such keys\n' });
  const rotated = await run('rotate', 'one', '--overlap', '24h');
  t.match(rotated, { code: 0, out: /^sp_live_\w{49}\n$/, err: /one works until 20/ });
  t.strictSame([await asks(gateway, key), await asks(gateway, rotated.out.trim())], [200, 200]);
  t.match(await run('rotate', 'one'), { code: 1, out: '', err: /was rotated before.*\(409\)/ });
  t.match(await run('revoke', 'one', '--reason', 'done'), {
    code: 0,
    out: /^revoked: one of partners, by admin; refused since 20/,
  });
  t.equal(await asks(gateway, key), 401);
  t.match(await run('revoke', 'unknown'), { code: 1, err: /no API key with this id.*\(404\)/ });
  t.match(await run('create', '--subject', 's', '--claim', 'sub=root'), {
    code: 1,
    out: '',
    err: /may not claim sub/,
  });
  for (const wrong of [
    ['create'],
    ['create', '--subject', 's', '--reason', 'x'],
    ['rotate', 'one', '--overlap', 'long'],
    ['create', '--subject', 's', '--expires', 'soon'],
    ['create', '--subject', 's', '--claim', 'x:={'],
  ])
    t.match(await run(...wrong), { code: 2, out: '' }, wrong.join(' '));
  t.match(
    await sallyport(['api-keys', 'list', '--admin', 'http://127.0.0.1:1', '--admin-token-file', file]),
    {
      code: 1,
      err: /cannot be reached/,
    },
  );
});

t.test('sallyport api-keys create --offline: the entry for a file, with which the key passes', async (t) => {
  const made = await sallyport([
    'api-keys',
    'create',
    '--offline',
    '--subject',
    'billing',
    '--scope',
    'orders:read',
    '--expires',
    '30d',
  ]);
  t.match(made, { code: 0, out: /^sp_live_\w{49}\n$/ });
  const folder = t.testdir({});
  writeFileSync(join(folder, 'keys.yaml'), made.err.slice(made.err.indexOf('\n- ') + 1), { mode: 0o600 });
  const gateway = await startGateway(
    t,
    { ...configurationWith('memory:'), issuers: { partners: { api_keys: { file: 'keys.yaml' } } } },
    { folder },
  );
  t.equal(await asks(gateway, made.out.trim(), '/read'), 200);
  t.match(await (await gateway.admin('GET', '/v1/api-keys')).json(), { issuers: [], api_keys: [] });
  t.equal((await create(gateway)).status, 400);
});
