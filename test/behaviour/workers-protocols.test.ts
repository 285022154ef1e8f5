/** Two workers serve what one process serves: TLS, HTTP/2, WebSockets, logouts, tokens that are asked about. Rules V7, V10, I5. */
import { once } from 'node:events';
import { request as httpsRequest } from 'node:https';
import { connect as connectHttp2 } from 'node:http2';
import { copyFileSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import t from 'tap';
import { WebSocket, WebSocketServer } from 'ws';
import { certificateAuthority, noOpenssl } from '../support/certificates.ts';
import { send } from '../support/client.ts';
import { introspectedBy, startFallibleServer } from '../support/fallible-authorization-server.ts';
import { loginIssuer, until } from '../support/gateway.ts';
import { responseOf } from '../support/http2.ts';
import { startGatewayProcess, temporaryFolder } from '../support/process.ts';
import { claimsOf, createKey, ISSUER, mint, nowSeconds } from '../support/tokens.ts';

const key = createKey('ES256');
/** New connections, of which the kernel gives each worker some: that one gets none has a chance of 2^-23. */
const MANY = 24;
const LOGOUT = '/logout/backchannel';
const many = <T>(ask: () => Promise<T>): Promise<T[]> => Promise.all(Array.from({ length: MANY }, ask));
const distinct = <T>(values: readonly T[]): T[] => [...new Set(values)];

t.test('two workers', { skip: noOpenssl }, async (t) => {
  const folder = temporaryFolder(t);
  const authority = certificateAuthority(folder);
  authority.issue('server', 'IP:127.0.0.1');
  const ca = readFileSync(authority.ca);
  const server = await startFallibleServer(t);
  server.otherwise = { active: true };

  let requests = 0;
  const upstream = createServer((request, response) => {
    requests++;
    request.resume().on('end', () => response.end(request.httpVersion));
  });
  const sockets = new WebSocketServer({ server: upstream });
  sockets.on('connection', (socket) => socket.on('message', (data: Buffer) => socket.send(data)));
  upstream.listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  t.teardown(() => {
    for (const client of sockets.clients) client.terminate();
    upstream.close().closeAllConnections();
  });
  const login = {
    ...loginIssuer(key),
    ...introspectedBy(server),
    backchannel_logout: { host: '127.0.0.1', path: LOGOUT, client_ids: ['app'] },
  };
  const gateway = await startGatewayProcess(
    t,
    {
      workers: 2,
      listeners: [
        { host: '127.0.0.1', port: 0 },
        { host: '127.0.0.1', port: 0, tls: { cert_file: 'server.crt', key_file: 'server.key' } },
      ],
      issuers: { login },
      routes: [
        { name: 'fresh', match: { path_prefix: '/fresh' }, upstream: 'u', auth: { fresh: true } },
        { name: 'all', match: { path_prefix: '/' }, upstream: 'u', upgrade: ['websocket'] },
      ],
      upstreams: { u: { targets: [`http://127.0.0.1:${(upstream.address() as AddressInfo).port}`] } },
    },
    folder,
  );
  const { listeners } = JSON.parse(
    gateway
      .output()
      .split('\n')
      .find((line) => line.includes('"msg":"listening"')) ?? '{}',
  ) as { listeners: string[] };
  const tlsPort = Number(listeners[1]?.split(':').at(-1));
  const tokenOf = (sub: string): string => mint(key, claimsOf({ sub, sid: `${sub}-1`, client_id: 'app' }));
  const alice = tokenOf('alice');

  const overTls = async (token: string): Promise<string> => {
    const headers = { authorization: `Bearer ${token}` };
    const request = httpsRequest({ host: '127.0.0.1', port: tlsPort, path: '/', ca, agent: false, headers });
    request.end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    response.resume();
    await once(response, 'end');
    return String(response.statusCode);
  };
  const overHttp2 = async (token: string): Promise<string> => {
    const session = connectHttp2(`https://127.0.0.1:${tlsPort}`, { ca });
    const stream = session.request({ ':path': '/', authorization: `Bearer ${token}` });
    const { status } = await responseOf(stream);
    session.close();
    return String(status);
  };

  t.test('TLS and HTTP/2 reach both', async (t) => {
    t.strictSame(distinct(await many(() => overTls(alice))), ['200']);
    t.strictSame(distinct(await many(() => overHttp2(alice))), ['200']);
  });

  t.test('a new certificate is presented by both', async (t) => {
    const presented = async (): Promise<string> => {
      const socket = connectTls({ host: '127.0.0.1', port: tlsPort, ca });
      await once(socket, 'secureConnect');
      const { fingerprint256 } = socket.getPeerCertificate();
      socket.destroy();
      return fingerprint256;
    };
    const [before] = distinct(await many(presented));
    const next = authority.issue('next', 'IP:127.0.0.1');
    copyFileSync(next.key, join(folder, 'server.key'));
    copyFileSync(next.cert, join(folder, 'server.crt'));
    gateway.kill('SIGHUP');
    await until(async () => {
      const now = distinct(await many(presented));
      return now.length === 1 && now[0] !== before;
    });
    t.strictSame(distinct(await many(() => overTls(alice))), ['200']);
  });

  t.test('I5 a fresh route asks for each request, whichever worker has it', async (t) => {
    const asked = server.asked.length;
    const statuses = await many(async () => (await send(gateway.url, '/fresh', { token: alice })).status);
    t.strictSame(distinct(statuses), [200]);
    t.equal(server.asked.length - asked, MANY);
    server.otherwise = { active: false };
    const before = requests;
    const ended = await many(async () => (await send(gateway.url, '/fresh', { token: alice })).status);
    t.strictSame(distinct(ended), [401]);
    t.equal(requests, before, 'the upstream saw nothing');
  });

  t.test('V7 V10 a logout at one worker ends the WebSockets and requests of both', async (t) => {
    const bob = tokenOf('bob');
    const codes: Promise<number>[] = [];
    await many(async () => {
      const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/`, {
        headers: { authorization: `Bearer ${bob}` },
      });
      const closed = Promise.withResolvers<number>();
      socket.on('close', closed.resolve).on('error', () => undefined);
      codes.push(closed.promise);
      await once(socket, 'open');
    });
    const iat = nowSeconds();
    const events = { 'http://schemas.openid.net/event/backchannel-logout': {} };
    const claims = { iss: ISSUER, aud: 'app', iat, exp: iat + 60, jti: 'l1', events, sid: 'bob-1' };
    const response = await fetch(`${gateway.url}${LOGOUT}`, {
      method: 'POST',
      body: new URLSearchParams({ logout_token: mint(key, claims, { typ: 'logout+jwt' }) }),
    });
    t.equal(response.status, 200);
    const before = requests;
    const statuses = await many(async () => (await send(gateway.url, '/', { token: bob })).status);
    t.strictSame(distinct(statuses), [401]);
    t.equal(requests, before, 'the upstream saw nothing');
    t.strictSame(distinct(await Promise.all(codes)), [1008]);
  });
});
