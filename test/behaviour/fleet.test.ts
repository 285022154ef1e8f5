/** Gateways that share a store know of each other, and ask each other. Rules A5, V7. */
import { hostname } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Fleet } from '../../src/admin/fleet.ts';
import { revocationsCsv } from '../../src/admin/revocations-csv.ts';
import type { GatewayReport } from '../../src/admin/fleet-messages.ts';
import { MemoryStore } from '../../src/revocation/memory-store.ts';
import { RevocationView } from '../../src/revocation/revocation-view.ts';
import { SqliteStore } from '../../src/revocation/sqlite-store.ts';
import { createLog } from '../../src/telemetry/logger.ts';
import { send } from '../support/client.ts';
import { loginIssuer, startGateway, until, type TestGateway } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { revocationOf } from '../support/one-token.ts';
import { temporaryFolder } from '../support/process.ts';
import { startRedis } from '../support/redis.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';
import { claimsOf, createKey, ISSUER, mint } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const key = createKey();
const upstream = await startUpstream(t);
const label = (name: string): string => `${name}@${hostname()}`;

/** A rule that is tried before it is enforced. */
const TRIAL = { scopes: ['of-no-token'], report_only: true };

const startOne = (t: Test, store: string, name: string, changes: object = {}): Promise<TestGateway> =>
  startGateway(t, {
    name,
    log_key: 'one for all',
    issuers: { login: loginIssuer(key) },
    routes: [
      { name: 'orders', match: {}, upstream: 'u' },
      { name: 'trial', match: { path_prefix: '/trial' }, upstream: 'u', auth: TRIAL },
    ],
    upstreams: { u: { targets: [upstream.url] } },
    revocation: { store },
    ...changes,
  });

interface Gateways {
  readonly complete: boolean;
  readonly gateways: readonly Record<string, unknown>[];
}

async function json<T>(response: Response | Promise<Response>): Promise<T> {
  return (await (await response).json()) as T;
}
const gatewaysOf = (gateway: TestGateway): Promise<Gateways> => json(gateway.admin('GET', '/v1/gateways'));
const namesOf = async (gateway: TestGateway): Promise<unknown[]> =>
  (await gatewaysOf(gateway)).gateways.map(({ name }) => name);

/** They know of each other, and that they are ready. */
async function together(...all: readonly TestGateway[]): Promise<void> {
  for (const gateway of all)
    await until(async () => {
      const { gateways } = await gatewaysOf(gateway);
      return gateways.length === all.length && gateways.every(({ ready }) => ready === true);
    });
}

const token = (sub: string): string => mint(key, claimsOf({ sub, sid: `${sub}-1`, client_id: 'app' }));
const revoke = (gateway: TestGateway, body: object): Promise<Response> =>
  gateway.admin('POST', '/v1/revocations', { issuer: ISSUER, ...body });

/** Asks until all have replied: on a busy machine one may take longer than it has. */
async function fromAll<T extends object>(ask: () => Promise<Response>): Promise<T> {
  for (let tries = 0; ; tries++) {
    const said = await json<T & { gateways?: { silent: [] }; confirmed?: { unconfirmed: [] } }>(ask());
    const missing = said.confirmed?.unconfirmed ?? said.gateways?.silent ?? [];
    if (missing.length === 0 || tries === 9) return said;
  }
}

const STORES: Readonly<Record<string, (t: Test) => Promise<string>>> = {
  sqlite: async (t) => `sqlite:${join(temporaryFolder(t), 'list.sqlite')}`,
  redis: async (t) => (await startRedis(t)).url,
};

