/** A gateway that starts while the authorization server is down. Rules K0, K3. */
import t, { type Test } from 'tap';
import { chmodSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ServerResponse } from 'node:http';
import { send } from '../support/client.ts';
import { sallyport } from '../support/command.ts';
import { advance, startGateway, until, type TestGateway } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { temporaryFolder } from '../support/process.ts';
import { AUDIENCE, claimsOf, createKey, ISSUER, mint, type SigningKey } from '../support/tokens.ts';
import { startServer, startUpstream } from '../support/upstream.ts';
import { writeFileSync } from 'node:fs';

const upstream = await startUpstream(t);
/** Between two fetches, if an unknown kid causes the second. */
const COOLDOWN_MS = 5_000;

interface KeyServer {
  readonly url: string;
  keys: SigningKey[];
  isDown: boolean;
}

async function startKeyServer(t: Test, ...keys: SigningKey[]): Promise<KeyServer> {
  const server: KeyServer = {
    url: await startServer(t, (_request, response: ServerResponse) => {
      if (server.isDown) response.writeHead(503).end();
      else response.end(JSON.stringify({ keys: server.keys.map(({ jwk }) => jwk) }));
    }),
    keys,
    isDown: false,
  };
  return server;
}

const configurationFor = ({ url }: KeyServer, folder: string, readiness = {}): Record<string, unknown> => ({
  issuers: {
    login: {
      issuer: ISSUER,
      audiences: [AUDIENCE],
      jwks_url: `${url}/jwks`,
      keys: { cache_dir: join(folder, 'keys'), max_stale: '1h' },
    },
  },
  readiness,
  routes: [{ name: 'r', match: { path_prefix: '/' }, upstream: 'u' }],
  upstreams: { u: { targets: [upstream.url] } },
});
const statusOf = async (gateway: TestGateway, token: string): Promise<number> =>
  (await send(gateway.url, '/', { token })).status;
const ready = async (gateway: TestGateway): Promise<number> =>
  (await fetch(`${gateway.adminUrl}/readyz`)).status;
const filesIn = (folder: string): string[] => {
  try {
    return readdirSync(join(folder, 'keys')).filter((name) => name.endsWith('.json'));
  } catch {
    return [];
  }
};

t.test('K3 the last good keys serve a new gateway while the endpoint is down, up to max_stale', async (t) => {
  const folder = temporaryFolder(t);
  const [kept, removed] = [createKey(), createKey()];
  const server = await startKeyServer(t, kept, removed);
  const clock = new ManualClock();
  const tokenBy = (key: SigningKey): string => {
    const iat = Math.floor(clock.nowMs() / 1000);
    return mint(key, claimsOf({ iat, exp: iat + 600 }));
  };
  const before = await startGateway(t, configurationFor(server, folder), { clock });
  await until(() => filesIn(folder).length === 1);
  server.keys = [kept];
  await before.admin('POST', '/v1/issuers/login/keys/refresh');
  const file = join(folder, 'keys', filesIn(folder)[0] ?? '');
  await until(() => !readFileSync(file, 'utf8').includes(removed.kid));
  t.notMatch(readFileSync(file, 'utf8'), /"d"|admin-token/);
  await before.stop();

  server.isDown = true;
  clock.advance(600_000);
  const gateway = await startGateway(t, configurationFor(server, folder, { require_keys: '60s' }), { clock });
  t.equal(await ready(gateway), 200);
  t.equal(await statusOf(gateway, tokenBy(kept)), 200);
  const seen = upstream.seen.length;
  t.equal(await statusOf(gateway, tokenBy(removed)), 503, 'it may have come back since');
  t.equal(upstream.seen.length, seen);
  const age =
    Date.now() / 1000 -
    (await gateway.metric('sallyport_jwks_last_success_timestamp_seconds{issuer="login"}'));
  t.ok(Math.abs(age) < 120, 'the age is that of the fetch, on a clock that is 600 s ahead');
  await advance(gateway, clock, 3_001_000);
  t.equal(
    await statusOf(gateway, tokenBy(kept)),
    503,
    'beyond max_stale since they were fetched, not since the start',
  );
  server.isDown = false;
  await advance(gateway, clock, 31_000);
  await until(async () => (await statusOf(gateway, tokenBy(kept))) === 200);
});

