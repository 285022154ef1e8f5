/** The primary and workers that a test plays: those that fall silent, refuse, or end. Rules V7, G6. */
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { systemClock } from '../../src/clock.ts';
import type { LoadedConfiguration } from '../../src/config/load.ts';
import { canaryId, newCanary } from '../../src/revocation/canary.ts';
import { SqliteStore } from '../../src/revocation/sqlite-store.ts';
import { createLog } from '../../src/telemetry/logger.ts';
import type { PrimaryCalls } from '../../src/workers/calls.ts';
import { Channel } from '../../src/workers/channel.ts';
import { Primary } from '../../src/workers/primary.ts';
import type { WorkerProcess } from '../../src/workers/worker-link.ts';
import { ADMIN_TOKEN, loginIssuer, until } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { revocationOf } from '../support/one-token.ts';
import { temporaryFolder } from '../support/process.ts';
import { reloaded } from '../support/moving-targets.ts';
import { pipes } from '../support/pipes.ts';
import { createKey, ISSUER } from '../support/tokens.ts';

const KEY = createKey();
const never = new Promise<never>(() => undefined);

interface Played {
  readonly id: number;
  /** What it was asked for. */
  readonly calls: string[];
  /** What it replies, instead of nothing in particular, by the name of the call. */
  readonly replies: Record<string, () => unknown>;
  readonly primary: Channel<PrimaryCalls>;
  end(): void;
  hasEnded: boolean;
}

const CALLS = [
  'begin',
  'listen',
  'refuse',
  'changes',
  'canary',
  'keys',
  'prepare',
  'commit',
  'discard',
  'drain',
];
const REPLIES: Record<string, () => unknown> = {
  begin: () => [],
  prepare: () => [],
  metrics: () => [],
  history: () => [],
  refusals: () => ({ found: [], silent: [] }),
  sessions: () => ({ found: [], silent: [] }),
};

function playWorker(
  id: number,
  clock: ManualClock,
  played: Played[],
  also: Played['replies'],
): WorkerProcess {
  const [ours, theirs] = pipes();
  const { promise: ended, resolve } = Promise.withResolvers<number | string>();
  const calls: string[] = [];
  const replies: Record<string, () => unknown> = { ...REPLIES, ...also };
  const handlers = Object.fromEntries(
    [...new Set([...CALLS, ...Object.keys(REPLIES)])].map((name) => [
      name,
      async () => {
        calls.push(name);
        const reply = await replies[name]?.();
        if (name === 'drain') setImmediate(end);
        return reply;
      },
    ]),
  );
  const end = (): void => {
    worker.hasEnded = true;
    resolve('SIGKILL');
  };
  const worker: Played = {
    ...{ id, calls, replies, end, hasEnded: false },
    primary: new Channel<PrimaryCalls>(theirs, clock, handlers),
  };
  played.push(worker);
  return { pid: id, pipe: ours, kill: end, ended };
}

const configurationOf = (changes: Record<string, unknown> = {}): LoadedConfiguration =>
  reloaded({
    workers: 2,
    issuers: { login: loginIssuer(KEY) },
    routes: [{ name: 'r', match: {}, upstream: 'u' }],
    upstreams: { u: { targets: ['http://127.0.0.1:1'] } },
    ...changes,
  });

/** @param replies of every worker, also of those that take another's place */
async function start(t: Test, changes: Record<string, unknown> = {}, replies: Played['replies'] = {}) {
  const clock = new ManualClock();
  const played: Played[] = [];
  const log: Record<string, unknown>[] = [];
  const primary = new Primary(configurationOf(changes), {
    log: createLog({ write: (line) => void log.push(JSON.parse(line) as Record<string, unknown>) }),
    clock,
    count: 2,
    startProcess: (id) => playWorker(id, clock, played, replies),
  });
  t.teardown(() => primary.stop());
  await primary.start();
  const admin = (method: string, path: string, body?: object): Promise<Response> =>
    fetch(`http://${primary.addresses.admin}${path}`, {
      method,
      headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
      ...(body && { body: JSON.stringify(body) }),
    });
  /** The one that has this number now. */
  const worker = (id: number): Played => {
    const found = played.findLast((each) => each.id === id);
    if (!found) throw new Error(`worker ${id} was not started`);
    return found;
  };
  return { clock, primary, played, worker, admin, log };
}

type Scene = Awaited<ReturnType<typeof start>>;

/** Turns of the event loop in which workers reply, and requests to the gateway go on, before more time passes. */
const TURNS = 20;

/** Time passes in steps, until something has happened. */
async function passUntil({ clock }: Scene, happened: () => boolean): Promise<void> {
  for (;;) {
    clock.advance(100);
    if (happened()) return;
    for (let count = 0; count < TURNS; count++) await turn();
  }
}

