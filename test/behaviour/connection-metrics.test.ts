/** What the metrics say of responses, tries at targets, connections, handshakes and the configuration. Rule A7. */
import { spawn } from 'node:child_process';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { readFileSync } from 'node:fs';
import { once } from 'node:events';
import t, { type Test } from 'tap';
import { configurationHash } from '../../src/config/configuration-hash.ts';
import { parseConfiguration, type LoadedConfiguration } from '../../src/config/load.ts';
import { handshakeFailure } from '../../src/tls/handshake-failure.ts';
import { certificateAuthority, noOpenssl } from '../support/certificates.ts';
import { send } from '../support/client.ts';
import { startGateway, until, withTestPorts, type TestGateway } from '../support/gateway.ts';
import { temporaryFolder } from '../support/process.ts';
import { startServer, startUpstream } from '../support/upstream.ts';

const open = (upstream: string, more: Record<string, unknown> = {}): Record<string, unknown> => ({
  routes: [
    { name: 'a', match: { path_prefix: '/a' }, upstream: 'shop', auth: { mode: 'none' } },
    { name: 'gone', match: { path_prefix: '/gone' }, upstream: 'gone', auth: { mode: 'none' } },
  ],
  upstreams: { shop: { targets: [upstream] }, gone: { targets: ['http://127.0.0.1:1'] } },
  ...more,
});
/** Waits until the series has this value: a request is counted after its client has the response. */
const reaches = (gateway: TestGateway, series: string, value: number): Promise<void> =>
  until(async () => (await gateway.metric(series)) === value);
const closed = async (socket: Socket): Promise<void> => {
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.on('error', () => undefined).once('close', () => resolve());
  await promise;
};
const seriesOf = async (gateway: TestGateway, metric: string): Promise<string[]> => {
  const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
  return text.split('\n').filter((line) => line.startsWith(`${metric}{`) || line.startsWith(`${metric} `));
};
const loadedAs = (t: Test, configuration: Record<string, unknown>): LoadedConfiguration => {
  const folder = temporaryFolder(t);
  const text = JSON.stringify(withTestPorts(configuration));
  return { configuration: parseConfiguration(text, 'test.json', folder, {}), folder, file: 'test.json' };
};

t.test('responses of upstreams and the gateway’s own are told apart', async (t) => {
  const server = await startServer(t, (request, response) => {
    response.statusCode = request.url === '/a/503' ? 503 : 200;
    response.end();
  });
  const gateway = await startGateway(t, open(server));
  await send(gateway.url, '/a');
  await send(gateway.url, '/a/503');
  await send(gateway.url, '/gone');
  await send(gateway.url, '/nowhere');
  const requests = 'sallyport_http_requests_total';
  await reaches(gateway, `${requests}{route="a",method="GET",code="200",source="upstream"}`, 1);
  await reaches(gateway, `${requests}{route="a",method="GET",code="503",source="upstream"}`, 1);
  await reaches(gateway, `${requests}{route="gone",method="GET",code="502",source="gateway"}`, 1);
  await reaches(gateway, `${requests}{route="unmatched",method="GET",code="404",source="gateway"}`, 1);
  t.equal((await seriesOf(gateway, requests)).length, 4);
  t.equal(
    await gateway.metric('sallyport_failed_requests_total{route="gone",error="upstream_unreachable"}'),
    1,
  );
  t.equal(await gateway.metric('sallyport_failed_requests_total{route="unmatched",error="no_route"}'), 1);
  t.equal(
    (await seriesOf(gateway, 'sallyport_failed_requests_total')).length,
    2,
    'a 503 of an upstream is its own',
  );
  const tries = `sallyport_upstream_requests_total{upstream="shop",target="${server}"`;
  t.equal(await gateway.metric(`${tries},code="200"}`), 1);
  t.equal(await gateway.metric(`${tries},code="503"}`), 1);
});

