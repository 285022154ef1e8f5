/** The token that a client presents. RFC 6750 sections 2 and 3.1, RFC 9110 section 11. */
import t from 'tap';
import type { Route } from '../../src/policy.ts';
import { extractToken } from '../../src/stages/extract-token.ts';
import type { OpenRoute } from '../../src/stages/limit-address.ts';
import { headOf, outcome, type HeadInput } from '../support/heads.ts';
import { routeOf } from '../support/routes.ts';

const MISSING = '401 missing_token (missing)';
const INVALID = '400 invalid_request (malformed)';
const TOO_LARGE = '401 invalid_token (too_large)';
const ANONYMOUS = 'anonymous';

/** The token, ANONYMOUS or a refusal. */
function extracted(input: HeadInput, changes: Partial<Route> = {}, maxBytes = 100): string {
  return outcome(
    () => extractToken(headOf(input), routeOf(changes) as OpenRoute, maxBytes).token ?? ANONYMOUS,
  );
}

const credentials: [name: string, authorization: string[], expected: string][] = [
  ['a token', ['Bearer abc'], 'abc'],
  ['every character of a b64token', ['Bearer AZaz09-._~+/=='], 'AZaz09-._~+/=='],
  ['B6 the scheme in lower case', ['bearer abc'], 'abc'],
  ['B6 the scheme in capitals', ['BEARER abc'], 'abc'],
  ['B6 several spaces', ['Bearer    abc'], 'abc'],
  ['B6 several spaces, lower case', ['bearer  abc'], 'abc'],
  ['B1 none', [], MISSING],
  ['B8 another scheme', ['Basic dXNlcjpwYXNz'], MISSING],
  ['B8 another scheme alone', ['Negotiate'], MISSING],
  ['B8 another scheme with parameters', ['Digest username="a", response="b"'], MISSING],
  ['B8 another scheme before ours', ['Basic abc, Bearer abc'], MISSING],
  ['B8 a scheme that begins alike', ['Bearerx abc'], MISSING],
  ['B8 a token without its scheme', ['abc'], MISSING],
  ['B2 an empty field', [''], INVALID],
  ['B2 no token', ['Bearer'], INVALID],
  ['B2 no token behind a space', ['Bearer '], INVALID],
  ['B2 no token behind two', ['bearer  '], INVALID],
  ['B2 two tokens', ['Bearer a b'], INVALID],
  ['B2 a space behind the token', ['Bearer abc '], INVALID],
  ['B2 joined by a comma', ['Bearer a,Bearer b'], INVALID],
  ['B2 joined by a comma and a space', ['Bearer a, Bearer b'], INVALID],
  ['B2 a comma at the end', ['Bearer abc,'], INVALID],
  ['B2 a comma in front', [',Bearer abc'], INVALID],
  ['B2 a space in front', [' Bearer abc'], INVALID],
  ['B2 a tab for the space', ['Bearer\tabc'], INVALID],
  ['B2 a tab behind the space', ['Bearer \tabc'], INVALID],
  ['B2 the scheme twice', ['Bearer Bearer abc'], INVALID],
  ['B2 a parameter', ['Bearer token=abc'], INVALID],
  ['B2 a quoted token', ['Bearer "abc"'], INVALID],
  ['B2 padding alone', ['Bearer ='], INVALID],
  ['B2 padding inside', ['Bearer ab=c'], INVALID],
  ['B2 a NUL', ['Bearer abc\0'], INVALID],
  ['B2 a line end', ['Bearer abc\r\nX-A: 1'], INVALID],
  ['B2 a line end at the end', ['Bearer abc\n'], INVALID],
  ['B2 bytes above ASCII', ['Bearer caf\xe9'], INVALID],
  ['B2 a space that is not ASCII', ['Bearer\xa0abc'], INVALID],
  ['B2 a percent sign', ['Bearer a%62c'], INVALID],
  ['B2 a scheme that is no token', ['Be@rer abc'], INVALID],
  ['B2 two lines', ['Bearer a', 'Bearer b'], INVALID],
  ['B2 two lines that agree', ['Bearer a', 'Bearer a'], INVALID],
  ['B2 a second line that is empty', ['Bearer a', ''], INVALID],
  ['B2 B8 another scheme in a second line', ['Bearer a', 'Basic b'], INVALID],
  ['B2 B8 another scheme in a first line', ['Basic b', 'Bearer a'], INVALID],
  ['B9 Bearer and DPoP', ['Bearer a', 'DPoP a'], INVALID],
  ['J13 just as long as allowed', [`Bearer ${'a'.repeat(100)}`], 'a'.repeat(100)],
  ['J13 one byte more', [`Bearer ${'a'.repeat(101)}`], TOO_LARGE],
  ['J13 one byte more, the scheme in lower case', [`bearer ${'a'.repeat(101)}`], TOO_LARGE],
  ['J13 the padding counts', [`Bearer ${'a'.repeat(100)}=`], TOO_LARGE],
];
t.test('Authorization on a route that requires a token', async (t) => {
  for (const [name, authorization, expected] of credentials) {
    const fields = authorization.map(
      (value, index) => `${index === 0 ? 'Authorization' : 'authorization'}: ${value}`,
    );
    t.equal(extracted({ fields }), expected, name);
  }
});

t.test(
  'B1 B2 B8 a route where a token is optional: nothing is anonymous, everything else as before',
  async (t) => {
    for (const [name, authorization, expected] of credentials) {
      const fields = authorization.map((value) => `Authorization: ${value}`);
      t.equal(extracted({ fields }, { mode: 'optional' }), fields.length === 0 ? ANONYMOUS : expected, name);
    }
  },
);

