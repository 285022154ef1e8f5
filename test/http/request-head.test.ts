/** The head of a request, read once and strictly. RFC 9112 sections 3 and 6, RFC 9110 sections 5, 7 and 10. */
import t from 'tap';
import { HeaderKind } from '../../src/http/header-names.ts';
import { singleHeader, valuesOf } from '../../src/http/request-head.ts';
import { headOf, outcome, type HeadInput } from '../support/heads.ts';

const BAD_HOST = '400 bad_host, close';
const MALFORMED = '400 malformed_request, close';

type Row<Expected> = [name: string, input: HeadInput, expected: Expected];

const hosts: Row<string>[] = [
  ['a name', { host: 'a.example' }, 'a.example'],
  ['a name with a port', { host: 'a.example:8080' }, 'a.example'],
  ['C22 capitals', { host: 'A.Example:80' }, 'a.example'],
  ['an IPv4 address', { host: '192.0.2.1:80' }, '192.0.2.1'],
  ['an IPv6 address', { host: '[2001:DB8::1]' }, '[2001:db8::1]'],
  ['C22 an IPv6 address with a port', { host: '[2001:db8::1]:443' }, '[2001:db8::1]'],
  ['H6 none', { host: null }, BAD_HOST],
  ['H6 empty', { host: '' }, BAD_HOST],
  ['H6 two that differ', { fields: ['Host: b.example'] }, BAD_HOST],
  ['H6 two that agree', { fields: ['host: a.example'] }, BAD_HOST],
  ['H6 none, in HTTP/1.0', { host: null, httpVersion: '1.0' }, BAD_HOST],
  ['H6 none, beside an absolute target', { host: null, target: 'http://a.example/' }, BAD_HOST],
  ['H6 joined by a comma', { host: 'a.example,b.example' }, BAD_HOST],
  ['H6 joined by a comma and a space', { host: 'a.example, b.example' }, BAD_HOST],
  ['H6 a space inside', { host: 'a.example b' }, BAD_HOST],
  ['H6 a tab at the end', { host: 'a.example\t' }, BAD_HOST],
  ['H6 a user', { host: 'a.example@b.example' }, BAD_HOST],
  ['H6 a path', { host: 'a.example/b' }, BAD_HOST],
  ['H6 a backslash', { host: 'a.example\\b' }, BAD_HOST],
  ['H6 a query', { host: 'a.example?b' }, BAD_HOST],
  ['H6 a fragment', { host: 'a.example#b' }, BAD_HOST],
  ['H6 a scheme', { host: 'http://a.example' }, BAD_HOST],
  ['H6 a port that is no number', { host: 'a.example:http' }, BAD_HOST],
  ['H6 a negative port', { host: 'a.example:-1' }, BAD_HOST],
  ['H6 two ports', { host: 'a.example:80:80' }, BAD_HOST],
  ['H6 a port alone', { host: ':80' }, BAD_HOST],
  ['H6 an IPv6 address without brackets', { host: '2001:db8::1' }, BAD_HOST],
  ['H6 a bracket that does not close', { host: '[2001:db8::1' }, BAD_HOST],
  ['H6 a name in brackets', { host: '[a.example]' }, BAD_HOST],
  ['H6 text behind a bracket', { host: '[::1]b.example' }, BAD_HOST],
  ['H6 a NUL', { host: 'a.example\0' }, BAD_HOST],
  ['H6 a line end', { host: 'a.example\r\nX-A: 1' }, BAD_HOST],
  ['H6 bytes above ASCII', { host: 'b\xfccher.example' }, BAD_HOST],
  ['H6 longer than any name', { host: 'a'.repeat(256) }, BAD_HOST],
];
t.test('the Host of a request', async (t) => {
  for (const [name, input, expected] of hosts)
    t.equal(
      outcome(() => headOf(input).hostname),
      expected,
      `${name} ${JSON.stringify(input)}`,
    );
});