t.test('every try counts for its target, whatever its result', async (t) => {
  const held = Promise.withResolvers<void>();
  const server = await startServer(t, (request, response) => {
    if (request.url === '/a/cut') {
      response.writeHead(200, { 'content-length': 5 });
      response.write('ab', () => response.destroy());
    } else if (request.url === '/a/late') held.resolve();
    else response.end();
  });
  const gateway = await startGateway(t, {
    ...open(server),
    upstreams: {
      shop: { targets: [server] },
      gone: { targets: ['http://127.0.0.1:1', server] },
    },
    routes: [
      {
        name: 'late',
        match: { path_prefix: '/a/late' },
        upstream: 'shop',
        auth: { mode: 'none' },
        timeouts: { response: '100ms' },
      },
      { name: 'a', match: { path_prefix: '/a' }, upstream: 'shop', auth: { mode: 'none' } },
      {
        name: 'gone',
        match: { path_prefix: '/gone' },
        upstream: 'gone',
        auth: { mode: 'none' },
        retries: { attempts: 1 },
      },
    ],
  });
  const tries = (upstream: string, target: string, code: string): Promise<number> =>
    gateway.metric(
      `sallyport_upstream_requests_total{upstream="${upstream}",target="${target}",code="${code}"}`,
    );
  await send(gateway.url, '/a/cut').catch(() => undefined);
  await until(async () => (await tries('shop', server, '200')) === 1);
  await until(async () => (await seriesOf(gateway, 'sallyport_failed_requests_total')).length === 1);
  t.match(
    await seriesOf(gateway, 'sallyport_failed_requests_total'),
    [/route="a",error="upstream_\w+"\} 1$/],
    'cut off behind its head, and no success for that',
  );
  t.equal((await send(gateway.url, '/a/late')).status, 504);
  t.equal(await tries('shop', server, 'timeout'), 1);
  for (let request = 0; request < 4; request++) t.equal((await send(gateway.url, '/gone')).status, 200);
  t.equal(await tries('gone', server, '200'), 4);
  t.ok((await tries('gone', 'http://127.0.0.1:1', 'error')) >= 1, 'a try that a retry made good');
});

t.test('targets that a reload takes away keep no series, and those that stay go on counting', async (t) => {
  const [first, second] = [await startUpstream(t), await startUpstream(t)];
  const gateway = await startGateway(t, open(first.url));
  await send(gateway.url, '/a');
  const tries = (target: string): string =>
    `sallyport_upstream_requests_total{upstream="shop",target="${target}",code="200"}`;
  await reaches(gateway, tries(first.url), 1);
  await gateway.instance.reload(loadedAs(t, open(second.url)));
  await send(gateway.url, '/a');
  await reaches(gateway, tries(second.url), 1);
  t.equal((await seriesOf(gateway, 'sallyport_upstream_requests_total')).length, 1);
  await gateway.instance.reload(loadedAs(t, { ...open(second.url), realm: 'another' }));
  await send(gateway.url, '/a');
  await reaches(gateway, tries(second.url), 2);
});

t.test('A7: a target that invents statuses makes no series of them', async (t) => {
  const server = await startServer(t, (request, response) => {
    response.statusCode = Number(request.url?.slice('/a/'.length));
    response.end();
  });
  const gateway = await startGateway(t, open(server));
  for (const status of [600, 731, 999]) t.equal((await send(gateway.url, `/a/${status}`)).status, 502);
  await reaches(
    gateway,
    `sallyport_upstream_requests_total{upstream="shop",target="${server}",code="error"}`,
    3,
  );
  t.equal((await seriesOf(gateway, 'sallyport_upstream_requests_total')).length, 1);
});

t.test('a stream is timed until it begins, however long it lasts', async (t) => {
  const server = await startServer(t, (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: 1\n\n');
  });
  const gateway = await startGateway(t, open(server));
  const aborted = new AbortController();
  const response = await fetch(`${gateway.url}/a`, { signal: aborted.signal });
  await response.body?.getReader().read();
  const begunMs = performance.now();
  await until(() => performance.now() - begunMs > 60);
  aborted.abort();
  const seconds = 'sallyport_http_request_duration_seconds';
  await reaches(gateway, `${seconds}_count{route="a"}`, 1);
  const [sum = ''] = await seriesOf(gateway, `${seconds}_sum`);
  const line = gateway.log.find(({ route }) => route === 'a');
  t.ok(Number(line?.['duration_ms']) - 1000 * Number(sum.split(' ').at(-1)) >= 59, 'without what came after');
});

