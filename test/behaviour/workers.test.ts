/** `workers`: several processes as one gateway. Rules V5, V7, K5, H12. */
import t, { type Test } from 'tap';
import { createServer, type Server } from 'node:net';
import { once } from 'node:events';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { send } from '../support/client.ts';
import { proofKeys, ProofSigner } from '../../src/identity/proof-jws.ts';
import { signingKeyOfPem } from '../../src/identity/signing-key.ts';
import { LogVerifier } from '../../src/telemetry/log-verifier.ts';
import { VERSION } from '../../src/version.ts';
import { proofPem } from '../support/audit-log.ts';
import { ADMIN_TOKEN, loginIssuer, startGateway, until } from '../support/gateway.ts';
import { sallyportProcess, startGatewayProcess, temporaryFolder } from '../support/process.ts';
import { freePort, startRedis } from '../support/redis.ts';
import { claimsOf, createKey, ISSUER, mint, type SigningKey } from '../support/tokens.ts';
import { startServer, startUpstream } from '../support/upstream.ts';

const key = createKey();
const routes = [{ name: 'r', match: { path_prefix: '/' }, upstream: 'u' }];
const WORKERS = [1, 2];
/** New connections, of which the kernel gives each worker some: that one gets none has a chance of 2^-39. */
const MANY = 40;

type Gateway = Awaited<ReturnType<typeof startGatewayProcess>>;
type Line = Record<string, unknown>;

const linesOf = (gateway: Gateway): Line[] =>
  gateway
    .output()
    .split('\n')
    .filter((line) => line.startsWith('{') && line.endsWith('}'))
    .map((line) => JSON.parse(line) as Line);

function admin(gateway: Gateway, method: string, path: string, body?: unknown): Promise<Response> {
  return fetch(`${gateway.adminUrl}${path}`, {
    method,
    headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

async function metric(gateway: Gateway, series: string): Promise<number> {
  const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
  return Number(
    text
      .split('\n')
      .find((line) => line.startsWith(`${series} `))
      ?.slice(series.length + 1) ?? 0,
  );
}

interface WorkerStatus {
  readonly worker: number;
  readonly pid: number;
  readonly ready: boolean;
}

async function workersOf(gateway: Gateway): Promise<WorkerStatus[]> {
  return ((await (await admin(gateway, 'GET', '/v1/status')).json()) as { workers: WorkerStatus[] }).workers;
}

/** The statuses of many requests, each on a connection of its own. */
async function many(gateway: Gateway, token: string): Promise<number[]> {
  const responses = await Promise.all(Array.from({ length: MANY }, () => send(gateway.url, '/x', { token })));
  return [...new Set(responses.map(({ status }) => status))];
}

/** The ids in the access log, from this line on. */
async function serving(gateway: Gateway, from: number): Promise<unknown[]> {
  const ids = (): unknown[] =>
    linesOf(gateway)
      .slice(from)
      .filter(({ msg }) => msg === 'request')
      .map(({ worker }) => worker);
  // Lines of a worker come in blocks: those of the other may be there long before.
  await until(() => ids().length >= MANY && WORKERS.every((worker) => ids().includes(worker)));
  return [...new Set(ids())].sort();
}

const isAlive = (pid: number): boolean =>
  existsSync(`/proc/${pid}`) && !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));

/** A server of keys, and how often it was asked. */
async function startKeys(t: Test, keys: SigningKey[]): Promise<{ url: string; asked: () => number }> {
  let asked = 0;
  const url = await startServer(t, (_, response) => {
    asked++;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ keys: keys.map(({ jwk }) => jwk) }));
  });
  return { url: `${url}/jwks`, asked: () => asked };
}

