/** A request that still waits for its upstream ends with its token, whatever it waits for. Rule V15. */
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { readFileSync } from 'node:fs';
import { connect as connectHttp2, type ClientHttp2Stream } from 'node:http2';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { certificateAuthority, noOpenssl } from '../support/certificates.ts';
import { send, type Response } from '../support/client.ts';
import { loginIssuer, startGateway, until, type TestGateway } from '../support/gateway.ts';
import { temporaryFolder } from '../support/process.ts';
import { claimsOf, createKey, ISSUER, mint } from '../support/tokens.ts';
import { startServer } from '../support/upstream.ts';

const key = createKey('EdDSA');
const alice = mint(key, claimsOf({ sub: 'alice' }));

interface Scene {
  readonly gateway: TestGateway;
  /** Requests that the upstream has begun to see and has not responded to. */
  readonly waiting: Map<string, ServerResponse>;
}

/** An upstream that responds only what the test lets it. */
async function setUp(t: Test, more: Record<string, unknown> = {}): Promise<Scene> {
  const waiting = new Map<string, ServerResponse>();
  const url = await startServer(t, (request: IncomingMessage, response: ServerResponse) => {
    const name = request.url ?? '';
    waiting.set(name, response);
    request.on('error', () => undefined);
    if (name.startsWith('/early')) response.writeEarlyHints({ link: '</a.css>; rel=preload' });
    response.on('close', () => waiting.delete(name));
    request.resume();
  });
  const gateway = await startGateway(t, {
    issuers: { login: loginIssuer(key) },
    timeouts: { drain: '100ms' },
    routes: [
      { name: 'r', match: {}, upstream: 'u', timeouts: { response: '1h', idle: '1h' } },
      {
        name: 'reported',
        match: { path_prefix: '/reported' },
        upstream: 'u',
        auth: { report_only: true },
        timeouts: { response: '1h' },
      },
    ],
    upstreams: { u: { targets: [url] } },
    ...more,
  });
  return { gateway, waiting };
}

const revokeAlice = async (gateway: TestGateway): Promise<void> => {
  const { status } = await gateway.admin('POST', '/v1/revocations', { issuer: ISSUER, subject: 'alice' });
  if (status !== 201) throw new Error(`the revocation answered ${status}`);
};

const REFUSED = { status: 401, problem: { code: 'invalid_token' } };

t.test('V15 a long poll gets 401 when its token is revoked; the upstream sees it end', async (t) => {
  const { gateway, waiting } = await setUp(t);
  const bob = mint(key, claimsOf({ sub: 'bob' }));
  const polls = ['/poll/1', '/early/2'].map((path) => send(gateway.url, path, { token: alice }));
  const post = send(gateway.url, '/post', { method: 'POST', token: alice, body: 'whole' });
  const other = send(gateway.url, '/other', { token: bob });
  const reported = send(gateway.url, '/reported', { token: alice });
  await until(() => waiting.size === 5);
  await revokeAlice(gateway);
  const sinceMs = performance.now();
  for (const answer of await Promise.all([...polls, post])) {
    t.match(answer, REFUSED);
    t.match(answer.headers['www-authenticate'], /error="invalid_token"/);
  }
  t.comment(`all refused ${(performance.now() - sinceMs).toFixed(0)} ms after the API had answered`);
  await until(() => waiting.size === 2);
  t.strictSame([...waiting.keys()].sort(), ['/other', '/reported'], 'their streams were cancelled');
  for (const response of waiting.values()) response.end('late');
  t.strictSame([(await other).status, (await reported).status], [200, 200], 'others go on');
  t.equal(await gateway.metric('sallyport_streams_closed_total{reason="revoked"}'), 3);
  const lines = (): unknown[] => gateway.log.filter(({ status }) => status === 401);
  await until(() => lines().length === 3);
  t.match(lines()[0], { auth: { decision: 'deny', reason: 'revoked' } });
});

t.test(
  'V15 a request that waits in line for a connection ends, and never reaches the upstream',
  async (t) => {
    const names: string[] = [];
    const responses: ServerResponse[] = [];
    const url = await startServer(t, (request, response) => {
      names.push(request.url ?? '');
      responses.push(response);
    });
    const { gateway } = await setUp(t, { upstreams: { u: { targets: [url], connections: 1 } } });
    const first = send(gateway.url, '/first', { token: mint(key, claimsOf({ sub: 'bob' })) });
    await until(() => names.length === 1);
    const waiting = send(gateway.url, '/in-line', { token: alice });
    await until(async () => (await gateway.metric('sallyport_requests_in_flight')) === 2);
    await revokeAlice(gateway);
    t.match(await waiting, REFUSED);
    responses[0]?.end('ok');
    t.equal((await first).status, 200);
    t.strictSame(names, ['/first']);
  },
);

