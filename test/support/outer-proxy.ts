/**
 * Plays with a real proxy that asks a decision listener, with the configuration of docs/forward-auth.md as it is printed.
 * Rules C1 to C3, C10, C22.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { Dialect } from '../../src/http/original-request.ts';
import { send, sendRaw, statuses } from './client.ts';
import { loginIssuer, startGateway, until, type GatewayOptions, type TestGateway } from './gateway.ts';
import { temporaryFolder } from './process.ts';
import { freePort } from './redis.ts';
import { claimsOf, createKey, mint } from './tokens.ts';
import { startUpstream, type HttpUpstream } from './upstream.ts';

export const key = createKey('ES256');
const document = readFileSync(new URL('../../docs/forward-auth.md', import.meta.url), 'utf8');

/** What is printed in one language, in order. */
export const blocks = (language: string): string[] =>
  [...document.matchAll(new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``, 'g'))].map(([, text = '']) => text);

export interface Proxy {
  readonly configuration: string;
  readonly dialect: Dialect;
  readonly command: (file: string, folder: string, port: number) => readonly string[];
  /** What the process needs before and after the printed configuration. */
  readonly around: (text: string, folder: string) => string;
}

async function startProxy(
  t: Test,
  { configuration: text, command, around }: Proxy,
  { upstream, decisions }: { readonly upstream: number; readonly decisions: number },
): Promise<number> {
  const folder = temporaryFolder(t);
  const port = await freePort();
  const file = join(folder, 'config.yaml');
  const configuration = around(text, folder)
    .replaceAll(/\b8090\b/g, String(decisions))
    .replaceAll(/\b3000\b/g, String(upstream))
    .replaceAll(/\b8080\b/g, String(port));
  t.not(configuration, text, 'the printed configuration was found');
  writeFileSync(file, configuration);
  const [program = '', ...args] = command(file, folder, port);
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, HOME: folder },
  });
  let printed = '';
  for (const output of [child.stdout, child.stderr])
    output.on('data', (chunk: Buffer) => (printed = (printed + chunk.toString()).slice(-5_000)));
  const exited = once(child, 'exit');
  t.teardown(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  await until(async () => {
    if (child.exitCode !== null) throw new Error(`${program} ended at once: ${printed}`);
    return /^HTTP\/1.1 (?:200|426)/.test(
      await sendRaw(port, 'GET /public HTTP/1.1\r\nHost: up\r\nConnection: close\r\n\r\n'),
    );
  });
  return port;
}

export interface Scene {
  readonly gateway: TestGateway;
  readonly upstream: HttpUpstream;
  readonly port: number;
  readonly url: string;
}

/**
 * A proxy before an upstream, and a gateway that decides for it.
 *
 * @param upstreamUrl of an upstream of the test's own
 * @param changes of the gateway's configuration
 */
export async function startScene(
  t: Test,
  proxy: Proxy,
  upstreamUrl?: string,
  changes: Record<string, unknown> = {},
  options: GatewayOptions = {},
): Promise<Scene> {
  const upstream = await startUpstream(t);
  const configuration = {
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
    dpop: { nonces: { secret: 'a secret of the tests that is long enough' } },
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
      {
        name: 'bound',
        match: { hosts: ['api.example.com'], path_prefix: '/bound' },
        upstream: 'u',
        auth: { scopes: ['orders:read'], sender_constrained: 'optional' },
      },
      { name: 'public', match: { path_prefix: '/public' }, upstream: 'u', auth: { mode: 'none' } },
    ],
    upstreams: { u: { targets: ['http://127.0.0.1:1'] } },
    ...changes,
  };
  const gateway = await startGateway(t, configuration, options);
  const port = await startProxy(t, proxy, {
    upstream: Number(new URL(upstreamUrl ?? upstream.url).port),
    decisions: gateway.instance.listeners[1]?.address.port ?? 0,
  });
  return { gateway, upstream, port, url: `http://127.0.0.1:${port}` };
}

export const HOST = ['Host', 'api.example.com'];
export const token = mint(key, claimsOf({ sub: 'älice, a' }));

/** What every proxy must do. */
export function proxyPlays(t: Test, scene: Scene): void {
  passes(t, scene);
  refuses(t, scene);
  knowsHosts(t, scene);
  passesPreflights(t, scene);
  passesBodies(t, scene);
}

function passes(t: Test, { upstream, url }: Scene): void {
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

  t.test('C1 C2 a client cannot say who it is, in no spelling, on no route', async (t) => {
    const names = [
      'X-User-Id',
      'x-user-id',
      'X_User_Id',
      'x_user-id',
      'X.User.Id',
      'X-Client-Id',
      'X_Client.Id',
    ];
    const others = ['X-Scopes', 'X_Scopes', 'X-Token-Issuer', 'X_TOKEN_ISSUER'];
    const spoofed = [
      ...[...names, ...others].flatMap((name) => [name, 'root']),
      ...['Connection', 'close, X-User-Id, X-Scopes'],
    ];
    for (const [path, user] of [
      ['/public', ''],
      ['/orders', '%C3%A4lice%2C a'],
    ] as const) {
      const response = await send(url, path, { token, headers: [...HOST, ...spoofed] });
      t.equal(response.status, 200);
      const { headers = {} } = upstream.seen.at(-1) ?? {};
      t.equal(headers['x-user-id'] ?? '', user);
      t.strictSame(
        Object.entries(headers).filter(([, value]) => String(value).includes('root')),
        [],
        path,
      );
      t.equal(headers.authorization, undefined);
    }
  });
}

function refuses(t: Test, { upstream, url }: Scene): void {
  const refusals: Record<string, [path: string, options: Parameters<typeof send>[2], status: number[]]> = {
    'no token': ['/orders', { headers: HOST }, [401]],
    'a missing scope': ['/orders', { headers: HOST, token: mint(key, claimsOf({ scope: 'x' })) }, [403]],
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
        headers: [...HOST, 'X-Original-URL', 'http://api.example.com/public', 'X-Original-Method', 'GET'],
      },
      [401],
    ],
    'C3 X-Forwarded-Host of the client’s own': [
      '/orders',
      { token, headers: ['Host', 'evil.example', 'X-Forwarded-Host', 'api.example.com'] },
      [403, 404],
    ],
    'another method': ['/orders', { method: 'DELETE', headers: HOST, token }, [403, 404]],
    // Traefik resolves it, so the decision is about /orders.
    'C10 a path with two readings': ['/public/%2e%2e/orders', { headers: HOST }, [400, 401, 403]],
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
}

function knowsHosts(t: Test, { upstream, port }: Scene): void {
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
      t.ok([400, 401].includes((await asked('other.example', target)) ?? 0), `${target} for other.example`);
    t.ok([400, 401].includes((await asked('api.example.com', 'http://api.example.com:80/vault')) ?? 0));
    t.equal(upstream.seen.length, before, 'the upstream saw nothing');
  });
}

function passesPreflights(t: Test, { upstream, url }: Scene): void {
  t.test('a preflight reaches the upstream without a token; other OPTIONS do not', async (t) => {
    const preflight = [...HOST, 'Origin', 'https://app.example.com', 'Access-Control-Request-Method', 'POST'];
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
}

function passesBodies(t: Test, { upstream, port }: Scene): void {
  t.test('a chunked body passes', async (t) => {
    const bytes = `POST /orders HTTP/1.1\r\nHost: api.example.com\r\nAuthorization: Bearer ${token}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n0\r\n\r\n`;
    t.strictSame(statuses(await sendRaw(port, bytes)), [200]);
    t.match(upstream.seen.at(-1), { method: 'POST', body: 'hello' });
  });
}
