/** Canaries of a fleet: made in turns, refused by every gateway, and seen by none who looks at the list. Rules V7, V13. */
import { hostname } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { CanaryJson } from '../../src/admin/canary-json.ts';
import { CANARY_WATCHED_MS } from '../../src/revocation/canaries.ts';
import { CANARY_ISSUER } from '../../src/revocation/canary.ts';
import { send } from '../support/client.ts';
import { loginIssuer, startGateway, until, type TestGateway } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { reloaded } from '../support/moving-targets.ts';
import { temporaryFolder } from '../support/process.ts';
import { WholeClock } from '../support/whole-clock.ts';
import { claimsOf, createKey, mint } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const key = createKey();
const upstream = await startUpstream(t);
const label = (name: string): string => `${name}@${hostname()}`;
const configurationOf = (name: string, store: string, canary: object = {}) => ({
  name,
  issuers: { login: loginIssuer(key) },
  routes: [{ name: 'orders', match: {}, upstream: 'u' }],
  upstreams: { u: { targets: [upstream.url] } },
  revocation: { store, canary },
});

interface Told {
  readonly canary: { readonly every_seconds: number | null; readonly last: CanaryJson | null };
  readonly gateways: readonly Record<string, unknown>[];
}
const toldBy = async (gateway: TestGateway): Promise<Told> =>
  (await (await gateway.admin('GET', '/v1/gateways')).json()) as Told;
const ended = (gateway: TestGateway, name: string, result: string): Promise<number> =>
  gateway.metric(`sallyport_revocation_canaries_total{gateway="${label(name)}",result="${result}"}`);

/** @param everySeconds with less than 15 they see each other alive when a turn comes */
async function startTwo(t: Test, everySeconds: number) {
  const clock = new WholeClock();
  const store = `sqlite:${join(temporaryFolder(t), 'list.sqlite')}`;
  const one = await startGateway(t, configurationOf('one', store, { every: `${everySeconds}s` }), { clock });
  const two = await startGateway(t, configurationOf('two', store, { every: `${everySeconds}s` }), { clock });
  const both = [one, two] as const;
  const together = (): Promise<void> =>
    until(async () => {
      const told = await Promise.all(both.map(toldBy));
      return told.every(
        ({ gateways }) => gateways.length === 2 && gateways.every(({ live, ready }) => live && ready),
      );
    });
  await together();
  /** The next turn comes. */
  const turn = async (): Promise<void> => {
    clock.advance(everySeconds * 1_000);
    await together();
  };
  return { clock, one, two, both, turn };
}

/** Both say that the last canary was made by this gateway, and that both refuse it. */
async function refusedByBoth(both: readonly TestGateway[], madeBy: string): Promise<void> {
  await until(async () =>
    (await Promise.all(both.map(toldBy))).every(
      ({ canary: { last } }) => last?.made_by === label(madeBy) && last.refuse === 2,
    ),
  );
}