t.test('K3 what is on the disk is not used while the endpoint responds', async (t) => {
  const folder = temporaryFolder(t);
  const [old, fresh] = [createKey(), createKey()];
  const server = await startKeyServer(t, old);
  const first = await startGateway(t, configurationFor(server, folder));
  await until(() => filesIn(folder).length === 1);
  await first.stop();
  server.keys = [fresh];
  const clock = new ManualClock();
  const second = await startGateway(t, configurationFor(server, folder), { clock });
  t.equal(await statusOf(second, mint(fresh)), 200);
  clock.advance(COOLDOWN_MS);
  t.equal(await statusOf(second, mint(old)), 401);
});

t.test('K3 an unsafe folder is not read: 503, an error in the log, and a warning by check', async (t) => {
  const folder = temporaryFolder(t);
  const key = createKey();
  const server = await startKeyServer(t, key);
  const first = await startGateway(t, configurationFor(server, folder));
  await until(() => filesIn(folder).length === 1);
  await first.stop();
  chmodSync(join(folder, 'keys'), 0o777);
  server.isDown = true;
  const second = await startGateway(t, configurationFor(server, folder));
  const seen = upstream.seen.length;
  t.equal(await statusOf(second, mint(key)), 503);
  t.equal(upstream.seen.length, seen);
  t.equal(second.log.filter(({ level, file }) => level === 'error' && file !== undefined).length, 1);
  const file = join(folder, 'sallyport.json');
  writeFileSync(file, JSON.stringify(configurationFor(server, folder)), { mode: 0o600 });
  const { warnings } = JSON.parse((await sallyport(['check', '--json', '-c', file])).out) as {
    warnings: string[];
  };
  t.equal(warnings.filter((warning) => warning.includes('issuers.login.keys.cache_dir')).length, 1);
});

t.test('check: a folder for keys that are in the configuration has no meaning', async (t) => {
  const folder = temporaryFolder(t);
  const file = join(folder, 'sallyport.json');
  const { issuers: _, ...rest } = configurationFor(
    { url: 'http://127.0.0.1:1', keys: [], isDown: true },
    folder,
  );
  const issuer = { issuer: ISSUER, jwks: { keys: [createKey().jwk] }, keys: { cache_dir: folder } };
  writeFileSync(file, JSON.stringify({ ...rest, issuers: { login: issuer } }), { mode: 0o600 });
  const { code, err } = await sallyport(['check', '-c', file]);
  t.equal(code, 1);
  t.match(err, /cache_dir/);
});

t.test('K3 a failed fetch says whether keys are known, and again when none are any more', async (t) => {
  const server = await startKeyServer(t, createKey());
  server.isDown = true;
  const clock = new ManualClock();
  const known = ({ log }: TestGateway): unknown[] =>
    log.filter(({ keys_known }) => keys_known !== undefined).map(({ keys_known }) => keys_known);
  const without = await startGateway(t, configurationFor(server, temporaryFolder(t)), { clock });
  t.strictSame(known(without), [false]);
  server.isDown = false;
  const withKeys = await startGateway(t, configurationFor(server, temporaryFolder(t)), { clock });
  server.isDown = true;
  await withKeys.admin('POST', '/v1/issuers/login/keys/refresh');
  t.strictSame(known(withKeys), [true]);
  await advance(withKeys, clock, 3_601_000);
  await until(() => known(withKeys).at(-1) === false);
});

t.test('readiness.require_keys: ready with the first keys, or when its time is over', async (t) => {
  const server = await startKeyServer(t, createKey());
  server.isDown = true;
  const clock = new ManualClock();
  const options = { clock, notReady: true };
  const waits = { require_keys: '60s' };
  const [impatient, fetches, gives] = await Promise.all([
    startGateway(t, configurationFor(server, temporaryFolder(t)), options),
    startGateway(t, configurationFor(server, temporaryFolder(t), waits), options),
    startGateway(t, configurationFor(server, temporaryFolder(t), { require_keys: '10m' }), options),
  ]);
  t.equal(await ready(impatient), 200);
  t.equal(await ready(fetches), 503);
  await advance(fetches, clock, 61_000);
  t.equal(await ready(fetches), 200, 'a bound, not a condition');
  t.equal(await ready(gives), 503);
  server.isDown = false;
  await advance(gives, clock, 31_000);
  await until(async () => (await ready(gives)) === 200);
  server.isDown = true;
  await advance(gives, clock, 3_700_000);
  t.equal(await ready(gives), 200, 'keys that are lost later do not make it unready');
});
