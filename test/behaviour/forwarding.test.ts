/** What the upstream gets and what the client gets back. Rules H1, H10, H11, H15, H17, F1, F2, B11; C1 to C3, C18, C19. */
import t from 'tap';
import { once } from 'node:events';
import { createServer, request as httpRequest, type IncomingMessage } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { send, sendRaw, statuses } from '../support/client.ts';
import { loginIssuer, startGateway, until } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { memoryOf, startGatewayProcess } from '../support/process.ts';
import { freePort } from '../support/redis.ts';
import { claimsOf, createKey, mint } from '../support/tokens.ts';
import { startRawUpstream, startUpstream } from '../support/upstream.ts';

const key = createKey();
const issuers = { login: loginIssuer(key) };
const identity = {
  headers: { 'X-User-Id': 'sub', 'X-Roles': 'realm_access.roles', 'X-Level': 'level', 'X-Org': 'org' },
};
const OPEN = { name: 'open', match: { path_prefix: '/open' }, upstream: 'u', auth: { mode: 'none' } };
const CLOSED = { name: 'closed', match: { path_prefix: '/' }, upstream: 'u' };

const seenHeaders = (rawHeaders: readonly string[], name: string): string[] =>
  rawHeaders.filter((_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === name);

t.test('the upstream gets', async (t) => {
  const upstream = await startUpstream(t);
  const gateway = await startGateway(t, {
    issuers,
    identity,
    routes: [
      OPEN,
      { ...CLOSED, identity: { headers: { 'X-Tenant': 'tenant.id' } } },
      {
        name: 'through',
        match: { path_prefix: '/through' },
        upstream: 'u',
        identity: { forward_authorization: true },
        rewrite: { host: 'preserve' },
      },
      {
        name: 'rewritten',
        match: { path_prefix: '/old' },
        upstream: 'u',
        rewrite: { strip_prefix: '/old', add_prefix: '/v1' },
      },
    ],
    upstreams: { u: { targets: [upstream.url] } },
  });
  const last = () => upstream.seen.at(-1) ?? { rawHeaders: [], headers: {}, url: '', method: '', body: '' };

  t.test('C1 C2 C4 identity from the token alone, whatever the client sends, on every route', async (t) => {
    const spoofed = [
      ...[
        'X-User-Id',
        'eve',
        'x-user-id',
        'eve',
        'X_User_Id',
        'eve',
        'X.User.Id',
        'eve',
        'x_tenant',
        'evil',
        'X-Roles',
        'root',
      ],
      ...['Connection', 'X-User-Id, X-Roles, X-Forwarded-For, keep-alive'],
    ];
    const token = mint(key, claimsOf({ realm_access: { roles: ['a', 'b,c'] }, tenant: { id: 'acme' } }));
    t.equal((await send(gateway.url, '/', { token, headers: spoofed })).status, 200);
    t.strictSame(seenHeaders(last().rawHeaders, 'x-user-id'), ['alice']);
    t.strictSame(seenHeaders(last().rawHeaders, 'x-roles'), ['a,b%2Cc']);
    t.strictSame(seenHeaders(last().rawHeaders, 'x-tenant'), ['acme']);
    t.strictSame(seenHeaders(last().rawHeaders, 'x-forwarded-for'), ['127.0.0.1']);
    t.notOk(JSON.stringify(last().rawHeaders).includes('eve'));
    t.equal((await send(gateway.url, '/open', { headers: spoofed })).status, 200);
    t.notOk(/eve|root|evil/.test(JSON.stringify(last().rawHeaders)), 'on a public route too');
    t.ok((await gateway.metric('sallyport_identity_headers_stripped_total{route="open"}')) >= 5);
  });

  t.test(
    'claims in a form that decodes back: numbers by their digits, objects as base64url JSON',
    async (t) => {
      const payload = JSON.stringify(claimsOf({ org: { a: 1 }, sub: 'Zoë % , 🍪 ' })).replace(
        /}$/,
        ',"level":1.50e3}',
      );
      t.equal((await send(gateway.url, '/', { token: mint(key, payload) })).status, 200);
      const { headers } = last();
      t.equal(headers['x-level'], '1.50e3');
      t.equal(Buffer.from(String(headers['x-org']), 'base64url').toString(), '{"a":1}');
      t.equal(headers['x-user-id'], 'Zo%C3%AB %25 %2C %F0%9F%8D%AA%20');
      t.equal(decodeURIComponent(String(headers['x-user-id'])), 'Zoë % , 🍪 ');
    },
  );

  t.test('no header for a claim that is absent, null or []', async (t) => {
    await send(gateway.url, '/', {
      token: mint(key, claimsOf({ level: null, realm_access: { roles: [] } })),
    });
    for (const name of ['x-level', 'x-roles', 'x-org']) t.notOk(name in last().headers);
  });

  t.test('no Authorization and no DPoP, unless the route forwards Authorization', async (t) => {
    const token = mint(key);
    await send(gateway.url, '/', { token, headers: ['dpop', 'x'] });
    t.notOk('authorization' in last().headers);
    t.notOk('dpop' in last().headers);
    await send(gateway.url, '/through', { token, headers: ['dpop', 'x', 'host', 'shop.example:8080'] });
    t.equal(last().headers.authorization, `Bearer ${token}`);
    t.notOk('dpop' in last().headers);
    t.equal(last().headers.host, 'shop.example:8080');
  });

  t.test('F1 C3 none of what an untrusted peer says of other hops', async (t) => {
    const lies = [
      'X-Forwarded-For',
      'X-Forwarded-Proto',
      'X-Forwarded-Host',
      'X-Forwarded-Prefix',
      'X-Forwarded-Uri',
      'X-Forwarded-User',
      'Forwarded',
      'X-Real-IP',
      'X-Original-URI',
      'X-Original-Method',
      'X-Forwarded-Client-Cert',
      'X-SSL-Client-Cert',
      'Client-Cert',
      'X_Forwarded_For',
      'X.Real.IP',
    ];
    await send(gateway.url, '/open', { headers: lies.flatMap((name) => [name, 'lie']) });
    t.notOk(JSON.stringify(last().rawHeaders).includes('lie'));
    t.match(last().headers, {
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-proto': 'http',
      'x-forwarded-host': new URL(gateway.url).host,
    });
  });

  t.test('H1 nothing that was for our connection only', async (t) => {
    const hop = [
      'Keep-Alive',
      'timeout=1',
      'Proxy-Connection',
      'x',
      'TE',
      'gzip',
      'Proxy-Authorization',
      'x',
      'X-Hop',
      'x',
      'Connection',
      'close, X-Hop',
    ];
    await send(gateway.url, '/open', { headers: [...hop, 'X-End', 'to-end'] });
    for (const name of ['keep-alive', 'proxy-connection', 'te', 'proxy-authorization', 'x-hop'])
      t.notOk(name in last().headers, name);
    t.equal(last().headers['x-end'], 'to-end');
    await send(gateway.url, '/open', { headers: ['TE', 'trailers', 'Connection', 'TE'] });
    t.equal(last().headers.te, 'trailers');
  });

  t.test('Via, a request id and a trace that goes on', async (t) => {
    const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
    const response = await send(gateway.url, '/open', {
      headers: [
        'x-request-id',
        'mine.1',
        'traceparent',
        `00-${trace}-00f067aa0ba902b7-01`,
        'via',
        '1.0 first',
      ],
    });
    t.equal(response.headers['x-request-id'], 'mine.1');
    t.equal(last().headers['x-request-id'], 'mine.1');
    t.equal(last().headers.via, '1.0 first, 1.1 sallyport');
    t.match(last().headers['traceparent'], new RegExp(`^00-${trace}-(?!00f067aa0ba902b7)[0-9a-f]{16}-01$`));
    await send(gateway.url, '/open', { headers: ['x-request-id', 'not ok', 'traceparent', '00-0-0-0'] });
    t.not(last().headers['x-request-id'], 'not ok');
    t.match(last().headers['traceparent'], /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
  });

  t.test('H13 the path and the query as they came, or as the route rewrites them', async (t) => {
    await send(gateway.url, '/open/a%20b;c=1/%E2%82%AC?x=%2F..%2F&y=[1]');
    t.equal(last().url, '/open/a%20b;c=1/%E2%82%AC?x=%2F..%2F&y=[1]');
    const token = mint(key);
    for (const [path, url] of [
      ['/old/a?b', '/v1/a?b'],
      ['/old', '/v1'],
      ['/old/', '/v1/'],
    ]) {
      await send(gateway.url, path ?? '', { token });
      t.equal(last().url, url);
    }
  });

  t.test('a body of any method, framed as it came', async (t) => {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      await send(gateway.url, '/open', { method, body: 'hello' });
      t.match(last(), { method, body: 'hello', headers: { 'content-length': '5' } });
    }
    await send(gateway.url, '/open', { method: 'POST', body: '' });
    t.equal(last().headers['content-length'], '0');
  });

  t.test('H11 Expect: 100-continue: the go-ahead comes from us, after authentication', async (t) => {
    const head = (token: string): string =>
      `POST /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 3\r\nExpect: 100-continue\r\nAuthorization: Bearer ${token}\r\n\r\n`;
    const refused = await sendRaw(gateway.port, head('bad'));
    t.strictSame(statuses(refused), [401], 'no go-ahead');
    const socket = connect(gateway.port, '127.0.0.1');
    let received = '';
    socket.on('data', (chunk) => (received += chunk.toString()));
    socket.write(head(mint(key)));
    await until(() => received.startsWith('HTTP/1.1 100 '));
    socket.write('abc');
    await once(socket, 'close');
    t.strictSame(statuses(received), [100, 200]);
    t.equal(last().body, 'abc');
    t.notOk('expect' in last().headers);
  });

  t.test('H11 a client of HTTP/1.0 gets no 100, and is served', async (t) => {
    const received = await sendRaw(
      gateway.port,
      `POST /x HTTP/1.0\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\nAuthorization: Bearer ${mint(key)}\r\n\r\nabc`,
    );
    t.strictSame(statuses(received), [200]);
    t.match(received, /^HTTP\/1\.1 200 /);
    t.equal(last().body, 'abc');
    t.notOk('expect' in last().headers);
  });
});