t.test('V15 a request whose upstream does not take the connection ends', async (t) => {
  // It accepts TCP and says nothing: the TLS handshake never ends.
  const sockets: Socket[] = [];
  const silent = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
  });
  silent.listen(0, '127.0.0.1');
  await once(silent, 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    silent.close();
  });
  const { gateway } = await setUp(t, {
    upstreams: {
      u: {
        targets: [`https://127.0.0.1:${(silent.address() as AddressInfo).port}`],
        connect_timeout: '1h',
      },
    },
  });
  const waiting = send(gateway.url, '/', { token: alice });
  await until(() => sockets.length === 1);
  await revokeAlice(gateway);
  t.match(await waiting, REFUSED);
});

t.test('V15 an upload ends with 401, also where the client waited for 100 Continue', async (t) => {
  const { gateway, waiting } = await setUp(t);
  const upload = async (path: string, headers: Record<string, string>): Promise<Response['status']> => {
    const request = httpRequest(`${gateway.url}${path}`, {
      method: 'POST',
      agent: false,
      headers: { authorization: `Bearer ${alice}`, 'content-length': '1000000', ...headers },
    });
    request.on('error', () => undefined);
    if (headers['expect'] === undefined) request.write('begun');
    else {
      request.flushHeaders();
      await once(request, 'continue');
      request.write('begun');
    }
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    response.resume();
    await once(response, 'end');
    return response.statusCode ?? 0;
  };
  const uploads = [upload('/plain', {}), upload('/continue', { expect: '100-continue' })];
  await until(() => waiting.size === 2);
  await revokeAlice(gateway);
  t.strictSame(await Promise.all(uploads), [401, 401]);
  await until(() => waiting.size === 0);
  t.pass('the upstream sees the uploads break off');
});

t.test('V15 a WebSocket handshake that waits for its upstream ends', async (t) => {
  const route = { name: 'ws', match: {}, upstream: 'u', upgrade: ['websocket'] };
  const seen: Socket[] = [];
  const raw = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => seen.push(socket));
  });
  raw.listen(0, '127.0.0.1');
  await once(raw, 'listening');
  t.teardown(() => {
    for (const socket of seen) socket.destroy();
    raw.close();
  });
  const { gateway } = await setUp(t, {
    routes: [route],
    upstreams: { u: { targets: [`http://127.0.0.1:${(raw.address() as AddressInfo).port}`] } },
  });
  const client = connect(gateway.port, '127.0.0.1');
  let received = '';
  client.on('data', (chunk) => (received += chunk.toString('latin1')));
  client.on('error', () => undefined);
  client.write(
    `GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer ${alice}\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
  );
  await until(() => seen.length === 1);
  const closed = once(seen[0] as Socket, 'close');
  await revokeAlice(gateway);
  await until(() => received.includes('\r\n\r\n'));
  t.match(received, /^HTTP\/1\.1 401 /);
  await closed;
  client.destroy();
});

t.test('V15 on HTTP/2 only the stream of that token ends', { skip: noOpenssl }, async (t) => {
  const folder = temporaryFolder(t);
  const authority = certificateAuthority(folder);
  const { cert, key: key_file } = authority.issue('server', 'IP:127.0.0.1');
  const listeners = [{ host: '127.0.0.1', port: 0, tls: { cert_file: cert, key_file } }];
  const { gateway, waiting } = await setUp(t, { listeners });
  const session = connectHttp2(`https://127.0.0.1:${gateway.port}`, { ca: readFileSync(authority.ca) });
  t.teardown(() => session.destroy());
  const ask = (path: string, token: string): ClientHttp2Stream =>
    session.request({ ':path': path, authorization: `Bearer ${token}` });
  const [poll, other] = [ask('/poll', alice), ask('/other', mint(key, claimsOf({ sub: 'bob' })))];
  const upload = session.request({ ':method': 'POST', ':path': '/up', authorization: `Bearer ${alice}` });
  upload.on('error', () => undefined);
  upload.write('begun');
  await until(() => waiting.size === 3);
  const refused = Promise.all([once(poll, 'response'), once(upload, 'response')]);
  await revokeAlice(gateway);
  t.match(await refused, [[{ ':status': 401 }], [{ ':status': 401 }]]);
  await until(() => waiting.size === 1);
  const answered = once(other, 'response');
  waiting.get('/other')?.end('late');
  t.match(await answered, [{ ':status': 200 }]);
});
