/** Upstreams that speak HTTP/2, over TCP and over TLS: what they get, and what the client gets. Rules H1, H9 to H11, H13, H15, H16; C1 to C4. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import t, { type Test } from 'tap';
import { certificateAuthority, noOpenssl } from '../support/certificates.ts';
import { send, sendRaw, statuses } from '../support/client.ts';
import { CLOSED, OPEN, seenHeaders } from '../support/forwarding.ts';
import { loginIssuer, startGateway, until, type TestGateway } from '../support/gateway.ts';
import { startHttp2 } from '../support/http2.ts';
import {
  startHttp2Server,
  startHttp2Upstream,
  type Http2Listener,
  type Http2Upstream,
} from '../support/http2-upstream.ts';
import { temporaryFolder } from '../support/process.ts';
import { claimsOf, createKey, mint } from '../support/tokens.ts';
import type { SeenRequest } from '../support/upstream.ts';

const key = createKey('EdDSA');
const MIB = 1024 * 1024;

interface Scene {
  readonly gateway: TestGateway;
  readonly upstream: Http2Upstream & { readonly seen: SeenRequest[] };
  readonly last: () => SeenRequest;
}

async function setUp(
  t: Test,
  scheme: string,
  respond?: Http2Listener,
  more: Record<string, unknown> = {},
): Promise<Scene> {
  const folder = temporaryFolder(t);
  const isTls = scheme === 'h2';
  const authority = isTls ? certificateAuthority(folder) : undefined;
  const files = authority?.issue('server', 'IP:127.0.0.1');
  const upstream = await startHttp2Upstream(t, respond, files && { files });
  const gateway = await startGateway(
    t,
    {
      issuers: { login: loginIssuer(key) },
      identity: { headers: { 'X-User-Id': 'sub', 'X-Org': 'org' } },
      routes: [
        OPEN,
        CLOSED,
        {
          name: 'kept',
          match: { path_prefix: '/kept' },
          upstream: 'u',
          auth: { mode: 'none' },
          rewrite: { host: 'preserve' },
        },
      ],
      limits: { header_bytes: '256KiB' },
      upstreams: { u: { targets: [upstream.url], ...(isTls && { tls: { ca_file: 'ca.crt' } }) } },
      ...more,
    },
    { folder },
  );
  const nothing: SeenRequest = { method: '', url: '', rawHeaders: [], headers: {}, body: '' };
  return { gateway, upstream, last: () => upstream.seen.at(-1) ?? nothing };
}

for (const scheme of ['h2c', 'h2']) {
  t.test(`requests to ${scheme}://`, { skip: scheme === 'h2' && noOpenssl }, async (t) => {
    const { gateway, upstream, last } = await setUp(t, scheme);

    t.test('every method arrives with its body, its target and its length', async (t) => {
      for (const method of ['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE']) {
        const url = `/open/a%20b;c=1/%E2%82%AC?x=%2F..%2F&y=[1]&m=${method}`;
        const body = ['POST', 'PUT', 'PATCH', 'DELETE'].includes(method) ? 'hello' : undefined;
        t.match(await send(gateway.url, url, { method, ...(body !== undefined && { body }) }), {
          status: 200,
          body: method === 'HEAD' ? '' : 'ok',
        });
        t.match(last(), { method, url, body: body ?? '' });
        t.strictSame(seenHeaders(last().rawHeaders, 'content-length'), body === undefined ? [] : ['5']);
      }
      const chunked = await sendRaw(
        gateway.port,
        'POST /open HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n',
      );
      t.strictSame(statuses(chunked), [200]);
      t.match(last(), { method: 'POST', body: 'abcde' });
      t.notOk('transfer-encoding' in last().headers);
      t.equal(upstream.opened, 1, 'one connection for all');
    });

    t.test(
      'the authority is the target, or the Host where the route keeps it; no Host field goes with it',
      async (t) => {
        await send(gateway.url, '/open');
        t.match(last().headers, {
          ':authority': `127.0.0.1:${upstream.port}`,
          ':scheme': scheme === 'h2' ? 'https' : 'http',
        });
        await send(gateway.url, '/kept', { headers: ['host', 'Shop.example:8080'] });
        t.equal(last().headers[':authority'], 'shop.example:8080');
        t.strictSame(seenHeaders(last().rawHeaders, 'host'), []);
      },
    );

    t.test('C1 C2 C4 identity comes from the token alone, whatever the client sends', async (t) => {
      const spoofed = [
        'X-User-Id',
        'eve',
        'x_user_id',
        'eve',
        'X.User.Id',
        'eve',
        'Connection',
        'X-User-Id, X-Forwarded-For',
      ];
      const token = mint(key, claimsOf({ sub: 'Zoë' }));
      t.equal((await send(gateway.url, '/', { token, headers: spoofed })).status, 200);
      t.strictSame(seenHeaders(last().rawHeaders, 'x-user-id'), ['Zo%C3%AB']);
      t.strictSame(seenHeaders(last().rawHeaders, 'x-forwarded-for'), ['127.0.0.1']);
      t.notOk(JSON.stringify(last().rawHeaders).includes('eve'));
      await send(gateway.url, '/open', { headers: spoofed });
      t.notOk(JSON.stringify(last().rawHeaders).includes('eve'), 'on a public route too');
      t.notOk('authorization' in last().headers);
    });

    t.test('G1 no header of a client becomes a pseudo-header field, or a field of its own', async (t) => {
      const before = upstream.seen.length;
      for (const line of [
        ':path: /admin',
        ':authority: evil',
        'x\r: 1',
        'x: 1\r\n\0: 2',
        'x\n:path: /admin',
        ' :path: /admin',
      ]) {
        const received = await sendRaw(
          gateway.port,
          `GET /open HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${line}\r\n\r\n`,
        );
        t.strictSame(statuses(received), [400], JSON.stringify(line));
      }
      t.equal(upstream.seen.length, before, 'the upstream saw nothing');
    });

    t.test('H1 fields of the connection end here, but for TE: trailers', async (t) => {
      const hop = [
        'Keep-Alive',
        'timeout=1',
        'Proxy-Connection',
        'x',
        'TE',
        'gzip',
        'HTTP2-Settings',
        'AAMAAABkAAQAAP__',
        'X-Hop',
        'x',
        'Upgrade',
        'h2c',
        'Connection',
        'close, X-Hop, Upgrade, HTTP2-Settings',
      ];
      t.equal((await send(gateway.url, '/open', { headers: [...hop, 'X-End', 'to-end'] })).status, 200);
      for (const name of [
        'keep-alive',
        'proxy-connection',
        'te',
        'http2-settings',
        'x-hop',
        'connection',
        'upgrade',
      ])
        t.notOk(name in last().headers, name);
      t.equal(last().headers['x-end'], 'to-end');
      await send(gateway.url, '/open', { headers: ['TE', 'trailers', 'Connection', 'TE'] });
      t.equal(last().headers.te, 'trailers');
    });

    t.test('repeated fields stay apart, and bytes of a value stay the same', async (t) => {
      const headers = [
        'User-Agent',
        'one',
        'User-Agent',
        'two',
        'X-Many',
        'a',
        'X-Many',
        'b',
        'X-Latin',
        'caf\xe9\xff',
        'X-Empty',
        '',
      ];
      t.equal((await send(gateway.url, '/open', { headers })).status, 200);
      const { rawHeaders } = last();
      t.strictSame(seenHeaders(rawHeaders, 'user-agent'), ['one', 'two']);
      t.strictSame(seenHeaders(rawHeaders, 'x-many'), ['a', 'b']);
      t.strictSame(seenHeaders(rawHeaders, 'x-latin'), ['caf\xe9\xff']);
      t.strictSame(seenHeaders(rawHeaders, 'x-empty'), ['']);
    });

    t.test('H11 the gateway sends 100 (Continue) itself', async (t) => {
      const socket = connect(gateway.port, '127.0.0.1');
      let received = '';
      socket.on('data', (chunk) => (received += chunk.toString()));
      socket.write(
        'POST /open HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n',
      );
      await until(() => received.startsWith('HTTP/1.1 100 '));
      socket.write('abc');
      await once(socket, 'close');
      t.strictSame(statuses(received), [100, 200]);
      t.equal(last().body, 'abc');
      t.notOk('expect' in last().headers);
    });

    t.test('a header section that is larger than HTTP/2 takes is 502, and others go on', async (t) => {
      const big = Array.from({ length: 12 }, (_, index) => [`x-big-${index}`, 'v'.repeat(10_000)]).flat();
      const { status } = await send(gateway.url, '/open', { headers: big });
      t.equal(status, 502);
      t.equal((await send(gateway.url, '/open')).status, 200);
    });
  });

  t.test(`responses from ${scheme}://`, { skip: scheme === 'h2' && noOpenssl }, async (t) => {
    const { gateway } = await setUp(t, scheme, (request, response) => {
      switch (request.url) {
        case '/open/401':
          response.writeHead(401, { 'www-authenticate': 'Basic realm="own"' }).end('mine');
          break;
        case '/open/fields':
          response.stream.respond([
            ':status',
            '200',
            'set-cookie',
            'a=1',
            'set-cookie',
            'b=2',
            'x-request-id',
            'theirs',
            'x-latin',
            'caf\xe9',
          ]);
          response.stream.end('x');
          break;
        case '/open/trailers':
          response.writeHead(200);
          response.write('part');
          response.addTrailers({ 'x-sum': '7', location: '/evil', 'set-cookie': 'evil=1' });
          response.end();
          break;
        case '/open/hints':
          response.stream.additionalHeaders({ ':status': 100 });
          response.stream.additionalHeaders({ ':status': 102 });
          response.writeEarlyHints({ link: '</a.css>; rel=preload', 'x-a': '1' });
          response.end('hinted');
          break;
        case '/open/204':
          response.writeHead(204).end();
          break;
        case '/open/304':
          response.writeHead(304, { etag: '"1"', 'content-length': '5' }).end();
          break;
        case '/open/length':
          response.writeHead(200, { 'content-length': '5' }).end('hello');
          break;
        case '/open/empty':
          response.stream.respond([':status', '200', 'x-only', 'head'], { endStream: true });
          break;
        default:
          response.writeHead(200, { 'content-length': '5' }).end('hello');
      }
    });

    t.test("B11 the upstream's own 401 and challenge pass unchanged", async (t) => {
      const response = await send(gateway.url, '/open/401');
      t.equal(response.headers['www-authenticate'], 'Basic realm="own"');
      t.match(response, { status: 401, body: 'mine' });
    });

    t.test("fields stay apart, and the request id is the gateway's", async (t) => {
      const response = await send(gateway.url, '/open/fields');
      t.strictSame(response.headers['set-cookie'], ['a=1', 'b=2']);
      t.not(response.headers['x-request-id'], 'theirs');
      t.equal(response.headers['x-latin'], 'caf\xe9');
    });

    t.test('H9 H11 trailers and early hints pass; trailers frame nothing', async (t) => {
      const get = (path: string): Promise<string> =>
        sendRaw(gateway.port, `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
      const trailers = await get('/open/trailers');
      t.match(trailers, /\r\n0\r\nx-sum: 7\r\n\r\n$/);
      t.notMatch(trailers, /evil/);
      const hints = await get('/open/hints');
      t.strictSame(statuses(hints), [102, 103, 200]);
      t.match(hints, /x-a: 1\r\n/i);
      t.match(hints, /hinted/);
    });

    t.test('204, 304, an end with the head, and responses to HEAD have no body', async (t) => {
      t.match(await send(gateway.url, '/open/204'), { status: 204, body: '' });
      t.match(await send(gateway.url, '/open/304'), { status: 304, body: '' });
      t.match(await send(gateway.url, '/open/empty'), {
        status: 200,
        body: '',
        headers: { 'x-only': 'head' },
      });
      t.match(await send(gateway.url, '/open/length', { method: 'HEAD' }), {
        status: 200,
        body: '',
        headers: { 'content-length': '5' },
      });
      t.match(await send(gateway.url, '/open/length'), {
        status: 200,
        body: 'hello',
        headers: { 'content-length': '5' },
      });
    });
  });

  t.test(
    `100 MiB to and from ${scheme}:// arrive whole`,
    { skip: scheme === 'h2' && noOpenssl },
    async (t) => {
      const chunk = Buffer.alloc(MIB, 'abcdefghijk');
      const folder = temporaryFolder(t);
      const files =
        scheme === 'h2' ? certificateAuthority(folder).issue('server', 'IP:127.0.0.1') : undefined;
      const upstream = await startHttp2Server(
        t,
        (request, response) => {
          if (request.method === 'GET') {
            let left = 100;
            const more = (): void => {
              while (left-- > 0) if (!response.write(chunk)) return void response.once('drain', more);
              response.end();
            };
            more();
            return;
          }
          const hash = createHash('sha256');
          request.on('data', (part: Buffer) => hash.update(part));
          request.on('end', () => response.end(hash.digest('hex')));
        },
        files && { files },
      );
      const gateway = await startGateway(
        t,
        {
          routes: [OPEN],
          upstreams: { u: { targets: [upstream.url], ...(files && { tls: { ca_file: 'ca.crt' } }) } },
        },
        { folder },
      );
      const expected = createHash('sha256');
      for (let count = 0; count < 100; count++) expected.update(chunk);
      const digest = expected.digest('hex');

      const upload = httpRequest(`${gateway.url}/open`, { method: 'POST', agent: false });
      for (let count = 0; count < 100; count++) if (!upload.write(chunk)) await once(upload, 'drain');
      upload.end();
      const [stored] = (await once(upload, 'response')) as [IncomingMessage];
      let sum = '';
      for await (const part of stored as AsyncIterable<Buffer>) sum += part.toString();
      t.equal(sum, digest, 'up');

      const download = httpRequest(`${gateway.url}/open`, { agent: false }).end();
      const [response] = (await once(download, 'response')) as [IncomingMessage];
      const received = createHash('sha256');
      for await (const part of response as AsyncIterable<Buffer>) received.update(part);
      t.equal(received.digest('hex'), digest, 'down');
    },
  );
}

t.test(
  'an HTTP/2 client and an HTTP/2 upstream: fields, trailers and early hints pass',
  { skip: noOpenssl },
  async (t) => {
    const upstream = await startHttp2Upstream(t, (_, response) => {
      response.writeEarlyHints({ link: '</a.css>; rel=preload' });
      response.write('part');
      response.addTrailers({ 'x-sum': '7' });
      response.end();
    });
    const { send: request } = await startHttp2(t, { upstreamUrl: upstream.url });
    const response = await request({ ':method': 'POST', ':path': '/x', 'x-a': '1' }, 'body');
    t.match(response, { status: 200, body: 'part', trailers: { 'x-sum': '7' }, rstCode: 0 });
    t.equal(response.informational.length, 1);
    t.match(upstream.seen, [{ method: 'POST', url: '/x', body: 'body', headers: { 'x-a': '1' } }]);
  },
);
