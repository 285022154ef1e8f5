/** The request as the upstream sees it. RFC 9110 section 7.6. Rules H1, H9, H13, H14, F1, C1 to C3. */
import t from 'tap';
import type { Route } from '../../src/policy.ts';
import type { AuthorizedRequest } from '../../src/stages/authorize.ts';
import type { ChosenUpstream } from '../../src/stages/choose-upstream.ts';
import { rewriteHeaders, type OutboundRequest } from '../../src/stages/rewrite-headers.ts';
import type { AssertedRequest } from '../../src/stages/sign-assertion.ts';
import { fieldList, fieldValues, headOf, outcome, type HeadInput } from '../support/heads.ts';
import { routeOf } from '../support/routes.ts';

const LOOP = '508 loop_detected';
const IDENTITY = ['X-User-Id', 'X-Roles', 'X-Identity-Assertion'];
const IDS = { requestId: 'id-1', trace: { traceparent: '00-ours' } };

interface Given {
  readonly route?: Partial<Route>;
  /** Field lines that the gateway vouches for. */
  readonly identity?: readonly string[];
  readonly assertion?: readonly string[];
  readonly trusted?: boolean;
  readonly ids?: Parameters<typeof rewriteHeaders>[3];
}

function rewritten(input: HeadInput, given: Given = {}): OutboundRequest {
  const { route, identity = [], assertion = [], trusted = false, ids = IDS } = given;
  const authorized = { route: routeOf(route), token: undefined, identity: fieldList(identity) };
  const vouched = { authorized: authorized as unknown as AuthorizedRequest, assertion: fieldList(assertion) };
  const head = headOf({ identity: IDENTITY, ...input });
  const client = { peer: '192.0.2.7', peerIsTrusted: trusted };
  const upstream = 'u' as ChosenUpstream;
  return rewriteHeaders(head, vouched as unknown as AssertedRequest, upstream, ids, 'gw', client);
}

/** What the gateway itself adds to every request. */
const OURS = /^(?:via|x-forwarded-(?:for|proto|host)|x-request-id|traceparent)$/i;

/** The field lines that are not OURS. */
function passed(fields: readonly string[], given?: Given): string[] {
  const { headers } = rewritten({ fields }, given);
  return headers.flatMap((name, index) =>
    index % 2 === 0 && !OURS.test(name) ? [`${name}: ${headers[index + 1]}`] : [],
  );
}

const X = 'X-Own: 1';
const untrusted: [name: string, fields: string[], passed: string[]][] = [
  ['nothing', [], []],
  ['fields as they came', ['x-oWN: 1', 'X-Own: 2', 'Cookie: a=b'], ['x-oWN: 1', 'X-Own: 2', 'Cookie: a=b']],
  ['an empty field', ['X-Own:'], ['X-Own: ']],
  ['B7 cookies and Referer', ['Cookie: a', 'Referer: c'], ['Cookie: a', 'Referer: c']],
  ['names that objects inherit', ['__proto__: 1', 'constructor: 2'], ['__proto__: 1', 'constructor: 2']],
  ['H1 C13 an upgrade of the protocol', ['Upgrade: h2c', 'HTTP2-Settings: a', X], [X]],
  ['H1 what is for one hop', ['Keep-Alive: timeout=5', 'Proxy-Connection: a', X], [X]],
  ['H1 what is for a proxy', ['Proxy-Authorization: Basic a', 'Proxy-Authenticate: a', X], [X]],
  ['H1 the framing, which the transport writes', ['Content-Length: 0', X], [X]],
  ['H1 H9 chunked, and the trailers that it announces', ['Transfer-Encoding: chunked', 'Trailer: a', X], [X]],
  ['H1 TE but trailers', ['TE: gzip', X], [X]],
  ['H1 TE: trailers', ['TE: Trailers', 'Connection: TE'], ['TE: Trailers']],
  ['H1 TE with trailers in a list', ['TE: trailers, deflate;q=0.5', X], [X]],
  ['H11 Expect', ['Expect: 100-continue', X], [X]],
  ['H1 what Connection names', ['Connection: X-A,x-b', 'X-A: 1', 'X-B: 2', 'x-a: 3', 'X-AB: 4'], ['X-AB: 4']],
  ['H1 short names that Connection names', ['Connection: ID, q', 'ID: 7', 'Q: 1', X], [X]],
  ['H1 what a second Connection names', ['Connection: close', 'X-A: 1', 'Connection: x-a'], []],
  ['H1 Connection names what is not there', ['Connection: close, X-B', X], [X]],
  ['H1 a cookie that Connection names', ['Connection: cookie', 'Cookie: a', X], [X]],
  ['the credentials of the client', ['Authorization: Bearer a', X], [X]],
  ['a proof', ['DPoP: a', X], [X]],
  ['C2 the credentials in another spelling', ['Proxy_Authorization: a', 'PROXY.Authorization: a', X], [X]],
  ['C2 C4 identity', ['X-User-Id: admin', 'x-user-id: admin', 'X-ROLES: admin', X], [X]],
  ['C2 C4 identity in another spelling', ['X_User_Id: admin', 'X.User.Id: a', 'x_USER-id: a', X], [X]],
  ['C2 C4 an assertion', ['X-Identity-Assertion: a', 'X_Identity_Assertion: a', X], [X]],
  ['C2 names that only look alike', ['X-User-Ids: 1', 'X-UserId: 2'], ['X-User-Ids: 1', 'X-UserId: 2']],
  ['F1 the hops before', ['Forwarded: for=a', 'X-Real-IP: a', 'X-Forwarded-Server: a', X], [X]],
  ['F1 C3 the original request', ['X-Original-URL: /a', 'X-Original-URI: /a', 'X-Forwarded-Uri: /a', X], [X]],
  ['F1 M1 certificates', ['X-Client-Cert: a', 'SSL-Client-Cert: a', 'X-SSL-Client-S-DN: a', X], [X]],
  ['F1 M1 the certificate of RFC 9440', ['Client-Cert: a', 'Client-Cert-Chain: a', X], [X]],
  ['F1 C2 other spellings', ['X_Real_IP: a', 'X.Forwarded.Server: a', 'X_Client_Cert: a', X], [X]],
];
t.test('what passes from a client', async (t) => {
  for (const [name, fields, expected] of untrusted) t.strictSame(passed(fields), expected, name);
});

