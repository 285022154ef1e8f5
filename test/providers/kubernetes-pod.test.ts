/**
 * A gateway in a process of its own, on what a pod of deploy/kubernetes sees: its files as Kubernetes lays them out, its
 * arguments, its environment, and where this process may choose it, its user.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { parse, stringify } from 'yaml';
import { noOpenssl } from '../support/certificates.ts';
import { until } from '../support/gateway.ts';
import { built, KUBERNETES, podOf } from '../support/kubernetes.ts';
import { configurationText, mount } from '../support/mounted-configuration.ts';
import { MAIN } from '../support/process.ts';
import { startRedis } from '../support/redis.ts';
import { claimsOf, createKey, mint } from '../support/tokens.ts';
import { startServer, startUpstream } from '../support/upstream.ts';

const manifests = built(join(KUBERNETES, 'overlays/redis-url'));
const pod = podOf(manifests);
const [container] = pod.containers;

interface Document {
  listeners: Record<string, unknown>[];
  admin: Record<string, unknown>;
  issuers: { login: Record<string, unknown> };
  revocation: { store: Record<string, unknown> };
  routes: Record<string, unknown>[];
  upstreams: { orders: Record<string, unknown> };
  [key: string]: unknown;
}

/** The configuration of the ConfigMap, changed. */
function changed(change: (document: Document) => void): string {
  const document = parse(configurationText(manifests)) as Document;
  change(document);
  return stringify(document);
}

interface Around {
  readonly issuer: string;
  readonly redis: string;
  readonly upstream: string;
}

/** Where the parts around the gateway are on this machine. */
function here({ issuer, redis, upstream }: Around, text: string, state: string): string {
  const document = parse(text) as Document;
  Object.assign(document.listeners[0] ?? {}, { host: '127.0.0.1', port: 0 });
  Object.assign(document.admin, { host: '127.0.0.1', port: 0 });
  Object.assign(document.issuers.login, { issuer, keys: { cache_dir: join(state, 'keys') } });
  document.revocation.store['url'] = redis;
  Object.assign(document.upstreams.orders, { targets: [upstream], health: undefined });
  return stringify(document);
}

interface Response {
  readonly status: number | undefined;
  readonly headers: IncomingMessage['headers'];
}

/** One request on a connection of its own. As probes do, it takes any certificate. */
async function get(base: string, path: string, token?: string): Promise<Response> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const sent = request(new URL(path, base), { agent: false, rejectUnauthorized: false, headers });
  sent.end();
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  response.resume();
  await once(response, 'end');
  return { status: response.statusCode, headers: response.headers };
}

/** The user of the pod, where this process may become it and that user can read the sources; else the one of the tests. */
function podUser(t: Test): { uid: number; gid: number } | undefined {
  const { runAsUser, runAsGroup } = pod.securityContext as { runAsUser: number; runAsGroup: number };
  const user = { uid: runAsUser, gid: runAsGroup };
  if (process.getuid?.() === 0 && spawnSync(process.execPath, [MAIN, '--version'], user).status === 0)
    return user;
  t.comment('as the user of the tests: no other is allowed, or it cannot read the sources');
  return undefined;
}

interface Running {
  readonly url: string;
  readonly adminUrl: string;
  readonly log: () => Record<string, unknown>[];
  readonly terminate: () => void;
  readonly ended: Promise<number>;
}

async function run(
  t: Test,
  folder: string,
  user: { uid: number; gid: number } | undefined,
): Promise<Running> {
  const args = container.args.map((arg) => arg.replace('/etc/sallyport', folder));
  // Nothing but the environment of the pod: tap adds to the one that a child inherits.
  const environment = container.env.map(({ name, value }) => `${name}=${value}`);
  const child = spawn('env', ['-i', ...environment, process.execPath, MAIN, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    ...user,
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const ended = once(child, 'exit').then(([code]) => code as number);
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const log = (): Record<string, unknown>[] =>
    output
      .slice(0, output.lastIndexOf('\n') + 1)
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  const listening = (): Record<string, unknown> | undefined => log().find(({ msg }) => msg === 'listening');
  await until(() => {
    if (child.exitCode !== null) throw new Error(output);
    return listening() !== undefined;
  });
  const { listeners, admin } = listening() as { listeners: string[]; admin: string };
  return {
    url: `https://${listeners[0]}`,
    adminUrl: `https://${admin}`,
    log,
    terminate: () => void child.kill('SIGTERM'),
    ended,
  };
}

t.test('a gateway runs on what its pod sees', { skip: noOpenssl }, async (t) => {
  const key = createKey('EdDSA');
  const issuer = await startServer(t, (incoming, response) => {
    const metadata = { issuer, jwks_uri: `${issuer}/jwks` };
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(incoming.url === '/jwks' ? { keys: [key.jwk] } : metadata));
  });
  const upstream = await startUpstream(t);
  const user = podUser(t);
  const redis = await startRedis(t, { options: ['user sallyport on nopass allkeys allcommands'] });
  const around = { issuer, redis: redis.url, upstream: upstream.url };
  const mounted = mount(t, manifests, (text, state) => here(around, text, state), user?.gid);
  const gateway = await run(t, mounted.folder, user);
  const token = mint(key, claimsOf({ iss: issuer, scope: 'orders:read' }));

  await t.test('its probes get their responses', async (t) => {
    const { startupProbe, livenessProbe, readinessProbe } = container;
    for (const { httpGet } of [startupProbe, livenessProbe, readinessProbe])
      await until(async () => (await get(gateway.adminUrl, httpGet.path)).status === 200);
    t.equal((await get(gateway.url, '/orders', token)).status, 200);
    t.equal((await get(gateway.url, '/orders')).status, 401);
    t.equal(upstream.seen.length, 1);
    t.match(await redis.command('CLIENT', 'LIST'), /user=sallyport/);
  });

  await t.test('it keeps the keys of its issuer in the one folder that it may write to', async (t) => {
    const keys = join(mounted.state, 'keys');
    await until(() => existsSync(keys) && readdirSync(keys).some((name) => name.endsWith('.json')));
    t.notOk(
      gateway.log().some(({ level }) => level === 'error'),
      'nothing to complain of',
    );
  });

  await t.test(
    'it reloads when Kubernetes swaps the folder, and keeps what it has where that is wrong',
    async (t) => {
      const open = { name: 'open', match: { path: '/open' }, upstream: 'orders', auth: { mode: 'none' } };
      mounted.swap(changed(({ routes }) => void routes.push(open)));
      await until(async () => (await get(gateway.url, '/open')).status === 200);
      mounted.swap(changed((document) => Object.assign(document, { routse: [] })));
      await until(() =>
        gateway.log().some(({ problems }) => JSON.stringify(problems ?? '').includes('routse')),
      );
      t.equal((await get(gateway.url, '/open')).status, 200);
    },
  );

  await t.test('it ends within the time that Kubernetes leaves it', async (t) => {
    const begun = Date.now();
    gateway.terminate();
    await until(
      async () => (await get(gateway.adminUrl, container.readinessProbe.httpGet.path)).status === 503,
    );
    const { status, headers } = await get(gateway.url, '/orders', token);
    t.match(
      { status, connection: headers.connection },
      { status: 200, connection: 'close' },
      'it still serves',
    );
    t.equal(await gateway.ended, 0);
    const preStop = container.lifecycle?.preStop.sleep.seconds ?? 0;
    t.ok((Date.now() - begun) / 1000 < pod.terminationGracePeriodSeconds - preStop);
  });
});