const targets: Row<string>[] = [
  ['a path', { target: '/a/b' }, 'a.example /a/b '],
  ['a query', { target: '/a?b=/c' }, 'a.example /a ?b=/c'],
  ['a query with a question mark', { target: '/?a?b' }, 'a.example / ?a?b'],
  ['an empty query', { target: '/a?' }, 'a.example /a ?'],
  ['H7 two slashes name no host', { target: '//b.example/x' }, 'a.example //b.example/x '],
  ['H7 a URL in a path', { target: '/http://b.example/' }, 'a.example /http://b.example/ '],
  ['H7 absolute form', { target: 'http://a.example/x?y' }, 'a.example /x ?y'],
  ['H7 absolute form in capitals', { target: 'HTTPS://A.EXAMPLE/X' }, 'a.example /X '],
  ['H7 absolute form without a path', { target: 'http://a.example' }, 'a.example / '],
  ['H7 absolute form with a query alone', { target: 'http://a.example?x=/y' }, 'a.example / ?x=/y'],
  [
    'H7 absolute form, same port',
    { host: 'a.example:81', target: 'http://a.example:81/' },
    'a.example:81 / ',
  ],
  ['H7 absolute form of another host', { target: 'http://b.example/' }, BAD_HOST],
  ['H7 absolute form of a longer host', { target: 'http://a.example.b.example/' }, BAD_HOST],
  ['H7 absolute form of another port', { target: 'http://a.example:81/' }, BAD_HOST],
  ['H7 absolute form with a user', { target: 'http://a.example@b.example/' }, BAD_HOST],
  ['H7 absolute form with our host as user', { target: 'http://b.example@a.example/' }, BAD_HOST],
  ['H7 absolute form without a host', { target: 'http:///x' }, BAD_HOST],
  ['H7 a backslash behind the host', { target: 'http://a.example\\@b.example/' }, BAD_HOST],
  ['H8 asterisk form', { method: 'OPTIONS', target: '*' }, MALFORMED],
  ['H8 authority form', { target: 'a.example:443' }, MALFORMED],
  ['H8 no target', { target: '' }, MALFORMED],
  ['H8 a path without its slash', { target: 'a/b' }, MALFORMED],
  ['H8 a query alone', { target: '?a' }, MALFORMED],
  ['H8 another scheme', { target: 'ftp://a.example/' }, MALFORMED],
  ['H8 a scheme with one slash', { target: 'http:/a.example/' }, MALFORMED],
  ['H8 a space in front', { target: ' /a' }, MALFORMED],
  ['C10 a fragment in the path', { target: '/a#b' }, MALFORMED],
  ['C10 a fragment in the query', { target: '/a?b#c' }, MALFORMED],
  ['C10 a fragment in absolute form', { target: 'http://a.example#@b.example/' }, MALFORMED],
];
t.test('request targets: the authority, path and query, or a refusal', async (t) => {
  for (const [name, input, expected] of targets) {
    const read = outcome(() => {
      const { authority, path, query } = headOf(input);
      return `${authority} ${path} ${query}`;
    });
    t.equal(read, expected, `${name} ${JSON.stringify(input)}`);
  }
});

t.test('H8 methods: the gateway serves neither tunnels nor echoes of what it was sent', async (t) => {
  for (const method of ['CONNECT', 'TRACE'])
    t.equal(
      outcome(() => headOf({ method })),
      '405 method_not_allowed, close',
      method,
    );
  for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'M-SEARCH'])
    t.equal(headOf({ method }).method, method);
});

/** Of framing: the Content-Length, and whether a body comes. */
const bodies: Row<string | [length: number | undefined, hasBody: boolean]>[] = [
  ['nothing', {}, [undefined, false]],
  ['a length', { fields: ['Content-Length: 5'] }, [5, true]],
  ['a length of 0', { fields: ['Content-Length: 0'] }, [0, false]],
  ['chunked', { fields: ['Transfer-Encoding: chunked'] }, [undefined, true]],
  ['chunked in capitals', { fields: ['transfer-encoding: Chunked'] }, [undefined, true]],
  ['C20 chunked DELETE', { method: 'DELETE', fields: ['Transfer-Encoding: chunked'] }, [undefined, true]],
  ['HTTP/2 without a length', { httpVersion: '2.0', bodyFollows: true }, [undefined, true]],
  ['HTTP/2 with a length', { bodyFollows: true, fields: ['content-length: 5'] }, [5, true]],
  ['H2 length and chunked', { fields: ['Content-Length: 5', 'Transfer-Encoding: chunked'] }, MALFORMED],
  ['H2 chunked and length', { fields: ['Transfer-Encoding: chunked', 'Content-Length: 5'] }, MALFORMED],
  ['H2 length 0 and chunked', { fields: ['Content-Length: 0', 'Transfer-Encoding: chunked'] }, MALFORMED],
  ['H3 HTTP/1.0 chunked', { httpVersion: '1.0', fields: ['Transfer-Encoding: chunked'] }, MALFORMED],
  ['H3 two codings', { fields: ['Transfer-Encoding: gzip, chunked'] }, MALFORMED],
  ['H3 chunked is not the last', { fields: ['Transfer-Encoding: chunked, gzip'] }, MALFORMED],
  ['H3 chunked twice in a line', { fields: ['Transfer-Encoding: chunked, chunked'] }, MALFORMED],
  ['H3 chunked in two lines', { fields: Array<string>(2).fill('Transfer-Encoding: chunked') }, MALFORMED],
  ['H3 identity', { fields: ['Transfer-Encoding: identity'] }, MALFORMED],
  ['H3 a coding that is almost chunked', { fields: ['Transfer-Encoding: xchunked'] }, MALFORMED],
  ['H3 chunked with a parameter', { fields: ['Transfer-Encoding: chunked;q=1'] }, MALFORMED],
  ['H3 chunked in quotes', { fields: ['Transfer-Encoding: "chunked"'] }, MALFORMED],
  ['H3 chunked behind a vertical tab', { fields: ['Transfer-Encoding: \x0bchunked'] }, MALFORMED],
  ['H3 no coding', { fields: ['Transfer-Encoding:'] }, MALFORMED],
  ['H4 two lengths that differ', { fields: ['Content-Length: 5', 'Content-Length: 6'] }, MALFORMED],
  ['H4 two lengths that agree', { fields: ['Content-Length: 5', 'content-length: 5'] }, MALFORMED],
  ['H4 a list of lengths', { fields: ['Content-Length: 5, 5'] }, MALFORMED],
  ['H4 no length', { fields: ['Content-Length:'] }, MALFORMED],
  ['H4 a sign', { fields: ['Content-Length: +5'] }, MALFORMED],
  ['H4 a negative length', { fields: ['Content-Length: -5'] }, MALFORMED],
  ['H4 hexadecimal', { fields: ['Content-Length: 0x5'] }, MALFORMED],
  ['H4 an exponent', { fields: ['Content-Length: 5e1'] }, MALFORMED],
  ['H4 a fraction', { fields: ['Content-Length: 5.0'] }, MALFORMED],
  ['H4 digits that are not ASCII', { fields: ['Content-Length: \u0665'] }, MALFORMED],
  ['H4 a line end behind it', { fields: ['Content-Length: 5\n'] }, MALFORMED],
  ['H4 longer than a number is exact', { fields: [`Content-Length: ${'9'.repeat(16)}`] }, MALFORMED],
];
t.test('how long a body is', async (t) => {
  for (const [name, input, expected] of bodies) {
    const read = outcome((): [number | undefined, boolean] => {
      const { contentLength, hasBody } = headOf(input);
      return [contentLength, hasBody];
    });
    t.strictSame(read, expected, `${name} ${JSON.stringify(input)}`);
  }
});