for (const [kind, open] of Object.entries(STORES)) {
  t.test(kind, async (t) => {
    const store = await open(t);
    const one = await startOne(t, store, 'one');
    const two = await startOne(t, store, 'two');
    await together(one, two);

    t.test('each is listed, this one first, with what it runs on', async (t) => {
      const list = await gatewaysOf(two);
      const { config_hash } = await json<{ config_hash: string }>(one.admin('GET', '/v1/status'));
      t.match(list, {
        store: kind,
        complete: true,
        gateways: [
          { name: label('two'), this: true, live: true, heartbeat_age_seconds: 0 },
          { name: label('one'), this: false, live: true, ready: true, pid: process.pid, workers: 1 },
        ],
      });
      t.match(list.gateways[1], { view_age_seconds: Number, started_at: Number, version: String });
      if (config_hash !== undefined) t.equal(list.gateways[1]?.['config_hash'], config_hash);
    });

    t.test('V7 confirm says that every gateway refuses, and each does', async (t) => {
      const alice = token('alice');
      t.equal((await send(two.url, '/', { token: alice })).status, 200);
      t.equal((await revoke(one, { session: 'alice-1' })).status, 201);
      const { confirmed } = await fromAll<{ confirmed: { slowest_ms: number } }>(() =>
        revoke(one, { session: 'alice-1', confirm: true }),
      );
      t.match(confirmed, { gateways: 2, refuse: 2, unconfirmed: [] });
      t.ok(Number.isInteger(confirmed.slowest_ms) && confirmed.slowest_ms > 0);
      const passed = upstream.seen.length;
      t.equal((await send(two.url, '/', { token: alice })).status, 401);
      t.equal(upstream.seen.length, passed, 'the upstream saw nothing');
      const repeated = await fromAll(() => revoke(two, { session: 'alice-1', confirm: true }));
      t.match(repeated, { confirmed: { gateways: 2, refuse: 2, unconfirmed: [] } });
      t.equal((await revoke(one, { session: 'x', confirm: true, dry_run: true })).status, 400);
    });

    t.test('what is only reported at one is told at the other, added up', async (t) => {
      for (const gateway of [one, two, two])
        t.equal((await send(gateway.url, '/trial', { token: token('dora') })).status, 200);
      const path = '/v1/report-only?gateways=all';
      t.match(await fromAll(() => one.admin('GET', path)), {
        gateways: { asked: [label('one'), label('two')], silent: [], complete: true },
        reported: [{ route: 'trial', reason: 'insufficient_scope', client_id: 'app', requests: 3 }],
      });
      t.match(await json(one.admin('GET', '/v1/report-only')), { reported: [{ requests: 1 }] });
    });

    t.test('a refusal at one is found by its request id at the other', async (t) => {
      const headers = ['x-request-id', `${kind}-support-1`];
      t.equal((await send(one.url, '/', { token: token('alice'), headers })).status, 401);
      const path = `/v1/refusals?request_id=${kind}-support-1`;
      t.match(await fromAll(() => two.admin('GET', path)), {
        gateways: { asked: [label('two'), label('one')], silent: [], complete: true },
        refusals: [{ gateway: label('one'), reason: 'revoked' }],
      });
      const here = await json<{ gateways: object; refusals: unknown[] }>(
        two.admin('GET', `${path}&gateways=this`),
      );
      t.strictSame(here.gateways, { asked: [label('two')], silent: [], complete: true });
      t.strictSame(here.refusals, []);
      t.match(await fromAll(() => two.admin('GET', '/v1/refusals?gateways=all')), {
        refusals: [{ gateway: label('one') }],
      });
      t.equal((await two.admin('GET', '/v1/refusals?gateways=some')).status, 400);
    });

    t.test(
      'A5 a session is found wherever it was seen, and its subject is not left in the store',
      async (t) => {
        const announced: string[] = [];
        two.instance.view.on('announced', (text) => announced.push(text));
        const bob = token('bob-whom-no-log-names');
        for (const gateway of [one, two, two]) await send(gateway.url, '/', { token: bob });
        const found = await fromAll<{ gateways: object; sessions: readonly Record<string, unknown>[] }>(() =>
          one.admin('POST', '/v1/sessions/search', { subject: 'bob-whom-no-log-names' }),
        );
        t.strictSame(found.gateways, { asked: [label('one'), label('two')], silent: [], complete: true });
        t.match(found.sessions, [{ gateways: [label('one'), label('two')], requests_last_hour: 3 }]);
        t.equal(found.sessions.length, 1);
        t.ok(announced.length > 0);
        t.notOk(announced.some((text) => text.includes('bob-whom')));
      },
    );

    t.test('many at once: each has its outcome, and all gateways confirm', async (t) => {
      const revocations = [
        { issuer: ISSUER, subject: 'carol' },
        { issuer: ISSUER, session: 'alice-1' },
        { issuer: 'https://unknown.example', subject: 'dave' },
        { issuer: ISSUER, subject: 'eve', reason: '=cmd()' },
        { issuer: ISSUER, subject: 'frank', reason: 'x'.repeat(501) },
        'no object',
      ];
      const ended = ['carol', 'eve'].map(token);
      const bulk = (more: object): Promise<Response> =>
        one.admin('POST', '/v1/revocations/bulk', { revocations, ...more });
      const response = await bulk({});
      t.equal(response.status, 200);
      const { results, ...counts } = await json<{ results: readonly Record<string, unknown>[] }>(response);
      t.match(counts, { created: 2, unchanged: 1, failed: 3 });
      t.match(await fromAll(() => bulk({ confirm: true })), {
        ...{ created: 0, unchanged: 3, failed: 3, confirmed: { gateways: 2, refuse: 2 } },
      });
      t.strictSame(
        results.map(({ index, status }) => `${String(index)} ${String(status)}`),
        ['0 201', '1 200', '2 400', '3 201', '4 400', '5 400'],
      );
      t.match(results[2], { code: 'invalid_request', title: String });
      const passed = upstream.seen.length;
      for (const each of ended) t.equal((await send(two.url, '/', { token: each })).status, 401);
      t.equal(upstream.seen.length, passed, 'the upstream saw nothing');
      const audited = one.log.filter(({ audit }) => audit !== undefined);
      t.ok(audited.length >= 4, 'each has its line in the audit log');
    });

    t.test('V7 a gateway that does not refuse yet is named', async (t) => {
      const { view } = two.instance;
      Object.assign(view, { mark: () => undefined });
      t.match(await json<object>(revoke(one, { session: 'late', confirm: true })), {
        confirmed: { gateways: 2, refuse: 1, unconfirmed: [label('two')] },
      });
      Reflect.deleteProperty(view, 'mark');
    });

    t.test('a gateway that ends in order leaves the list at once', async (t) => {
      await two.stop();
      t.strictSame(await namesOf(one), [label('one')]);
      t.match(await json<object>(revoke(one, { subject: 'frank', confirm: true })), {
        confirmed: { gateways: 1, refuse: 1, slowest_ms: 0, unconfirmed: [] },
      });
    });
  });
}