t.test('V7, K5: two workers are one gateway', async (t) => {
  const released: (() => void)[] = [];
  const upstream = await startUpstream(t, (request, response) => {
    if (request.url !== '/slow') response.end('ok');
    else released.push(() => response.end('late'));
  });
  const keys = [key];
  const server = await startKeys(t, keys);
  const folder = temporaryFolder(t);
  const pem = proofPem();
  const proof = new ProofSigner(signingKeyOfPem(pem));
  writeFileSync(join(folder, 'proof.pem'), pem, { mode: 0o600 });
  const configuration = {
    workers: 2,
    proof: { key_file: 'proof.pem' },
    limits: { in_flight: 101, connections: 201 },
    issuers: { login: { ...loginIssuer(), jwks: undefined, jwks_url: server.url } },
    routes,
    upstreams: { u: { targets: [upstream.url] } },
  };
  const gateway = await startGatewayProcess(t, configuration, folder);
  const file = join(folder, 'sallyport.json');
  const written = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
  // The gateway would find the file empty between its two steps on a busy machine.
  const write = (changes: Record<string, unknown>): void => {
    writeFileSync(`${file}.new`, JSON.stringify({ ...written, ...changes }));
    renameSync(`${file}.new`, file);
  };

  await t.test('requests reach both, by one port, with the address of the client', async (t) => {
    t.strictSame(await many(gateway, mint(key)), [200]);
    t.strictSame(await serving(gateway, 0), WORKERS);
    t.ok(linesOf(gateway).every(({ msg, client_ip }) => msg !== 'request' || client_ip === '127.0.0.1'));
    t.strictSame(
      (await workersOf(gateway)).map(({ worker, ready }) => ({ worker, ready })),
      WORKERS.map((worker) => ({ worker, ready: true })),
    );
    t.equal((await fetch(`${gateway.adminUrl}/readyz`)).status, 200);
  });

  await t.test('metrics are sums, and flags hold for all', async (t) => {
    t.equal(
      await metric(
        gateway,
        'sallyport_http_requests_total{route="r",method="GET",code="200",source="upstream"}',
      ),
      MANY,
    );
    t.equal(await metric(gateway, 'sallyport_workers'), 2);
    t.equal(await metric(gateway, 'sallyport_revocation_store_connected'), 1);
    t.equal(
      await metric(gateway, `sallyport_build_info{version="${VERSION}"}`),
      1,
      'a constant is not summed',
    );
    t.equal(await metric(gateway, 'sallyport_requests_in_flight_limit'), 101, 'the primary serves nothing');
    t.equal(await metric(gateway, 'sallyport_connections_limit{listener="listeners[0]"}'), 201);
    t.equal(await metric(gateway, 'sallyport_rate_limit_keys_limit{of="callers"}'), 200_000);
    const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
    t.equal(
      text.match(/^sallyport_config_info\{/gm)?.length,
      1,
      'workers have shares of the limits, but the gateway has one configuration',
    );
  });

  await t.test('V7: what a 201 says is revoked is refused by both', async (t) => {
    const before = upstream.seen.length;
    const token = mint(key, claimsOf({ sub: 'eve', jti: 'one' }));
    t.equal((await admin(gateway, 'POST', '/v1/revocations', { token })).status, 201);
    t.strictSame(await many(gateway, token), [401]);
    t.equal(upstream.seen.length, before, 'the upstream saw nothing');
  });

  await t.test('K5: keys are fetched once for both, and a forced fetch counts for both', async (t) => {
    t.equal(server.asked(), 1);
    const next = createKey();
    keys.splice(0, 1, next);
    t.equal((await admin(gateway, 'POST', '/v1/issuers/login/keys/refresh')).status, 200);
    t.strictSame(await many(gateway, mint(next)), [200]);
    keys.splice(0, 1, key);
    t.equal((await admin(gateway, 'POST', '/v1/issuers/login/keys/refresh')).status, 200);
  });

  await t.test('what both have seen is told as of one gateway', async (t) => {
    const token = mint(key, claimsOf({ sub: 'frank', sid: 'f1' }));
    const ask = async (method: string, path: string, body?: object): Promise<Line> =>
      (await (await admin(gateway, method, path, body)).json()) as Line;
    t.strictSame(await many(gateway, token), [200]);
    t.strictSame(await many(gateway, 'abc'), [401]);
    const found = await ask('POST', '/v1/sessions/search', { session: 'f1' });
    t.match(found, { gateways: { silent: [] }, sessions: [{ requests_last_hour: MANY }] });
    t.equal((found['sessions'] as object[]).length, 1);
    const refused = await ask('GET', '/v1/refusals?reason=malformed&limit=1000');
    t.equal((refused['refusals'] as object[]).length, MANY);
    t.match(await ask('GET', '/v1/history'), { routes: [{ route: 'r' }] });
    const url = 'http://api.example.com/x';
    t.match(await ask('POST', '/v1/explain', { method: 'GET', url, token }), { decision: 'allow' });
  });

  await t.test('a reload reaches both, an invalid one none, and each is told once', async (t) => {
    const told = (msg: string): number => linesOf(gateway).filter((line) => line['msg'] === msg).length;
    const refused = 'the new configuration cannot be used; the one before stays';
    write({ routes: [{ ...routes[0], upstream: 'nowhere' }] });
    await until(() => told(refused) === 1);
    t.strictSame(await many(gateway, mint(key)), [200]);
    write({ workers: 3 });
    await until(() => told(refused) === 2);
    t.match(
      linesOf(gateway).findLast(({ msg }) => msg === refused),
      { problems: [/workers: cannot change/] },
    );
    write({ routes: [{ name: 'other', match: { path: '/other' }, upstream: 'u' }] });
    await until(() => told('the configuration is reloaded') === 1);
    t.strictSame(await many(gateway, mint(key)), [404]);
    write({});
    await until(() => told('the configuration is reloaded') === 2);
    t.strictSame(await many(gateway, mint(key)), [200]);
    t.equal(await metric(gateway, 'sallyport_config_reloads_total{result="success"}'), 2);
  });

  await t.test('kill -9 of a worker: it is replaced and counted, and no other request is lost', async (t) => {
    const series = 'sallyport_http_requests_total{route="r",method="GET",code="200",source="upstream"}';
    const before = await metric(gateway, series);
    const token = mint(key, claimsOf({ sub: 'eve', jti: 'two' }));
    t.equal((await admin(gateway, 'POST', '/v1/revocations', { token })).status, 201);
    const [first] = await workersOf(gateway);
    const from = linesOf(gateway).length;
    process.kill(first?.pid ?? 0, 'SIGKILL');
    await until(async () => (await workersOf(gateway))[0]?.pid !== first?.pid);
    t.strictSame(await many(gateway, mint(key)), [200], 'connections to the dead one wait for the next one');
    t.strictSame(await serving(gateway, from), WORKERS);
    t.equal(await metric(gateway, 'sallyport_worker_restarts_total'), 1);
    t.ok((await metric(gateway, series)) >= before, 'counters do not go back');
    t.match(
      linesOf(gateway).find(({ msg }) => msg === 'a worker has ended, and another takes its place'),
      {
        worker: 1,
        pid: first?.pid,
        ended: 'SIGKILL',
      },
    );
    const seen = upstream.seen.length;
    t.strictSame(await many(gateway, token), [401], 'the new one knows what is revoked');
    t.equal(upstream.seen.length, seen, 'the upstream saw nothing');
  });

  await t.test('SIGTERM drains both: requests in flight end, exit 0, no process is left', async (t) => {
    const workers = await workersOf(gateway);
    const slow = Array.from({ length: 10 }, () => send(gateway.url, '/slow', { token: mint(key) }));
    await until(() => released.length === slow.length);
    gateway.kill('SIGTERM');
    await until(() => gateway.output().includes('"msg":"draining"'));
    await until(async () => {
      try {
        await send(gateway.url, '/x');
        return false;
      } catch {
        return true;
      }
    });
    for (const release of released) release();
    t.ok((await Promise.all(slow)).every(({ status, body }) => status === 200 && body === 'late'));
    t.equal(await gateway.exited, 0);
    t.strictSame(
      workers.filter(({ pid }) => isAlive(pid)),
      [],
    );
  });

  await t.test(
    'each process has a chain of audit lines of its own, which it closes unless it is killed',
    async (t) => {
      const verifier = new LogVerifier({ keys: proofKeys(proof.publicKeys) });
      for (const line of gateway.output().split('\n')) verifier.add(line);
      const { faults, chains } = verifier.end();
      t.strictSame(faults, []);
      t.strictSame(chains.map(({ closed }) => closed).toSorted(), [false, true, true, true]);
      t.ok(
        chains.some(({ lines }) => lines > 2),
        'the primary has those of the admin API',
      );
    },
  );
});

t.test('V5, V7: revocations of two workers over SQLite, by the gateway and by another one', async (t) => {
  await revokesEverywhere(t, `sqlite:${join(temporaryFolder(t), 'list.db')}`);
});

t.test('V5, V7: revocations of two workers over Redis, by the gateway and by another one', async (t) => {
  await revokesEverywhere(t, (await startRedis(t)).url);
});

/** Then kills the primary, which leaves no process. */
async function revokesEverywhere(t: Test, store: string): Promise<void> {
  const upstream = await startUpstream(t);
  const shared = {
    issuers: { login: loginIssuer(key) },
    routes,
    upstreams: { u: { targets: [upstream.url] } },
    revocation: { store },
  };
  const gateway = await startGatewayProcess(t, { ...shared, workers: 2 });
  const token = mint(key, claimsOf({ sub: 'eve' }));
  t.strictSame(await many(gateway, token), [200]);
  const before = upstream.seen.length;
  t.equal((await admin(gateway, 'POST', '/v1/revocations', { token })).status, 201);
  t.strictSame(await many(gateway, token), [401]);
  t.equal(upstream.seen.length, before, 'the upstream saw nothing');

  const other = await startGateway(t, shared);
  // Issued before, by whole seconds.
  const bobs = mint(key, claimsOf({ sub: 'bob' }));
  const response = await other.admin('POST', '/v1/revocations', { issuer: ISSUER, subject: 'bob' });
  t.equal(response.status, 201);
  await until(async () => (await metric(gateway, 'sallyport_revocation_entries')) === 2);
  // The workers hear of it a moment after the primary.
  await until(async () => (await many(gateway, bobs)).every((status) => status === 401));

  const workers = await workersOf(gateway);
  gateway.kill('SIGKILL');
  await until(() => workers.every(({ pid }) => !isAlive(pid)));
  t.pass('no worker outlives the primary');
}

t.test('a port in use ends all with exit 1, as with one process', async (t) => {
  const server: Server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const { port } = server.address() as { port: number };
  const file = join(temporaryFolder(t), 'sallyport.json');
  const configuration = {
    workers: 2,
    listeners: [{ host: '127.0.0.1', port }],
    admin: { port: await freePort() },
    routes,
    upstreams: { u: { targets: ['http://127.0.0.1:1'] } },
    issuers: { login: loginIssuer(key) },
  };
  writeFileSync(file, JSON.stringify(configuration), { mode: 0o600 });
  const { code, out } = await sallyportProcess(['run', '-c', file]);
  t.equal(code, 1);
  t.match(out, /listeners\[0\]\.port: .*EADDRINUSE/);
});
