/**
 * Real proxies that ask a decision listener, with the configurations of docs/forward-auth.md as they are printed.
 * Rules C1 to C3, C10, C22.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { parse } from 'yaml';
import type { Dialect } from '../../src/http/original-request.ts';
import { send, sendRaw, statuses } from '../support/client.ts';
import { loginIssuer, startGateway, until } from '../support/gateway.ts';
import { temporaryFolder } from '../support/process.ts';
import { freePort } from '../support/redis.ts';
import { claimsOf, createKey, mint } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const key = createKey('ES256');
const document = readFileSync(new URL('../../docs/forward-auth.md', import.meta.url), 'utf8');

/** What is printed in one language, in order. */
const blocks = (language: string): string[] =>
  [...document.matchAll(new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``, 'g'))].map(([, text = '']) => text);

interface Proxy {
  readonly configuration: string;
  readonly dialect: Dialect;
  readonly version: readonly string[];
  readonly command: (file: string, folder: string) => readonly string[];
  /** What the process needs before and after the printed configuration. */
  readonly around: (text: string, folder: string) => string;
}

const nginx = {
  version: ['nginx', '-v'],
  command: (file: string, folder: string) => ['nginx', '-c', file, '-p', folder, '-e', 'stderr'],
  // One process: of a killed master, the worker would live on.
  around: (text: string, folder: string) =>
    `daemon off; master_process off; pid ${folder}/nginx.pid; error_log stderr;\n${text.replace(
      'http {',
      `http { access_log off; ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
        .map((name) => `${name}_temp_path ${folder}/${name};`)
        .join(' ')}`,
    )}`,
};

const [ofNginx = '', originalUrl = ''] = blocks('nginx');

/** As ingress-nginx asks: about `$http_host`, under a Host of its own. */
function ofIngress(): string {
  const { data } = parse(blocks('yaml').find((text) => text.includes('server-snippet')) ?? '') as {
    data: Record<string, string>;
  };
  return ofNginx
    .replace(/proxy_set_header Host .*;/, 'proxy_set_header Host sallyport.gateway;')
    .replace(
      /proxy_set_header X-Original-URI .*;/,
      'proxy_set_header X-Original-URL $scheme://$http_host$request_uri;',
    )
    .replace('http {', `http {\n${data['http-snippet']}`)
    .replace('location / {', `${data['server-snippet']}\nlocation / {`);
}

const proxies: Record<string, Proxy> = {
  nginx: { ...nginx, configuration: ofNginx, dialect: 'original' },
  'nginx with original_url': {
    ...nginx,
    configuration: ofNginx
      .replace(/proxy_set_header (?:Host|X-Original-URI|X-Original-Method) .*;/g, '')
      .replace('proxy_set_header X-Forwarded-For', `${originalUrl}proxy_set_header X-Forwarded-For`),
    dialect: 'original_url',
  },
  'nginx as ingress-nginx configures it': { ...nginx, configuration: ofIngress(), dialect: 'original_url' },
  caddy: {
    configuration: blocks('caddyfile')[0] ?? '',
    dialect: 'forwarded',
    version: ['caddy', 'version'],
    command: (file) => ['caddy', 'run', '--config', file, '--adapter', 'caddyfile'],
    around: (text) => `{\n  admin off\n  default_bind 127.0.0.1\n}\n${text}`,
  },
};