t.test('X-Forwarded-* from a trusted peer are believed', async (t) => {
  const upstream = await startUpstream(t);
  const gateway = await startGateway(t, {
    trusted_proxies: ['127.0.0.0/8', '10.0.0.0/8'],
    routes: [OPEN],
    upstreams: { u: { targets: [upstream.url] } },
  });
  await send(gateway.url, '/open', {
    headers: [
      'X-Forwarded-For',
      '6.6.6.6, 203.0.113.9',
      'X-Forwarded-For',
      '10.1.2.3',
      'X-Forwarded-Proto',
      'https',
      'X-Forwarded-Host',
      'api.example.com',
    ],
  });
  t.match(upstream.seen.at(-1)?.headers, {
    'x-forwarded-for': '6.6.6.6, 203.0.113.9, 10.1.2.3, 127.0.0.1',
    'x-forwarded-proto': 'https',
    'x-forwarded-host': 'api.example.com',
  });
  await until(() => gateway.log.some(({ msg }) => msg === 'request'));
  t.equal(
    gateway.log.find(({ msg }) => msg === 'request')?.['client_ip'],
    '203.0.113.9',
    'the rightmost untrusted',
  );
});

t.test('what strip_prefix takes is told as X-Forwarded-Prefix', async (t) => {
  const upstream = await startUpstream(t);
  const start = (trusted_proxies: string[]) =>
    startGateway(t, {
      trusted_proxies,
      routes: [
        OPEN,
        {
          ...OPEN,
          name: 'stripped',
          match: { path_prefix: '/shop/v1' },
          rewrite: { strip_prefix: '/shop', add_prefix: '/x' },
        },
        { ...OPEN, name: 'comma', match: { path_prefix: '/a,b' }, rewrite: { strip_prefix: '/a,b/' } },
        { ...OPEN, name: 'root', match: { path_prefix: '/' }, rewrite: { strip_prefix: '/' } },
      ],
      upstreams: { u: { targets: [upstream.url] } },
    });
  /** The prefixes that the upstream is told, where the client says these. */
  const told = async (url: string, path: string, ...said: string[]): Promise<string[]> => {
    const headers = said.flatMap((value) => ['X-Forwarded-Prefix', value]);
    await send(url, path, { headers: [...headers, 'Connection', 'x-forwarded-prefix'] });
    return seenHeaders(upstream.seen.at(-1)?.rawHeaders ?? [], 'x-forwarded-prefix');
  };

  t.test('C3 ours, and never the client’s', async (t) => {
    const { url } = await start([]);
    for (const said of [[], ['/evil'], ['//evil.example', '/evil']]) {
      t.strictSame(await told(url, '/shop/v1/a', ...said), ['/shop']);
      t.strictSame(await told(url, '/open', ...said), [], 'nothing was taken');
      t.strictSame(await told(url, '/', ...said), []);
    }
    t.equal(upstream.seen.find(({ url }) => url.startsWith('/x'))?.url, '/x/v1/a');
    t.strictSame(await told(url, '/a,b/c'), ['/a%2Cb'], 'one prefix, to those that look for several');
    await send(url, '/shop/v1', { headers: ['X_Forwarded_Prefix', '/evil', 'X.Forwarded-Prefix', '/evil'] });
    t.notOk(JSON.stringify(upstream.seen.at(-1)?.rawHeaders).includes('evil'));
  });

  t.test('the prefix that a trusted proxy took comes first', async (t) => {
    const { url } = await start(['127.0.0.1']);
    t.strictSame(await told(url, '/shop/v1'), ['/shop']);
    t.strictSame(await told(url, '/shop/v1', '/outer'), ['/outer/shop']);
    t.strictSame(await told(url, '/shop/v1', '/a/, /b%C3%A9', '/c%2C'), ['/a/b%C3%A9/c%2C/shop']);
    t.strictSame(await told(url, '/open', '/outer/'), ['/outer']);
    t.strictSame(await told(url, '/open', '/'), []);
  });

  t.test('what no proxy takes from a path is dropped, from a trusted one too', async (t) => {
    const { url } = await start(['127.0.0.1']);
    const lies = [
      '//evil.example',
      'evil',
      '/a/../b',
      '/..',
      '/.',
      '/a//b',
      '/a\\b',
      'https://evil.example',
      '/a b',
    ];
    for (const lie of [...lies, '/%2e%2e', '/a%2Fb', '/a?b', '/a#b', '/ok, //evil.example']) {
      t.strictSame(await told(url, '/shop/v1', lie), ['/shop'], lie);
      t.strictSame(await told(url, '/open', lie), [], lie);
    }
  });
});

