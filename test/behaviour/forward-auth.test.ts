/**
 * Real proxies that ask a decision listener, with the configurations of docs/forward-auth.md as they are printed.
 * Rules C1 to C3, C10, C22, D14, D15.
 */
import { spawnSync } from 'node:child_process';
import t from 'tap';
import { parse } from 'yaml';
import { dpopPlays } from '../support/dpop-proxy-plays.ts';
import { challengesPass } from '../support/outer-proxy-challenges.ts';
import { blocks, proxyPlays, startScene, type Proxy } from '../support/outer-proxy.ts';

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

const printed = (language: string, mark: string): string =>
  blocks(language).find((text) => text.includes(mark)) ?? '';
const ofNginx = printed('nginx', 'http {');
const originalUrl = printed('nginx', 'X-Original-URL $scheme');

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

const proxies: Record<string, Proxy & { readonly version: readonly string[] }> = {
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
    configuration: printed('caddyfile', 'forward_auth'),
    dialect: 'forwarded',
    version: ['caddy', 'version'],
    command: (file) => ['caddy', 'run', '--config', file, '--adapter', 'caddyfile'],
    around: (text) => `{\n  admin off\n  default_bind 127.0.0.1\n}\n${text}`,
  },
};

for (const [name, proxy] of Object.entries(proxies)) {
  const [program = '', ...args] = proxy.version;
  const missing = spawnSync(program, args).status !== 0;
  const skip = missing && `${program} is not installed: apt-get install -y ${program}`;
  t.test(name, { skip }, async (t) => {
    const scene = await startScene(t, proxy);
    proxyPlays(t, scene);
    challengesPass(t, scene);
  });
  if (name !== 'nginx as ingress-nginx configures it')
    t.test(`${name}: DPoP`, { skip }, async (t) => dpopPlays(t, proxy, program === 'nginx'));
}
