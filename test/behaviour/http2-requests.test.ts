/** Requests of clients that speak HTTP/2 (RFC 9113). Rules H7, H8, H11, H16, H18. */
import { once } from 'node:events';
import { constants } from 'node:http2';
import t from 'tap';
import { noOpenssl } from '../support/certificates.ts';
import { until } from '../support/gateway.ts';
import { AUTHORITY, responseOf, startHttp2 } from '../support/http2.ts';
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
import { startServer } from '../support/upstream.ts';

t.test('HTTP/2 requests', { skip: noOpenssl }, async (t) => {
  t.test(
    'a request reaches the upstream as HTTP/1.1, with the identity of its token and no pseudo-header field',
    async (t) => {
      const { send, upstream } = await startHttp2(t);
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
    },
  );

  t.test('bodies of known and of unknown length arrive whole, large and small', async (t) => {
    const { send, upstream } = await startHttp2(t);
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

  t.test('refusals are the same as over HTTP/1.1, and the connection stays open', async (t) => {
    const { send, upstream, session, token } = await startHttp2(t, {
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
        'H18 a body with a Content-Length',
        { ':method': 'POST', 'content-length': '2000' },
        'a'.repeat(2_000),
        413,
        'body_too_large',
      ],
      ['H18 a body without one', { ':method': 'POST' }, 'a'.repeat(2_000), 413, 'body_too_large'],
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

  t.test('H16 a refused upload is stopped, and the connection serves the next request', async (t) => {
    const { session, upstream, send } = await startHttp2(t);
    const stream = session.request({ ':method': 'POST', authorization: 'Bearer x' });
    stream.on('error', () => undefined);
    const responded = responseOf(stream);
    const chunk = Buffer.alloc(64 * 1024);
    const pump = (): void => {
      while (!stream.destroyed && !stream.writableEnded && stream.write(chunk));
    };
    stream.on('drain', pump);
    pump();
    const response = await responded;
    t.equal(response.status, 401);
    t.equal(response.rstCode, constants.NGHTTP2_NO_ERROR);
    t.equal((await send({ ':path': '/' })).status, 200);
    t.equal(upstream.seen.length, 1);
  });

  t.test('H11 100 (Continue) is sent after authentication, and never to a refused request', async (t) => {
    const { session, token, upstream } = await startHttp2(t);
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

  t.test(
    'a request body that the client resets never ends in order at the upstream, whatever the error code',
    async (t) => {
      const bodies: string[] = [];
      let aborted = 0;
      const url = await startServer(t, (request, response) => {
        request.on('data', (chunk: Buffer) => bodies.push(chunk.toString()));
        request.on('error', () => aborted++);
        request.on('end', () => bodies.push('whole'));
        request.on('close', () => response.end());
      });
      const { gateway } = await startHttp2(t, { upstreamUrl: url });
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
    },
  );

  t.test('a request whose body is shorter than its Content-Length never reaches the upstream', async (t) => {
    const { gateway, upstream } = await startHttp2(t);
    const client = await RawHttp2.connect(t, gateway.port);
    client.send(
      frame(FRAME.headers, END_HEADERS, 1, requestBlock('POST', '/open', 'content-length', '10')),
      frame(FRAME.data, END_STREAM, 1, Buffer.from('part')),
    );
    await until(() => client.of(1).some(({ type }) => type === FRAME.resetStream) || client.closed);
    t.equal(upstream.seen.length, 0);
  });

  t.test('header fields that HTTP/2 forbids are refused', async (t) => {
    const { gateway, upstream } = await startHttp2(t);
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
      ['no authority', block(':method', 'GET', ':scheme', 'https', ':path', '/open')],
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

  t.test('fields with a malformed name or value never reach the upstream', async (t) => {
    const { gateway, upstream } = await startHttp2(t);
    const client = await RawHttp2.connect(t, gateway.port);
    const fields = ['x-a', 'b\r\nx-user-id: mallory', 'x-b', '\0', 'x c', 'd'];
    client.send(frame(FRAME.headers, END_HEADERS | END_STREAM, 1, requestBlock('GET', '/open', ...fields)));
    await until(() => client.of(1).length > 0);
    for (const { headers } of upstream.seen) {
      for (const name of ['x-a', 'x-b', 'x c', 'x-user-id']) t.notOk(headers[name], name);
    }
  });
});
