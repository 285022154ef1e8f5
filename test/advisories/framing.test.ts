/** Request smuggling and its kin, in raw bytes: one reading, or none. Rules H2 to H9, H12, H16; C13, C14, C20. */
import t from 'tap';
import { once } from 'node:events';
import { connect } from 'node:net';
import { sendRaw, statuses } from '../support/client.ts';
import { loginIssuer, startGateway, until } from '../support/gateway.ts';
import { createKey, mint } from '../support/tokens.ts';
import { startRawUpstream, startUpstream } from '../support/upstream.ts';

const key = createKey();
const token = mint(key);
const upstream = await startUpstream(t);
const gateway = await startGateway(t, {
  issuers: { login: loginIssuer(key) },
  routes: [
    {
      name: 'public',
      match: { path_prefix: '/' },
      upstream: 'u',
      auth: { mode: 'none' },
      upgrade: ['websocket'],
    },
    { name: 'closed', match: { path_prefix: '/closed' }, upstream: 'u' },
    { name: 'plain', match: { path_prefix: '/plain' }, upstream: 'u', auth: { mode: 'none' } },
  ],
  upstreams: { u: { targets: [upstream.url] } },
});

const HOST = 'Host: a.example\r\n';
const refused: Record<string, string> = {
  'H2 Content-Length with Transfer-Encoding': `POST / HTTP/1.1\r\n${HOST}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  'H2 Transfer-Encoding with Content-Length': `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n`,
  'H3 last coding is not chunked': `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`,
  'H3 another coding before chunked': `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
  'H3 a coding that is nearly chunked': `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`,
  'H3 Transfer-Encoding twice': `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  'H3 Transfer-Encoding in HTTP/1.0': `POST / HTTP/1.0\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  'H3 Transfer-Encoding in HTTP/0.9': `POST / HTTP/0.9\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  'HTTP/0.9 with header fields': `POST / HTTP/0.9\r\n${HOST}Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc`,
  'H4 two different Content-Lengths': `POST / HTTP/1.1\r\n${HOST}Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcd`,
  'H4 the same Content-Length twice': `POST / HTTP/1.1\r\n${HOST}Content-Length: 4\r\nContent-Length: 4\r\n\r\nabcd`,
  'H4 a list in Content-Length': `POST / HTTP/1.1\r\n${HOST}Content-Length: 4, 4\r\n\r\nabcd`,
  'H4 a signed Content-Length': `POST / HTTP/1.1\r\n${HOST}Content-Length: +4\r\n\r\nabcd`,
  'H4 a negative Content-Length': `POST / HTTP/1.1\r\n${HOST}Content-Length: -4\r\n\r\nabcd`,
  'H4 a hexadecimal Content-Length': `POST / HTTP/1.1\r\n${HOST}Content-Length: 0x4\r\n\r\nabcd`,
  'H5 white space before the colon': `GET / HTTP/1.1\r\n${HOST}X-A : b\r\n\r\n`,
  'H5 a folded header': `GET / HTTP/1.1\r\n${HOST}X-A: b\r\n c\r\n\r\n`,
  'H5 a bare LF after the request line': `GET / HTTP/1.1\n${HOST}\r\n`,
  'H5 a bare LF after a header': `GET / HTTP/1.1\r\n${HOST}X-A: b\nX-B: c\r\n\r\n`,
  'H5 a bare CR in a header': `GET / HTTP/1.1\r\n${HOST}X-A: b\rX-B: c\r\n\r\n`,
  'H5 NUL in a header': `GET / HTTP/1.1\r\n${HOST}X-A: b\0c\r\n\r\n`,
  'H5 a header without a name': `GET / HTTP/1.1\r\n${HOST}: b\r\n\r\n`,
  'H6 no Host': 'GET / HTTP/1.1\r\n\r\n',
  'H6 no Host in HTTP/1.0': 'GET / HTTP/1.0\r\n\r\n',
  'H6 two Hosts': `GET / HTTP/1.1\r\n${HOST}Host: b.example\r\n\r\n`,
  'H6 an empty Host': 'GET / HTTP/1.1\r\nHost:\r\n\r\n',
  'H6 two Hosts in one': 'GET / HTTP/1.1\r\nHost: a.example, b.example\r\n\r\n',
  'H6 a Host with user information': 'GET / HTTP/1.1\r\nHost: me@a.example\r\n\r\n',
  'H6 a Host with a path': 'GET / HTTP/1.1\r\nHost: a.example/x\r\n\r\n',
  'H7 absolute-form with another Host': `GET http://b.example/ HTTP/1.1\r\n${HOST}\r\n`,
  'H7 absolute-form with user information': `GET http://x@a.example/ HTTP/1.1\r\n${HOST}\r\n`,
  'H8 the asterisk': `OPTIONS * HTTP/1.1\r\n${HOST}\r\n`,
  'H8 another scheme': `GET ftp://a.example/ HTTP/1.1\r\n${HOST}\r\n`,
  'a fragment': `GET /a#b HTTP/1.1\r\n${HOST}\r\n`,
  'an unknown version': `GET / HTTP/3.7\r\n${HOST}\r\n`,
  'HTTP/2.0 on a connection of HTTP/1': `GET / HTTP/2.0\r\n${HOST}\r\n`,
  'HTTP/2.0 that waits to be told to go on': `POST / HTTP/2.0\r\n${HOST}Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc`,
  'HTTP/2.0 that asks for WebSocket': `GET / HTTP/2.0\r\n${HOST}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
  'HTTP/0.9 with a Host': `GET / HTTP/0.9\r\n${HOST}\r\n`,
  'no HTTP at all': 'hello\r\n\r\n',
};

for (const [name, bytes] of Object.entries(refused)) {
  t.test(`${name}: 400, the connection ends, and the upstream sees nothing`, async (t) => {
    const before = upstream.seen.length;
    // What an attacker hopes to smuggle stands right behind.
    const received = await sendRaw(gateway.port, `${bytes}GET /smuggled HTTP/1.1\r\n${HOST}\r\n`);
    t.strictSame(statuses(received), [400]);
    t.match(received, /\r\nconnection: close\r\n/i);
    t.match(received, /application\/problem\+json/);
    t.equal(upstream.seen.length, before);
  });
}

t.test('H8 CONNECT and TRACE are refused', async (t) => {
  for (const line of ['CONNECT a.example:443', 'TRACE /']) {
    const received = await sendRaw(gateway.port, `${line} HTTP/1.1\r\n${HOST}\r\n`);
    t.strictSame(statuses(received), [405]);
  }
  t.equal(upstream.seen.filter(({ method }) => method === 'TRACE' || method === 'CONNECT').length, 0);
});

t.test('H7 absolute-form with the same Host is served', async (t) => {
  const received = await sendRaw(
    gateway.port,
    `GET http://a.example/abs?q HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`,
  );
  t.strictSame(statuses(received), [200]);
  t.equal(upstream.seen.at(-1)?.url, '/abs?q');
});

