/** The client certificate of a TLS connection, for tokens that are bound to one (RFC 8705). Rule M1. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import t from 'tap';
import { WebSocket } from 'ws';
import type { ClientCertificate } from '../../src/http/client-cert-header.ts';
import { certificateAuthority, noOpenssl } from '../support/certificates.ts';
import { recordedCertificates, responseTo } from '../support/client-certificates.ts';
import { loginIssuer, startGateway, type TestGateway } from '../support/gateway.ts';
import { temporaryFolder } from '../support/process.ts';
import { createKey } from '../support/tokens.ts';
import { startEcho, startUpstream } from '../support/upstream.ts';

interface Pair {
  readonly cert: string;
  readonly key: string;
}

const pem = ({ cert, key }: Pair) => ({ cert: readFileSync(cert), key: readFileSync(key) });
const thumbprintOf = ({ cert }: Pair): string =>
  createHash('sha256')
    .update(new X509Certificate(readFileSync(cert)).raw)
    .digest('base64url');
const noCurl = spawnSync('curl', ['--version']).status !== 0 && 'curl is not installed';

t.test('client certificates', { skip: noOpenssl }, async (t) => {
  const folder = temporaryFolder(t);
  const authority = certificateAuthority(folder);
  authority.issue('server', 'IP:127.0.0.1', 'DNS:api.example.com');
  const [alice, bob] = [authority.issue('alice'), authority.issue('bob')];
  const expired = authority.issueExpired('expired');
  const stranger = certificateAuthority(folder, 'stranger').issue('mallory');
  const selfSigned = { cert: `${folder}/self.crt`, key: `${folder}/self.key` };
  execFileSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
      ...['-keyout', selfSigned.key, '-out', selfSigned.cert, '-days', '2', '-subj', '/CN=self'],
    ],
    { stdio: 'ignore' },
  );
  const ca = readFileSync(authority.ca);
  const upstream = await startUpstream(t);
  const echo = await startEcho(t);
  const seen = recordedCertificates(t);

  const SERVER = { cert_file: 'server.crt', key_file: 'server.key' };
  const VERIFYING = { ...SERVER, client_ca_file: 'ca.crt' };
  const open = { upstream: 'u', auth: { mode: 'none' } };
  const start = (tls?: Record<string, unknown>): Promise<TestGateway> =>
    startGateway(
      t,
      {
        listeners: [{ host: '127.0.0.1', port: 0, ...(tls && { tls }) }],
        issuers: { login: loginIssuer(createKey('EdDSA')) },
        routes: [
          { name: 'all', match: {}, ...open },
          { name: 'echo', match: { path: '/echo' }, ...open, upstream: 'echo', upgrade: ['websocket'] },
        ],
        upstreams: { u: { targets: [upstream.url] }, echo: { targets: [echo] } },
        timeouts: { drain: '100ms' },
      },
      { folder },
    );

  const connected = async ({ port }: TestGateway, options: ConnectionOptions): Promise<TLSSocket> => {
    const socket = connect({ host: '127.0.0.1', port, ca, ...options });
    t.teardown(() => socket.destroy());
    socket.on('error', () => undefined);
    await once(socket, 'secureConnect');
    return socket;
  };
  /** What the gateway knows of a client that sends one request by HTTP/1.1. */
  const overHttp1 = async (gateway: TestGateway, options: ConnectionOptions): Promise<ClientCertificate> => {
    const socket = await connected(gateway, options);
    return seen.during(() => responseTo(socket));
  };
  const overHttp2 = async (
    { port }: TestGateway,
    options: ConnectionOptions,
    requests = 1,
  ): Promise<ClientCertificate> => {
    const session = connectHttp2(`https://127.0.0.1:${port}`, { ca, ...options });
    session.on('error', () => undefined);
    t.teardown(() => session.destroy());
    return seen.during(async () => {
      for (let request = 0; request < requests; request++) {
        const stream = session.request({ ':path': '/' });
        stream.resume();
        await once(stream, 'close');
      }
    });
  };
  const BOTH = { 'HTTP/1.1': overHttp1, 'HTTP/2': overHttp2 };

  t.test('M1 a verified certificate is known by the SHA-256 of its DER', async (t) => {
    for (const client_certificates of ['required', 'optional']) {
      const gateway = await start({ ...VERIFYING, client_certificates });
      for (const [protocol, ask] of Object.entries(BOTH))
        for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
          const name = `${client_certificates}, ${protocol}, ${maxVersion}`;
          t.equal(await ask(gateway, { ...pem(alice), maxVersion }), thumbprintOf(alice), name);
          t.equal(await ask(gateway, { ...pem(bob), maxVersion }), thumbprintOf(bob), name);
        }
    }
    const lax = await start({ ...VERIFYING, http2_strict_fields: false });
    t.equal(await overHttp2(lax, pem(alice), 3), thumbprintOf(alice), 'by Node’s own reader of HTTP/2');
  });

  t.test('M1 none is none: in plaintext, without one, and where nothing asks for one', async (t) => {
    const plain = await start();
    t.equal(await seen.during(() => fetch(plain.url).then((response) => response.text())), undefined);
    const unasked = await start(SERVER);
    const optional = await start({ ...VERIFYING, client_certificates: 'optional' });
    const unverified = await start({ ...SERVER, client_certificates: 'unverified' });
    for (const [protocol, ask] of Object.entries(BOTH)) {
      t.equal(await ask(unasked, pem(alice)), undefined, protocol);
      t.equal(await ask(optional, {}), undefined, protocol);
      t.equal(await ask(unverified, {}), undefined, protocol);
    }
  });

  t.test('M1 optional: a certificate that is not valid counts as none', async (t) => {
    const gateway = await start({ ...VERIFYING, client_certificates: 'optional' });
    for (const [protocol, ask] of Object.entries(BOTH))
      for (const [name, pair] of Object.entries({ stranger, selfSigned, expired }))
        for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const)
          t.equal(await ask(gateway, { ...pem(pair), maxVersion }), undefined, `${name}, ${protocol}`);
  });

  t.test('M1 unverified: every certificate counts, but only with its key', async (t) => {
    const gateway = await start({ ...SERVER, client_certificates: 'unverified' });
    for (const [protocol, ask] of Object.entries(BOTH))
      for (const [name, pair] of Object.entries({ alice, stranger, selfSigned, expired }))
        for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const)
          t.equal(
            await ask(gateway, { ...pem(pair), maxVersion }),
            thumbprintOf(pair),
            `${name}, ${protocol}, ${maxVersion}`,
          );
    // Node’s client refuses a pair that does not belong together; Python’s and OpenSSL’s do, too. The key is proved by a signature
    // of the handshake, which OpenSSL checks whatever the verification of the chain has found.
    t.throws(() =>
      connect({ host: '127.0.0.1', port: gateway.port, ca, ...pem({ ...alice, key: bob.key }) }),
    );
  });

  t.test(
    'M1 a resumed session has the certificate of its handshake, never the one that is offered now',
    async (t) => {
      const gateways = {
        required: await start({ ...VERIFYING }),
        optional: await start({ ...VERIFYING, client_certificates: 'optional' }),
        unverified: await start({ ...SERVER, client_certificates: 'unverified' }),
      };
      const rows: [gateway: keyof typeof gateways, first: Pair | undefined, known: string | undefined][] = [
        ['required', alice, thumbprintOf(alice)],
        ['optional', alice, thumbprintOf(alice)],
        ['optional', stranger, undefined],
        ['optional', undefined, undefined],
        ['unverified', stranger, thumbprintOf(stranger)],
        ['unverified', undefined, undefined],
      ];
      for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const)
        for (const servername of ['', 'api.example.com'])
          for (const [kind, first, known] of rows) {
            const name = `${kind}, ${maxVersion}, ${servername}`;
            const common = { maxVersion, servername, ...(first && pem(first)) };
            const socket = await connected(gateways[kind], common);
            // With TLS 1.3 the ticket comes behind the handshake.
            const ticket = once(socket, 'session') as Promise<[Buffer]>;
            t.equal(await seen.during(() => responseTo(socket)), known, name);
            const session = maxVersion === 'TLSv1.2' ? socket.getSession() : (await ticket)[0];
            t.ok(session, name);
            const again = await connected(gateways[kind], {
              ...common,
              ...pem(bob),
              ...(session && { session }),
            });
            t.ok(again.isSessionReused(), name);
            t.equal(await seen.during(() => responseTo(again)), known, name);
          }
    },
  );

  t.test('M1 all requests of a connection have the same certificate, behind an upgrade too', async (t) => {
    const gateway = await start({ ...VERIFYING });
    const socket = await connected(gateway, pem(alice));
    for (let request = 0; request < 3; request++)
      t.equal(await seen.during(() => responseTo(socket)), thumbprintOf(alice));
    const known = await seen.during(async () => {
      const webSocket = new WebSocket(`wss://127.0.0.1:${gateway.port}/echo`, { ca, ...pem(alice) });
      await once(webSocket, 'open');
      webSocket.terminate();
    });
    t.equal(known, thumbprintOf(alice), 'WebSocket');
  });

  t.test('M1 a client cannot change its certificate by renegotiation', async (t) => {
    const gateway = await start({ ...SERVER, client_certificates: 'unverified' });
    for (const servername of ['', 'api.example.com']) {
      const socket = await connected(gateway, { ...pem(alice), maxVersion: 'TLSv1.2', servername });
      t.equal(await seen.during(() => responseTo(socket)), thumbprintOf(alice));
      const { promise, resolve } = Promise.withResolvers<string>();
      socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
      socket.renegotiate({}, (error) => resolve(error ? 'refused' : 'renegotiated'));
      t.match(await promise, /NO_RENEGOTIATION/);
    }
  });

  t.test('M1 as curl and OpenSSL present it', { skip: noCurl }, async (t) => {
    const gateway = await start({ ...SERVER, client_certificates: 'unverified' });
    const { port } = gateway;
    const run = async (command: string, args: readonly string[], input = ''): Promise<void> => {
      const child = spawn(command, args, { stdio: ['pipe', 'ignore', 'ignore'] });
      child.stdin.write(input);
      await once(child, 'exit');
    };
    for (const version of ['--http1.1', '--http2']) {
      const args = [
        '-s',
        version,
        '--cacert',
        authority.ca,
        '--cert',
        selfSigned.cert,
        '--key',
        selfSigned.key,
      ];
      const known = await seen.during(() => run('curl', [...args, `https://127.0.0.1:${port}/`]));
      t.equal(known, thumbprintOf(selfSigned), `curl ${version}`);
    }
    const connection = ['s_client', '-quiet', '-connect', `127.0.0.1:${port}`];
    const request = 'GET / HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n\r\n';
    const known = await seen.during(() =>
      run('openssl', [...connection, '-cert', selfSigned.cert, '-key', selfSigned.key], request),
    );
    t.equal(known, thumbprintOf(selfSigned), 'openssl s_client');
  });
});