t.test('connections, and those above the limit', async (t) => {
  const upstream = await startUpstream(t);
  const gateway = await startGateway(t, open(upstream.url, { limits: { connections: 2, in_flight: 7 } }));
  const openOnes = 'sallyport_connections_open{listener="listeners[0]",protocol="http/1.1"}';
  const sockets = [connectTcp(gateway.port, '127.0.0.1'), connectTcp(gateway.port, '127.0.0.1')];
  t.teardown(() => sockets.forEach((socket) => socket.destroy()));
  await reaches(gateway, openOnes, 2);
  const third = connectTcp(gateway.port, '127.0.0.1');
  await closed(third);
  t.equal(await gateway.metric('sallyport_connections_refused_total{listener="listeners[0]"}'), 1);
  t.equal(await gateway.metric('sallyport_connections_limit{listener="listeners[0]"}'), 2);
  t.equal(await gateway.metric('sallyport_requests_in_flight_limit'), 7);
  sockets[0]?.destroy();
  await reaches(gateway, openOnes, 1);
  t.equal(
    await gateway.metric('sallyport_connections_accepted_total{listener="listeners[0]",protocol="http/1.1"}'),
    2,
  );
  await send(gateway.url, '/a');
  const upstreams = `sallyport_upstream_connections_open{upstream="shop",target="${upstream.url}",protocol="http/1.1"}`;
  t.equal(await gateway.metric(upstreams), 1);
});

t.test('handshakes by result, and HTTP/2 sessions', { skip: noOpenssl }, async (t) => {
  const authority = certificateAuthority(temporaryFolder(t));
  const { cert, key } = authority.issue('gateway', 'DNS:localhost', 'IP:127.0.0.1');
  const upstream = await startUpstream(t);
  const tls = { cert_file: cert, key_file: key, client_ca_file: authority.ca };
  const gateway = await startGateway(
    t,
    open(upstream.url, {
      listeners: [
        { host: '127.0.0.1', port: 0, tls: { cert_file: cert, key_file: key } },
        { host: '127.0.0.1', port: 0, tls: { ...tls, client_certificates: 'required' } },
      ],
    }),
  );
  const ca = readFileSync(authority.ca);
  const handshakes = (listener: number, result: string): string =>
    `sallyport_tls_handshakes_total{listener="listeners[${listener}]",result="${result}"}`;
  const { port } = gateway;
  const h2 = connectTls({ port, ca, servername: 'localhost', ALPNProtocols: ['h2'] });
  t.teardown(() => h2.destroy());
  await once(h2, 'secureConnect');
  await reaches(gateway, handshakes(0, 'ok'), 1);
  await reaches(gateway, 'sallyport_connections_open{listener="listeners[0]",protocol="h2"}', 1);
  h2.write('no preface of HTTP/2, and long enough to be sure of that');
  await reaches(gateway, 'sallyport_http2_session_errors_total{listener="listeners[0]"}', 1);
  await reaches(gateway, 'sallyport_connections_open{listener="listeners[0]",protocol="h2"}', 0);

  const verifying = [
    's_client',
    '-connect',
    `127.0.0.1:${port}`,
    '-verify_return_error',
    '-no-CAfile',
    '-no-CApath',
  ];
  await once(spawn('openssl', verifying, { stdio: 'ignore' }), 'exit');
  await reaches(gateway, handshakes(0, 'refused_by_client'), 1);
  const plain = connectTcp(port, '127.0.0.1');
  plain.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  plain.resume();
  await closed(plain);
  await reaches(gateway, handshakes(0, 'not_tls'), 1);
  const old = connectTls({ port, ca, servername: 'localhost', ALPNProtocols: ['spdy/3'] });
  await closed(old);
  await reaches(gateway, handshakes(0, 'nothing_in_common'), 1);
  const second = gateway.instance.listeners[1]?.address.port ?? 0;
  const anonymous = connectTls({ port: second, ca, servername: 'localhost' });
  anonymous.resume();
  await closed(anonymous);
  await reaches(gateway, handshakes(1, 'client_certificate'), 1);
  t.equal(await gateway.metric(handshakes(0, 'ok')), 1);
  t.equal(await gateway.metric(handshakes(1, 'ok')), 0);
});

