/** Responses to clients that speak HTTP/2 (RFC 9113). Rules H9, H11, H15. */
import { constants } from 'node:http2';
import t from 'tap';
import { noOpenssl } from '../support/certificates.ts';
import { until } from '../support/gateway.ts';
import { startHttp2 } from '../support/http2.ts';
import { END_HEADERS, END_STREAM, FRAME, frame, RawHttp2, requestBlock } from '../support/raw-http2.ts';
import { startRawUpstream } from '../support/upstream.ts';

t.test('HTTP/2 responses', { skip: noOpenssl }, async (t) => {
  t.test(
    'H9 H11 responses arrive as sent: large, trailers, HEAD, 204, 1xx, repeated fields; hop-by-hop fields are removed',
    async (t) => {
      const { send } = await startHttp2(t, {
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
      // The client read that response slowly: the next one must not wait behind it.
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

  t.test(
    'unusual upstream responses pass, malformed ones become 502, and the connection serves the next request',
    async (t) => {
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
      const { send } = await startHttp2(t, { upstreamUrl: raw.url });
      const statuses: number[] = [];
      for (const _ of responses) statuses.push((await send({ ':path': '/open', ':method': 'POST' })).status);
      t.strictSame(statuses, [200, 205, 304, 204, 204, 599, 200, 200, 200, 200, 502, 502]);
      for (let index = 0; index < responses.length; index++) {
        next = index;
        await send({ ':path': '/open', ':method': 'HEAD' });
      }
      next = 3;
      t.equal((await send({ ':path': '/open', ':method': 'HEAD' })).status, 204, 'nor to HEAD');
    },
  );

  t.test(
    'H15 an upstream that dies within its response resets the stream, and the connection stays open',
    async (t) => {
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
        const { gateway, session } = await startHttp2(t, { upstreamUrl: raw.url });
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
    },
  );

  t.test('HSTS is on every response, and the upstream’s own value is kept', async (t) => {
    const { send } = await startHttp2(t, {
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
});