for (const method of ['DELETE', 'OPTIONS', 'GET', 'POST']) {
  t.test(`C20 a chunked ${method}: its body arrives as a body, and nothing is smuggled`, async (t) => {
    const before = upstream.seen.length;
    const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n';
    const received = await sendRaw(
      gateway.port,
      `${method} /c20 HTTP/1.1\r\n${HOST}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`,
    );
    t.strictSame(statuses(received), [200]);
    t.equal(upstream.seen.length, before + 1);
    t.equal(upstream.seen.at(-1)?.body, smuggled);
    t.equal(upstream.seen.at(-1)?.headers['transfer-encoding'], 'chunked');
  });
}

t.test('H9 request trailers are discarded', async (t) => {
  await sendRaw(
    gateway.port,
    `POST /trailers HTTP/1.1\r\n${HOST}Connection: close\r\nTrailer: X-User-Id\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-User-Id: eve\r\n\r\n`,
  );
  const seen = upstream.seen.at(-1);
  t.equal(seen?.url, '/trailers');
  t.notOk('x-user-id' in (seen?.headers ?? {}));
  t.notOk('trailer' in (seen?.headers ?? {}));
});

t.test(
  'H16 a refused request with a large body ends its connection; what is pipelined behind is not served',
  async (t) => {
    const before = upstream.seen.length;
    const received = await sendRaw(
      gateway.port,
      `POST /closed HTTP/1.1\r\n${HOST}Content-Length: 1000000\r\n\r\n${'GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(100)}`,
    );
    t.strictSame(statuses(received), [401]);
    t.match(received, /\r\nconnection: close\r\n/i);
    t.equal(upstream.seen.length, before);
  },
);