t.test('V7 a worker that does not confirm a revocation is ended before the 201', async (t) => {
  const scene = await start(t);
  const { admin, worker, clock } = scene;
  const silent = worker(2);
  silent.replies['refuse'] = () => never;
  let status: number | undefined;
  const body = { issuer: ISSUER, subject: 'eve' };
  const created = admin('POST', '/v1/revocations', body).then((response) => (status = response.status));
  await until(() => silent.calls.includes('refuse') && worker(1).calls.includes('refuse'));
  clock.advance(4_000);
  t.equal(status, undefined, 'it may still confirm');
  t.notOk(silent.hasEnded);
  await passUntil(scene, () => silent.hasEnded);
  t.equal(await created, 201);
  await passUntil(scene, () => worker(2) !== silent);
  await until(() => worker(2).calls.includes('begin'));
});

t.test('V7 another gateway is told that this one refuses once all workers do', async (t) => {
  const file = join(temporaryFolder(t), 'list.sqlite');
  const scene = await start(t, { revocation: { store: `sqlite:${file}` } });
  const other = new SqliteStore(file, systemClock);
  t.teardown(() => other.close());
  const released = Promise.withResolvers<void>();
  scene.worker(2).replies['refuse'] = () => released.promise;
  const { entry } = await other.revoke(revocationOf('t1'));
  const question = { about: 'marks', marks: [{ id: entry.id, ...entry.version }] };
  await other.announce(JSON.stringify({ fleet: 'ask', id: 'q', from: 'other', question }));
  await passUntil(scene, () => [1, 2].every((id) => scene.worker(id).calls.includes('refuse')));
  t.strictSame(await other.board.read('replies-q', 0), []);
  released.resolve();
  await until(async () => (await other.board.read('replies-q', 0)).length === 1);
  const [reply = ''] = await other.board.read('replies-q', 0);
  t.match(JSON.parse(reply), { from: /./, reply: { inForce: true } });
});

t.test('V7 a canary is refused once all workers refuse it, and missed where one does not', async (t) => {
  const scene = await start(t);
  const { primary, worker } = scene;
  const { canaryWatch, canaries } = primary.instance.generation.lasting;
  const heard = async (digest: string, atMs: number): Promise<unknown> => {
    let last: unknown;
    void canaryWatch.heard({ digest, by: 'this', atMs }).then(() => (last = canaryWatch.last));
    await passUntil(scene, () => last !== undefined);
    return last;
  };
  const samples = async (name: string): Promise<unknown[]> => {
    const all = await primary.metrics.samples();
    return all.filter((sample) => sample.name === name && sample.value > 0).map(({ labels }) => labels);
  };
  for (const id of [1, 2]) worker(id).replies['canary'] = () => ({ afterMs: 10 * id, errorMs: id });
  const first = newCanary();
  t.match(await heard(first, 2), { state: 'refused', refused_after_seconds: 0.02, error_seconds: 0.002 });
  t.ok(canaries.has(canaryId(first)), 'the primary knows which entry that is');
  const gateway = `sallyport@${hostname()}`;
  const seconds = 'sallyport_revocation_time_to_refuse_seconds';
  t.strictSame(await samples(`${seconds}_count`), [{ gateway }]);

  worker(2).replies['canary'] = () => undefined;
  t.match(await heard(newCanary(), 1), { state: 'refused' }, 'the latest one stands');
  const missed = newCanary();
  await primary.instance.generation.revoker.revokeCanary(missed);
  await canaryWatch.heard({ digest: missed, by: 'this', atMs: 3 });
  t.match(canaryWatch.last, { state: 'missed', refused_after_seconds: null });
  await canaryWatch.heard({ digest: newCanary(), by: 'this', atMs: 4 });
  t.match(canaryWatch.last, { state: 'unknown' }, 'the store never got it');
  t.strictSame(await samples('sallyport_revocation_canaries_total'), [
    { gateway, result: 'refused' },
    { gateway, result: 'missed' },
    { gateway, result: 'unknown' },
  ]);

  worker(2).end();
  await canaryWatch.heard({ digest: newCanary(), by: 'this', atMs: 5 });
  t.match(canaryWatch.last, { state: 'refused' }, 'one that has ended serves nothing');
});

t.test('a worker that ends again and again is replaced later each time', async (t) => {
  const scene = await start(t);
  const { worker, log, clock } = scene;
  for (let failures = 1; failures <= 7; failures++) {
    const last = worker(1);
    last.end();
    await passUntil(scene, () => worker(1) !== last);
  }
  clock.advance(61_000);
  worker(1).end();
  await until(() => log.filter(({ pause_ms }) => pause_ms !== undefined).length === 8);
  t.strictSame(
    log.flatMap(({ pause_ms }) => (pause_ms === undefined ? [] : [pause_ms])),
    [100, 200, 400, 800, 1_600, 3_200, 5_000, 100],
  );
});

t.test('a reload that one worker cannot take is taken by none', async (t) => {
  const { primary, worker } = await start(t);
  worker(2).replies['prepare'] = () => ['test.json: the file of a key is gone'];
  const route = { name: 'other', match: {}, upstream: 'u' };
  const refused: unknown = await primary.reload(configurationOf({ routes: [route] })).then(
    () => undefined,
    (error: unknown) => error,
  );
  t.match(refused, { problems: ['test.json: the file of a key is gone'] });
  await until(() => [1, 2].every((id) => worker(id).calls.includes('discard')));
  t.notOk([1, 2].some((id) => worker(id).calls.includes('commit')));
  t.strictSame(
    primary.instance.policy.routes.map(({ name }) => name),
    ['r'],
  );
  worker(2).replies['prepare'] = () => [];
  await primary.reload(configurationOf({ routes: [route] }));
  t.ok([1, 2].every((id) => worker(id).calls.includes('commit')));
});

