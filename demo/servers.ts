/** The servers of the demo: an authorization server, a cookie factory and the gateway, in this process. */
import { randomBytes } from 'node:crypto';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Instance } from '../src/assembly/instance.ts';
import { loadConfiguration } from '../src/config/load.ts';
import { offerExplanations } from '../src/explain/explain-running.ts';
import { createLog } from '../src/telemetry/logger.ts';
import { startCookieFactory, type CookieFactory } from './cookie-factory.ts';
import { CLIENT, COOKIE_API, OPAQUE_RESOURCE, startIssuer, type DemoIssuer } from './issuer.ts';

export interface DemoServers {
  readonly issuer: DemoIssuer;
  readonly factory: CookieFactory;
  readonly gateway: string;
  readonly admin: string;
  readonly adminToken: string;
  /** Holds demo.json, the configuration, and access.log, one line for each request. */
  readonly folder: string;
  /** What is in access.log. */
  readonly log: () => string;
  close(): Promise<void>;
}

/** @param usualPorts whether to take ports 8080 and 9090 (the gateway), 3000 and 4000 where they are free */
export async function startServers(usualPorts: boolean): Promise<DemoServers> {
  const port = async (usual: number): Promise<number> => (usualPorts && (await isFree(usual)) ? usual : 0);
  const issuer = await startIssuer(await port(4000));
  const factory = await startCookieFactory(await port(3000));
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-demo-'));
  const adminToken = randomBytes(18).toString('base64url');
  const file = join(folder, 'demo.json');
  const configuration = demoConfiguration(issuer.url, factory.url, await port(8080), await port(9090));
  writeFileSync(join(folder, 'admin-token'), adminToken, { mode: 0o600 });
  writeFileSync(join(folder, 'log-key'), randomBytes(32).toString('base64url'), { mode: 0o600 });
  writeFileSync(file, JSON.stringify(configuration, null, 2));
  // The terminal is for the story: the log goes to a file.
  const logFile = join(folder, 'access.log');
  const log = createLog({ write: (line) => appendFileSync(logFile, line) });
  const instance = new Instance(loadConfiguration(file), log);
  offerExplanations(instance);
  await instance.start();
  await instance.ready();
  return {
    issuer,
    factory,
    gateway: `http://127.0.0.1:${instance.listeners[0]?.address.port}`,
    admin: `http://127.0.0.1:${instance.admin.address.port}`,
    adminToken,
    folder,
    log: () => readFileSync(logFile, 'utf8'),
    async close() {
      await instance.stop();
      await Promise.all([issuer.close(), factory.close()]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function demoConfiguration(issuer: string, factory: string, port: number, adminPort: number): object {
  return {
    realm: 'cookie factory',
    log_key_file: 'log-key',
    listeners: [{ host: '127.0.0.1', port }],
    admin: { port: adminPort, token_file: 'admin-token' },
    issuers: {
      login: { issuer, discovery: true, audiences: [COOKIE_API] },
      login_opaque: {
        issuer,
        introspection: {
          url: `${issuer}/token/introspection`,
          client_id: CLIENT.id,
          client_secret: CLIENT.secret,
        },
        audiences: [OPAQUE_RESOURCE],
      },
      factory: { validation: { url: `${factory}/validate`, claims: '/claims', cache: '5s' } },
    },
    revocation: { store: 'sqlite:revocations.sqlite' },
    timeouts: { drain: '2s' },
    routes: [
      {
        name: 'cookies',
        match: { path_prefix: '/cookies' },
        upstream: 'factory',
        auth: { issuers: ['login', 'factory'], scopes: ['cookies:read'] },
      },
      {
        name: 'oven',
        match: { path_prefix: '/oven' },
        upstream: 'factory',
        auth: { issuers: ['login'], scopes: ['cookies:bake'] },
      },
      {
        name: 'jars',
        match: { path_prefix: '/jars' },
        upstream: 'factory',
        auth: { issuers: ['login_opaque'], scopes: ['cookies:read'] },
      },
    ],
    upstreams: { factory: { targets: [factory] } },
  };
}

async function isFree(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const server = createServer();
  server.once('error', () => resolve(false));
  server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  return promise;
}