t.test('V7 two gateways take turns, and both refuse each canary', async (t) => {
  const { one, two, both, turn } = await startTwo(t, 10);
  t.match(await toldBy(one), { canary: { every_seconds: 10, last: null }, gateways: [{ canary: null }] });
  await turn();
  await refusedByBoth(both, 'one');
  await turn();
  await refusedByBoth(both, 'two');

  const { canary, gateways } = await toldBy(two);
  const lists = { waiting: [], missed: [], silent: [], unknown: [] };
  t.match(canary.last, { gateways: 2, refuse: 2, made_by: label('two'), ...lists });
  t.ok((canary.last?.slowest_seconds ?? NaN) < 2 && (canary.last?.error_seconds ?? NaN) > 0);
  t.match(gateways, [{ canary: { state: 'refused' } }, { canary: { state: 'refused' } }]);
  t.equal(await ended(one, 'one', 'refused'), 2);
  t.equal(await ended(two, 'two', 'refused'), 2);
  t.equal(await ended(two, 'two', 'missed'), 0);
  const count = `sallyport_revocation_time_to_refuse_seconds_count{gateway="${label('two')}"}`;
  t.equal(await two.metric(count), 2);
  t.equal(await one.metric(count), 0, 'each tells of itself alone');
  t.ok((await one.metric('sallyport_revocation_canary_age_seconds')) < 10);

  t.test('no list, count or log line tells of them, and no request reaches them', async (t) => {
    for (const gateway of both) {
      const text = async (path: string): Promise<string> =>
        (await (await gateway.admin('GET', path)).text()).trim();
      for (const query of ['', '?limit=1', '?by=canary', '?subject=x'])
        t.equal(await text(`/v1/revocations${query}`), '{"revocations":[],"cursor":null}', query);
      t.equal((await text('/v1/revocations.csv')).split('\n').length, 1, 'the header alone');
      t.match(JSON.parse(await text('/v1/status')), { revocation: { entries: 0 } });
      t.equal(await gateway.metric('sallyport_revocation_entries'), 0);
      t.notMatch(await text('/metrics'), /^sallyport_revocation_changes_total\{/m);
      t.strictSame(
        gateway.log.filter(({ msg }) => msg === 'audit'),
        [],
      );
    }
    const { store } = one.instance.generation.lasting;
    const { entries } = await store.list({ limit: 9 });
    t.equal(entries.length, 2, 'which are in the store');
    for (const { id } of entries) {
      t.equal((await one.admin('GET', `/v1/revocations/${id}`)).status, 404);
      t.equal((await two.admin('DELETE', `/v1/revocations/${id}`)).status, 404);
    }
    t.equal((await send(one.url, '/', { token: mint(key, claimsOf({})) })).status, 200);
    const passed = upstream.seen.length;
    const named = mint(key, claimsOf({ iss: CANARY_ISSUER }));
    t.equal((await send(one.url, '/', { token: named })).status, 401);
    t.equal(upstream.seen.length, passed, 'the upstream saw nothing');
  });

  t.test('V13 nothing can be revoked under the name that is reserved for them', async (t) => {
    const body = { issuer: CANARY_ISSUER, subject: 'alice' };
    for (const more of [{}, { allow_unknown_issuer: true }, { allow_unknown_issuer: true, dry_run: true }])
      t.equal((await one.admin('POST', '/v1/revocations', { ...body, ...more })).status, 400);
    const revocations = [{ ...body, allow_unknown_issuer: true }];
    const bulk = await one.admin('POST', '/v1/revocations/bulk', { revocations });
    t.match(await bulk.json(), { created: 0, failed: 1 });
  });

  t.test('entries of people are listed as always beside them, and undone', async (t) => {
    const body = { issuer: 'login', subject: 'alice' };
    const { id } = (await (await one.admin('POST', '/v1/revocations', body)).json()) as { id: string };
    for (const limit of [1, 50]) {
      const list = (await (await two.admin('GET', `/v1/revocations?limit=${limit}`)).json()) as {
        revocations: { id: string }[];
      };
      t.strictSame(
        list.revocations.map((entry) => entry.id),
        [id],
      );
    }
    t.equal((await two.admin('DELETE', `/v1/revocations/${id}`)).status, 204);
  });
});

t.test('V7 a gateway that does not refuse what is in the store is named, and counted', async (t) => {
  const { clock, one, two, both, turn } = await startTwo(t, 60);
  two.instance.view.isRevoked = () => false;
  await turn();
  await until(async () => (await toldBy(two)).canary.last?.refuse === 1);
  t.match((await toldBy(two)).canary.last, { waiting: [label('two')], missed: [] });
  clock.advance(CANARY_WATCHED_MS);
  await until(async () => (await ended(two, 'two', 'missed')) > 0);
  const last = async (gateway: TestGateway): Promise<CanaryJson | null> =>
    (await toldBy(gateway)).canary.last;
  await until(async () => (await Promise.all(both.map(last))).every((each) => each?.missed.length === 1));
  t.match(await last(one), { gateways: 2, missed: [label('two')], waiting: [] });
  t.equal(await ended(one, 'one', 'missed'), 0);
});

t.test('V7 what the store never got says nothing of those that looked out', async (t) => {
  const { clock, one, two, turn } = await startTwo(t, 60);
  const { store } = one.instance.generation.lasting;
  const revoke = store.revoke.bind(store);
  store.revoke = () => Promise.reject(new Error('the store is lost'));
  await turn();
  const failed = 'no canary could be revoked: the store does not take a change';
  await until(
    async () => (await toldBy(two)).canary.last !== null && one.log.some(({ msg }) => msg === failed),
  );
  store.revoke = revoke;
  clock.advance(CANARY_WATCHED_MS);
  await until(async () => (await ended(two, 'two', 'unknown')) === 1);
  t.equal(await ended(two, 'two', 'missed'), 0);
  t.match(
    one.log.find(({ msg }) => msg === failed),
    { level: 'warn', error: 'the store is lost' },
  );
});

t.test('off: a gateway makes none, and a reload turns it on', async (t) => {
  const clock = new ManualClock();
  const gateway = await startGateway(t, configurationOf('quiet', 'memory:', { every: 'off' }), { clock });
  clock.advance(3_600_000);
  t.match(await toldBy(gateway), { canary: { every_seconds: null, last: null } });
  const age = /^sallyport_revocation_canary_age_seconds /m;
  t.notMatch((await gateway.instance.metrics.text()).body, age);
  await gateway.instance.reload(reloaded(configurationOf('quiet', 'memory:')));
  t.match((await gateway.instance.metrics.text()).body, age);
  clock.advance(60_000);
  await until(async () => (await toldBy(gateway)).canary.last?.refuse === 1);
  t.equal(await ended(gateway, 'quiet', 'missed'), 0);
});
