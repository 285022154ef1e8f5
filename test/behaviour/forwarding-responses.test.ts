/** What the client gets, from upstreams that work and from upstreams that fail. Rules H1 to H5, H9, H11, H15 to H17, B11; C18, C19. */
import t from 'tap';
import { connect, type Socket } from 'node:net';
import { send, sendRaw, statuses } from '../support/client.ts';
import { OPEN } from '../support/forwarding.ts';
import { startGateway, until } from '../support/gateway.ts';
import { freePort } from '../support/redis.ts';
import { startRawUpstream, startUpstream } from '../support/upstream.ts';

t.test('responses to the client', async (t) => {
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

  t.test("B11 the upstream's own 401 and challenge pass unchanged", async (t) => {
    const response = await send(gateway.url, '/open/own-401');
    t.equal(response.status, 401);
    t.equal(response.headers['www-authenticate'], 'Basic realm="own"');
    t.equal(response.body, 'mine');
  });

  t.test(
    "H1 hop-by-hop fields of the upstream are removed, cookies stay apart, and the request id is the gateway's",
    async (t) => {
      const response = await send(gateway.url, '/open/hop');
      t.notOk('x-secret' in response.headers);
      t.strictSame(response.headers['set-cookie'], ['a=1', 'b=2']);
      t.not(response.headers['x-request-id'], 'theirs');
    },
  );

  t.test('H9 H11 trailers and early hints pass', async (t) => {
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

  t.test('204 and responses to HEAD have no body', async (t) => {
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
      { ...OPEN, timeouts: { response: '1h', idle: '1h' }, retries: { attempts: 0 } },
      { ...OPEN, name: 'hasty', match: { path_prefix: '/hasty' }, timeouts: { response: '200ms' } },
      { name: 'dead', match: { path_prefix: '/dead' }, upstream: 'dead', auth: { mode: 'none' } },
    ],
    upstreams: { u: { targets: [raw.url] }, dead: { targets: [`http://127.0.0.1:${dead}`] } },
  });

  t.test('a port on which no server listens: 502', async (t) => {
    t.match(await send(gateway.url, '/dead'), { status: 502, problem: { code: 'upstream_unreachable' } });
  });

  const broken: Record<string, [string, string]> = {
    'closes without a response': ['', 'upstream_unreachable'],
    'sends no HTTP': ['hello there\r\n\r\n', 'upstream_protocol_error'],
    'H4 responds with two Content-Lengths': [
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!',
      'upstream_protocol_error',
    ],
    'H2 responds with Content-Length and Transfer-Encoding': [
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
      'upstream_protocol_error',
    ],
    'responds with a header section without end': [
      `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(80_000)}`,
      'upstream_protocol_error',
    ],
    'switches protocols without a request for it': [
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
      'upstream_protocol_error',
    ],
    'H3 responds with another transfer coding': [
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

  t.test('does not respond: 504, and its connection is closed', async (t) => {
    behave = () => undefined;
    const response = await send(gateway.url, '/hasty');
    t.match(response, { status: 504, problem: { code: 'upstream_timeout' } });
    await until(() => gateway.log.some(({ cause }) => /timeouts\.response$/.test(String(cause))));
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
      await until(() => gateway.log.at(-1)?.['status'] === 200);
      t.match(gateway.log.at(-1), { error: 'upstream_unreachable', cause: /the upstream closed/ });
    });
  }

  t.test(
    'H15 a client of HTTP/1.0 sees a reset where the upstream died, and never an end in order',
    async (t) => {
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
    },
  );

  t.test('H17 C18 bytes after a response never become the next response', async (t) => {
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

  t.test('H17 C18 bytes on an idle upstream connection never become the next response', async (t) => {
    behave = (socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst', 'latin1');
    t.equal((await send(gateway.url, '/open')).body, 'first');
    const idle = raw.sockets.at(-1);
    idle?.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil', 'latin1');
    await until(() => idle?.destroyed === true || idle?.readableEnded === true);
    behave = (socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond', 'latin1');
    t.equal((await send(gateway.url, '/open')).body, 'second');
  });

  t.test(
    'H16 a response before the end of the upload is passed on, and the upstream connection is closed',
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