t.test('H2 C2 a spelling with _ or . frames nothing, names no host, and goes no further', async (t) => {
  const fields = [
    'Content_Length: 5',
    'Transfer.Encoding: chunked',
    'TRANSFER_ENCODING: x',
    'X_Forwarded_For: 1',
  ];
  const head = headOf({ fields: [...fields, 'X_User_Id: 1', 'X_Own: 1'], identity: ['X-User-Id'] });
  t.equal(head.hasBody, false);
  t.equal(head.contentLength, undefined);
  t.strictSame(head.kinds, [
    ...[HeaderKind.host, HeaderKind.drop, HeaderKind.drop, HeaderKind.drop, HeaderKind.drop],
    ...[HeaderKind.identity, HeaderKind.forward],
  ]);
});

const LARGE_HEADERS = '431 headers_too_large, close';
const limits: Row<string>[] = [
  ['H18 a target of just the limit', { target: `/${'a'.repeat(9)}`, limits: { uriBytes: 10 } }, 'ok'],
  [
    'H18 a target above',
    { target: `/${'a'.repeat(10)}`, limits: { uriBytes: 10 } },
    '414 uri_too_long, close',
  ],
  [
    'H18 the query counts',
    { target: `/?${'a'.repeat(9)}`, limits: { uriBytes: 10 } },
    '414 uri_too_long, close',
  ],
  ['H18 as many fields as allowed', { fields: ['A: 1', 'B: 2'], limits: { headerCount: 3 } }, 'ok'],
  ['H18 one field more', { fields: ['A: 1', 'B: 2', 'C: 3'], limits: { headerCount: 3 } }, LARGE_HEADERS],
  [
    'H18 repeated names count',
    { fields: Array<string>(3).fill('A: 1'), limits: { headerCount: 3 } },
    LARGE_HEADERS,
  ],
  // `Host: a.example` and `A: 1`, each with its CRLF.
  ['H18 header bytes of just the limit', { fields: ['A: 1'], limits: { headerBytes: 17 + 6 } }, 'ok'],
  ['H18 one byte more', { fields: ['A: 12'], limits: { headerBytes: 17 + 6 } }, LARGE_HEADERS],
  ['H18 empty values count', { fields: ['A:', 'B:'], limits: { headerBytes: 17 + 9 } }, LARGE_HEADERS],
  ['H18 a body of just the limit', { fields: ['Content-Length: 9'], limits: { bodyBytes: 9 } }, 'ok'],
  [
    'H18 a body above',
    { fields: ['Content-Length: 10'], limits: { bodyBytes: 9 } },
    '413 body_too_large, close',
  ],
  ['H18 0 is no limit', { fields: [`Content-Length: ${'9'.repeat(15)}`], limits: { bodyBytes: 0 } }, 'ok'],
];
t.test('limits', async (t) => {
  for (const [name, input, expected] of limits)
    t.equal(
      outcome(() => headOf(input) && 'ok'),
      expected,
      `${name} ${JSON.stringify(input)}`,
    );
});

