/** Listeners that speak TLS. Rules H19, H2. */
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import type { IncomingMessage } from 'node:http';
import { connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import t, { type Test } from 'tap';
import { WebSocket } from 'ws';
import { ConfigurationError, parseConfiguration } from '../../src/config/load.ts';
import { certificateAuthority, noOpenssl, type Certificates } from '../support/certificates.ts';
import { statuses } from '../support/client.ts';
import { sallyport } from '../support/command.ts';
import { ADMIN_TOKEN, loginIssuer, startGateway, until, type TestGateway } from '../support/gateway.ts';
import { temporaryFolder } from '../support/process.ts';
import { createKey, mint } from '../support/tokens.ts';
import { startEcho, startUpstream, type HttpUpstream } from '../support/upstream.ts';

const key = createKey('EdDSA');

interface Scene {
  readonly folder: string;
  readonly authority: Certificates;
  readonly upstream: HttpUpstream;
  configuration(tls: Record<string, unknown>, more?: Record<string, unknown>): Record<string, unknown>;
  start(tls?: Record<string, unknown>, more?: Record<string, unknown>): Promise<TestGateway>;
}

const SERVER = { cert_file: 'server.crt', key_file: 'server.key' };

async function setUp(t: Test): Promise<Scene> {
  const folder = temporaryFolder(t);
  const authority = certificateAuthority(folder);
  authority.issue('server', 'IP:127.0.0.1', 'DNS:api.example.com');
  const upstream = await startUpstream(t);
  const configuration: Scene['configuration'] = (tls, more) => ({
    listeners: [{ host: '127.0.0.1', port: 0, tls }],
    issuers: { login: loginIssuer(key) },
    routes: [{ name: 'all', match: {}, upstream: 'u', upgrade: ['websocket'] }],
    upstreams: { u: { targets: [upstream.url] } },
    ...more,
  });
  return {
    folder,
    authority,
    upstream,
    configuration,
    start: (tls = SERVER, more = {}) => startGateway(t, configuration(tls, more), { folder }),
  };
}

/** A TLS connection, or why there is none. */
async function handshake(
  { port }: TestGateway,
  { authority }: Scene,
  options: ConnectionOptions = {},
): Promise<TLSSocket | string> {
  const socket = connect({ host: '127.0.0.1', port, ca: readFileSync(authority.ca), ...options });
  const { promise, resolve } = Promise.withResolvers<TLSSocket | string>();
  socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  socket.on('close', () => resolve('closed'));
  // With TLS 1.3 a server that wants a certificate says so after the client thinks that all is well.
  socket.on('secureConnect', () => socket.write('GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n'));
  socket.once('data', () => resolve(socket));
  return promise;
}

const commonName = (socket: TLSSocket | string): string =>
  typeof socket === 'string' ? socket : String(socket.getPeerCertificate().subject.CN);

t.test('TLS', { skip: noOpenssl }, async (t) => {
  const scene = await setUp(t);
  const { folder, authority, upstream } = scene;
  const ca = readFileSync(authority.ca);

  t.test('a request over TLS, told so to the upstream', async (t) => {
    const gateway = await scene.start();
    const request = httpsRequest({
      host: '127.0.0.1',
      port: gateway.port,
      ca,
      agent: false,
      headers: { authorization: `Bearer ${mint(key)}` },
    });
    request.end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    response.resume();
    t.equal(response.statusCode, 200);
    t.match(upstream.seen.at(-1)?.headers, { 'x-forwarded-proto': 'https', 'x-user-id': 'alice' });
  });

  t.test('what is refused in plaintext is refused over TLS; a WebSocket passes', async (t) => {
    const gateway = await scene.start(SERVER, {
      timeouts: { drain: '100ms' },
      upstreams: { u: { targets: [await startEcho(t)] } },
    });
    const socket = connect({ host: '127.0.0.1', port: gateway.port, ca });
    let received = '';
    socket.on('data', (chunk: Buffer) => (received += chunk.toString()));
    socket.on('error', () => undefined);
    socket.write(
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n',
    );
    await once(socket, 'close');
    t.strictSame(statuses(received), [400], 'H2 and nothing behind it');
    const webSocket = new WebSocket(`wss://127.0.0.1:${gateway.port}`, {
      ca,
      headers: { authorization: `Bearer ${mint(key)}` },
    });
    await once(webSocket, 'open');
    webSocket.send('hello');
    const [message] = (await once(webSocket, 'message')) as [Buffer];
    t.equal(message.toString(), 'hello');
    webSocket.terminate();
  });

  t.test('versions and protocols: no older one, and those that are configured', async (t) => {
    const gateway = await scene.start({ ...SERVER, min_version: 'TLSv1.3', protocols: ['http/1.1'] });
    t.type(await handshake(gateway, scene, { maxVersion: 'TLSv1.2' }), 'string');
    const socket = await handshake(gateway, scene, { ALPNProtocols: ['h2', 'http/1.1'] });
    t.equal(typeof socket === 'string' ? socket : socket.alpnProtocol, 'http/1.1');
    t.type(await handshake(gateway, scene, { ALPNProtocols: ['h2'] }), 'string');
    const lenient = await scene.start();
    t.type(await handshake(lenient, scene, { maxVersion: 'TLSv1.2' }), Object);
    t.type(await handshake(lenient, scene, { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1' }), 'string');
  });

  t.test('the certificate is that of the host that the client names', async (t) => {
    authority.issue('shop', 'DNS:shop.example.com', 'DNS:*.shop.example.com');
    const certificates = [{ cert_file: 'shop.crt', key_file: 'shop.key' }];
    const gateway = await scene.start({ ...SERVER, certificates });
    const shown = async (servername: string): Promise<string> =>
      commonName(await handshake(gateway, scene, { servername, checkServerIdentity: () => undefined }));
    t.equal(await shown('shop.example.com'), 'shop');
    t.equal(await shown('eu.shop.example.com'), 'shop');
    t.equal(await shown('api.example.com'), 'server');
    t.equal(await shown('elsewhere.example'), 'server', 'the first for all others');
    t.equal(commonName(await handshake(gateway, scene)), 'server', 'and for those who name none');
  });

  t.test('client certificates: required, optional', async (t) => {
    const own = authority.issue('client');
    const stranger = certificateAuthority(folder, 'stranger').issue('mallory');
    const pem = ({ cert, key: file }: { cert: string; key: string }) => ({
      cert: readFileSync(cert),
      key: readFileSync(file),
    });
    const clientCa = { ...SERVER, client_ca_file: 'ca.crt' };
    const required = await scene.start(clientCa);
    const optional = await scene.start({ ...clientCa, client_certificates: 'optional' });
    const before = upstream.seen.length;
    t.type(await handshake(required, scene), 'string', 'none');
    t.type(await handshake(required, scene, pem(stranger)), 'string', 'a stranger’s');
    t.type(await handshake(required, scene, pem(own)), Object);
    t.type(await handshake(optional, scene), Object);
    t.type(await handshake(optional, scene, pem(own)), Object);
    t.equal(upstream.seen.length, before, 'no token, no request');
  });

  t.test('H19 a handshake that is never finished, and plaintext where TLS is spoken, end', async (t) => {
    const gateway = await scene.start(SERVER, { timeouts: { headers: '200ms' } });
    const silent = connectTcp(gateway.port, '127.0.0.1');
    silent.on('error', () => undefined);
    silent.resume();
    await once(silent, 'close');
    const plain = connectTcp(gateway.port, '127.0.0.1');
    plain.on('error', () => undefined);
    plain.resume();
    plain.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await once(plain, 'close');
    // A handshake that the machine holds up for as long ends as well.
    await until(async () => typeof (await handshake(gateway, scene)) !== 'string');
    t.pass('others are served');
  });

  t.test(
    'the admin listener over TLS, its certificate renewed by a reload, and the command line',
    async (t) => {
      const admin = { port: 0, token: ADMIN_TOKEN, tls: SERVER };
      const gateway = await scene.start(SERVER, { admin });
      const { port } = gateway.instance.admin.address;
      const serialOf = async (): Promise<string> => {
        const socket = connect({ host: '127.0.0.1', port, ca: readFileSync(authority.ca) });
        await once(socket, 'secureConnect');
        const { serialNumber } = socket.getPeerCertificate();
        socket.destroy();
        return serialNumber;
      };
      const serial = await serialOf();
      authority.issue('server', 'IP:127.0.0.1', 'DNS:api.example.com');
      const complete = { realm: 'test', ...scene.configuration(SERVER), admin };
      const configuration = parseConfiguration(JSON.stringify(complete), 'test.json', folder, {});
      await gateway.instance.reload({ configuration, folder, file: 'test.json' });
      t.not(await serialOf(), serial);
      const tokenFile = join(folder, 'admin-token');
      writeFileSync(tokenFile, ADMIN_TOKEN);
      const command = [
        'revocations',
        '--admin',
        `https://127.0.0.1:${port}`,
        '--admin-token-file',
        tokenFile,
      ];
      const trusted = await sallyport([...command, '--admin-ca-file', authority.ca]);
      t.equal(trusted.code, 0, trusted.err);
      const untrusted = await sallyport(command);
      t.equal(untrusted.code, 1);
      t.match(untrusted.err, /cannot be reached \(.*certificate/);
    },
  );

  t.test('a renewed certificate is taken by a reload; connections stay', async (t) => {
    const gateway = await scene.start();
    const first = await handshake(gateway, scene);
    if (typeof first === 'string') throw new Error(first);
    const serial = first.getPeerCertificate().serialNumber;
    authority.issue('server', 'IP:127.0.0.1', 'DNS:api.example.com');
    const complete = {
      realm: 'test',
      ...scene.configuration(SERVER),
      admin: { port: 0, token: ADMIN_TOKEN },
    };
    const configuration = parseConfiguration(JSON.stringify(complete), 'test.json', folder, {});
    await gateway.instance.reload({ configuration, folder, file: 'test.json' });
    for (const servername of ['', 'api.example.com']) {
      const second = await handshake(gateway, scene, { servername });
      t.not(typeof second === 'string' ? second : second.getPeerCertificate().serialNumber, serial);
    }
    first.write('GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n');
    const [response] = (await once(first, 'data')) as [Buffer];
    t.match(response.toString(), /^HTTP\/1\.1 401/);
  });

  t.test('what cannot be used is a configuration error', async (t) => {
    const wrong: Record<string, [Record<string, unknown>, RegExp]> = {
      'no key': [{ cert_file: 'server.crt' }, /key is missing/],
      'another key': [{ cert_file: 'server.crt', key_file: 'ca.key' }, /cannot be used/],
      'no PEM': [{ cert: 'x', key: 'y' }, /cannot be used/],
      'client certificates of no authority': [
        { ...SERVER, client_certificates: 'optional' },
        /without client_ca_file/,
      ],
      'half a further certificate': [
        { ...SERVER, certificates: [{ cert_file: 'server.crt' }] },
        /key is missing/,
      ],
    };
    for (const [name, [tls, message]] of Object.entries(wrong)) {
      const starting = scene.start(tls);
      await t.rejects(starting, ConfigurationError, name);
      await starting.catch((error: ConfigurationError) => t.match(error.problems.join(), message));
    }
  });
});