async function startProxy(
  t: Test,
  { configuration: text, command, around }: Proxy,
  { upstream, decisions }: { readonly upstream: string; readonly decisions: string },
): Promise<number> {
  const folder = temporaryFolder(t);
  const port = await freePort();
  const file = join(folder, 'config');
  const configuration = text
    .replaceAll('127.0.0.1:8090', decisions)
    .replaceAll('127.0.0.1:3000', upstream)
    .replace(/(127\.0\.0\.1)?:8080/, `$1:${port}`);
  t.not(configuration, text, 'the printed configuration was found');
  writeFileSync(file, around(configuration, folder));
  const [program = '', ...args] = command(file, folder);
  const child = spawn(program, args, { stdio: 'ignore', env: { ...process.env, HOME: folder } });
  const exited = once(child, 'exit');
  t.teardown(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  await until(async () => {
    if (child.exitCode !== null) throw new Error(`${program} ended at once`);
    return (await sendRaw(port, 'GET / HTTP/1.1\r\nHost: up\r\nConnection: close\r\n\r\n')) !== '';
  });
  return port;
}

for (const [name, proxy] of Object.entries(proxies)) {
  const [program = '', ...args] = proxy.version;
  const missing = spawnSync(program, args).status !== 0;
  t.test(
    name,
    { skip: missing && `${program} is not installed: apt-get install -y ${program}` },
    async (t) => {
      const upstream = await startUpstream(t);
      const gateway = await startGateway(t, {
        listeners: [
          { host: '127.0.0.1', port: 0 },
          {
            host: '127.0.0.1',
            port: 0,
            serve: 'decisions',
            dialect: proxy.dialect,
            trusted_peers: ['127.0.0.1'],
          },
        ],
        issuers: { login: loginIssuer(key) },
        routes: [
          {
            name: 'orders',
            match: { hosts: ['api.example.com'], path_prefix: '/orders', methods: ['GET', 'POST'] },
            upstream: 'u',
            auth: { scopes: ['orders:read'] },
            cors: { origins: ['https://app.example.com'] },
          },
          { name: 'vault', match: { hosts: ['api.example.com'], path_prefix: '/vault' }, upstream: 'u' },
          { name: 'elsewhere', match: { path_prefix: '/vault' }, upstream: 'u', auth: { mode: 'none' } },
          { name: 'public', match: { path_prefix: '/public' }, upstream: 'u', auth: { mode: 'none' } },
        ],
        upstreams: { u: { targets: ['http://127.0.0.1:1'] } },
      });
      const port = await startProxy(t, proxy, {
        upstream: new URL(upstream.url).host,
        decisions: `127.0.0.1:${gateway.instance.listeners[1]?.address.port}`,
      });
      const url = `http://127.0.0.1:${port}`;
      const HOST = ['Host', 'api.example.com'];
      const token = mint(key, claimsOf({ sub: 'älice, a' }));

      t.test('a good token passes, and the upstream learns who it is', async (t) => {
        const response = await send(url, '/orders/1?a=b', { token, headers: HOST });
        t.match(response, { status: 200, body: 'ok' });
        t.match(upstream.seen.at(-1), { method: 'GET', url: '/orders/1?a=b' });
        const { headers = {} } = upstream.seen.at(-1) ?? {};
        t.equal(headers['x-user-id'], '%C3%A4lice%2C a');
        t.equal(headers['x-scopes'], 'orders:read');
        t.equal(headers.authorization, undefined);
        t.match(await send(url, '/orders', { token, headers: HOST, method: 'POST', body: 'hello' }), {
          status: 200,
        });
        t.match(upstream.seen.at(-1), { method: 'POST', body: 'hello' });
      });

      t.test('C1 C2 a client cannot say who it is, on no route', async (t) => {
        const spoofed = [...HOST, 'X-User-Id', 'root', 'X_User_Id', 'root', 'X-Client-Id', 'root'];
        for (const [path, user] of [
          ['/public', ''],
          ['/orders', '%C3%A4lice%2C a'],
        ] as const) {
          t.equal((await send(url, path, { token, headers: spoofed })).status, 200);
          const { headers = {} } = upstream.seen.at(-1) ?? {};
          t.equal(headers['x-user-id'] ?? '', user);
          t.equal(headers['x_user_id'], undefined);
          t.not(headers['x-client-id'], 'root');
        }
      });

      const refusals: Record<string, [path: string, options: Parameters<typeof send>[2], status: number[]]> =
        {
          'no token': ['/orders', { headers: HOST }, [401]],
          'a missing scope': [
            '/orders',
            { headers: HOST, token: mint(key, claimsOf({ scope: 'x' })) },
            [403],
          ],
          'C3 X-Forwarded-Uri of the client’s own': [
            '/orders',
            { headers: [...HOST, 'X-Forwarded-Uri', '/public', 'X-Forwarded-Method', 'GET'] },
            [401],
          ],
          'C3 X-Original-URI of the client’s own': [
            '/orders',
            { headers: [...HOST, 'X-Original-URI', '/public', 'X-Original-Method', 'GET'] },
            [401],
          ],
          'C3 X-Original-URL of the client’s own': [
            '/orders',
            {
              headers: [
                ...HOST,
                'X-Original-URL',
                'http://api.example.com/public',
                'X-Original-Method',
                'GET',
              ],
            },
            [401],
          ],
          'C3 X-Forwarded-Host of the client’s own': [
            '/orders',
            { token, headers: ['Host', 'evil.example', 'X-Forwarded-Host', 'api.example.com'] },
            [403, 404],
          ],
          'another method': ['/orders', { method: 'DELETE', headers: HOST, token }, [403, 404]],
          'C10 a path with two readings': ['/public/%2e%2e/orders', { headers: HOST }, [400, 403]],
          'C10 an encoded slash': ['/public%2Forders', { headers: HOST }, [400, 403, 404]],
        };
      for (const [what, [path, options, expected]] of Object.entries(refusals)) {
        t.test(`${what}: refused, and the upstream sees nothing`, async (t) => {
          const before = upstream.seen.length;
          const response = await send(url, path, options);
          t.ok(expected.includes(response.status), String(response.status));
          if (response.status === 401) t.match(response.headers['www-authenticate'], /^Bearer realm="test"/);
          t.equal(upstream.seen.length, before);
        });
      }

      t.test('C22 no spelling of a guarded host is served as another host', async (t) => {
        const asked = async (host: string, target = '/vault'): Promise<number | undefined> => {
          const bytes = `GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
          return statuses(await sendRaw(port, bytes))[0];
        };
        t.equal(await asked('other.example'), 200);
        const before = upstream.seen.length;
        for (const host of ['api.example.com', 'API.Example.com', 'api.example.com.', 'api.example.com.:80'])
          t.ok([400, 401].includes((await asked(host)) ?? 0), host);
        for (const target of ['http://api.example.com/vault', 'http://API.example.com./vault'])
          t.ok(
            [400, 401].includes((await asked('other.example', target)) ?? 0),
            `${target} for other.example`,
          );
        t.ok([400, 401].includes((await asked('api.example.com', 'http://api.example.com:80/vault')) ?? 0));
        t.equal(upstream.seen.length, before, 'the upstream saw nothing');
      });

      t.test('a preflight reaches the upstream without a token; other OPTIONS do not', async (t) => {
        const preflight = [
          ...HOST,
          'Origin',
          'https://app.example.com',
          'Access-Control-Request-Method',
          'POST',
        ];
        const spoofed = [...preflight, 'X-User-Id', 'root'];
        t.equal((await send(url, '/orders/1', { method: 'OPTIONS', headers: spoofed })).status, 200);
        const seen = upstream.seen.at(-1);
        t.match(seen, { method: 'OPTIONS', url: '/orders/1' });
        t.equal(seen?.headers['x-user-id'] ?? '', '');
        const before = upstream.seen.length;
        for (const headers of [HOST, preflight.map((text) => text.replace('app', 'evil'))]) {
          const refused = await send(url, '/orders/1', { method: 'OPTIONS', headers });
          t.ok([401, 403, 404].includes(refused.status), String(refused.status));
        }
        t.equal(upstream.seen.length, before);
      });

      t.test('a chunked body passes', async (t) => {
        const bytes = `POST /orders HTTP/1.1\r\nHost: api.example.com\r\nAuthorization: Bearer ${token}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n0\r\n\r\n`;
        t.strictSame(statuses(await sendRaw(port, bytes)), [200]);
        t.match(upstream.seen.at(-1), { method: 'POST', body: 'hello' });
      });
    },
  );
}
