/** Clients that speak HTTP/2. RFC 9113. Rules H7, H8, H9, H11, H15, H16, H18, H19. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import {
  connect,
  constants,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type IncomingHttpHeaders,
} from 'node:http2';
import { connect as connectTls } from 'node:tls';
import type { RequestListener } from 'node:http';
import t, { type Test } from 'tap';
import { certificateAuthority, noOpenssl } from '../support/certificates.ts';
import { loginIssuer, startGateway, until, type TestGateway } from '../support/gateway.ts';
import { temporaryFolder } from '../support/process.ts';
import {
  block,
  END_HEADERS,
  END_STREAM,
  FRAME,
  frame,
  RawHttp2,
  requestBlock,
  uint32,
} from '../support/raw-http2.ts';
import { createKey, mint } from '../support/tokens.ts';
import { startRawUpstream, startServer, startUpstream, type HttpUpstream } from '../support/upstream.ts';

const key = createKey('EdDSA');
const AUTHORITY = 'api.example.com';

interface Response {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  readonly body: string;
  readonly code: string | undefined;
  readonly trailers: IncomingHttpHeaders;
  readonly informational: IncomingHttpHeaders[];
  /** 0: in order. */
  readonly rstCode: number;
}

interface Scene {
  readonly gateway: TestGateway;
  readonly upstream: HttpUpstream;
  readonly session: ClientHttp2Session;
  readonly token: string;
  readonly send: (headers: Record<string, string | string[]>, body?: string | Buffer) => Promise<Response>;
}

async function setUp(
  t: Test,
  {
    response: response,
    upstreamUrl,
    more = {},
    tls = {},
  }: {
    response?: RequestListener;
    upstreamUrl?: string;
    more?: Record<string, unknown>;
    tls?: Record<string, unknown>;
  } = {},
): Promise<Scene> {
  const folder = temporaryFolder(t);
  const authority = certificateAuthority(folder);
  authority.issue('server', 'IP:127.0.0.1', `DNS:${AUTHORITY}`);
  const upstream = await startUpstream(t, response);
  const gateway = await startGateway(
    t,
    {
      listeners: [
        { host: '127.0.0.1', port: 0, tls: { cert_file: 'server.crt', key_file: 'server.key', ...tls } },
      ],
      issuers: { login: loginIssuer(key) },
      timeouts: { drain: '1s' },
      routes: [
        { name: 'all', match: {}, upstream: 'u', rewrite: { host: 'preserve' } },
        { name: 'open', match: { path_prefix: '/open' }, upstream: 'u', auth: { mode: 'none' } },
      ],
      upstreams: { u: { targets: [upstreamUrl ?? upstream.url] } },
      ...more,
    },
    { folder },
  );
  const session = connect(`https://${AUTHORITY}`, {
    createConnection: () =>
      connectTls({
        host: '127.0.0.1',
        port: gateway.port,
        servername: AUTHORITY,
        ca: readFileSync(authority.ca),
        ALPNProtocols: ['h2'],
      }),
  });
  session.on('error', () => undefined);
  t.teardown(() => session.destroy());
  const token = mint(key);
  return {
    gateway,
    upstream,
    session,
    token,
    send: (headers, body) =>
      responseOf(
        session.request({ authorization: `Bearer ${token}`, ...headers }, { endStream: body === undefined }),
        body,
      ),
  };
}

async function responseOf(stream: ClientHttp2Stream, body?: string | Buffer): Promise<Response> {
  let headers: IncomingHttpHeaders = {};
  let rawHeaders: readonly string[] = [];
  let trailers: IncomingHttpHeaders = {};
  const informational: IncomingHttpHeaders[] = [];
  let text = '';
  stream.setEncoding('utf8');
  stream.on('response', (received, _flags, raw) => {
    headers = received;
    rawHeaders = raw;
  });
  stream.on('headers', (received) => informational.push(received));
  stream.on('trailers', (received) => (trailers = received));
  stream.on('data', (chunk: string) => (text += chunk));
  stream.on('error', () => undefined);
  const { promise: closed, resolve: close } = Promise.withResolvers<void>();
  stream.on('close', () => close());
  if (body !== undefined) stream.end(body);
  await closed;
  const isProblem = headers['content-type'] === 'application/problem+json' && text !== '';
  return {
    status: Number(headers[':status'] ?? 0),
    headers,
    rawHeaders,
    body: text,
    code: isProblem ? (JSON.parse(text) as { code: string }).code : undefined,
    trailers,
    informational,
    rstCode: stream.rstCode ?? 0,
  };
}