t.test('H16 a refused request with a small body leaves its connection usable', async (t) => {
  const before = upstream.seen.length;
  const received = await sendRaw(
    gateway.port,
    `POST /closed HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nhelloGET /plain HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`,
  );
  t.strictSame(statuses(received), [401, 200]);
  t.equal(upstream.seen.length, before + 1);
});

t.test('H12 C13 an Upgrade other than WebSocket is dropped and the request served', async (t) => {
  for (const upgrade of ['h2c', 'TLS/1.0', 'websocket, h2c']) {
    const received = await sendRaw(
      gateway.port,
      `GET /up HTTP/1.1\r\n${HOST}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: ${upgrade}\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n`,
      (text) => text.endsWith('ok') || text.includes('\r\n0\r\n'),
    );
    t.strictSame(statuses(received), [200]);
    const { headers = {} } = upstream.seen.at(-1) ?? {};
    t.notOk('upgrade' in headers);
    t.notOk('http2-settings' in headers);
  }
});

t.test('C13 POST with Upgrade: websocket and a body is no tunnel', async (t) => {
  const received = await sendRaw(
    gateway.port,
    `POST /up HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n\r\nabc`,
    (text) => text.includes('\r\n\r\nok') || text.includes('\r\n0\r\n'),
  );
  t.strictSame(statuses(received), [200]);
  t.equal(upstream.seen.at(-1)?.body, 'abc');
  t.notOk('upgrade' in (upstream.seen.at(-1)?.headers ?? {}));
});

t.test(
  'H12 Upgrade: websocket where the route does not allow it: 403, and the upstream sees nothing',
  async (t) => {
    const before = upstream.seen.length;
    const received = await sendRaw(
      gateway.port,
      `GET /plain HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
    );
    t.strictSame(statuses(received), [403]);
    t.equal(upstream.seen.length, before);
  },
);

t.test('H12 bytes before the 101 are refused', async (t) => {
  const before = upstream.seen.length;
  const received = await sendRaw(
    gateway.port,
    `GET /up HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n`,
  );
  t.strictSame(statuses(received), [400]);
  t.equal(upstream.seen.length, before);
});

t.test('C14 bytes that come while the upstream thinks never reach one that responds with 200', async (t) => {
  let response: () => void = () => undefined;
  const raw = await startRawUpstream(t, (socket, received) => {
    if (!received.includes('\r\n\r\n')) return;
    response = () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
  });
  const own = await startGateway(t, {
    issuers: { login: loginIssuer(key) },
    routes: [{ name: 'ws', match: { path_prefix: '/' }, upstream: 'u', upgrade: ['websocket'] }],
    upstreams: { u: { targets: [raw.url] } },
  });
  const socket = connect(own.port, '127.0.0.1');
  socket.write(
    `GET / HTTP/1.1\r\n${HOST}Authorization: Bearer ${token}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
  );
  await until(() => raw.connections[0]?.includes('\r\n\r\n') === true);
  socket.write('GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n');
  response();
  let received = '';
  socket.on('data', (chunk) => (received += chunk.toString()));
  await once(socket, 'close');
  t.strictSame(statuses(received), [200]);
  t.equal(raw.connections.length, 1);
  t.notOk(raw.connections[0]?.includes('smuggled'));
});