t.test('B7 a route without authentication looks at nothing', async (t) => {
  for (const [name, authorization] of credentials) {
    const fields = authorization.map((value) => `Authorization: ${value}`);
    t.equal(extracted({ fields, target: '/?access_token=a' }, { mode: 'none' }), ANONYMOUS, name);
  }
});

t.test('B7 C11 nothing but Authorization authenticates', async (t) => {
  for (const field of [
    ...['Cookie: access_token=abc', 'Proxy-Authorization: Bearer abc', 'X-Authorization: Bearer abc'],
    ...['X-Access-Token: abc', 'Authorization_: Bearer abc', 'User-Agent: Bearer abc', 'Token: abc'],
    ...['X-Forwarded-Authorization: Bearer abc', 'Sec-WebSocket-Protocol: bearer, abc'],
  ]) {
    t.equal(extracted({ fields: [field] }), MISSING, field);
    t.equal(extracted({ fields: [field] }, { mode: 'optional' }), ANONYMOUS, field);
    t.equal(extracted({ fields: [field, 'Authorization: Bearer a'] }), 'a', field);
  }
});

t.test('B7 a token in the query is refused, with and without another in Authorization', async (t) => {
  for (const query of [
    ...['access_token=a', 'access_token=', 'access_token', 'x=1&access_token=a', 'access_token=a&x=1'],
    ...['&&access_token=a', 'x=1;access_token=a', 'ACCESS_TOKEN=1', 'Access_Token=1', 'access_token=a=b'],
    ...[
      '%61ccess_token=1',
      'access%5Ftoken=a',
      'access%5ftoken=a',
      '%41CCESS_TOKEN=a',
      'x=%zz&access_token=a',
    ],
    ...['%61%63%63%65%73%73%5f%74%6f%6b%65%6e=a', 'x=?&access_token=a'],
  ]) {
    for (const mode of ['required', 'optional'] as const) {
      t.equal(extracted({ target: `/a?${query}` }, { mode }), INVALID, query);
      const both = { target: `/a?${query}`, fields: ['Authorization: Bearer a'] };
      t.equal(extracted(both, { mode }), INVALID, query);
    }
  }
});

t.test('B7 a query that only looks alike passes', async (t) => {
  for (const query of [
    ...['', 'a', 'x=access_token', 'my_access_token=1', 'access_tokens=1', 'access-token=1', 'token=1'],
    ...['x=%26access_token=1', 'x=%3Faccess_token%3D1', 'access%255Ftoken=1', '%=1', 'a%zz=1'],
  ])
    t.equal(extracted({ target: `/a?${query}`, fields: ['Authorization: Bearer a'] }), 'a', query);
  const path = { target: '/access_token=a/?x', fields: ['Authorization: Bearer a'] };
  t.equal(extracted(path), 'a', 'in the path');
});

const HANDSHAKE = ['Upgrade: websocket', 'Connection: upgrade'];
const protocols: [name: string, fields: string[], expected: string][] = [
  ['a token', ['Sec-WebSocket-Protocol: bearer, abc'], 'abc'],
  ['a token among others', ['Sec-WebSocket-Protocol: chat,bearer ,abc, b'], 'abc'],
  [
    'a token in a second line',
    ['Sec-WebSocket-Protocol: chat', 'Sec-WebSocket-Protocol: bearer, abc'],
    'abc',
  ],
  ['a token in Authorization', ['Authorization: Bearer abc', 'Sec-WebSocket-Protocol: chat'], 'abc'],
  ['B1 none', ['Sec-WebSocket-Protocol: chat'], MISSING],
  ['B1 bearer is spelled exactly', ['Sec-WebSocket-Protocol: Bearer, abc'], MISSING],
  ['B2 nothing behind bearer', ['Sec-WebSocket-Protocol: bearer'], INVALID],
  ['B2 an empty member behind bearer', ['Sec-WebSocket-Protocol: bearer, , abc'], INVALID],
  ['B2 a token that is none', ['Sec-WebSocket-Protocol: bearer, a b'], INVALID],
  ['B2 bearer twice', ['Sec-WebSocket-Protocol: bearer, abc, bearer, abc'], INVALID],
  ['B2 two lines', ['Sec-WebSocket-Protocol: bearer, a', 'Sec-WebSocket-Protocol: bearer, b'], INVALID],
  ['B2 both ways', ['Authorization: Bearer abc', 'Sec-WebSocket-Protocol: bearer, abc'], INVALID],
  [
    'B2 both ways, another scheme',
    ['Authorization: Basic abc', 'Sec-WebSocket-Protocol: bearer, abc'],
    INVALID,
  ],
  ['J13 one byte more', [`Sec-WebSocket-Protocol: bearer, ${'a'.repeat(101)}`], TOO_LARGE],
];
t.test('a WebSocket handshake, where the route lets it bring its token as a protocol', async (t) => {
  for (const [name, fields, expected] of protocols) {
    const input: HeadInput = { wantsTunnel: true, fields: [...HANDSHAKE, ...fields] };
    t.equal(extracted(input, { webSocketProtocol: true }), expected, name);
  }
});

t.test('B7 a protocol is no token without a handshake, or where the route does not say so', async (t) => {
  const fields = ['Sec-WebSocket-Protocol: bearer, abc'];
  t.equal(extracted({ fields, wantsTunnel: true }, { webSocketProtocol: true }), MISSING, 'no Upgrade');
  t.equal(
    extracted({ fields: [...HANDSHAKE, ...fields] }, { webSocketProtocol: true }),
    MISSING,
    'no tunnel',
  );
  t.equal(extracted({ fields: [...HANDSHAKE, ...fields], wantsTunnel: true }), MISSING, 'not allowed');
});
