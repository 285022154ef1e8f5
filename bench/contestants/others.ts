/** Proxies that authenticate nothing here, and a gateway as a team would put it together from npm packages. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  caddyVersion,
  fastifyFolder,
  fastifyVersion,
  httpProxyVersion,
  nginxVersion,
  traefikProgram,
  traefikVersion,
} from '../programs.ts';
import type { Contestant } from './contestant.ts';

const ONE_CORE = { GOMAXPROCS: '1' };
const peer = (name: string): string => new URL(`../peers/${name}.ts`, import.meta.url).pathname;
const passesAll = { kinds: ['known'], blindTo: undefined, warmsUp: false } as const;

/** @param workers processes that share its port */
export const nginxWith = (workers: number): Contestant => ({
  ...passesAll,
  name: 'nginx',
  version: nginxVersion,
  start({ folder, port, upstreamPort }) {
    const file = join(folder, 'proxy.conf');
    const shared = workers > 1 ? ' reuseport' : '';
    writeFileSync(
      file,
      `worker_processes ${workers}; daemon off; pid ${folder}/proxy.pid; error_log /dev/null;
events { worker_connections 4096; }
http { access_log off; keepalive_requests 1000000000;
  upstream up { server 127.0.0.1:${upstreamPort}; keepalive 64; keepalive_requests 1000000000; }
  server { listen 127.0.0.1:${port}${shared}; location / { proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ""; } } }
`,
    );
    return { command: ['nginx', '-c', file, '-p', folder, '-e', '/dev/null'] };
  },
});

export const nginx = nginxWith(1);

export const caddy: Contestant = {
  ...passesAll,
  name: 'Caddy',
  version: caddyVersion,
  start({ folder, port, upstreamPort }) {
    const file = join(folder, 'caddy.json');
    const route = {
      handle: [{ handler: 'reverse_proxy', upstreams: [{ dial: `127.0.0.1:${upstreamPort}` }] }],
    };
    const server = { listen: [`127.0.0.1:${port}`], automatic_https: { disable: true }, routes: [route] };
    writeFileSync(
      file,
      JSON.stringify({
        admin: { disabled: true, config: { persist: false } },
        logging: { logs: { default: { level: 'ERROR' } } },
        apps: { http: { servers: { in: server } } },
      }),
    );
    return { command: ['caddy', 'run', '--config', file], env: { ...ONE_CORE, HOME: folder } };
  },
};

export const traefik: Contestant = {
  ...passesAll,
  name: 'Traefik',
  version: traefikVersion,
  start({ folder, port, upstreamPort }) {
    const file = join(folder, 'traefik.yaml');
    const servers = [{ url: `http://127.0.0.1:${upstreamPort}` }];
    // JSON is YAML.
    writeFileSync(
      file,
      JSON.stringify({
        http: {
          routers: { all: { rule: 'PathPrefix(`/`)', service: 'up' } },
          services: { up: { loadBalancer: { servers, passHostHeader: true } } },
        },
      }),
    );
    const quiet = [
      '--global.checknewversion=false',
      '--global.sendanonymoususage=false',
      '--log.level=ERROR',
    ];
    const listen = `--entrypoints.web.address=127.0.0.1:${port}`;
    return {
      command: [traefikProgram(), `--providers.file.filename=${file}`, listen, ...quiet],
      env: ONE_CORE,
    };
  },
};

export const httpProxy: Contestant = {
  ...passesAll,
  warmsUp: true,
  name: 'http-proxy',
  version: httpProxyVersion,
  start: ({ port, upstreamPort }) => ({
    command: [process.execPath, peer('http-proxy'), String(port), String(upstreamPort)],
  }),
};

export const fastify: Contestant = {
  name: 'fastify, JWT cache',
  version: fastifyVersion,
  kinds: ['known'],
  blindTo: [],
  warmsUp: true,
  start({ folder, port, upstreamPort, credentials: { issuer, audience, publicPem, algorithm } }) {
    const file = join(folder, 'fastify.json');
    writeFileSync(file, JSON.stringify({ port, upstreamPort, issuer, audience, publicPem, algorithm }));
    return { command: [process.execPath, peer('fastify'), fastifyFolder(), file] };
  },
};