t.test('V7 a gateway that is cut off from the store is named', async (t) => {
  const redis = await startRedis(t);
  const proxy = await startTcpProxy(t, redis.port);
  const one = await startOne(t, redis.url, 'one');
  const two = await startOne(t, redis.url.replace(String(redis.port), String(proxy.port)), 'two');
  await together(one, two);
  proxy.cut();
  await until(() => !two.instance.view.connected);
  const [confirmed, refusals] = await Promise.all([
    json<object>(revoke(one, { subject: 'alice', confirm: true })),
    json<object>(one.admin('GET', '/v1/refusals?request_id=x')),
  ]);
  t.match(confirmed, { confirmed: { gateways: 2, refuse: 1, unconfirmed: [label('two')] } });
  t.match(refusals, { gateways: { silent: [label('two')] }, refusals: [] });
  t.match(await json<object>(two.admin('POST', '/v1/sessions/search', { subject: 'alice' })), {
    gateways: { asked: [label('two')], complete: false },
  });
  t.match(await gatewaysOf(two), { complete: false, gateways: [{ name: label('two'), this: true }] });
});

t.test(
  'a gateway without heartbeats is not live after 15 seconds, and forgotten after ten minutes',
  async (t) => {
    const clock = new ManualClock();
    const folder = temporaryFolder(t);
    const file = join(folder, 'list.sqlite');
    const gateway = await startGateway(
      t,
      {
        routes: [{ name: 'open', match: {}, upstream: 'u', auth: { mode: 'none' } }],
        upstreams: { u: { targets: [upstream.url] } },
        revocation: { store: `sqlite:${file}` },
      },
      { clock },
    );
    const own = new SqliteStore(file, clock);
    t.teardown(() => own.close());
    const [self] = await own.board.heartbeats();
    const report = JSON.parse(self?.text ?? '{}') as Record<string, unknown>;
    await own.board.beat('gone', JSON.stringify({ ...report, host: 'gone' }));
    await own.board.beat('of another version', '{"name":"x"}');
    const seen = async (): Promise<unknown[]> =>
      (await gatewaysOf(gateway)).gateways.map(({ name, live }) => `${String(name)} ${String(live)}`);
    t.strictSame(await seen(), [`${label('sallyport')} true`, 'sallyport@gone true']);
    clock.advance(15_500);
    t.strictSame(await seen(), [`${label('sallyport')} true`, 'sallyport@gone false']);
    clock.advance(600_000);
    t.strictSame(await seen(), [`${label('sallyport')} true`]);
    await own.board.beat('twin', JSON.stringify({ ...report, pid: 1 }));
    t.strictSame(await namesOf(gateway), [`${label('sallyport')}:${process.pid}`, `${label('sallyport')}:1`]);
  },
);

t.test('a gateway whose heartbeats the store refuses says so once, and serves', async (t) => {
  const redis = await startRedis(t);
  await redis.command('ACL', 'SETUSER', 'old', 'on', '>secret', '~*', '+@all', '-hset');
  const gateway = await startOne(t, redis.url.replace('redis://', 'redis://old:secret@'), 'one');
  const warned = () => gateway.log.filter(({ msg }) => String(msg).includes('heartbeat')).length;
  await until(() => warned() === 1);
  t.equal((await send(gateway.url, '/', { token: token('alice') })).status, 200);
});