t.test('F1 what passes from a trusted peer: the hops before, too, if they are spelled right', async (t) => {
  const hops = ['Forwarded: for=a', 'X-Real-IP: a', 'X-Forwarded-Server: a', 'X-Client-Cert: a', X];
  const rows: [name: string, fields: string[], passed: string[]][] = [
    ['F1 the hops before', hops, hops],
    ['C2 other spellings', ['X_Real_IP: a', 'X.Forwarded.Server: a', X], [X]],
    ['H1 what Connection names', ['Connection: X-Real-IP', 'X-Real-IP: a', X], [X]],
    ['C4 identity and credentials', ['X-User-Id: admin', 'Authorization: a', X], [X]],
    ['M1 the certificate of RFC 9440', ['Client-Cert: :AA==:', 'Client-Cert-Chain: :AA==:', X], [X]],
    ['M1 C2 it in other spellings', ['Client_Cert: a', 'CLIENT.CERT: a', 'Client_Cert_Chain: a', X], [X]],
  ];
  for (const [name, fields, expected] of rows)
    t.strictSame(passed(fields, { trusted: true }), expected, name);
});

t.test('Authorization passes where the route says so', async (t) => {
  const route = { forwardAuthorization: true };
  t.strictSame(passed(['Authorization: Bearer a', 'DPoP: b'], { route }), ['Authorization: Bearer a']);
});

t.test('C1 what the gateway says goes in last, whatever Connection names', async (t) => {
  const names = [
    'Via',
    'X-Forwarded-For',
    'X-Forwarded-Proto',
    'X-Forwarded-Host',
    'X-Request-Id',
    'Traceparent',
  ];
  const fields = [...names, ...IDENTITY].map((name) => `${name}: theirs`);
  const connection = `Connection: close, ${[...names, ...IDENTITY].join(', ')}`;
  const given = { identity: ['X-User-Id: alice', 'X-Roles: a,b'], assertion: ['X-Identity-Assertion: jwt'] };
  const outbound = rewritten({ fields: [connection, ...fields] }, given);
  const ours: [name: string, value: string][] = [
    ['via', 'theirs, 1.1 gw'],
    ['x-forwarded-for', '192.0.2.7'],
    ['x-forwarded-proto', 'http'],
    ['x-forwarded-host', 'a.example'],
    ['x-request-id', 'id-1'],
    ['traceparent', '00-ours'],
    ['x-user-id', 'alice'],
    ['x-roles', 'a,b'],
    ['x-identity-assertion', 'jwt'],
  ];
  for (const [name, value] of ours) t.strictSame(fieldValues(outbound.headers, name), [value], name);
  t.equal(outbound.strippedIdentity, 3, 'C4 what was stripped is counted');
  t.equal(rewritten({ fields: ['X_User_Id: a', 'x-user-id: b', X] }).strippedIdentity, 2);
  t.equal(rewritten({ fields: [X] }, given).strippedIdentity, 0);
  const untraced = rewritten({ fields }, { ids: { requestId: 'id-1', trace: undefined } });
  t.strictSame(fieldValues(untraced.headers, 'traceparent'), [], 'not traced, and not its own either');
  t.strictSame(fieldValues(rewritten({}).headers, 'traceparent'), ['00-ours'], 'traced from here on');
});

