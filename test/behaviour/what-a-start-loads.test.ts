/** What a gateway has loaded once it is ready: what its configuration needs, and no client that it does not use. */
import t, { type Test } from 'tap';
import { startGatewayProcess } from '../support/process.ts';
import { createKey } from '../support/tokens.ts';

/** Replies with the packages, and parts of Node, that are loaded. */
const TELL = `data:text/javascript,${encodeURIComponent(`
  import { createRequire } from 'node:module';
  const { cache } = createRequire(${JSON.stringify(import.meta.url)});
  process.on('message', () => {
    const packages = Object.keys(cache).map((file) => /node_modules.((?:@[^/]+.)?[^/]+)/.exec(file)?.[1]);
    const native = process.moduleLoadList.map((name) => name.replace('NativeModule ', 'node:'));
    process.send([...new Set([...packages, ...native])]);
  });
  process.channel.unref();
`)}`;
const CLIENTS = ['ioredis', 'node:sqlite', 'undici'];

async function loadedClients(t: Test, more: Record<string, unknown>, awaited?: string): Promise<string[]> {
  const issuer = {
    issuer: 'https://login.test',
    jwks: { keys: [createKey().jwk] },
    audiences: ['https://api.test'],
  };
  const configuration = {
    listeners: [{ port: 0 }],
    issuers: { login: issuer },
    routes: [{ name: 'all', match: { path_prefix: '/' }, upstream: 'all' }],
    upstreams: { all: { targets: ['http://127.0.0.1:9'] } },
    ...more,
  };
  const gateway = await startGatewayProcess(t, configuration, undefined, awaited, undefined, [
    '--import',
    TELL,
  ]);
  const loaded = (await gateway.ask('')) as string[];
  t.ok(loaded.includes('node:http'));
  return CLIENTS.filter((name) => loaded.includes(name));
}

t.test(
  'with the list in memory and keys in the file, no client of Redis, SQLite or authorization servers is loaded',
  async (t) => {
    t.strictSame(await loadedClients(t, { revocation: { store: 'memory:' } }), []);
  },
);

t.test('what Redis and introspection need is loaded at the start, before the first token', async (t) => {
  const introspected = {
    issuer: 'https://login.test',
    introspection: { url: 'http://127.0.0.1:9/', client_id: 'gateway', client_secret: 'secret'.repeat(6) },
    audiences: ['https://api.test'],
  };
  const routes = [
    { name: 'all', match: { path_prefix: '/' }, upstream: 'all', auth: { issuers: ['login'] } },
  ];
  const more = { revocation: { store: 'redis://127.0.0.1:9' }, issuers: { login: introspected }, routes };
  t.strictSame(await loadedClients(t, more, '"msg":"listening"'), ['ioredis', 'undici']);
});

t.test('what SQLite needs is loaded where the list is in a file', async (t) => {
  t.strictSame(await loadedClients(t, { revocation: { store: 'sqlite:list.sqlite' } }), ['node:sqlite']);
});