t.test('a worker that does not say whether it can take a reload is ended; the others take it', async (t) => {
  const scene = await start(t);
  const { primary, worker } = scene;
  const silent = worker(2);
  silent.replies['prepare'] = () => never;
  let isOver = false;
  const reloading = primary
    .reload(configurationOf({ routes: [{ name: 'other', match: {}, upstream: 'u' }] }))
    .then(() => (isOver = true));
  await passUntil(scene, () => isOver);
  await reloading;
  t.ok(silent.hasEnded);
  t.ok(worker(1).calls.includes('commit'));
});

t.test('ready once all workers are; after that while half of them are', async (t) => {
  const { primary, worker } = await start(t);
  const readyz = async (): Promise<string> => {
    const response = await fetch(`http://${primary.addresses.admin}/readyz?verbose`);
    return `${response.status} ${await response.text()}`;
  };
  await primary.instance.ready();
  await worker(1).primary.call('ready', undefined);
  t.match(await readyz(), /^503 [^]*\[\+\] worker 1\n\[-\] worker 2: not ready\nnot ready\n$/);
  await worker(2).primary.call('ready', undefined);
  t.match(await readyz(), /^200 [^]*\[\+\] worker 2\nok\n$/);
  worker(1).end();
  await until(async () => (await readyz()).includes('[-] worker 1'));
  t.match(await readyz(), /^200 /);
  worker(2).end();
  await until(async () => (await readyz()).startsWith('503'));
});

t.test('what workers have seen is told as one, and a worker that does not say is named', async (t) => {
  const scene = await start(t);
  const { admin, worker } = scene;
  const session = { issuer: 'login', session_hash: 'h', subject_hash: 's', client_id: 'c' };
  const seenAt = (first_seen: number, last_seen: number, address: string) => () => ({
    found: [{ ...session, first_seen, last_seen, requests_last_hour: 2, addresses: [address] }],
    silent: [],
  });
  worker(1).replies['sessions'] = seenAt(20, 90, '203.0.113.1');
  worker(2).replies['sessions'] = seenAt(10, 80, '203.0.113.2');
  const search = async (): Promise<unknown> =>
    (await admin('POST', '/v1/sessions/search', { session: 'x' })).json();
  t.match(await search(), {
    gateways: { silent: [] },
    sessions: [
      {
        ...session,
        first_seen: 10,
        last_seen: 90,
        requests_last_hour: 4,
        addresses: ['203.0.113.1', '203.0.113.2'],
      },
    ],
  });
  worker(2).replies['sessions'] = () => never;
  let found: unknown;
  const searching = search().then((said) => (found = said));
  await until(() => worker(2).calls.filter((name) => name === 'sessions').length === 2);
  await passUntil(scene, () => found !== undefined);
  await searching;
  t.match(found, {
    gateways: { silent: [`sallyport@${hostname()} worker 2`] },
    sessions: [{ first_seen: 20 }],
  });
});

t.test('D14 all workers of a primary ask one memory of used proofs', async (t) => {
  const { worker } = await start(t);
  const use = { namespace: 'dpop', id: 'a', ttlMs: 60_000 };
  t.strictSame(await worker(1).primary.call('firstUses', [use, use]), [true, false]);
  t.strictSame(await worker(2).primary.call('firstUses', [use, { ...use, id: 'b' }]), [false, true]);
});

t.test(
  'a worker that still starts is not asked for its metrics, and no warning says that it tells none',
  async (t) => {
    let started = Promise.resolve();
    const begin = (): Promise<readonly string[]> => started.then(() => []);
    let tellsMetrics = true;
    const metrics = (): unknown => (tellsMetrics ? [] : new Promise(() => undefined));
    const scene = await start(t, {}, { begin, metrics });
    const { primary, played, worker, log } = scene;
    const up = async (): Promise<number[]> => {
      const samples = await primary.metrics.samples();
      return samples.flatMap(({ name, value }) => (name === 'sallyport_worker_up' ? [value] : []));
    };
    t.strictSame(await up(), [1, 1]);
    const { promise, resolve } = Promise.withResolvers<void>();
    started = promise;
    worker(1).end();
    await passUntil(scene, () => played.length === 3 && worker(1).calls.includes('begin'));
    worker(2).replies['metrics'] = () => [];
    tellsMetrics = false;
    t.strictSame(await up(), [0, 1], 'at once, though it does not respond');
    t.notOk(log.some(({ level }) => level === 'warn'));
    tellsMetrics = true;
    resolve();
    await worker(1).primary.call('ready', undefined);
    await passUntil(scene, () => worker(1).calls.includes('listen'));
    t.strictSame(await up(), [1, 1]);
  },
);
