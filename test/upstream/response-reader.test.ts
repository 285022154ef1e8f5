import fc from 'fast-check';
import t from 'tap';
import { BrokenResponse, type ResponseHead, type ResponseHeaders } from '../../src/http/response-head.ts';
import { ResponseReader, MAX_HEAD_BYTES } from '../../src/upstream/response-reader.ts';

interface Response {
  head: ResponseHead | undefined;
  informational: ResponseHead[];
  body: string;
  trailers: ResponseHeaders | undefined;
}

/** Reads one response, in pieces of the given sizes; `finish`: the connection ends after it. */
function read(
  text: string,
  sizes: readonly number[] = [],
  method = 'GET',
  finish = false,
  upgrade?: string,
): Response {
  const response: Response = { head: undefined, informational: [], body: '', trailers: undefined };
  const reader = new ResponseReader({
    informational: (head) => response.informational.push(head),
    begin: (head) => (response.head = head),
    data: (chunk) => (response.body += chunk.toString('latin1')),
    end: (trailers) => (response.trailers = trailers),
    switched: (head, early) => {
      response.head = head;
      response.body += early.toString('latin1');
      isSwitched = true;
    },
  });
  let isSwitched = false;
  reader.expect(method, upgrade);
  const bytes = Buffer.from(text, 'latin1');
  // As on a real connection, all pieces come in the same memory.
  const memory = Buffer.alloc(bytes.length);
  let at = 0;
  for (const size of [...sizes, bytes.length]) {
    const piece = bytes.subarray(at, at + size);
    at += piece.length;
    piece.copy(memory);
    // From then on the connection belongs to another.
    if (isSwitched) response.body += piece.toString('latin1');
    else if (piece.length > 0) reader.read(memory.subarray(0, piece.length));
    memory.fill(0x2a);
  }
  if (finish) reader.finish();
  return response;
}

const CHUNKED =
  'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\n\r\n' +
  '4;x="y"\r\nwiki\r\n00005\r\npedia\r\n0\r\nX-Sum: 9\r\nContent-Length: 7\r\n\r\n';

t.test('a response reads the same in whatever pieces it comes', async () => {
  const whole = read(CHUNKED);
  t.match(whole, { body: 'wikipedia', trailers: ['X-Sum', '9'], informational: [{ status: 103 }] });
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 200 }), (sizes) => {
      t.strictSame(read(CHUNKED, sizes), whole);
    }),
    { numRuns: 300 },
  );
  t.strictSame(read(CHUNKED, Array<number>(CHUNKED.length).fill(1)), whole, 'byte by byte');
});

t.test('bodies end where RFC 9112 section 6.3 says', async (t) => {
  t.match(read('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc'), {
    body: 'abc',
    head: { keepAlive: true },
    trailers: [],
  });
  t.match(read('HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n'), { body: '', trailers: [] }, 'no reason phrase');
  t.match(read('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n', [], 'HEAD'), { trailers: [] });
  t.match(read('HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n'), {
    trailers: [],
    head: { keepAlive: true },
  });
  t.match(read('HTTP/1.1 204 No Content\r\n\r\n'), { trailers: [], head: { keepAlive: true } });
  t.match(read('HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n'), {
    trailers: [],
    head: { keepAlive: false, headers: [] },
  });
  t.match(read('HTTP/1.1 200 OK\r\n\r\nto the end', [], 'GET', true), {
    body: 'to the end',
    trailers: [],
    head: { keepAlive: false },
  });
  t.match(read('HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na'), { head: { keepAlive: false } });
  t.match(read('HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n'), {
    head: { keepAlive: false },
  });
  t.match(read('HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5, max=9\r\nContent-Length: 0\r\n\r\n'), {
    head: { keepAliveSeconds: 5 },
  });
});

t.test('hop-by-hop fields end here, everything else passes as it came', async (t) => {
  const { head } = read(
    'HTTP/1.1 200 OK\r\nServer:  x y \t\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nConnection: X-Hop, content-length\r\nX-Hop: 1\r\n' +
      'Upgrade: h2c\r\nKeep-Alive: timeout=5\r\nX-Request-Id: theirs\r\nX-Empty:\r\nContent-Length: 0\r\n\r\n',
  );
  t.strictSame(head?.headers, [
    ...['Server', 'x y', 'Set-Cookie', 'a', 'Set-Cookie', 'b', 'X-Empty', '', 'Content-Length', '0'],
  ]);
});

