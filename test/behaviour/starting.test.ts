/** A start that fails says why, a stop is heard at every stage of a start, and a log that cannot be written ends nothing. */
import { spawn } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { openSync, closeSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { ListenError } from '../../src/server/listen-error.ts';
import { connectRedis, type RedisLocation } from '../../src/revocation/redis-connection.ts';
import { send } from '../support/client.ts';
import { ADMIN_TOKEN, startGateway, until } from '../support/gateway.ts';
import { MAIN, temporaryFolder } from '../support/process.ts';
import { freePort, startRedis } from '../support/redis.ts';
import { startServer } from '../support/upstream.ts';

const base = {
  routes: [{ name: 'all', match: {}, upstream: 'u', auth: { mode: 'none' } }],
  upstreams: { u: { targets: ['http://127.0.0.1:1'] } },
};

async function usedPort(t: Test): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** `sallyport run` with its standard output where the test wants it. */
function run(t: Test, configuration: Record<string, unknown>, stdout: 'pipe' | number = 'pipe') {
  const file = join(temporaryFolder(t), 'sallyport.json');
  writeFileSync(
    file,
    JSON.stringify({
      ...base,
      ...configuration,
      admin: { port: 0, token: ADMIN_TOKEN, ...(configuration['admin'] as object | undefined) },
    }),
    { mode: 0o600 },
  );
  const child = spawn(process.execPath, [MAIN, 'run', '-c', file], { stdio: ['ignore', stdout, 'pipe'] });
  let output = '';
  child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const ended = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | string);
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  return { child, ended, output: () => output };
}

t.test('an address that cannot be opened fails the start, and its key is named', async (t) => {
  const redis = await startRedis(t);
  const port = await usedPort(t);
  const free = { host: '127.0.0.1', port: 0 };
  const cases: readonly [key: string, code: string, configuration: Record<string, unknown>][] = [
    ['listeners[1].port', 'EADDRINUSE', { listeners: [free, { host: '127.0.0.1', port }] }],
    ['admin.port', 'EADDRINUSE', { admin: { host: '127.0.0.1', port } }],
    ['listeners[0].host', 'EADDRNOTAVAIL', { listeners: [{ host: '192.0.2.1', port: 0 }] }],
    ['admin.host', 'EADDRNOTAVAIL', { admin: { host: '192.0.2.1', port: 0 } }],
  ];
  for (const store of [redis.url, 'memory:', `redis://127.0.0.1:${await freePort()}`]) {
    for (const [key, code, configuration] of cases) {
      const starting = startGateway(t, { ...base, revocation: { store }, ...configuration });
      await t.rejects(starting, ListenError, `${store} ${key}`);
      const error: unknown = await starting.catch((error: unknown) => error);
      t.match(error, { key, code });
    }
  }
});

t.test('each refusal of the operating system names one key', async (t) => {
  const address = { key: 'listeners[0]', host: '::1', port: 80 };
  for (const [code, part] of Object.entries({
    EADDRINUSE: 'port',
    EACCES: 'port',
    EADDRNOTAVAIL: 'host',
    EAFNOSUPPORT: 'host',
    EINVAL: 'host',
    ENOTFOUND: 'host',
    EAI_AGAIN: 'host',
    EMFILE: 'port',
  }))
    t.match(new ListenError(address, Object.assign(new Error(), { code })), {
      key: `listeners[0].${part}`,
      code,
    });
});

t.test('the process that cannot start ends with 1, and tells of the port and not of Redis', async (t) => {
  const redis = await startRedis(t);
  const port = await usedPort(t);
  const { ended, output } = run(t, {
    listeners: [
      { host: '127.0.0.1', port: 0 },
      { host: '127.0.0.1', port },
    ],
    revocation: { store: redis.url },
  });
  t.equal(await ended, 1);
  t.match(output(), /listeners\[1\]\.port.*EADDRINUSE/);
  t.notMatch(output(), /\n {4}at /, 'no stack');
});

t.test(
  'a connection to Redis that is closed right after it was opened is no unhandled rejection',
  async (t) => {
    const redis = await startRedis(t);
    const login = { username: undefined, password: undefined };
    const node = new URL(redis.url).host;
    const sentinel = { name: 'm', db: 0, sentinelUsername: undefined, sentinelPassword: undefined, ...login };
    const locations: readonly RedisLocation[] = [
      { keyPrefix: 'x', url: redis.url },
      { keyPrefix: 'x', url: 'redis://127.0.0.1:1' },
      { keyPrefix: 'x', cluster: [node], ...login },
      { keyPrefix: 'x', sentinels: [node], ...sentinel },
    ];
    const unhandled: unknown[] = [];
    const note = (error: unknown): void => void unhandled.push(error);
    process.on('unhandledRejection', note);
    t.teardown(() => process.off('unhandledRejection', note));
    for (const location of locations) {
      for (const pause of [() => undefined, () => Promise.resolve(), () => once(soon(), 'now')]) {
        const connection = connectRedis(location);
        const waiting = pause();
        if (waiting) await waiting;
        connection.redis.disconnect();
        await t.rejects(connection.ready);
      }
    }
    await once(soon(), 'now');
    t.strictSame(unhandled, []);
  },
);