t.test('A7: what OpenSSL says becomes one of a few words', async (t) => {
  t.equal(handshakeFailure('ERR_TLS_HANDSHAKE_TIMEOUT', undefined), 'timeout');
  t.equal(handshakeFailure('ECONNRESET', undefined), 'client_left');
  t.equal(handshakeFailure('ECONNRESET', new Error('CERT_HAS_EXPIRED')), 'client_certificate');
  t.equal(handshakeFailure('ERR_SSL_SSL/TLS_ALERT_CERTIFICATE_EXPIRED', undefined), 'refused_by_client');
  t.equal(handshakeFailure('ERR_SSL_NO_SHARED_CIPHER', undefined), 'nothing_in_common');
  t.equal(handshakeFailure('ERR_SSL_OF_THE_FUTURE', undefined), 'other');
  t.equal(handshakeFailure(undefined, undefined), 'other');
});

t.test('the hash of the configuration changes with it, and has no secret in it', async (t) => {
  const base = open('http://127.0.0.1:3000', { log_key: 'a'.repeat(40) });
  const hashOf = (configuration: Record<string, unknown>): string =>
    configurationHash(loadedAs(t, configuration).configuration);
  const hash = hashOf(base);
  t.match(hash, /^[0-9a-f]{16}$/);
  t.equal(hashOf(Object.fromEntries(Object.entries(base).reverse())), hash, 'whatever the order of keys');
  t.equal(hashOf({ ...base, log_key: 'b'.repeat(40) }), hash);
  t.equal(hashOf({ ...base, admin: { port: 0, token: 'another-token-of-an-admin' } }), hash);
  const store = (url: string): Record<string, unknown> => ({ ...base, revocation: { store: url } });
  t.equal(hashOf(store('redis://:one@127.0.0.1:6379')), hashOf(store('redis://:two@127.0.0.1:6379')));
  t.not(hashOf(store('redis://127.0.0.1:6379')), hashOf(store('redis://127.0.0.1:6380')));
  t.not(hashOf({ ...base, realm: 'another' }), hash);
});

t.test(
  'a reload shows in the hash and in the load time; keys that were never fetched have no age',
  async (t) => {
    const upstream = await startUpstream(t);
    const issuer = (url: string): Record<string, unknown> => ({
      issuer: 'https://login.example.com',
      jwks_url: url,
      audiences: ['https://api.example.com'],
    });
    const keys = await startServer(t, (_request, response) => response.end('{"keys":[]}'));
    const gateway = await startGateway(t, {
      ...open(upstream.url),
      issuers: { down: issuer('http://127.0.0.1:1') },
    });
    t.strictSame(await seriesOf(gateway, 'sallyport_requests_in_flight_limit'), [], 'no limit is no zero');
    const [before] = await seriesOf(gateway, 'sallyport_config_info');
    const loadedAt = await gateway.metric('sallyport_config_load_timestamp_seconds');
    t.match(before, /hash="[0-9a-f]{16}"\} 1$/);
    t.strictSame(await seriesOf(gateway, 'sallyport_jwks_age_seconds'), [
      'sallyport_jwks_age_seconds{issuer="down"} +Inf',
    ]);
    await gateway.instance.reload(loadedAs(t, { ...open(upstream.url), issuers: { up: issuer(keys) } }));
    t.not((await seriesOf(gateway, 'sallyport_config_info'))[0], before);
    t.ok((await gateway.metric('sallyport_config_load_timestamp_seconds')) >= loadedAt);
    t.match(
      await seriesOf(gateway, 'sallyport_jwks_age_seconds'),
      [/issuer="up"\} \S+$/],
      'of issuers that are there',
    );
  },
);
