/** Cross-origin requests of browsers. Fetch Standard, section 3.2. */
import t from 'tap';
import {
  corsHeaders,
  corsPolicy,
  preflightHeaders,
  preflightMethod,
  withCors,
  type CorsPolicy,
  type CorsSettings,
} from '../../src/http/cors.ts';
import { fieldList, fieldValues, headOf } from '../support/heads.ts';

const APP = 'https://app.example';
const SETTINGS: CorsSettings = {
  origins: [APP, 'http://localhost:3000'],
  methods: ['GET', 'PUT'],
  headers: ['authorization', 'x-a'],
  exposeHeaders: [],
  credentials: false,
  maxAgeSeconds: 600,
};
const EXACT = corsPolicy(SETTINGS);
const CREDENTIALS = corsPolicy({ ...SETTINGS, credentials: true });
const NO_HEADERS = corsPolicy({ ...SETTINGS, headers: [], maxAgeSeconds: 0 });
const ANY = corsPolicy({ ...SETTINGS, origins: ['*'] });

/** Names and values as lines; what scripts may read stands apart. */
const lines = (list: readonly string[]): string[] =>
  list.flatMap((name, index) => (index % 2 === 0 ? [`${name}: ${list[index + 1]}`] : []));
const isExposed = (line: string): boolean => line.startsWith('access-control-expose-headers: ');

const origins: [name: string, policy: CorsPolicy, fields: string[], expected: string[]][] = [
  [
    'an origin that is allowed',
    EXACT,
    [`Origin: ${APP}`],
    [`access-control-allow-origin: ${APP}`, 'vary: Origin'],
  ],
  [
    'an origin with a port',
    EXACT,
    ['origin: http://localhost:3000'],
    ['access-control-allow-origin: http://localhost:3000', 'vary: Origin'],
  ],
  [
    'credentials',
    CREDENTIALS,
    [`Origin: ${APP}`],
    [`access-control-allow-origin: ${APP}`, 'access-control-allow-credentials: true', 'vary: Origin'],
  ],
  [
    'any origin, and one response for all',
    ANY,
    ['Origin: https://b.example'],
    ['access-control-allow-origin: *'],
  ],
  ['any origin, the opaque one too', ANY, ['Origin: null'], ['access-control-allow-origin: *']],
  ['any origin, but not a request without one', ANY, [], []],
  ['any origin, but not two', ANY, [`Origin: ${APP}`, `Origin: ${APP}`], []],
];
t.test('what goes with each response to an origin that is allowed', async (t) => {
  for (const [name, policy, fields, expected] of origins) {
    const written = lines(corsHeaders(policy, headOf({ fields })));
    t.strictSame(
      written.filter((line) => !isExposed(line)),
      expected,
      name,
    );
    t.equal(
      written.some(isExposed),
      expected.some((line) => line.includes('allow-origin')),
      `${name}: exposed`,
    );
  }
});

t.test(
  'an origin that is not allowed gets nothing but Vary, of a preflight and of any response',
  async (t) => {
    const refused: [name: string, ...fields: string[]][] = [
      ['no origin'],
      ['an empty origin', 'Origin:'],
      ['another host', 'Origin: https://b.example'],
      ['the opaque origin', 'Origin: null'],
      ['an asterisk', 'Origin: *'],
      ['another scheme', 'Origin: http://app.example'],
      ['another port', 'Origin: https://app.example:8443'],
      ['a name below', 'Origin: https://x.app.example'],
      ['a name that ends alike', 'Origin: https://evilapp.example'],
      ['a name that begins alike', 'Origin: https://app.example.evil'],
      ['a user in front', 'Origin: https://app.example@evil.example'],
      ['a path behind', 'Origin: https://app.example/'],
      ['capitals', 'Origin: https://APP.example'],
      ['a list', `Origin: ${APP}, https://b.example`],
      ['a list with a space', `Origin: ${APP} https://b.example`],
      ['two origins', `Origin: ${APP}`, 'Origin: https://b.example'],
      ['the same origin twice', `Origin: ${APP}`, `origin: ${APP}`],
      ['a name that objects inherit', 'Origin: constructor'],
    ];
    for (const [name, ...fields] of refused) {
      for (const policy of [EXACT, CREDENTIALS]) {
        t.strictSame(lines(corsHeaders(policy, headOf({ fields }))), ['vary: Origin'], name);
        t.strictSame(lines(preflightHeaders(policy, headOf({ fields }))), ['vary: Origin'], name);
      }
    }
  },
);