function soon(): EventTarget {
  const target = new EventTarget();
  setImmediate(() => target.dispatchEvent(new Event('now')));
  return target;
}

t.test('SIGTERM while the view compares itself with the store: it stops without a rejection', async (t) => {
  const redis = await startRedis(t);
  redis.freeze();
  const gateway = await startGateway(t, { ...base, revocation: { store: redis.url } }, { notReady: true });
  const unhandled: unknown[] = [];
  const note = (error: unknown): void => void unhandled.push(error);
  process.on('unhandledRejection', note);
  t.teardown(() => process.off('unhandledRejection', note));
  const stopped = gateway.stop();
  redis.thaw();
  await stopped;
  await once(soon(), 'now');
  t.strictSame(unhandled, []);
});

t.test('at a start without Redis the log says that no list is loaded; later, that one is', async (t) => {
  const redis = await startRedis(t, { running: false });
  const configuration = { ...base, revocation: { store: redis.url } };
  const gateway = await startGateway(t, configuration, { notReady: true });
  const losses = (): unknown[] => gateway.log.flatMap(({ list_loaded: loaded }) => loaded ?? []);
  await until(() => losses().length === 1);
  await redis.start();
  await gateway.instance.ready();
  await redis.kill();
  await until(() => losses().length === 2);
  t.strictSame(losses(), [false, true]);
});

t.test('SIGTERM while keys are fetched for the first time: it drains and ends with 0', async (t) => {
  let asked = 0;
  const silent = await startServer(t, () => void asked++);
  const { child, ended } = run(t, {
    issuers: { login: { issuer: 'https://a', jwks_url: silent, allow_http: true, audiences: ['a'] } },
    listeners: [{ host: '127.0.0.1', port: 0 }],
  });
  await until(() => asked === 1);
  child.kill('SIGTERM');
  t.equal(await ended, 0);
});

t.test('a reader that leaves, as in "run | head -1", does not end the gateway', async (t) => {
  const { child, ended, output } = run(t, { listeners: [{ host: '127.0.0.1', port: 0 }] });
  await until(() => output() !== '');
  child.stdout?.destroy();
  child.kill('SIGTERM');
  t.equal(await ended, 0);
});

t.test('a connection that the system cannot hand over costs that connection only', async (t) => {
  const gateway = await startGateway(t, base);
  const servers = new Set<Server>();
  const note = (message: unknown): void => void servers.add((message as { server: Server }).server);
  subscribe('http.server.request.start', note);
  t.teardown(() => unsubscribe('http.server.request.start', note));
  await send(gateway.url, '/');
  await fetch(`${gateway.adminUrl}/livez`);
  t.equal(servers.size, 2);
  // What Node emits when accept() fails, for want of memory for one.
  for (const server of servers) server.emit('error', Object.assign(new Error('accept'), { code: 'ENOBUFS' }));
  t.equal((await send(gateway.url, '/')).status, 502);
  t.strictSame(
    gateway.log.flatMap(({ listener }) => listener ?? []),
    ['listeners[0]', 'admin'],
  );
});

t.test('a full disk costs log lines, which are counted, and neither memory nor the end', async (t) => {
  const full = openSync('/dev/full', 'w');
  t.teardown(() => closeSync(full));
  const [port, adminPort] = [await freePort(), await freePort()];
  const { child, ended } = run(
    t,
    { listeners: [{ host: '127.0.0.1', port }], admin: { port: adminPort } },
    full,
  );
  const url = `http://127.0.0.1:${port}`;
  await until(async () => (await fetch(url).catch(() => undefined))?.status === 502);
  const long = `/${'a'.repeat(7_500)}`;
  for (let sent = 0; sent < 1_300; sent++) await send(url, long);
  const metrics = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
  t.ok(Number(/^sallyport_log_lines_dropped_total (\d+)$/m.exec(metrics)?.[1]) > 0);
  child.kill('SIGTERM');
  t.equal(await ended, 0, 'it ends when told');
});
