/**
 * The proxies that the benchmark compares: the configuration of each for the same job, and its start on one core.
 */
import { spawn, execFileSync, type ChildProcess } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Credentials } from './credentials.ts';

export interface Contestant {
  readonly name: string;
  readonly authenticates: boolean;
  /** Whether each request carries a token that is not in the proxy's cache. */
  readonly newTokens: boolean;
  /** Undefined if it is not installed. */
  readonly version: string | undefined;
  /** Writes its configuration into the folder and returns the command that starts it on the port. */
  command(folder: string, port: number, upstreamPort: number, credentials: Credentials): readonly string[];
}

export const UPSTREAM_BODY = '{"orders":[{"id":1,"item":"cookies","n":12}]}';

function versionOf(command: string, args: readonly string[], pattern: RegExp): string | undefined {
  try {
    const output = execFileSync('sh', ['-c', `${command} ${args.join(' ')} 2>&1`], { encoding: 'utf8' });
    return pattern.exec(output)?.[1];
  } catch {
    return undefined;
  }
}

function packageVersion(name: string): string | undefined {
  try {
    const file = new URL(`../node_modules/${name}/package.json`, import.meta.url);
    return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
  } catch {
    return undefined;
  }
}

const nginxVersion = versionOf('nginx', ['-v'], /nginx\/([\d.]+)/);
const haproxyVersion = versionOf('haproxy', ['-v'], /version ([\d.]+)/);

/** The upstream of every contestant: nginx with a fixed response. */
export function nginxUpstream(folder: string, port: number): readonly string[] {
  const file = join(folder, 'upstream.conf');
  writeFileSync(
    file,
    `worker_processes 1; daemon off; pid ${folder}/upstream.pid; error_log /dev/null;
events { worker_connections 4096; }
http { access_log off; keepalive_requests 1000000000; keepalive_timeout 600s;
  server { listen 127.0.0.1:${port} reuseport; location / { default_type application/json; return 200 '${UPSTREAM_BODY}'; } } }
`,
  );
  return ['nginx', '-c', file, '-p', folder];
}

const sallyport = (name: string, { accessLog = false, newTokens = false } = {}): Contestant => ({
  name,
  authenticates: true,
  newTokens,
  version: packageVersion('../'),
  command(folder, port, upstreamPort, credentials) {
    const file = join(folder, `${name}.json`);
    writeFileSync(join(folder, 'jwks.json'), JSON.stringify(credentials.jwks));
    writeFileSync(
      file,
      JSON.stringify({
        realm: 'bench',
        access_log: accessLog,
        // Tokens are sent in turn: a cache of one entry no longer holds a token when it comes again.
        ...(newTokens && { caches: { tokens: { entries: 1 } } }),
        listeners: [{ host: '127.0.0.1', port }],
        admin: { port: 0 },
        issuers: {
          bench: { issuer: credentials.issuer, jwks_file: 'jwks.json', audiences: [credentials.audience] },
        },
        routes: [
          {
            name: 'orders',
            match: { path_prefix: '/' },
            upstream: 'orders',
            auth: { scopes: ['orders:read'] },
          },
        ],
        upstreams: { orders: { targets: [`http://127.0.0.1:${upstreamPort}`] } },
      }),
    );
    return [process.execPath, new URL('../src/main.ts', import.meta.url).pathname, 'run', '-c', file];
  },
});

const nginxProxy: Contestant = {
  name: 'nginx proxy_pass',
  authenticates: false,
  newTokens: false,
  version: nginxVersion,
  command(folder, port, upstreamPort) {
    const file = join(folder, 'proxy.conf');
    writeFileSync(
      file,
      `worker_processes 1; daemon off; pid ${folder}/proxy.pid; error_log /dev/null;
events { worker_connections 4096; }
http { access_log off; keepalive_requests 1000000000;
  upstream up { server 127.0.0.1:${upstreamPort}; keepalive 64; keepalive_requests 1000000000; }
  server { listen 127.0.0.1:${port}; location / { proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ""; } } }
`,
    );
    return ['nginx', '-c', file, '-p', folder];
  },
};

const haproxy: Contestant = {
  name: 'HAProxy jwt_verify RS256',
  authenticates: true,
  // It has no token cache and verifies every token.
  newTokens: false,
  version: haproxyVersion,
  command(folder, port, upstreamPort, credentials) {
    const file = join(folder, 'haproxy.cfg');
    const key = join(folder, 'public.pem');
    writeFileSync(key, credentials.publicPem);
    writeFileSync(
      file,
      `global
  nbthread 1
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 5s
  option http-keep-alive
frontend in
  bind 127.0.0.1:${port}
  http-request set-var(txn.bearer) http_auth_bearer
  http-request set-var(txn.alg) var(txn.bearer),jwt_header_query('$.alg')
  http-request set-var(txn.iss) var(txn.bearer),jwt_payload_query('$.iss')
  http-request set-var(txn.exp) var(txn.bearer),jwt_payload_query('$.exp','int')
  http-request set-var(txn.now) date()
  http-request deny deny_status 401 unless { var(txn.alg) -m str RS256 }
  http-request deny deny_status 401 unless { var(txn.iss) -m str ${credentials.issuer} }
  http-request deny deny_status 401 unless { var(txn.bearer),jwt_verify(txn.alg,"${key}") -m int 1 }
  http-request deny deny_status 401 if { var(txn.exp),sub(txn.now) -m int lt 0 }
  http-request set-header x-user-id %[var(txn.bearer),jwt_payload_query('$.sub')]
  http-request set-header x-scopes %[var(txn.bearer),jwt_payload_query('$.scope')]
  http-request del-header authorization
  default_backend out
backend out
  http-reuse always
  server up 127.0.0.1:${upstreamPort}
`,
    );
    return ['haproxy', '-f', file];
  },
};

const httpProxy: Contestant = {
  name: 'http-proxy',
  authenticates: false,
  newTokens: false,
  version: packageVersion('http-proxy'),
  command(_folder, port, upstreamPort) {
    return [
      process.execPath,
      new URL('./http-proxy-peer.ts', import.meta.url).pathname,
      String(port),
      String(upstreamPort),
    ];
  },
};

export const CONTESTANTS: readonly Contestant[] = [
  sallyport('sallyport'),
  sallyport('sallyport, access log', { accessLog: true }),
  sallyport('sallyport, new tokens', { newTokens: true }),
  haproxy,
  nginxProxy,
  httpProxy,
];

/** Starts a command pinned to a core. */
export function startOn(core: number, command: readonly string[]): ChildProcess {
  return spawn('taskset', ['-c', String(core), ...command], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, NODE_ENV: 'production' },
  });
}