t.test('a request that is not traced has no traceparent, not even its own', async (t) => {
  const { headers } = rewritten(
    { fields: ['traceparent: a'] },
    { ids: { requestId: 'id-1', trace: undefined } },
  );
  t.strictSame(fieldValues(headers, 'traceparent'), []);
});

const vias: [name: string, input: HeadInput, via: string][] = [
  ['none before', {}, '1.1 gw'],
  ['HTTP/2', { httpVersion: '2.0' }, '2.0 gw'],
  ['HTTP/1.0', { httpVersion: '1.0' }, '1.0 gw'],
  ['others before', { fields: ['Via: 1.1 a, 2 b (c)'] }, '1.1 a, 2 b (c), 1.1 gw'],
  ['others before, in two lines', { fields: ['Via: 1.1 a', 'via: 1.1 b'] }, '1.1 a, 1.1 b, 1.1 gw'],
  [
    'names that only look alike',
    { fields: ['Via: 1.1 gw2, 1.1 my-gw, 1.1 gw:80'] },
    '1.1 gw2, 1.1 my-gw, 1.1 gw:80, 1.1 gw',
  ],
  ['our name in a comment', { fields: ['Via: 1.1 a (gw)'] }, '1.1 a (gw), 1.1 gw'],
  ['our name as a protocol', { fields: ['Via: gw a'] }, 'gw a, 1.1 gw'],
  ['H14 us', { fields: ['Via: 1.1 gw'] }, LOOP],
  ['H14 us with a comment', { fields: ['Via: 1.1 gw (Sallyport)'] }, LOOP],
  ['H14 us by another version', { fields: ['Via: HTTP/2.0   gw'] }, LOOP],
  ['H14 us among others', { fields: ['Via: 1.1 a,1.1 gw ,1.1 b'] }, LOOP],
  ['H14 us in a second line', { fields: ['Via: 1.1 a', 'Via: 1.1 gw'] }, LOOP],
  ['H14 us, and Connection names Via', { fields: ['Connection: Via', 'Via: 1.1 gw'] }, LOOP],
];
t.test('H14 Via, and loops', async (t) => {
  for (const [name, input, via] of vias)
    t.equal(
      outcome(() => fieldValues(rewritten(input).headers, 'via').join(' | ')),
      via,
      name,
    );
});

const targets: [name: string, target: string, rewrite: [strip: string, add: string], expected: string][] = [
  ['as it came', '/a/b?c=/d', ['', ''], '/a/b?c=/d'],
  ['H13 escapes as they came', '/a%20%c3%A9/%7e?x=%2f%00', ['', ''], '/a%20%c3%A9/%7e?x=%2f%00'],
  ['H13 an empty query', '/a?', ['', ''], '/a?'],
  ['stripped', '/orders/1?x', ['/orders', ''], '/1?x'],
  ['stripped to nothing', '/orders', ['/orders', ''], '/'],
  ['stripped to nothing, with a query', '/orders?x', ['/orders', ''], '/?x'],
  ['stripped to a slash', '/orders/', ['/orders', ''], '/'],
  ['stripped once', '/a/a/a', ['/a', ''], '/a/a'],
  ['stripped at the front alone', '/x/orders/1', ['/orders', ''], '/x/orders/1'],
  ['H13 stripped of escapes as they are', '/caf%C3%A9/1%2f', ['/caf%C3%A9', ''], '/1%2f'],
  ['added', '/1?x', ['', '/v1'], '/v1/1?x'],
  ['added to the root', '/', ['', '/v1'], '/v1/'],
  ['both', '/orders/1?x', ['/orders', '/v1/x'], '/v1/x/1?x'],
  ['both, with nothing between', '/orders', ['/orders', '/v1'], '/v1'],
  ['the query is no path', '/a?/orders', ['/orders', ''], '/a?/orders'],
];
t.test('H13 the path decided on is the path sent, but for what the route rewrites', async (t) => {
  for (const [name, target, [stripPrefix, addPrefix], expected] of targets) {
    const rewrite = { stripPrefix, addPrefix, forwardedPrefix: stripPrefix, preserveHost: false };
    t.equal(rewritten({ target }, { route: { rewrite } }).target, expected, name);
  }
  t.equal(
    rewritten({ target: 'http://a.example/b?c' }).target,
    '/b?c',
    'H7 absolute form becomes origin form',
  );
});