const ASKS = 'Access-Control-Request-Method: PUT';
const preflights: [name: string, method: string, fields: string[], expected: string | undefined][] = [
  ['a preflight', 'OPTIONS', [`Origin: ${APP}`, ASKS], 'PUT'],
  ['a preflight of an origin that is not allowed', 'OPTIONS', ['Origin: https://b.example', ASKS], 'PUT'],
  ['another method', 'GET', [`Origin: ${APP}`, ASKS], undefined],
  ['a method is spelled exactly', 'options', [`Origin: ${APP}`, ASKS], undefined],
  ['OPTIONS of no browser', 'OPTIONS', [], undefined],
  ['OPTIONS without an origin', 'OPTIONS', [ASKS], undefined],
  ['OPTIONS that asks for nothing', 'OPTIONS', [`Origin: ${APP}`], undefined],
  ['two origins', 'OPTIONS', [`Origin: ${APP}`, `Origin: ${APP}`, ASKS], undefined],
  ['two methods', 'OPTIONS', [`Origin: ${APP}`, ASKS, 'access-control-request-method: GET'], undefined],
];
t.test('which requests are preflights, and what they ask for', async (t) => {
  for (const [name, method, fields, expected] of preflights)
    t.equal(preflightMethod(headOf({ method, fields })), expected, name);
});

t.test('a preflight of an origin that is allowed', async (t) => {
  const response = (policy: CorsPolicy): string[] =>
    lines(preflightHeaders(policy, headOf({ method: 'OPTIONS', fields: [`Origin: ${APP}`, ASKS] })));
  const origin = `access-control-allow-origin: ${APP}`;
  const methods = 'access-control-allow-methods: GET, PUT';
  const headers = 'access-control-allow-headers: authorization, x-a';
  const age = 'access-control-max-age: 600';
  t.strictSame(response(EXACT), [origin, methods, headers, age, 'vary: Origin']);
  t.strictSame(response(CREDENTIALS), [
    ...[origin, 'access-control-allow-credentials: true'],
    ...[methods, headers, age, 'vary: Origin'],
  ]);
  t.strictSame(response(NO_HEADERS), [origin, methods, 'access-control-max-age: 0', 'vary: Origin']);
  t.strictSame(response(ANY), ['access-control-allow-origin: *', methods, headers, age]);
});

t.test('what an upstream says of other origins is replaced, and nothing else', async (t) => {
  const upstream = fieldList([
    ...['Access-Control-Allow-Origin: https://b.example', 'access-control-allow-credentials: true'],
    ...['ACCESS-CONTROL-ALLOW-METHODS: DELETE', 'Access-Control-Allow-Private-Network: true'],
    ...['Access-Control-Max-Age: 9', 'Vary: Accept', 'X-Name: access-control-allow-origin'],
    ...['X-Access-Control-Allow-Origin: a', 'Set-Cookie: a', 'Set-Cookie: b', 'X-Empty:'],
  ]);
  const kept = ['Vary: Accept', 'X-Name: access-control-allow-origin', 'X-Access-Control-Allow-Origin: a'];
  const head = headOf({ fields: [`Origin: ${APP}`] });
  const allowed = withCors(upstream, EXACT, head);
  t.strictSame(lines(allowed).slice(0, 6), [...kept, 'Set-Cookie: a', 'Set-Cookie: b', 'X-Empty: ']);
  t.strictSame(fieldValues(allowed, 'access-control-allow-origin'), [APP]);
  t.strictSame(fieldValues(allowed, 'vary'), ['Accept', 'Origin']);
  for (const name of ['credentials', 'methods', 'private-network'])
    t.strictSame(fieldValues(allowed, `access-control-allow-${name}`), [], name);
  t.strictSame(fieldValues(allowed, 'access-control-max-age'), []);
  const refused = withCors(upstream, EXACT, headOf({ fields: ['Origin: https://b.example'] }));
  t.strictSame(fieldValues(refused, 'access-control-allow-origin'), [], 'not even its own');
});