const broken: Record<string, string> = {
  'no status line': 'hello\r\n\r\n',
  'HTTP/2.0': 'HTTP/2.0 200 OK\r\n\r\n',
  'a status of two digits': 'HTTP/1.1 20 OK\r\n\r\n',
  'a status above 599': 'HTTP/1.1 600 OK\r\n\r\n',
  'an empty line first': '\r\nHTTP/1.1 200 OK\r\n\r\n',
  'white space before the colon': 'HTTP/1.1 200 OK\r\nX : 1\r\n\r\n',
  'no colon': 'HTTP/1.1 200 OK\r\nnonsense\r\n\r\n',
  'an empty name': 'HTTP/1.1 200 OK\r\n: 1\r\n\r\n',
  'obs-fold': 'HTTP/1.1 200 OK\r\nX: 1\r\n 2\r\n\r\n',
  'a bare LF': 'HTTP/1.1 200 OK\r\nX: 1\nY: 2\r\n\r\n',
  'a bare CR': 'HTTP/1.1 200 OK\r\nX: 1\rY: 2\r\n\r\n',
  'a NUL': 'HTTP/1.1 200 OK\r\nX: \0\r\n\r\n',
  'two lengths that agree': 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na',
  'a list of lengths': 'HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\na',
  'a signed length': 'HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na',
  'an empty length': 'HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n',
  'two framings': 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'chunked twice':
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'chunked in HTTP/1.0': 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  identity: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n',
  '101 unasked': 'HTTP/1.1 101 Switching Protocols\r\n\r\n',
  'a chunk without size': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n;x\r\n',
  'a chunk size with a sign': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+4\r\nwiki\r\n',
  'a chunk size beyond 2^52': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000\r\n',
  'a chunk longer than its size': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nwiki\r\n',
  'a bare LF after a chunk size': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\nwiki\r\n0\r\n\r\n',
  'a broken trailer': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX : 1\r\n\r\n',
  'bytes behind a response': 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab',
  'a response behind a response': 'HTTP/1.1 204 x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
  'a head without end': `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(MAX_HEAD_BYTES)}`,
  'a chunk line without end': `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;${'x'.repeat(5_000)}`,
  'trailers without end': `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ${'x'.repeat(MAX_HEAD_BYTES)}`,
};
for (const [name, text] of Object.entries(broken)) {
  t.test(`H4 C18 refused: ${name}`, async (t) => {
    t.throws(() => read(text), BrokenResponse);
    t.throws(
      () => read(text, Array<number>(Math.min(text.length, 300)).fill(1)),
      BrokenResponse,
      'in pieces, too',
    );
  });
}

t.test('H15 C19 a response that is cut short is no response', async (t) => {
  for (const text of [CHUNKED, 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc']) {
    for (let end = 0; end < text.length; end++)
      t.throws(() => read(text.slice(0, end), [], 'GET', true), BrokenResponse, `cut at ${end}`);
  }
});

t.test('H12 101 only to a request that asked for that protocol; what follows it is not read', async (t) => {
  const switching = (upgrade: string): string =>
    `HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 101 S\r\nUpgrade: ${upgrade}\r\nConnection: Upgrade\r\nContent-Length: 0\r\nX-A: 1\r\n\r\n\x81\x02hi`;
  const whole = read(switching('WebSocket'), [], 'GET', false, 'websocket');
  t.match(whole, {
    head: { status: 101, upgrade: 'websocket' },
    body: '\x81\x02hi',
    informational: [{ status: 103 }],
  });
  t.strictSame(whole.head?.headers, ['X-A', '1']);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 60 }), (sizes) => {
      t.strictSame(read(switching('WebSocket'), sizes, 'GET', false, 'websocket'), whole);
    }),
    { numRuns: 100 },
  );
  t.throws(() => read(switching('websocket')), BrokenResponse, 'no client asked');
  for (const other of ['h2c', 'websocket, h2c', ''])
    t.throws(() => read(switching(other), [], 'GET', false, 'websocket'), BrokenResponse, `to "${other}"`);
});
