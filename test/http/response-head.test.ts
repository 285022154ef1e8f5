/** The head of an upstream's response, read strictly. RFC 9112 sections 4 to 7, RFC 9110 section 7.6.1. */
import t from 'tap';
import {
  BrokenResponse as BrokenResponse,
  readResponseHead as readResponseHead,
  readTrailers,
} from '../../src/http/response-head.ts';

const BROKEN = 'broken';

const OK = 'HTTP/1.1 200 OK';

/** Reads a head, of lines without their CRLF. */
const head = (lines: readonly string[], method = 'GET'): ReturnType<typeof readResponseHead> =>
  readResponseHead(lines.join('\r\n'), method);

/** What a call returns, or BROKEN. */
function unlessBroken<T>(call: () => T): T | typeof BROKEN {
  try {
    return call();
  } catch (error) {
    if (!(error instanceof BrokenResponse)) throw error;
    return BROKEN;
  }
}
const statusOf = (lines: readonly string[], method?: string): number | typeof BROKEN =>
  unlessBroken(() => head(lines, method).status);
const trailersOf = (text: string): unknown => unlessBroken(() => readTrailers(text));

t.test('status lines', async (t) => {
  const rows: [line: string, status: number | typeof BROKEN][] = [
    ['HTTP/1.1 200 OK', 200],
    ['HTTP/1.0 404 Not Found', 404],
    ['HTTP/1.1 100 Continue', 100],
    ['HTTP/1.1 599 Odd', 599],
    ['HTTP/1.1 200 ', 200],
    ['HTTP/1.1 200', 200],
    ['HTTP/1.1 200 caf\xe9 \t au lait', 200],
    ['HTTP/1.1 200 HTTP/1.1 500', 200],
    ['', BROKEN],
    ['200 OK', BROKEN],
    ['HTTP/1.1', BROKEN],
    ['HTTP/1.1 OK', BROKEN],
    ['HTTP/1.1  200 OK', BROKEN],
    ['HTTP/1.1\t200 OK', BROKEN],
    [' HTTP/1.1 200 OK', BROKEN],
    ['\r\nHTTP/1.1 200 OK', BROKEN],
    ['http/1.1 200 OK', BROKEN],
    ['HTTP/1.2 200 OK', BROKEN],
    ['HTTP/2 200', BROKEN],
    ['HTTP/2.0 200 OK', BROKEN],
    ['HTTP/0.9 200 OK', BROKEN],
    ['HTTP/1.1 20 OK', BROKEN],
    ['HTTP/1.1 2000 OK', BROKEN],
    ['HTTP/1.1 200OK', BROKEN],
    ['HTTP/1.1 099 OK', BROKEN],
    ['HTTP/1.1 600 OK', BROKEN],
    ['HTTP/1.1 -20 OK', BROKEN],
    ['HTTP/1.1 2e2 OK', BROKEN],
    ['SSH-2.0-OpenSSH_9.6', BROKEN],
    ['220 mail.example ESMTP', BROKEN],
    ['\x15\x03\x03\x00\x02\x02F', BROKEN],
  ];
  for (const [line, status] of rows) t.equal(statusOf([line]), status, JSON.stringify(line));
});