t.test('many at once are bounded, and say what was not tried when the store is lost', async (t) => {
  const redis = await startRedis(t);
  const gateway = await startOne(t, redis.url, 'one');
  const bulk = (count: number, more: object = {}): Promise<Response> =>
    gateway.admin('POST', '/v1/revocations/bulk', {
      revocations: Array.from({ length: count }, (_, index) => ({ issuer: 'login', subject: `s${index}` })),
      ...more,
    });
  t.equal((await bulk(0)).status, 400);
  t.equal((await bulk(1_001)).status, 400);
  t.match(await json<object>(bulk(2, { dry_run: true })), {
    created: 0,
    failed: 0,
    results: [{ dry_run: true }],
  });
  t.equal((await bulk(1, { dry_run: true, confirm: true })).status, 400);
  const long = { issuer: 'login', session: 's', reason: 'x'.repeat(500) };
  const ofLong = (count: number): Promise<Response> =>
    bulk(0, { revocations: Array.from({ length: count }, () => long), dry_run: true });
  t.match(await json<object>(ofLong(1_000)), { failed: 0 }, 'half a megabyte is read');
  t.equal((await ofLong(3_000)).status, 413);
  t.match(await json<object>(bulk(1_000)), { created: 1_000, unchanged: 0, failed: 0 });
  t.match(await json<object>(bulk(1_000)), { created: 0, unchanged: 1_000, failed: 0 });
  await redis.kill();
  const lost = await json<{ failed: number; results: readonly object[] }>(bulk(100));
  t.equal(lost.failed, 100);
  t.match(lost.results[99], { index: 99, status: 503, code: 'store_unavailable' });
});

t.test('the list is saved as CSV that no spreadsheet takes for a formula', async (t) => {
  const gateway = await startOne(t, 'memory:', 'one');
  await revoke(gateway, { subject: '=HYPERLINK("http://evil.example")', reason: 'lost, "phone"\nat night' });
  await revoke(gateway, { session: 's1', reason: 'other' });
  const response = await gateway.admin('GET', '/v1/revocations.csv');
  t.match(response.headers.get('content-type'), /^text\/csv/);
  t.match(response.headers.get('content-disposition'), /^attachment/);
  const text = await response.text();
  t.match(text, /^id,issuer,kind,value,issued_before,expires_at,created_at,created_by,reason\r\n/);
  t.match(text, `subject,"'=HYPERLINK(""http://evil.example"")",`);
  t.match(text, '"lost, ""phone""\nat night"\r\n');
  const narrowed = await (await gateway.admin('GET', '/v1/revocations.csv?session=s1')).text();
  t.equal(narrowed.split('\r\n').length, 3);
  t.equal((await fetch(`${gateway.adminUrl}/v1/revocations.csv`)).status, 401);
});

t.test('a list that is too long for a file is refused, and not cut', async (t) => {
  const store = new MemoryStore(new ManualClock());
  const { entry } = await store.revoke(revocationOf('t1'));
  const entries = Array.from({ length: 1_000 }, () => entry);
  let pages = 0;
  const endless = Object.assign(store, {
    list: async () => (pages++, { entries, cursor: 'more' }),
  });
  const none = {
    subject: undefined,
    session: undefined,
    client: undefined,
    reason: undefined,
    by: undefined,
  };
  t.match(await revocationsCsv(endless, none), { status: 400 });
  t.equal(pages, 100);
});

t.test('heartbeats in memory end with their time, and so do boxes', async (t) => {
  const clock = new ManualClock();
  const { board } = new MemoryStore(clock);
  await board.beat('a', 'x');
  await board.put('box', 'y');
  clock.advance(9_000);
  t.strictSame(await board.read('box', 0), ['y']);
  clock.advance(2_000);
  t.strictSame(await board.read('box', 0), []);
  clock.advance(600_000);
  t.strictSame(await board.heartbeats(), []);
});

t.test('a store that is lost does not hold up the end of a gateway', async (t) => {
  const never = new Promise<never>(() => undefined);
  const clock = new ManualClock();
  const store = new MemoryStore(clock);
  const board = { ...store.board, beat: () => never, leave: () => never, heartbeats: () => never };
  const report = (): GatewayReport => ({
    ...{ name: 'a', host: 'h', pid: 1, version: '0', workers: 1, started_at: 0, ready: true },
    ...{ view_age_seconds: null, view_position: null, config_hash: 'c' },
  });
  const view = new RevocationView(store, clock);
  const { logger } = createLog({ write: () => undefined });
  const respond = (): Promise<never> => never;
  const fleet = new Fleet({ store: Object.assign(store, { board }), view, report, respond, clock, logger });
  fleet.start();
  t.equal(view.connected, false);
  await fleet.stop();
});