t.test('HTTP/2', { skip: noOpenssl }, async (t) => {
  t.test('a request with its identity, in the upstream’s HTTP/1.1', async (t) => {
    const { send, upstream } = await setUp(t);
    const response = await send({
      ':path': '/a?b=c',
      'x-user-id': 'mallory',
      cookie: ['a=1', 'b=2'],
      te: 'trailers',
    });
    t.equal(response.status, 200);
    t.equal(response.body, 'ok');
    t.ok(response.headers['x-request-id']);
    const [seen] = upstream.seen;
    t.equal(seen?.url, '/a?b=c');
    t.match(seen?.headers, {
      host: AUTHORITY,
      'x-user-id': 'alice',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': AUTHORITY,
      via: '2.0 sallyport',
      cookie: 'a=1; b=2',
    });
    t.notOk(
      seen?.rawHeaders.some((name) => name.startsWith(':')),
      'no pseudo-header field',
    );
    t.notOk(seen?.headers.authorization);
  });

  t.test('bodies of known and of unknown length, large and small', async (t) => {
    const { send, upstream } = await setUp(t);
    const large = Buffer.alloc(3_000_000, 'x');
    await send({ ':method': 'POST', 'content-length': '5' }, 'hello');
    await send({ ':method': 'POST' }, large);
    await send({ ':method': 'DELETE' }, 'bye');
    await send({ ':method': 'POST', 'content-length': '0' }, '');
    t.strictSame(
      upstream.seen.map(({ method, body, headers }) => [
        method,
        body.length,
        headers['content-length'],
        headers['transfer-encoding'],
      ]),
      [
        ['POST', 5, '5', undefined],
        ['POST', large.length, undefined, 'chunked'],
        ['DELETE', 3, undefined, 'chunked'],
        ['POST', 0, '0', undefined],
      ],
    );
  });

  t.test(
    'answers: large ones, trailers, HEAD, none at all, repeated fields, what is for one hop only',
    async (t) => {
      const { send } = await setUp(t, {
        response: (request, response) => {
          switch (request.url) {
            case '/large':
              response.end(Buffer.alloc(3_000_000, 'y'));
              return;
            case '/trailers':
              response.writeHead(200, { trailer: 'x-sum' });
              response.write('part');
              response.addTrailers({ 'x-sum': '42' });
              response.end();
              return;
            case '/head':
              response.writeHead(200, { 'content-type': 'a/b' }).end();
              return;
            case '/none':
              response.writeHead(204).end();
              return;
            case '/hints':
              response.writeProcessing();
              response.writeEarlyHints({ link: '</a.css>; rel=preload', 'x-a': '1' });
              response.end('ok');
              return;
            default:
              response.writeHead(200, [
                ...['set-cookie', 'a=1', 'set-cookie', 'b=2', 'connection', 'x-hop', 'x-hop', '1'],
                ...[
                  'keep-alive',
                  'timeout=5',
                  'proxy-connection',
                  'keep-alive',
                  'content-type',
                  'a/b',
                  'content-type',
                  'c/d',
                ],
              ]);
              response.end('ok');
          }
        },
      });
      t.equal((await send({ ':path': '/large' })).body.length, 3_000_000);
      // The client was slower than that answer: what comes next must not wait behind it.
      const trailers = await send({ ':path': '/trailers' });
      t.equal(trailers.body, 'part');
      t.equal(trailers.trailers['x-sum'], '42', 'H9');
      const head = await send({ ':path': '/head', ':method': 'HEAD' });
      t.equal(head.headers['content-type'], 'a/b');
      t.equal(head.body, '');
      t.equal((await send({ ':path': '/none' })).status, 204);
      const hints = await send({ ':path': '/hints' });
      t.match(
        hints.informational,
        [{ ':status': 102 }, { ':status': 103, link: '</a.css>; rel=preload', 'x-a': '1' }],
        'H11',
      );
      const fields = await send({ ':path': '/' });
      t.strictSame(fields.headers['set-cookie'], ['a=1', 'b=2']);
      t.equal(fields.rawHeaders.filter((name) => name === 'content-type').length, 2, 'as it came');
      for (const name of ['connection', 'x-hop', 'keep-alive', 'proxy-connection'])
        t.notOk(fields.headers[name], name);
    },
  );

  t.test('strange answers of an upstream hurt nobody', async (t) => {
    const responses = [
      'HTTP/1.1 200 OK\r\nHTTP2-Settings: AAM\r\nContent-Length: 2\r\n\r\nok',
      'HTTP/1.1 205 Reset Content\r\nContent-Length: 2\r\n\r\nok',
      'HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n',
      'HTTP/1.1 204 No Content\r\n\r\n',
      'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n',
      'HTTP/1.1 599 What\r\nX-Y: \xff\xfe\r\nContent-Length: 0\r\n\r\n',
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Wait\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nHTTP2-Settings: AAM\r\nX-A: 1\r\nX-A: 2\r\n\r\n',
      'HTTP/1.1 200 OK\r\nDate: a\r\nDate: b\r\nETag: c\r\nETag: d\r\nContent-Length: 2\r\n\r\nok',
      'HTTP/1.1 103 Early Hints\r\nLink: <a>\r\nLink: <b>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n',
      'nonsense',
    ];
    let next = 0;
    const raw = await startRawUpstream(t, (socket, received) => {
      if (received.endsWith('\r\n\r\n')) socket.end(Buffer.from(responses[next++] ?? '', 'latin1'));
    });
    const { send } = await setUp(t, { upstreamUrl: raw.url });
    const statuses: number[] = [];
    for (const _ of responses) statuses.push((await send({ ':path': '/open', ':method': 'POST' })).status);
    t.strictSame(statuses, [200, 205, 304, 204, 204, 599, 200, 200, 200, 200, 502, 502]);
    for (let index = 0; index < responses.length; index++) {
      next = index;
      await send({ ':path': '/open', ':method': 'HEAD' });
    }
    next = 3;
    t.equal((await send({ ':path': '/open', ':method': 'HEAD' })).status, 204, 'nor to HEAD');
  });

  t.test('refusals are the same as over HTTP/1.1, and leave the connection as it is', async (t) => {
    const { send, upstream, session, token } = await setUp(t, {
      more: { limits: { body_bytes: '1KiB', header_bytes: '4KiB', header_count: 50, uri_bytes: '1KiB' } },
    });
    const cases: [string, Record<string, string>, string | undefined, number, string][] = [
      ['no token', { authorization: '' }, undefined, 400, 'invalid_request'],
      ['a bad token', { authorization: `Bearer ${token}x` }, undefined, 401, 'invalid_token'],
      ['a dot segment', { ':path': '/a/../b' }, undefined, 400, 'bad_path'],
      ['no origin-form', { ':path': '*', ':method': 'OPTIONS' }, undefined, 400, 'malformed_request'],
      ['H7 another Host', { ':authority': AUTHORITY, host: 'other.example.com' }, undefined, 400, 'bad_host'],
      ['H8 TRACE', { ':method': 'TRACE' }, undefined, 405, 'method_not_allowed'],
      ['another scheme', { ':scheme': 'ftp' }, undefined, 400, 'malformed_request'],
      ['H18 a long target', { ':path': `/${'a'.repeat(2_000)}` }, undefined, 414, 'uri_too_long'],
      ['H18 large fields', { 'x-large': 'a'.repeat(6_000) }, undefined, 431, 'headers_too_large'],
      [
        'H18 many fields',
        Object.fromEntries(Array.from({ length: 200 }, (_, at) => [`x-${at}`, 'a'])),
        undefined,
        431,
        'headers_too_large',
      ],
      [
        'H18 a body that says how large it is',
        { ':method': 'POST', 'content-length': '2000' },
        'a'.repeat(2_000),
        413,
        'body_too_large',
      ],
      ['H18 a body that does not', { ':method': 'POST' }, 'a'.repeat(2_000), 413, 'body_too_large'],
    ];
    for (const [name, headers, body, status, code] of cases) {
      const before = upstream.seen.length;
      const response = await send(headers, body);
      t.equal(response.status, status, name);
      t.equal(response.code, code, name);
      t.equal(upstream.seen.length, before, `${name}: the upstream saw nothing`);
    }
    t.equal((await send({ ':path': '/' })).status, 200);
    t.notOk(session.closed);
    const refused = await send({ ':method': 'HEAD', authorization: 'Bearer x' });
    t.equal(refused.headers['www-authenticate'], 'Bearer realm="test", error="invalid_token"');
  });

  t.test('H16 a refused upload is told to stop, and costs nobody else anything', async (t) => {
    const { session, upstream, send } = await setUp(t);
    const stream = session.request({ ':method': 'POST', authorization: 'Bearer x' });
    stream.on('error', () => undefined);
    const answered = responseOf(stream);
    const chunk = Buffer.alloc(64 * 1024);
    const pump = (): void => {
      while (!stream.destroyed && !stream.writableEnded && stream.write(chunk));
    };
    stream.on('drain', pump);
    pump();
    const response = await answered;
    t.equal(response.status, 401);
    t.equal(response.rstCode, constants.NGHTTP2_NO_ERROR);
    t.equal((await send({ ':path': '/' })).status, 200);
    t.equal(upstream.seen.length, 1);
  });

  t.test('H11 a body that waits for a go-ahead gets it after authentication, and only then', async (t) => {
    const { session, token, upstream } = await setUp(t);
    const good = session.request({
      ':method': 'POST',
      expect: '100-continue',
      authorization: `Bearer ${token}`,
    });
    const goodResponse = responseOf(good);
    await once(good, 'continue');
    good.end('body');
    t.equal((await goodResponse).status, 200);
    const bad = session.request({ ':method': 'POST', expect: '100-continue', authorization: 'Bearer x' });
    let wentAhead = false;
    bad.on('continue', () => (wentAhead = true));
    t.equal((await responseOf(bad)).status, 401);
    t.notOk(wentAhead);
    t.equal(upstream.seen.length, 1, 'the upstream saw nothing of it');
  });

  t.test('H15 an upstream that dies within its answer breaks the stream, and only that', async (t) => {
    const responses = {
      'in chunks': 'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n',
      'of a length': 'Content-Length: 9\r\n\r\nhello',
      'of which only the head came': 'Content-Length: 9\r\n\r\n',
    };
    for (const [name, response] of Object.entries(responses)) {
      const raw = await startRawUpstream(t, (socket, received) => {
        if (!received.endsWith('\r\n\r\n')) return;
        socket.write(`HTTP/1.1 200 OK\r\n${response}`);
        setImmediate(() => socket.destroy());
      });
      const { gateway, session } = await setUp(t, { upstreamUrl: raw.url });
      const client = await RawHttp2.connect(t, gateway.port);
      client.send(frame(FRAME.headers, END_HEADERS | END_STREAM, 1, requestBlock('GET', '/open')));
      await until(() => client.of(1).some(({ type }) => type === FRAME.resetStream));
      const carriesEnd = ({ flags, type }: { flags: number; type: number }): boolean =>
        (type === FRAME.data || type === FRAME.headers) && (flags & END_STREAM) !== 0;
      t.notOk(client.of(1).some(carriesEnd), `${name}: never a clean end`);
      t.equal(client.of(1).at(-1)?.payload.readUInt32BE(0), constants.NGHTTP2_INTERNAL_ERROR, name);
      t.notOk(client.closed);
      t.notOk(session.closed);
    }
  });

  t.test('a body that is reset is no whole body, whatever the code', async (t) => {
    const bodies: string[] = [];
    let aborted = 0;
    const url = await startServer(t, (request, response) => {
      request.on('data', (chunk: Buffer) => bodies.push(chunk.toString()));
      request.on('error', () => aborted++);
      request.on('end', () => bodies.push('whole'));
      request.on('close', () => response.end());
    });
    const { gateway } = await setUp(t, { upstreamUrl: url });
    for (const code of [constants.NGHTTP2_NO_ERROR, constants.NGHTTP2_CANCEL]) {
      const before = aborted;
      const client = await RawHttp2.connect(t, gateway.port);
      client.send(
        frame(FRAME.headers, END_HEADERS, 1, requestBlock('POST', '/open')),
        frame(FRAME.data, 0, 1, Buffer.from('part')),
      );
      await until(() => bodies.length === before + 1);
      client.send(frame(FRAME.resetStream, 0, 1, uint32(code)));
      await until(() => aborted === before + 1);
      client.destroy();
    }
    t.strictSame(bodies, ['part', 'part']);
  });

  t.test('a body that is not as long as it says is none', async (t) => {
    const { gateway, upstream } = await setUp(t);
    const client = await RawHttp2.connect(t, gateway.port);
    client.send(
      frame(FRAME.headers, END_HEADERS, 1, requestBlock('POST', '/open', 'content-length', '10')),
      frame(FRAME.data, END_STREAM, 1, Buffer.from('part')),
    );
    await until(() => client.of(1).some(({ type }) => type === FRAME.resetStream) || client.closed);
    t.equal(upstream.seen.length, 0);
  });

  t.test('header fields that HTTP/2 does not have are refused', async (t) => {
    const { gateway, upstream } = await setUp(t);
    const wrong: [string, Buffer][] = [
      ['connection', requestBlock('GET', '/open', 'connection', 'x-user-id')],
      ['transfer-encoding', requestBlock('POST', '/open', 'transfer-encoding', 'chunked')],
      ['upgrade', requestBlock('GET', '/open', 'upgrade', 'websocket')],
      ['an upper-case name', requestBlock('GET', '/open', 'X-User-Id', 'mallory')],
      ['a line break in the target', requestBlock('GET', '/open HTTP/1.1\r\nx-user-id: mallory')],
      ['a line break in the query', requestBlock('GET', '/open?a\r\nb')],
      ['absolute-form', requestBlock('GET', 'https://api.example.com/open')],
      ['two methods', block(':method', 'GET', ':method', 'POST', ':scheme', 'https', ':path', '/open')],
      ['an unknown pseudo-header field', requestBlock('GET', '/open', ':protocol', 'websocket')],
      ['no path', block(':method', 'GET', ':scheme', 'https', ':authority', AUTHORITY)],
      ['nobody’s authority', block(':method', 'GET', ':scheme', 'https', ':path', '/open')],
    ];
    for (const [name, payload] of wrong) {
      const client = await RawHttp2.connect(t, gateway.port);
      client.send(frame(FRAME.headers, END_HEADERS | END_STREAM, 1, payload));
      await until(
        () =>
          client.closed || client.of(1).length > 0 || client.frames.some(({ type }) => type === FRAME.goAway),
      );
      t.equal(upstream.seen.length, 0, name);
      client.destroy();
    }
  });

  t.test('a field that no field can be is not there', async (t) => {
    const { gateway, upstream } = await setUp(t);
    const client = await RawHttp2.connect(t, gateway.port);
    const fields = ['x-a', 'b\r\nx-user-id: mallory', 'x-b', '\0', 'x c', 'd'];
    client.send(frame(FRAME.headers, END_HEADERS | END_STREAM, 1, requestBlock('GET', '/open', ...fields)));
    await until(() => client.of(1).length > 0);
    for (const { headers } of upstream.seen) {
      for (const name of ['x-a', 'x-b', 'x c', 'x-user-id']) t.notOk(headers[name], name);
    }
  });

  t.test('a client that leaves is noticed by the upstream', async (t) => {
    let left = 0;
    const url = await startServer(t, (request, response) => {
      response.on('close', () => left++);
      response.write('first');
      request.resume();
    });
    const { session, gateway } = await setUp(t, { upstreamUrl: url });
    const stream = session.request({ ':path': '/open' });
    stream.on('error', () => undefined);
    await once(stream, 'data');
    stream.close(constants.NGHTTP2_CANCEL);
    await until(() => left === 1);
    session.destroy();
    await until(async () => (await gateway.metric('sallyport_requests_in_flight')) === 0);
  });

  t.test('a drain serves what is under way, and closes the connection', async (t) => {
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    const { session, gateway, token } = await setUp(t, {
      response: (_request, response) => void held.then(() => response.end('late')),
      more: { timeouts: { drain: '10s' } },
    });
    const answer = responseOf(session.request({ authorization: `Bearer ${token}` }));
    await until(async () => (await gateway.metric('sallyport_requests_in_flight')) === 1);
    const stopping = gateway.stop();
    await once(session, 'goaway');
    release();
    t.equal((await answer).body, 'late');
    await stopping;
    await until(() => session.destroyed);
  });

  t.test('H19 connections that say nothing, and idle ones, end', async (t) => {
    const { gateway, session, send } = await setUp(t, {
      more: { timeouts: { headers: '200ms', idle: '1s' } },
    });
    const silent = await RawHttp2.connect(t, gateway.port);
    const slow = await RawHttp2.connect(t, gateway.port);
    slow.send(frame(FRAME.headers, 0, 1, requestBlock('GET', '/open')));
    t.equal((await send({ ':path': '/open' })).status, 200);
    await until(() => silent.closed && slow.closed);
    await until(() => session.destroyed);
  });

  t.test('H19 clients that do not take their answer, or their farewell, end', async (t) => {
    const { gateway } = await setUp(t, {
      more: { timeouts: { idle: '1s', drain: '1s' } },
      response: (_request, response) => response.end(Buffer.alloc(100_000)),
    });
    // SETTINGS_INITIAL_WINDOW_SIZE 0: no byte of an answer can be sent.
    const closedWindow = Buffer.from([0, 4, 0, 0, 0, 0]);
    const refused = await RawHttp2.connect(t, gateway.port, closedWindow);
    refused.send(frame(FRAME.headers, END_HEADERS, 1, requestBlock('POST', '/nothing')));
    const lazy = await RawHttp2.connect(t, gateway.port, closedWindow);
    lazy.send(frame(FRAME.headers, END_HEADERS | END_STREAM, 1, requestBlock('GET', '/open')));
    await until(() =>
      [refused, lazy].every((client) => client.of(1).some(({ type }) => type === FRAME.headers)),
    );
    t.equal(await gateway.metric('sallyport_requests_in_flight'), 2);
    await until(() =>
      [refused, lazy].every((client) => client.of(1).some(({ type }) => type === FRAME.resetStream)),
    );
    await until(async () => (await gateway.metric('sallyport_requests_in_flight')) === 0);
    // It neither reads nor closes: what was told to close must not wait for it.
    const deaf = await RawHttp2.connect(t, gateway.port);
    deaf.send(frame(FRAME.headers, END_HEADERS | END_STREAM, 1, requestBlock('GET', '/nothing')));
    await until(() => deaf.of(1).length > 0);
    deaf.pause();
    await gateway.stop();
    t.pass('the gateway stops all the same');
  });

  t.test('HSTS is on every answer, and the upstream’s own word is kept', async (t) => {
    const { send } = await setUp(t, {
      tls: { hsts: { max_age: '1h', include_subdomains: true } },
      response: (request, response) => {
        if (request.url === '/own') response.setHeader('Strict-Transport-Security', 'max-age=7');
        response.end();
      },
    });
    const said = async (headers: Record<string, string>): Promise<unknown> =>
      (await send(headers)).headers['strict-transport-security'];
    t.equal(await said({ ':path': '/' }), 'max-age=3600; includeSubDomains');
    t.equal(await said({ ':path': '/', authorization: 'Bearer x' }), 'max-age=3600; includeSubDomains');
    t.equal(await said({ ':path': '/own' }), 'max-age=7');
  });

  t.test('where it is not wanted it is not spoken', async (t) => {
    const { gateway } = await setUp(t, { tls: { protocols: ['http/1.1'] } });
    const socket = connectTls({
      host: '127.0.0.1',
      port: gateway.port,
      rejectUnauthorized: false,
      ALPNProtocols: ['h2', 'http/1.1'],
    });
    await once(socket, 'secureConnect');
    t.equal(socket.alpnProtocol, 'http/1.1');
    socket.destroy();
  });
});