const brokenFields: [name: string, ...fields: string[]][] = [
  ['H5 white space before the colon', 'X : 1', 'X\t: 1', 'Content-Length : 0'],
  ['H5 white space in front of the name', ' X: 1', '\tX: 1'],
  ['H5 a folded line', 'X: 1\r\n 2', 'X: 1\r\n\t2', 'X:\r\n 1'],
  ['H5 a bare LF', 'X: 1\nY: 2', 'X: 1\n', '\nX: 1', 'X: 1\n\r\nY: 2'],
  ['H5 a bare CR', 'X: 1\rY: 2', 'X: 1\r', '\rX: 1', 'X: 1\r\r\nY: 2'],
  ['H5 a control byte', 'X: \0', 'X: a\x7f', 'X: \x1b[31m', 'X\0: 1', 'X: \x0b1', 'X: \x08'],
  ['H5 no colon', 'nonsense', 'X', ''],
  ['H5 no colon in the last of two lines', 'X: 1\r\nnonsense'],
  ['H5 a name that is no token', ': 1', 'X Y: 1', 'X(1): 1', 'X@: 1', '"X": 1', 'caf\xe9: 1', 'X/1: 1'],
  ['H4 C18 lengths that differ', 'Content-Length: 1\r\nContent-Length: 2'],
  ['H4 C18 lengths that agree', 'Content-Length: 1\r\ncontent-length: 1'],
  ['H4 C18 a list of lengths', 'Content-Length: 1, 1', 'Content-Length: 1,'],
  ['H4 no number', 'Content-Length:', 'Content-Length: x', 'Content-Length: 0x1', 'Content-Length: 1.0'],
  ['H4 a number with a sign', 'Content-Length: +1', 'Content-Length: -1', 'Content-Length: 1e3'],
  ['H4 a number that is not exact', `Content-Length: ${'9'.repeat(16)}`],
  ['H4 length and chunked', 'Content-Length: 1\r\nTransfer-Encoding: chunked'],
  ['H4 chunked and length', 'Transfer-Encoding: chunked\r\nContent-Length: 0'],
  ['H4 chunked in two lines', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked'],
  ['H4 chunked and another coding', 'Transfer-Encoding: gzip, chunked', 'Transfer-Encoding: chunked, gzip'],
  ['H4 another coding', 'Transfer-Encoding: identity', 'Transfer-Encoding: xchunked', 'Transfer-Encoding:'],
  ['H4 chunked with a parameter', 'Transfer-Encoding: chunked;q=1', 'Transfer-Encoding: "chunked"'],
];
t.test('fields that two readers could take differently', async (t) => {
  for (const [name, ...fields] of brokenFields) {
    for (const field of fields)
      t.equal(statusOf([OK, field, 'Y: 1']), BROKEN, `${name}: ${JSON.stringify(field)}`);
  }
  t.equal(statusOf(['HTTP/1.0 200 OK', 'Transfer-Encoding: chunked']), BROKEN, 'H3 chunked in HTTP/1.0');
  t.equal(
    statusOf([OK, 'Content-Length: 1', 'Transfer-Encoding: chunked'], 'HEAD'),
    BROKEN,
    'H4 two framings, also where there is no body',
  );
});

/** `length 3, keep`: the framing of the body, and whether the connection may serve another request. */
const framings: [name: string, lines: string[], expected: string, method?: string][] = [
  ['a length', [OK, 'Content-Length: 3'], 'length 3, keep'],
  ['a length with zeros in front', [OK, 'Content-Length: 007'], 'length 7, keep'],
  ['the largest length', [OK, `Content-Length: ${'9'.repeat(15)}`], 'length 999999999999999, keep'],
  ['a length of 0', [OK, 'Content-Length: 0'], 'none, keep'],
  ['chunked', [OK, 'Transfer-Encoding: Chunked'], 'chunked, keep'],
  ['to the end', [OK], 'rest, close'],
  ['to the end, whatever Connection says', [OK, 'Connection: keep-alive'], 'rest, close'],
  ['HEAD with a length', [OK, 'Content-Length: 3'], 'none, keep', 'HEAD'],
  ['HEAD with chunked', [OK, 'Transfer-Encoding: chunked'], 'none, keep', 'HEAD'],
  ['HEAD without either', [OK], 'none, keep', 'HEAD'],
  ['a method is spelled exactly', [OK, 'Content-Length: 3'], 'length 3, keep', 'head'],
  ['304', ['HTTP/1.1 304 Not Modified', 'Content-Length: 3'], 'none, keep'],
  ['304 with chunked', ['HTTP/1.1 304 Not Modified', 'Transfer-Encoding: chunked'], 'none, keep'],
  ['204', ['HTTP/1.1 204 No Content'], 'none, keep'],
  ['204 with a length of 0', ['HTTP/1.1 204 No Content', 'Content-Length: 0'], 'none, keep'],
  ['C18 204 with a length', ['HTTP/1.1 204 No Content', 'Content-Length: 3'], 'none, close'],
  ['C18 204 with chunked', ['HTTP/1.1 204 No Content', 'Transfer-Encoding: chunked'], 'none, close'],
  ['103', ['HTTP/1.1 103 Early Hints'], 'none, keep'],
  ['C18 103 with a length', ['HTTP/1.1 103 Early Hints', 'Content-Length: 3'], 'none, close'],
  ['an error with a body', ['HTTP/1.1 502 Bad Gateway', 'Content-Length: 3'], 'length 3, keep'],
  ['Connection: close', [OK, 'Content-Length: 3', 'Connection: close'], 'length 3, close'],
  ['close in capitals', [OK, 'Content-Length: 3', 'Connection: Close'], 'length 3, close'],
  ['close in a list', [OK, 'Content-Length: 3', 'Connection: X-A ,\tclose'], 'length 3, close'],
  [
    'close in a second line',
    [OK, 'Connection: X-A', 'Content-Length: 3', 'connection: close'],
    'length 3, close',
  ],
  [
    'close in a first line',
    [OK, 'Connection: close', 'Connection: X-A', 'Content-Length: 3'],
    'length 3, close',
  ],
  ['close is a whole word', [OK, 'Content-Length: 3', 'Connection: closed'], 'length 3, keep'],
  ['HTTP/1.0', ['HTTP/1.0 200 OK', 'Content-Length: 3'], 'length 3, close'],
  [
    'HTTP/1.0 keeps nothing',
    ['HTTP/1.0 200 OK', 'Content-Length: 3', 'Connection: keep-alive'],
    'length 3, close',
  ],
  [
    'H4 Connection cannot take the length away',
    [OK, 'Connection: Content-Length', 'Content-Length: 3'],
    'length 3, keep',
  ],
  [
    'H4 Connection cannot take chunked away',
    [OK, 'Connection: Transfer-Encoding', 'Transfer-Encoding: chunked'],
    'chunked, keep',
  ],
];
t.test('RFC 9112 section 6.3: where the body ends, and what happens to the connection', async (t) => {
  for (const [name, lines, expected, method] of framings) {
    const { framing, keepAlive } = head(lines, method);
    const length = framing.kind === 'length' ? ` ${framing.bytes}` : '';
    t.equal(`${framing.kind}${length}, ${keepAlive ? 'keep' : 'close'}`, expected, name);
  }
});

const passed: [name: string, lines: string[], headers: string[]][] = [
  ['nothing', [OK], []],
  ['names and values as they came', [OK, 'x-OWN:a', 'X-Own: b'], ['x-OWN', 'a', 'X-Own', 'b']],
  ['without white space around values', [OK, 'X: \t a  b \t'], ['X', 'a  b']],
  ['an empty value', [OK, 'X:', 'Y: '], ['X', '', 'Y', '']],
  ['colons in a value', [OK, 'Location: http://a:1/'], ['Location', 'http://a:1/']],
  ['bytes above ASCII', [OK, 'X: caf\xc3\xa9'], ['X', 'caf\xc3\xa9']],
  ['every character of a token', [OK, "!#$%&'*+.^_`|~-09azAZ: 1"], ["!#$%&'*+.^_`|~-09azAZ", '1']],
  [
    'names that objects inherit',
    [OK, '__proto__: 1', 'constructor: 2'],
    ['__proto__', '1', 'constructor', '2'],
  ],
  ['B11 a challenge of its own', [OK, 'WWW-Authenticate: Basic'], ['WWW-Authenticate', 'Basic']],
  ['the length', [OK, 'content-length: 3'], ['content-length', '3']],
  ['no length in 204', ['HTTP/1.1 204 x', 'Content-Length: 0', 'X: 1'], ['X', '1']],
  ['no length in 1xx', ['HTTP/1.1 103 x', 'Content-Length: 0', 'Link: </a>'], ['Link', '</a>']],
  ['a length in 304', ['HTTP/1.1 304 x', 'Content-Length: 3'], ['Content-Length', '3']],
  [
    'H1 not what is for one hop',
    [OK, 'Keep-Alive: timeout=5', 'Transfer-Encoding: chunked', 'TE: a', 'X: 1'],
    ['X', '1'],
  ],
  [
    'H1 not what is for a proxy',
    [OK, 'Proxy-Connection: close', 'Proxy-Authenticate: Basic', 'X: 1'],
    ['X', '1'],
  ],
  ['H1 H12 not the upgrade that it offers', [OK, 'Upgrade: h2c', 'Connection: upgrade', 'X: 1'], ['X', '1']],
  [
    'H1 not what Connection names',
    [OK, 'X-A: 1', 'Connection: x-a, X-B', 'X-B: 2', 'x-a: 3', 'X-AB: 4'],
    ['X-AB', '4'],
  ],
  ['H1 not what a second Connection names', [OK, 'Connection: close', 'Connection: X-A', 'X-A: 1'], []],
  [
    'H4 the length, also where Connection names it',
    [OK, 'Connection: content-length', 'Content-Length: 3'],
    ['Content-Length', '3'],
  ],
  ['our request id is the only one', [OK, 'X-Request-ID: theirs'], []],
];
t.test('H1 what goes on to the client', async (t) => {
  for (const [name, lines, headers] of passed) t.strictSame(head(lines).headers, headers, name);
});

t.test('what else the upstream says of its connection', async (t) => {
  const rows: [field: string, keepAliveSeconds: number | undefined][] = [
    ['Keep-Alive: timeout=5', 5],
    ['Keep-Alive: max=9, Timeout=15', 15],
    ['Keep-Alive: timeout=0', 0],
    ['Keep-Alive: xtimeout=5', undefined],
    ['Keep-Alive: timeout=-5', undefined],
    ['Keep-Alive: timeout=x', undefined],
    ['Keep-Alive: 5', undefined],
    ['X: timeout=5', undefined],
  ];
  for (const [field, seconds] of rows) t.equal(head([OK, field]).keepAliveSeconds, seconds, field);
  t.equal(head(['HTTP/1.1 101 x', 'Upgrade: WebSocket']).upgrade, 'websocket', 'H12 in lower case');
  t.equal(head(['HTTP/1.1 101 x', 'Upgrade: a', 'Upgrade: b']).upgrade, 'a, b', 'H12 two are no protocol');
  t.equal(head(['HTTP/1.1 101 x']).upgrade, undefined);
});

t.test('H9 trailers: none that frames, routes or controls a message', async (t) => {
  const rows: [text: string, trailers: string[] | typeof BROKEN][] = [
    ['', []],
    ['X-Sum: 1\r\nx-sum:2', ['X-Sum', '1', 'x-sum', '2']],
    ['Content-Length: 5\r\nX: 1', ['X', '1']],
    ['Transfer-Encoding: chunked\r\nX: 1', ['X', '1']],
    ['Connection: close\r\nKeep-Alive: a\r\nUpgrade: h2c\r\nTE: a\r\nX: 1', ['X', '1']],
    ['HOST: b.example\r\nTrailer: a\r\nX: 1', ['X', '1']],
    ['Content-Type: a\r\ncontent-encoding: b\r\nContent-Range: c\r\nX: 1', ['X', '1']],
    ['Set-Cookie: a=b\r\nWWW-Authenticate: Basic\r\nAuthorization: a\r\nX: 1', ['X', '1']],
    ['Cache-Control: public\r\nLocation: /\r\nDate: now\r\nX: 1', ['X', '1']],
    ['X : 1', BROKEN],
    ['X: 1\nY: 2', BROKEN],
    ['X: 1\r\n 2', BROKEN],
    [' X: 1', BROKEN],
    ['nonsense', BROKEN],
    ['X: \0', BROKEN],
    ['Content-Length: 1\r\nContent-Length: 2', BROKEN],
  ];
  for (const [text, trailers] of rows) t.strictSame(trailersOf(text), trailers, JSON.stringify(text));
});