t.test('the client gets', async (t) => {
  const upstream = await startUpstream(t, (request, response) => {
    switch (request.url) {
      case '/open/own-401':
        response.writeHead(401, { 'www-authenticate': 'Basic realm="own"' }).end('mine');
        break;
      case '/open/hop':
        response.writeHead(200, [
          'Connection',
          'X-Secret, keep-alive',
          'X-Secret',
          's',
          'Set-Cookie',
          'a=1',
          'Set-Cookie',
          'b=2',
          'X-Request-Id',
          'theirs',
        ]);
        response.end('x');
        break;
      case '/open/trailers':
        response.writeHead(200, { trailer: 'x-sum' });
        response.write('part');
        response.addTrailers({ 'x-sum': '7' });
        response.end();
        break;
      case '/open/hints':
        response.writeProcessing();
        response.writeEarlyHints({ link: '</a.css>; rel=preload', 'x-a': '1' });
        response.end('hinted');
        break;
      case '/open/204':
        response.writeHead(204).end();
        break;
      default:
        response.end('ok');
    }
  });
  const gateway = await startGateway(t, { routes: [OPEN], upstreams: { u: { targets: [upstream.url] } } });

  t.test("B11 an upstream's own 401 and challenge, unchanged", async (t) => {
    const response = await send(gateway.url, '/open/own-401');
    t.equal(response.status, 401);
    t.equal(response.headers['www-authenticate'], 'Basic realm="own"');
    t.equal(response.body, 'mine');
  });

  t.test(
    "nothing that was for the upstream's connection, each cookie by itself, and our request id",
    async (t) => {
      const response = await send(gateway.url, '/open/hop');
      t.notOk('x-secret' in response.headers);
      t.strictSame(response.headers['set-cookie'], ['a=1', 'b=2']);
      t.not(response.headers['x-request-id'], 'theirs');
    },
  );

  t.test('H9 H11 trailers and early hints', async (t) => {
    const port = gateway.port;
    const trailers = await sendRaw(
      port,
      'GET /open/trailers HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    );
    t.match(trailers, /\r\n0\r\nx-sum: 7\r\n\r\n$/);
    const hints = await sendRaw(port, 'GET /open/hints HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    t.strictSame(statuses(hints), [102, 103, 200]);
    t.match(hints, /x-a: 1\r\n/i);
  });

  t.test('204 and HEAD without a body', async (t) => {
    t.match(await send(gateway.url, '/open/204'), { status: 204, body: '' });
    t.match(await send(gateway.url, '/open', { method: 'HEAD' }), { status: 200, body: '' });
  });
});

t.test('upstreams that fail', async (t) => {
  const dead = await freePort();
  let behave: (socket: Socket) => void = () => undefined;
  const raw = await startRawUpstream(t, (socket, received) => {
    if (received.includes('\r\n\r\n')) behave(socket);
  });
  const gateway = await startGateway(t, {
    routes: [
      { ...OPEN, timeouts: { response: '1s', idle: '1s' }, retries: { attempts: 0 } },
      { name: 'dead', match: { path_prefix: '/dead' }, upstream: 'dead', auth: { mode: 'none' } },
    ],
    upstreams: { u: { targets: [raw.url] }, dead: { targets: [`http://127.0.0.1:${dead}`] } },
  });

  t.test('nobody listens: 502', async (t) => {
    t.match(await send(gateway.url, '/dead'), { status: 502, problem: { code: 'upstream_unreachable' } });
  });

  const broken: Record<string, [string, string]> = {
    'closes without an answer': ['', 'upstream_unreachable'],
    'answers no HTTP': ['hello there\r\n\r\n', 'upstream_protocol_error'],
    'H4 answers with two Content-Lengths': [
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!',
      'upstream_protocol_error',
    ],
    'H2 answers with Content-Length and Transfer-Encoding': [
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
      'upstream_protocol_error',
    ],
    'answers with a header section without end': [
      `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(80_000)}`,
      'upstream_protocol_error',
    ],
    'switches protocols unasked': [
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
      'upstream_protocol_error',
    ],
    'H3 answers with another transfer coding': [
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
      'upstream_protocol_error',
    ],
    'H5 folds a header line': [
      'HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n',
      'upstream_protocol_error',
    ],
  };
  for (const [name, [bytes, code]] of Object.entries(broken)) {
    t.test(`${name}: 502`, async (t) => {
      behave = (socket) => socket.end(bytes, 'latin1');
      const response = await send(gateway.url, '/open');
      t.equal(response.status, 502);
      t.equal(response.problem.code, code);
    });
  }

  t.test('does not answer: 504, and it is told that nobody waits any more', async (t) => {
    behave = () => undefined;
    const response = await send(gateway.url, '/open');
    t.match(response, { status: 504, problem: { code: 'upstream_timeout' } });
    await until(() => raw.sockets.at(-1)?.destroyed === true || raw.sockets.at(-1)?.readableEnded === true);
  });

  for (const [name, bytes] of Object.entries({
    'H15 C19 an upstream that dies within a body of known length':
      'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart',
    'H15 an upstream that dies within a chunked body':
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n',
  })) {
    t.test(`${name}: the client sees a broken message`, async (t) => {
      behave = (socket) => socket.end(bytes, 'latin1');
      await t.rejects(send(gateway.url, '/open'), { code: 'ECONNRESET' });
    });
  }

  t.test('H15 to a client of HTTP/1.0, for which the end would be the end, it is a reset', async (t) => {
    const responseOf = async (bytes: string): Promise<string> => {
      behave = (socket) => socket.end(`HTTP/1.1 200 OK\r\n${bytes}`, 'latin1');
      const client = connect(gateway.port, '127.0.0.1');
      client.write('GET /open HTTP/1.0\r\nHost: a\r\n\r\n');
      let ending = 'ended in order';
      client.on('error', (error: NodeJS.ErrnoException) => (ending = error.code ?? ''));
      client.resume();
      const { promise: closed, resolve } = Promise.withResolvers<void>();
      client.on('close', () => resolve());
      await closed;
      return ending;
    };
    const chunks = 'Transfer-Encoding: chunked\r\n\r\n4\r\npart\r\n';
    t.equal(await responseOf(`${chunks}0\r\n\r\n`), 'ended in order');
    t.equal(await responseOf(chunks), 'ECONNRESET');
    t.equal(await responseOf('Content-Length: 100\r\n\r\npart'), 'ECONNRESET');
  });

  t.test('H17 C18 bytes on an idle upstream connection answer nobody', async (t) => {
    behave = (socket) => {
      socket.write(
        'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirstHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil',
        'latin1',
      );
    };
    t.equal((await send(gateway.url, '/open')).body, 'first');
    behave = (socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond', 'latin1');
    t.equal((await send(gateway.url, '/open')).body, 'second');
  });

  t.test('H17 nor do bytes that come while the connection waits for its next request', async (t) => {
    behave = (socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst', 'latin1');
    t.equal((await send(gateway.url, '/open')).body, 'first');
    const idle = raw.sockets.at(-1);
    idle?.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil', 'latin1');
    await until(() => idle?.destroyed === true || idle?.readableEnded === true);
    behave = (socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond', 'latin1');
    t.equal((await send(gateway.url, '/open')).body, 'second');
  });

  t.test(
    'H16 an answer before the upload has ended: the client gets it, and its connection ends',
    async (t) => {
      behave = (socket) => socket.write('HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nearly', 'latin1');
      const response = await sendRaw(
        gateway.port,
        'POST /open HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\npart of it',
      );
      t.match(response, /^HTTP\/1\.1 413 [^]*early$/);
      await until(() => raw.sockets.at(-1)?.destroyed === true || raw.sockets.at(-1)?.readableEnded === true);
    },
  );
});

t.test('H10 a request is tried again only where that is safe', async (t) => {
  let connections = 0;
  const upstream = await startRawUpstream(t, (socket, received) => {
    if (!received.includes('\r\n\r\n')) return;
    // Every first try dies with its connection.
    if (++connections % 2 === 1) socket.destroy();
    else socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
  });
  const gateway = await startGateway(t, { routes: [OPEN], upstreams: { u: { targets: [upstream.url] } } });
  t.equal((await send(gateway.url, '/open')).status, 200);
  t.equal(await gateway.metric('sallyport_upstream_retries_total{upstream="u"}'), 1);
  t.equal((await send(gateway.url, '/open', { method: 'POST', body: 'x' })).status, 502);
  t.equal(connections, 3, 'the POST was sent once');
});

t.test('the client’s leaving ends the upstream request', async (t) => {
  const told = Promise.withResolvers<void>();
  const server = createServer((request) => {
    request.on('close', () => told.resolve());
    request.resume();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const gateway = await startGateway(t, {
    routes: [OPEN],
    upstreams: { u: { targets: [`http://127.0.0.1:${port}`] } },
  });
  const request = httpRequest(`${gateway.url}/open`, { agent: false });
  request.on('error', () => undefined);
  request.end();
  await once(server, 'request');
  request.destroy();
  await told.promise;
  await until(() => gateway.log.some(({ status }) => status === 499));
  t.pass('told');
});

t.test('a binary upload of 100 MiB', async (t) => {
  const MIB = 1024 * 1024;
  let bytes = 0;
  const server = createServer((request, response) => {
    request.on('data', (chunk: Buffer) => (bytes += chunk.length));
    request.on('end', () => response.end(String(bytes)));
    request.on('error', () => undefined);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const gateway = await startGatewayProcess(t, {
    issuers,
    routes: [CLOSED],
    upstreams: { u: { targets: [`http://127.0.0.1:${port}`] } },
  });

  const upload = async (token: string): Promise<{ status: number; sent: number; body: string }> => {
    const request = httpRequest(`${gateway.url}/api/photos/upload`, {
      method: 'POST',
      agent: false,
      headers: { authorization: `Bearer ${token}`, 'content-length': 100 * MIB },
    });
    let sent = 0;
    let answered = false;
    request.on('error', () => undefined);
    const answer = once(request, 'response') as Promise<[IncomingMessage]>;
    void answer.then(() => (answered = true));
    const chunk = Buffer.alloc(MIB, 7);
    while (sent < 100 * MIB && !answered && !request.destroyed) {
      sent += MIB;
      if (!request.write(chunk)) await Promise.race([once(request, 'drain'), answer]);
    }
    if (!answered) request.end();
    const [response] = await answer;
    let body = '';
    for await (const part of response as AsyncIterable<Buffer>) body += part.toString();
    return { status: response.statusCode ?? 0, sent, body };
  };

  t.test('passes whole with a valid token, and is never held in memory', async (t) => {
    // The first request loads code and grows the young generation; what counts is what an upload adds.
    await send(gateway.url, '/', { method: 'POST', token: mint(key), body: Buffer.alloc(8 * MIB) });
    bytes = 0;
    const before = memoryOf(gateway.pid).now;
    t.match(await upload(mint(key)), { status: 200, body: String(100 * MIB) });
    const growth = memoryOf(gateway.pid).peak - before;
    t.ok(growth <= 32 * MIB, `the process grew by ${(growth / MIB).toFixed(1)} MiB`);
  });

  t.test('H16 is refused without one, before its body is read', async (t) => {
    bytes = 0;
    const { status, sent } = await upload('bad');
    t.equal(status, 401);
    t.ok(sent < 100 * MIB, `${sent / MIB} MiB were sent`);
    t.equal(bytes, 0, 'the upstream saw nothing');
  });
});

t.test('H18 a body beyond the limit: 413, by its length or by its bytes', async (t) => {
  const upstream = await startUpstream(t);
  const gateway = await startGateway(t, {
    limits: { body_bytes: '1KiB' },
    routes: [OPEN],
    upstreams: { u: { targets: [upstream.url] } },
  });
  t.equal((await send(gateway.url, '/open', { method: 'POST', body: 'x'.repeat(1025) })).status, 413);
  const chunk = `400\r\n${'x'.repeat(1024)}\r\n`;
  const received = await sendRaw(
    gateway.port,
    `POST /open HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}${chunk}0\r\n\r\n`,
  );
  t.strictSame(statuses(received), [413]);
  t.equal(upstream.seen.length, 0);
  t.equal((await send(gateway.url, '/open', { method: 'POST', body: 'x'.repeat(1024) })).status, 200);
});

t.test('H19 a client that is slow with its headers is told 408', async (t) => {
  const upstream = await startUpstream(t);
  const gateway = await startGateway(t, {
    timeouts: { headers: '200ms' },
    routes: [OPEN],
    upstreams: { u: { targets: [upstream.url] } },
  });
  const received = await sendRaw(gateway.port, 'GET /open HTTP/1.1\r\nHost: a\r\nX-Slow: ');
  t.strictSame(statuses(received), [408]);
});

t.test('more requests at a time than allowed: 503 with Retry-After', async (t) => {
  const waiting: (() => void)[] = [];
  const upstream = await startUpstream(t, (_, response) => void waiting.push(() => response.end('ok')));
  const gateway = await startGateway(t, {
    limits: { in_flight: 1 },
    routes: [OPEN],
    upstreams: { u: { targets: [upstream.url] } },
  });
  const first = send(gateway.url, '/open');
  await until(() => waiting.length === 1);
  const second = await send(gateway.url, '/open');
  t.match(second, { status: 503, problem: { code: 'overloaded' }, headers: { 'retry-after': '1' } });
  waiting[0]?.();
  t.equal((await first).status, 200);
});

t.test('H19 an idle connection ends after timeouts.idle, one that is being served does not', async (t) => {
  const waiting: (() => void)[] = [];
  const upstream = await startUpstream(t, (_, response) => void waiting.push(() => response.end('ok')));
  const clock = new ManualClock();
  const gateway = await startGateway(
    t,
    { timeouts: { idle: '60s' }, routes: [OPEN], upstreams: { u: { targets: [upstream.url] } } },
    { clock },
  );
  const ask = 'GET /open HTTP/1.1\r\nHost: a\r\n\r\n';
  let received = '';
  const socket = connect(gateway.port, '127.0.0.1');
  socket.on('data', (chunk) => (received += chunk.toString()));
  socket.write(ask);
  await until(() => waiting.length === 1);
  clock.advance(20_000);
  waiting[0]?.();
  await until(() => received.endsWith('ok'));
  clock.advance(30_000);
  socket.write(ask);
  await until(() => waiting.length === 2);
  waiting[1]?.();
  await until(() => received.endsWith('ok') && statuses(received).length === 2);
  const closed = once(socket, 'close');
  clock.advance(61_000);
  await closed;
  t.strictSame(statuses(received), [200, 200]);
});

t.test('an answer that pauses for longer than timeouts.idle is broken off', async (t) => {
  const upstream = await startRawUpstream(t, (socket, text) => {
    if (text.includes('\r\n\r\n')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart');
  });
  const clock = new ManualClock();
  const gateway = await startGateway(
    t,
    { routes: [{ ...OPEN, timeouts: { idle: '5s' } }], upstreams: { u: { targets: [upstream.url] } } },
    { clock },
  );
  let received = '';
  const socket = connect(gateway.port, '127.0.0.1');
  socket.on('data', (chunk) => (received += chunk.toString()));
  socket.write('GET /open HTTP/1.1\r\nHost: a\r\n\r\n');
  await until(() => received.endsWith('part'));
  const closed = once(socket, 'close');
  clock.advance(6_000);
  await closed;
  t.notMatch(received, /504/);
  await until(() => gateway.log.some(({ msg }) => msg === 'request'));
  t.equal(gateway.log.at(-1)?.['error'], 'upstream_timeout');
});

t.test('a request that waits too long for a connection to its upstream: 504', async (t) => {
  const upstream = await startRawUpstream(t, () => undefined);
  const clock = new ManualClock();
  const gateway = await startGateway(
    t,
    { routes: [OPEN], upstreams: { u: { targets: [upstream.url], connections: 1 } } },
    { clock },
  );
  const both = [send(gateway.url, '/open'), send(gateway.url, '/open')];
  await until(
    async () =>
      (await gateway.metric('sallyport_requests_in_flight')) === 2 && upstream.connections[0] !== '',
  );
  clock.advance(31_000);
  t.strictSame(
    (await Promise.all(both)).map(({ status }) => status),
    [504, 504],
  );
});

t.test('a client that leaves while its request waits for a connection hurts nobody', async (t) => {
  const { promise: held, resolve: release } = Promise.withResolvers<void>();
  const upstream = await startUpstream(t, (_request, response) => void held.then(() => response.end('ok')));
  const gateway = await startGateway(t, {
    routes: [{ name: 'all', match: {}, upstream: 'u', auth: { mode: 'none' } }],
    upstreams: { u: { targets: [upstream.url], connections: 1 } },
  });
  const first = send(gateway.url, '/');
  await until(() => upstream.seen.length === 1);
  const leaving = connect(gateway.port, '127.0.0.1');
  leaving.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\npart');
  await until(async () => (await gateway.metric('sallyport_requests_in_flight')) === 2);
  leaving.destroy();
  await until(async () => (await gateway.metric('sallyport_requests_in_flight')) === 1);
  release();
  t.equal((await first).status, 200);
  t.equal((await send(gateway.url, '/')).status, 200);
  t.equal(upstream.seen.length, 2);
});

t.test('H19 slow clients end at timeouts.idle, and the upstream is not blamed', async (t) => {
  const upstream = await startUpstream(t, (request, response) =>
    response.end(request.url === '/large' ? Buffer.alloc(50_000_000) : 'ok'),
  );
  const gateway = await startGateway(t, {
    routes: [{ name: 'all', match: {}, upstream: 'u', auth: { mode: 'none' }, timeouts: { idle: '300ms' } }],
    upstreams: { u: { targets: [upstream.url], eject: { errors: 1, for: '1h' } } },
  });
  const log = (path: string): Record<string, unknown> | undefined =>
    gateway.log.find((line) => line['path'] === path);

  t.test('a body that stops', async (t) => {
    const response = await sendRaw(
      gateway.port,
      'POST /stops HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\npart',
    );
    t.match(response, /^HTTP\/1\.1 408/);
    t.match(response, /"code":"request_timeout"/);
  });

  t.test('a body that drips', async (t) => {
    const dripping = connect(gateway.port, '127.0.0.1');
    let received = '';
    dripping.on('error', () => undefined);
    dripping.on('data', (chunk: Buffer) => (received += chunk.toString()));
    dripping.write('POST /drips HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
    const drip = setInterval(() => dripping.write('1\r\nx\r\n'), 20);
    await once(dripping, 'close');
    clearInterval(drip);
    t.match(received, /^HTTP\/1\.1 408/);
  });

  t.test('a body that is slow but comes is served', async (t) => {
    const body = 'x'.repeat(1200);
    const steady = connect(gateway.port, '127.0.0.1');
    let received = '';
    steady.on('data', (chunk: Buffer) => (received += chunk.toString()));
    steady.write('POST /steady HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 6000\r\n\r\n');
    for (let part = 0; part < 5; part++) {
      await new Promise((resolve) => setTimeout(resolve, 150));
      steady.write(body);
    }
    await once(steady, 'close');
    t.match(received, /^HTTP\/1\.1 200/);
  });

  t.test('an answer that nobody takes', async (t) => {
    const lazy = connect(gateway.port, '127.0.0.1');
    lazy.on('error', () => undefined);
    lazy.pause();
    lazy.write('GET /large HTTP/1.1\r\nHost: a\r\n\r\n');
    await until(() => log('/large') !== undefined);
    t.match(log('/large'), { status: 200, error: 'request_timeout' });
    lazy.destroy();
  });

  t.equal((await send(gateway.url, '/')).status, 200, 'no target was ejected');
});

t.test('H19 a client that never takes the end of its answer ends after timeouts.idle', async (t) => {
  const upstream = await startUpstream(t, (_request, response) => response.end(Buffer.alloc(60_000)));
  const gateway = await startGateway(t, {
    timeouts: { idle: '1s' },
    routes: [{ name: 'all', match: {}, upstream: 'u', auth: { mode: 'none' } }],
    upstreams: { u: { targets: [upstream.url] } },
  });
  const deaf = connect(gateway.port, '127.0.0.1');
  deaf.on('error', () => undefined);
  deaf.pause();
  // Until the kernel takes no more answers.
  deaf.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(1_000));
  let served = -1;
  await until(async () => {
    const before = served;
    served = upstream.seen.length;
    await new Promise((resolve) => setTimeout(resolve, 100));
    return served > 0 && served === before;
  });
  t.equal(await gateway.metric('sallyport_requests_in_flight'), 1);
  await until(async () => (await gateway.metric('sallyport_requests_in_flight')) === 0);
  t.ok(upstream.seen.length < 1_000);
});