const upgrades: Row<string | undefined>[] = [
  [
    'H12 announced',
    { wantsTunnel: true, fields: ['Upgrade: WebSocket', 'Connection: Upgrade'] },
    'websocket',
  ],
  [
    'H12 announced in a list',
    { wantsTunnel: true, fields: ['Connection: keep-alive ,UPGRADE', 'Upgrade: websocket'] },
    'websocket',
  ],
  [
    'H12 announced in a second line',
    { wantsTunnel: true, fields: ['Connection: a', 'Upgrade: h2c', 'Connection: upgrade'] },
    'h2c',
  ],
  [
    'H12 two lines are one list',
    { wantsTunnel: true, fields: ['Upgrade: websocket', 'Upgrade: h2c', 'Connection: upgrade'] },
    'websocket, h2c',
  ],
  ['H12 not announced', { wantsTunnel: true, fields: ['Upgrade: websocket'] }, undefined],
  [
    'H12 almost announced',
    { wantsTunnel: true, fields: ['Upgrade: websocket', 'Connection: xupgrade, upgrade2'] },
    undefined,
  ],
  ['H12 the transport cannot switch', { fields: ['Upgrade: websocket', 'Connection: upgrade'] }, undefined],
  ['H12 announced alone', { wantsTunnel: true, fields: ['Connection: upgrade'] }, undefined],
];
t.test('the protocol that a client asks to switch to', async (t) => {
  for (const [name, input, expected] of upgrades) t.equal(headOf(input).upgrade, expected, name);
});

const fields: [name: string, lines: string[], field: keyof ReturnType<typeof headOf>, expected: unknown][] = [
  [
    'H1 Connection',
    ['Connection: X-A,  Close', 'connection: x-b'],
    'connectionOptions',
    ['x-a', 'close', 'x-b'],
  ],
  ['no Connection', [], 'connectionOptions', []],
  ['B2 every Authorization', ['Authorization: a', 'authorization: b'], 'authorization', ['a', 'b']],
  ['no Authorization', ['Proxy-Authorization: a', 'X-Authorization: b'], 'authorization', []],
  ['H11 Expect', ['Expect: 100-Continue'], 'expectsContinue', true],
  ['H11 no Expect', [], 'expectsContinue', false],
  ['a request id', ['X-Request-Id: a.B_9-z'], 'requestId', 'a.B_9-z'],
  ['a request id of 128', [`X-Request-Id: ${'a'.repeat(128)}`], 'requestId', 'a'.repeat(128)],
  ['a request id of 129', [`X-Request-Id: ${'a'.repeat(129)}`], 'requestId', undefined],
  ['an empty request id', ['X-Request-Id:'], 'requestId', undefined],
  ['A6 a request id with a space', ['X-Request-Id: a b'], 'requestId', undefined],
  ['A6 a request id with a line end', ['X-Request-Id: a\n'], 'requestId', undefined],
  ['A6 a request id with an escape', ['X-Request-Id: a\x1b[31m'], 'requestId', undefined],
  ['two request ids', ['X-Request-Id: a', 'X-Request-Id: b'], 'requestId', undefined],
  ['three request ids', ['X-Request-Id: a', 'X-Request-Id: b', 'X-Request-Id: c'], 'requestId', undefined],
  ['an invalid and a valid one', ['X-Request-Id: a b', 'X-Request-Id: b'], 'requestId', undefined],
  ['the last traceparent', ['traceparent: a', 'Traceparent: b'], 'traceparent', 'b'],
];
t.test('what else the gateway reads', async (t) => {
  for (const [name, lines, field, expected] of fields)
    t.strictSame(headOf({ fields: lines })[field], expected, name);
});

t.test('values are found as they came, by what a field is and by its name', async (t) => {
  const head = headOf({
    fields: ['X-Forwarded-For: 1, 2', 'Origin: x', 'x-forwarded-for:  3 ', '__proto__: 4', 'X-A:', 'x-a: 5'],
  });
  t.strictSame(valuesOf(head, HeaderKind.forwardedFor), ['1, 2', ' 3 ']);
  t.strictSame(valuesOf(head, HeaderKind.authorization), []);
  t.equal(singleHeader(head, 'origin'), 'x');
  t.equal(singleHeader(head, '__proto__'), '4');
  t.equal(singleHeader(head, 'constructor'), undefined, 'absent');
  t.equal(singleHeader(head, 'x-a'), undefined, 'repeated, also where one is empty');
});
