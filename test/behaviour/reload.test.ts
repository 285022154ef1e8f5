/** Another configuration while the gateway runs: nothing drops, nothing old survives, nothing bad gets in. */
import { once } from 'node:events';
import {
  appendFileSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { Agent, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { WebSocket } from 'ws';
import { ConfigurationError, parseConfiguration } from '../../src/config/load.ts';
import { send } from '../support/client.ts';
import { ADMIN_TOKEN, loginIssuer, startGateway, until, type TestGateway } from '../support/gateway.ts';
import { startGatewayProcess, temporaryFolder, type GatewayProcess } from '../support/process.ts';
import { AUDIENCE, claimsOf, createKey, ISSUER, mint } from '../support/tokens.ts';
import { startEcho, startServer, startUpstream } from '../support/upstream.ts';

const key = createKey('EdDSA', 'k1');

/** What `startGateway` makes of a configuration, for a reload. */
function loadedFrom(configuration: Record<string, unknown>, adminToken = ADMIN_TOKEN) {
  const complete = {
    realm: 'test',
    listeners: [{ host: '127.0.0.1', port: 0 }],
    ...configuration,
    admin: { port: 0, token: adminToken },
  };
  return {
    configuration: parseConfiguration(JSON.stringify(complete), 'test.json', '/tmp', {}),
    folder: '/tmp',
    file: 'test.json',
  };
}

const reload = (gateway: TestGateway, configuration: Record<string, unknown>): Promise<void> =>
  gateway.instance.reload(loadedFrom(configuration));

const route = (name: string, more: Record<string, unknown> = {}) => ({
  name,
  match: { path_prefix: `/${name}` },
  upstream: 'u',
  ...more,
});

t.test('40 reloads under load: no request fails, no connection drops', async (t) => {
  const upstream = await startServer(t, (_request, response) => {
    setImmediate(() => response.end('ok'));
  });
  const configuration = (round: number) => ({
    issuers: { login: loginIssuer(key) },
    routes: [route('a'), ...(round % 2 === 0 ? [] : [route('b')])],
    upstreams: { u: { targets: [upstream], connections: 4 + (round % 3) } },
  });
  const gateway = await startGateway(t, configuration(0));
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  t.teardown(() => agent.destroy());
  const token = mint(key);
  const ports = new Set<number>();
  const statuses: Record<number, number> = {};
  let running = true;
  const client = async (): Promise<void> => {
    while (running) {
      const request = httpRequest(`${gateway.url}/a`, {
        agent,
        headers: { authorization: `Bearer ${token}` },
      });
      request.on('socket', (socket) => socket.once('connect', () => ports.add(socket.localPort ?? 0)));
      request.end();
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      response.resume();
      await once(response, 'end');
      const status = response.statusCode ?? 0;
      statuses[status] = (statuses[status] ?? 0) + 1;
    }
  };
  const clients = Array.from({ length: 8 }, client);
  for (let round = 1; round <= 40; round++) {
    await reload(gateway, configuration(round));
    const before = statuses[200] ?? 0;
    await until(() => (statuses[200] ?? 0) > before + 2);
  }
  running = false;
  await Promise.all(clients);
  t.strictSame(Object.keys(statuses), ['200'], `${statuses[200]} requests`);
  t.ok(ports.size <= 8, `${ports.size} connections`);
});

t.test('what has begun ends as it began; what comes next meets the new configuration', async (t) => {
  const held: ServerResponse[] = [];
  const seen: string[] = [];
  const respondingAs = (name: string) => (request: IncomingMessage, response: ServerResponse) => {
    seen.push(name);
    if (request.url?.endsWith('/slow') === true) held.push(response);
    else response.end(name);
  };
  const [old, next] = [await startServer(t, respondingAs('old')), await startServer(t, respondingAs('new'))];
  const base = { issuers: { login: loginIssuer(key) }, timeouts: { drain: '100ms' } };
  const gateway = await startGateway(t, {
    ...base,
    routes: [route('a'), route('gone'), route('ws', { upstream: 'echo', upgrade: ['websocket'] })],
    upstreams: { u: { targets: [old] }, echo: { targets: [await startEcho(t)] } },
  });
  const token = mint(key);
  const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/ws`, {
    headers: { authorization: `Bearer ${token}` },
  });
  await once(socket, 'open');
  const slow = send(gateway.url, '/a/slow', { token });
  await until(() => held.length === 1);
  t.equal((await send(gateway.url, '/gone', { token })).body, 'old');
  await reload(gateway, {
    ...base,
    routes: [route('a', { auth: { scopes: ['orders:write'] } }), route('added', { auth: { mode: 'none' } })],
    upstreams: { u: { targets: [next] } },
  });
  const seenBefore = seen.length;
  t.equal((await send(gateway.url, '/a', { token })).status, 403, 'a cached token meets the new rule');
  t.equal(seen.length, seenBefore);
  const permitted = mint(key, claimsOf({ scope: 'orders:write' }));
  t.equal((await send(gateway.url, '/a', { token: permitted })).body, 'new');
  t.equal((await send(gateway.url, '/gone', { token })).status, 404);
  t.equal((await send(gateway.url, '/added')).body, 'new');
  held[0]?.end('old, and late');
  t.match(await slow, { status: 200, body: 'old, and late' });
  socket.send('still here');
  const [message] = (await once(socket, 'message')) as [Buffer];
  t.equal(message.toString(), 'still here');
  socket.terminate();
});

t.test('whom to believe about addresses changes for open connections, too', async (t) => {
  const upstream = await startUpstream(t);
  const configuration = (trusted_proxies: string[]): Record<string, unknown> => ({
    trusted_proxies,
    routes: [route('a', { auth: { mode: 'none' } })],
    upstreams: { u: { targets: [upstream.url] } },
  });
  const gateway = await startGateway(t, configuration(['127.0.0.1']));
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.teardown(() => agent.destroy());
  let sockets = 0;
  const ask = async (): Promise<string | undefined> => {
    const request = httpRequest(`${gateway.url}/a`, { agent, headers: { 'x-forwarded-for': '192.0.2.1' } });
    request.on('socket', (socket) => {
      if (socket.connecting) sockets++;
    });
    request.end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    response.resume();
    await once(response, 'end');
    return String(upstream.seen.at(-1)?.headers['x-forwarded-for']);
  };
  t.equal(await ask(), '192.0.2.1, 127.0.0.1');
  await reload(gateway, configuration([]));
  t.equal(await ask(), '127.0.0.1');
  t.equal(sockets, 1, 'on one connection');
});

t.test('connections to an upstream that is gone are closed', async (t) => {
  const sockets = new Set<Socket>();
  const old = await startServer(t, (request, response) => {
    sockets.add(request.socket);
    request.socket.on('close', () => sockets.delete(request.socket));
    response.end('ok');
  });
  const upstream = await startUpstream(t);
  const to = (url: string) => ({
    routes: [route('a', { auth: { mode: 'none' } })],
    upstreams: { u: { targets: [url] } },
  });
  const gateway = await startGateway(t, to(old));
  t.equal((await send(gateway.url, '/a')).status, 200);
  t.equal(sockets.size, 1);
  await reload(gateway, to(upstream.url));
  await until(() => sockets.size === 0);
  t.equal((await send(gateway.url, '/a')).status, 200);
});

t.test('a token whose issuer or key is gone is refused at once', async (t) => {
  const upstream = await startUpstream(t);
  const configuration = (by: typeof key) => ({
    issuers: { login: loginIssuer(by) },
    routes: [route('a')],
    upstreams: { u: { targets: [upstream.url] } },
  });
  const gateway = await startGateway(t, configuration(key));
  const token = mint(key);
  t.equal((await send(gateway.url, '/a', { token })).status, 200);
  await reload(gateway, configuration(createKey('EdDSA', 'k2')));
  const before = upstream.seen.length;
  t.equal((await send(gateway.url, '/a', { token })).status, 401);
  t.equal(upstream.seen.length, before);
});

t.test('keys outlive a reload while their server is down; revocations outlive it always', async (t) => {
  let isDown = false;
  const server = await startServer(t, (_request, response) => {
    if (isDown) response.writeHead(500).end();
    else
      response
        .writeHead(200, { 'content-type': 'application/json' })
        .end(JSON.stringify({ keys: [key.jwk] }));
  });
  const upstream = await startUpstream(t);
  const configuration = (routes: unknown[]) => ({
    issuers: { login: { issuer: ISSUER, jwks_url: server, audiences: [AUDIENCE] } },
    routes,
    upstreams: { u: { targets: [upstream.url] } },
  });
  const gateway = await startGateway(t, configuration([route('a')]));
  const revoked = mint(key);
  await gateway.admin('POST', '/v1/revocations', { token: revoked });
  isDown = true;
  await reload(gateway, configuration([route('a'), route('b')]));
  t.equal((await send(gateway.url, '/b', { token: mint(key) })).status, 200);
  t.equal((await send(gateway.url, '/b', { token: revoked })).status, 401);
});

t.test('what needs a restart is refused, and changes nothing', async (t) => {
  const upstream = await startUpstream(t);
  const base = {
    routes: [route('a', { auth: { mode: 'none' } })],
    upstreams: { u: { targets: [upstream.url] } },
  };
  const gateway = await startGateway(t, base);
  const changes: Record<string, Record<string, unknown>> = {
    listeners: { listeners: [{ host: '127.0.0.1', port: 1 }] },
    'revocation.store': { revocation: { store: 'sqlite:x.db' } },
  };
  for (const [what, change] of Object.entries(changes)) {
    const reloading = reload(gateway, {
      ...base,
      ...change,
      routes: [route('b', { auth: { mode: 'none' } })],
    });
    await t.rejects(reloading, ConfigurationError);
    await reloading.catch((error: ConfigurationError) => t.match(error.problems.join(), `${what}`));
    t.equal((await send(gateway.url, '/a')).status, 200);
    t.equal((await send(gateway.url, '/b')).status, 404);
  }
});

t.test('an admin token that was changed is the only one', async (t) => {
  const base = {
    routes: [route('a', { auth: { mode: 'none' } })],
    upstreams: { u: { targets: ['http://127.0.0.1:1'] } },
  };
  const gateway = await startGateway(t, base);
  const status = async (token: string): Promise<number> =>
    (await gateway.admin('GET', '/v1/status', undefined, { authorization: `Bearer ${token}` })).status;
  t.strictSame([await status(ADMIN_TOKEN), await status('another-admin-token')], [200, 401]);
  await gateway.instance.reload(loadedFrom(base, 'another-admin-token'));
  t.strictSame([await status(ADMIN_TOKEN), await status('another-admin-token')], [401, 200]);
});

t.test('limits are those of the configuration in place', async (t) => {
  const upstream = await startUpstream(t);
  const base = {
    routes: [route('a', { auth: { mode: 'none' } })],
    upstreams: { u: { targets: [upstream.url] } },
  };
  const gateway = await startGateway(t, base);
  const long = `/a?${'x'.repeat(12_000)}`;
  t.equal((await send(gateway.url, long)).status, 414);
  await reload(gateway, { ...base, limits: { uri_bytes: '64KiB' } });
  t.equal((await send(gateway.url, long)).status, 200);
  await reload(gateway, { ...base, limits: { uri_bytes: '1KiB' } });
  t.equal((await send(gateway.url, `/a?${'x'.repeat(2_000)}`)).status, 414);
});

// The processes wait for their files more than they work.
t.jobs = 4;

interface Running {
  readonly folder: string;
  readonly gateway: GatewayProcess;
  readonly write: (routes: unknown[] | string) => void;
  readonly metric: (name: string) => Promise<number>;
}

async function startProcess(t: Test): Promise<Running> {
  const upstream = await startUpstream(t);
  const folder = temporaryFolder(t);
  const keysFile = join(folder, 'jwks.json');
  writeFileSync(keysFile, JSON.stringify({ keys: [key.jwk] }));
  const configuration = (routes: unknown[]) => ({
    listeners: [{ host: '127.0.0.1', port: 0 }],
    admin: { port: 0, token: ADMIN_TOKEN },
    issuers: { login: { issuer: ISSUER, jwks_file: 'jwks.json', audiences: [AUDIENCE] } },
    routes,
    upstreams: { u: { targets: [upstream.url] } },
  });
  const gateway = await startGatewayProcess(t, configuration([route('a')]), folder);
  return {
    folder,
    gateway,
    write: (routes) =>
      writeFileSync(
        join(folder, 'sallyport.json'),
        typeof routes === 'string' ? routes : JSON.stringify(configuration(routes)),
      ),
    async metric(name) {
      const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
      return Number(new RegExp(`^${name.replace(/[{}"]/g, '\\$&')} (.*)$`, 'm').exec(text)?.[1] ?? 0);
    },
  };
}

t.test(
  'a change of the file is noticed, a bad one told of, a good one after it taken',
  { buffered: true },
  async (t) => {
    const { gateway, write, metric } = await startProcess(t);
    const token = mint(key);
    const status = async (path: string): Promise<number> => (await send(gateway.url, path, { token })).status;
    t.strictSame([await status('/a'), await status('/b')], [200, 404]);
    write([route('a'), route('b')]);
    await until(async () => (await status('/b')) === 200);
    t.equal(await metric('sallyport_config_last_reload_successful'), 1);
    t.equal(await metric('sallyport_config_reloads_total{result="success"}'), 1);
    write('routes: [nonsense');
    await until(async () => (await metric('sallyport_config_last_reload_successful')) === 0);
    t.equal(await status('/b'), 200);
    await until(() => gateway.output().includes('cannot be used; the one before stays'));
    write([route('c')]);
    await until(async () => (await status('/c')) === 200);
    t.equal(await status('/b'), 404);
    t.equal(await metric('sallyport_config_last_reload_successful'), 1);
  },
);

t.test(
  'SIGHUP loads it again; a file that the configuration names is watched, too',
  { buffered: true },
  async (t) => {
    const { gateway, folder, metric } = await startProcess(t);
    gateway.kill('SIGHUP');
    await until(async () => (await metric('sallyport_config_reloads_total{result="success"}')) === 1);
    const next = createKey('EdDSA', 'k2');
    t.equal((await send(gateway.url, '/a', { token: mint(next) })).status, 401);
    // As careful programs write: beside it, then in its place.
    writeFileSync(join(folder, 'jwks.new'), JSON.stringify({ keys: [next.jwk] }));
    renameSync(join(folder, 'jwks.new'), join(folder, 'jwks.json'));
    await until(async () => (await send(gateway.url, '/a', { token: mint(next) })).status === 200);
    t.equal((await send(gateway.url, '/a', { token: mint(key) })).status, 401);
    gateway.kill('SIGTERM');
    t.equal(await gateway.exited, 0);
  },
);

t.test('SIGHUP does not end a process that is only starting', { buffered: true }, async (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(
    join(folder, 'hang-up.mjs'),
    // When `run` first listens for a signal, the whole program has been loaded.
    `process.on('newListener', (name) => name === 'SIGTERM' && process.kill(process.pid, 'SIGHUP'));`,
  );
  const configuration = {
    listeners: [{ host: '127.0.0.1', port: 0 }],
    admin: { port: 0, token: ADMIN_TOKEN },
    routes: [route('a', { auth: { mode: 'none' } })],
    upstreams: { u: { targets: ['http://127.0.0.1:9'] } },
  };
  const nodeArguments = ['--import', join(folder, 'hang-up.mjs')];
  const gateway = await startGatewayProcess(
    t,
    configuration,
    folder,
    '"msg":"ready"',
    undefined,
    nodeArguments,
  );
  gateway.kill('SIGTERM');
  t.equal(await gateway.exited, 0);
});

t.test(
  'SIGUSR1 and SIGUSR2, which other servers know, open no debugger and end nothing',
  { buffered: true },
  async (t) => {
    const { gateway } = await startProcess(t);
    for (const signal of ['SIGUSR1', 'SIGUSR2'] as const) {
      gateway.kill(signal);
      await until(() => gateway.output().includes(`"signal":"${signal}","msg":"this signal does nothing`));
    }
    t.equal((await send(gateway.url, '/a', { token: mint(key) })).status, 200);
    t.notMatch(gateway.output(), /[Dd]ebugger/);
    gateway.kill('SIGTERM');
    t.equal(await gateway.exited, 0);
  },
);

t.test('SIGHUP while the gateway drains cuts nothing off', { buffered: true }, async (t) => {
  const { gateway } = await startProcess(t);
  const request = httpRequest(`${gateway.url}/a`, {
    method: 'POST',
    headers: { authorization: `Bearer ${mint(key)}`, 'content-length': 2 },
  });
  request.write('a');
  await until(async () => {
    const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
    return /^sallyport_requests_in_flight 1$/m.test(text);
  });
  gateway.kill('SIGTERM');
  await until(() => gateway.output().includes('"msg":"draining"'));
  gateway.kill('SIGHUP');
  await until(() => gateway.output().includes('SIGHUP reloads nothing'));
  request.end('b');
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  t.equal(response.statusCode, 200);
  response.resume();
  t.equal(await gateway.exited, 0);
});

t.test('a link that is turned elsewhere, as Kubernetes does, is noticed', { buffered: true }, async (t) => {
  const upstream = await startUpstream(t);
  const folder = temporaryFolder(t);
  const version = (name: string, routes: unknown[]): void => {
    mkdirSync(join(folder, name));
    const configuration = {
      listeners: [{ host: '127.0.0.1', port: 0 }],
      admin: { port: 0, token: ADMIN_TOKEN },
      routes,
      upstreams: { u: { targets: [upstream.url] } },
    };
    writeFileSync(join(folder, name, 'real.json'), JSON.stringify(configuration));
  };
  const open = { auth: { mode: 'none' } };
  version('v1', [route('a', open)]);
  symlinkSync('v1', join(folder, '..data'));
  const gateway = await startGatewayProcess(t, {}, folder, '"msg":"ready"', () => {
    rmSync(join(folder, 'sallyport.json'));
    symlinkSync('..data/real.json', join(folder, 'sallyport.json'));
  });
  t.equal((await send(gateway.url, '/a')).status, 200);
  version('v2', [route('b', open)]);
  symlinkSync('v2', join(folder, '..data_tmp'));
  renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
  await until(async () => (await send(gateway.url, '/b')).status === 200);
  t.equal((await send(gateway.url, '/a')).status, 404);
});

t.test(
  'a busy log file beside the configuration neither delays nor triggers a reload',
  { buffered: true },
  async (t) => {
    const { gateway, folder, write, metric } = await startProcess(t);
    let written = 0;
    const log = setInterval(() => appendFileSync(join(folder, 'busy.log'), `line ${written++}\n`), 10);
    t.teardown(() => clearInterval(log));
    await until(() => written > 50);
    t.equal(await metric('sallyport_config_reloads_total{result="success"}'), 0);
    write([route('b')]);
    await until(async () => (await send(gateway.url, '/b', { token: mint(key) })).status === 200);
    t.equal(await metric('sallyport_config_reloads_total{result="success"}'), 1);
  },
);

t.test('a folder that vanishes and comes back is noticed', { buffered: true }, async (t) => {
  const { gateway, folder, metric } = await startProcess(t);
  const configuration = readFileSync(join(folder, 'sallyport.json'));
  const keys = readFileSync(join(folder, 'jwks.json'));
  rmSync(folder, { recursive: true });
  await until(async () => (await metric('sallyport_config_last_reload_successful')) === 0);
  t.equal((await send(gateway.url, '/a', { token: mint(key) })).status, 200, 'it serves on');
  mkdirSync(folder);
  writeFileSync(join(folder, 'jwks.json'), keys);
  writeFileSync(join(folder, 'sallyport.json'), configuration);
  await until(async () => (await metric('sallyport_config_last_reload_successful')) === 1);
});

t.test(
  'a file in another folder that only an unusable configuration names is watched',
  { buffered: true },
  async (t) => {
    const { gateway, write, metric } = await startProcess(t);
    const elsewhere = join(temporaryFolder(t), 'scopes.json');
    write(JSON.stringify({ routes: 'nonsense', log_key_file: elsewhere }));
    await until(async () => (await metric('sallyport_config_last_reload_successful')) === 0);
    const failures = 'sallyport_config_reloads_total{result="failure"}';
    const before = await metric(failures);
    writeFileSync(elsewhere, 'secret');
    await until(async () => (await metric(failures)) > before);
    t.equal((await send(gateway.url, '/a', { token: mint(key) })).status, 200);
  },
);

t.test('a change while a reload waits for keys leads to another reload', { buffered: true }, async (t) => {
  const { gateway, folder, write } = await startProcess(t);
  const held: ServerResponse[] = [];
  const slow = await startServer(t, (_request, response) => void held.push(response));
  write(
    JSON.stringify({
      ...(JSON.parse(readFileSync(join(folder, 'sallyport.json'), 'utf8')) as object),
      issuers: { login: { issuer: ISSUER, jwks_url: slow, allow_http: true, audiences: [AUDIENCE] } },
    }),
  );
  await until(() => held.length === 1);
  write([route('b')]);
  held[0]?.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ keys: [key.jwk] }));
  await until(async () => (await send(gateway.url, '/b', { token: mint(key) })).status === 200);
});

t.test(
  'weights of targets that stay take effect when a prepared reload is committed, not before',
  async (t) => {
    const [one, other] = [await startUpstream(t), await startUpstream(t)];
    const configuration = (weight: number) => ({
      routes: [route('a', { auth: { mode: 'none' } })],
      upstreams: { u: { targets: [{ url: one.url, weight }, other.url] } },
    });
    const gateway = await startGateway(t, configuration(1));
    const sharesOfFour = async (): Promise<number[]> => {
      const before = [one.seen.length, other.seen.length];
      for (let count = 0; count < 4; count++) t.equal((await send(gateway.url, '/a')).status, 200);
      return [one.seen.length - (before[0] ?? 0), other.seen.length - (before[1] ?? 0)];
    };
    t.strictSame(await sharesOfFour(), [2, 2]);
    const discarded = await gateway.instance.prepare(loadedFrom(configuration(3)));
    t.strictSame(await sharesOfFour(), [2, 2], 'it is only prepared');
    discarded?.discard();
    t.strictSame(await sharesOfFour(), [2, 2]);
    const prepared = await gateway.instance.prepare(loadedFrom(configuration(3)));
    t.strictSame(await sharesOfFour(), [2, 2]);
    prepared?.commit();
    t.strictSame(await sharesOfFour(), [3, 1]);
  },
);