t.test('the Host is the client’s where the route preserves it, else the target’s own', async (t) => {
  const rewrite = { stripPrefix: '', addPrefix: '', forwardedPrefix: '', preserveHost: true };
  const input = { host: 'a.example:8080', fields: [X] };
  t.equal(rewritten(input, { route: { rewrite } }).host, 'a.example:8080');
  t.equal(rewritten(input).host, undefined);
  t.strictSame(
    fieldValues(rewritten(input, { route: { rewrite } }).headers, 'host'),
    [],
    'the transport writes it',
  );
});

t.test('method and framing go on as they were read', async (t) => {
  const sized = rewritten({ method: 'PUT', fields: ['Content-Length: 5'] });
  t.strictSame([sized.method, sized.contentLength, sized.hasBody], ['PUT', 5, true]);
  const chunked = rewritten({ method: 'DELETE', fields: ['Transfer-Encoding: chunked'] });
  t.strictSame([chunked.method, chunked.contentLength, chunked.hasBody], ['DELETE', undefined, true], 'C20');
  t.strictSame([rewritten({}).contentLength, rewritten({}).hasBody], [undefined, false]);
});

t.test('H12 C13 upgrades: only those that the route allows', async (t) => {
  const asks = (upgrade: string): HeadInput => ({
    wantsTunnel: true,
    fields: [`Upgrade: ${upgrade}`, 'Connection: upgrade'],
  });
  const route = { upgrades: new Set(['websocket']) };
  const rows: [upgrade: string, allowed: string | undefined, otherwise: string][] = [
    ['WebSocket', 'websocket', '403 upgrade_not_allowed'],
    ['h2c', '403 upgrade_not_allowed', '403 upgrade_not_allowed'],
    ['websocket, h2c', '403 upgrade_not_allowed', '403 upgrade_not_allowed'],
  ];
  for (const [upgrade, allowed, otherwise] of rows) {
    t.equal(
      outcome(() => rewritten(asks(upgrade), { route }).upgrade),
      allowed,
      upgrade,
    );
    t.equal(
      outcome(() => rewritten(asks(upgrade)).upgrade),
      otherwise,
      upgrade,
    );
  }
  t.equal(rewritten({ ...asks('h2c'), wantsTunnel: false }).upgrade, undefined, 'C13 one that was dropped');
});

const PROTOCOL = 'Sec-WebSocket-Protocol';
const protocols: [name: string, fields: string[], passed: string[], offersBearer: boolean][] = [
  ['none', [X], [X], false],
  ['the token', [`${PROTOCOL}: bearer, abc`], [], true],
  ['A5 the token among others', [`${PROTOCOL}: a,bearer , abc, b`], ['sec-websocket-protocol: a, b'], true],
  ['others alone', [`${PROTOCOL}: a`, `${PROTOCOL}: b`], ['sec-websocket-protocol: a, b'], false],
  [
    'A5 the token in two lines',
    [`${PROTOCOL}: bearer`, `${PROTOCOL}: abc, b`],
    ['sec-websocket-protocol: b'],
    true,
  ],
  ['A5 bearer without a token', [`${PROTOCOL}: bearer`], [], true],
  ['C2 A5 another spelling', ['Sec_WebSocket_Protocol: bearer, abc', X], [X], false],
];
t.test('A5 a token that came as a protocol goes no further', async (t) => {
  const route = { webSocketProtocol: true };
  for (const [name, fields, expected, offersBearer] of protocols) {
    t.strictSame(passed(fields, { route }), expected, name);
    t.equal(rewritten({ fields }, { route }).offersBearer, offersBearer, name);
  }
  const fields = [`${PROTOCOL}: bearer, abc`];
  t.strictSame(passed(fields), fields, 'on other routes it is the upstream’s own');
  t.equal(rewritten({ fields }).offersBearer, false);
});
