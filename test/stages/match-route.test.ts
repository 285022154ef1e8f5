/** Which route serves a request: precedence, hosts, and the path policy. Rules A8, H13; C10, C12. */
import t from 'tap';
import fc from 'fast-check';
import { parseConfiguration } from '../../src/config/load.ts';
import { HeaderTable } from '../../src/http/header-names.ts';
import { readHead, type RequestHead } from '../../src/http/request-head.ts';
import { compilePolicy } from '../../src/policy.ts';
import { matchRoute, RouteTable } from '../../src/stages/match-route.ts';

type RouteInput = Record<string, unknown>;

function tableOf(routes: Record<string, RouteInput>): RouteTable {
  const text = JSON.stringify({
    routes: Object.entries(routes).map(([name, { paths, ...match }]) => ({
      name,
      match,
      upstream: 'u',
      auth: { mode: 'none' },
      ...(paths === undefined ? {} : { paths: { allow: paths } }),
    })),
    upstreams: { u: { targets: ['http://u:1'] } },
  });
  return new RouteTable(compilePolicy(parseConfiguration(text, 'f', '/', {})).routes);
}

const headers = new HeaderTable([]);
const limits = { uriBytes: 8192, headerBytes: 16_384, headerCount: 100, bodyBytes: 0 };
function headOf(
  target: string,
  { method = 'GET', host = 'a.example', extra = [] as string[] } = {},
): RequestHead {
  return readHead(
    {
      method,
      target,
      httpVersion: '1.1',
      rawHeaders: ['Host', host, ...extra],
      scheme: 'http',
      bodyFollows: false,
      wantsTunnel: false,
    },
    headers,
    limits,
  );
}

/** The route's name, or the code of the refusal. */
function routed(table: RouteTable, target: string, options?: Parameters<typeof headOf>[1]): string {
  try {
    return matchRoute(table, headOf(target, options)).name;
  } catch (error) {
    return (error as { code: string }).code;
  }
}

t.test('precedence: host, exact path, longer prefix, method, headers, order', async (t) => {
  const table = tableOf({
    root: { path_prefix: '/' },
    orders: { path_prefix: '/orders' },
    item: { path_prefix: '/orders/1' },
    exact: { path: '/orders/1' },
    writes: { path_prefix: '/orders', methods: ['POST'] },
    beta: { path_prefix: '/orders', headers: { 'X-Version': '2' } },
    wild: { hosts: ['*.example.com'], path_prefix: '/orders' },
    near: { hosts: ['*.api.example.com'], path_prefix: '/orders' },
    host: { hosts: ['api.example.com'], path_prefix: '/' },
  });
  const cases: [string, string, Parameters<typeof headOf>[1]?][] = [
    ['/x', 'root'],
    ['/orders', 'orders'],
    ['/orders/', 'orders'],
    ['/orders/2?x=/orders/1', 'orders'],
    ['/ordersX', 'root'],
    ['/orders/1', 'exact'],
    ['/orders/1/', 'item'],
    ['/orders/1/x', 'item'],
    ['/orders/10', 'orders'],
    ['/orders', 'writes', { method: 'POST' }],
    ['/orders', 'beta', { extra: ['x-version', '2'] }],
    ['/orders', 'orders', { extra: ['x-version', '2', 'X-Version', '2'] }],
    ['/orders', 'writes', { method: 'POST', extra: ['x-version', '2'] }],
    ['/orders/1', 'wild', { host: 'shop.example.com' }],
    ['/orders/1', 'wild', { host: 'a.b.example.com:8080' }],
    ['/orders', 'near', { host: 'x.api.example.com' }],
    ['/orders', 'host', { host: 'API.example.COM' }],
    ['/orders', 'orders', { host: 'example.com' }],
    ['/x', 'root', { host: 'shop.example.com' }],
  ];
  for (const [target, expected, options] of cases)
    t.equal(routed(table, target, options), expected, `${target} ${JSON.stringify(options)}`);
});

t.test('C12 hosts that only look alike, A8 and paths that match nothing: no route', async (t) => {
  const table = tableOf({ good: { hosts: ['good.com', '*.good.com'], path_prefix: '/a' } });
  for (const host of ['good.com.evil', 'xgood.com', 'evil.com', 'good.com.', 'good.co'])
    t.equal(routed(table, '/a', { host }), 'no_route', host);
  for (const host of ['good.com', 'a.good.com', 'good.com:443'])
    t.equal(routed(table, '/a', { host }), 'good', host);
  t.equal(routed(table, '/b', { host: 'good.com' }), 'no_route');
});

const always400 = [
  '/.',
  '/..',
  '/a/..',
  '/a/../b',
  '/a/./b',
  '/%2e',
  '/%2e%2e/b',
  '/a/%2E./b',
  '/a/.%2e',
  '/%252e%252e/b',
  '/%25%32%65/b',
  '/a/..;/b',
  '/a/..;x=1/b',
  '/a/.;',
  '/%2e%2e;/b',
  '/a/..%3b/b',
  '/a%2f..%2fb',
  '/a%2f%2e%2e',
  '/a%00',
  '/a%2500',
  '/a%5cb',
  '/a%255cb',
  '/..%5cb',
  '/a%',
  '/a%2',
  '/a%zz',
  '/a%2G',
  '/a\\b',
  '/a\\..\\b',
];
t.test('C10 paths with two readings are refused on every route, whatever it allows', async (t) => {
  const table = tableOf({
    root: { path_prefix: '/', paths: ['encoded_slash', 'empty_segments', 'double_encoding'] },
  });
  for (const path of always400) t.equal(routed(table, path), 'bad_path', path);
});

t.test('C10 what a route may allow is refused where it does not', async (t) => {
  const strict = tableOf({ root: { path_prefix: '/' } });
  const lenient = tableOf({
    root: { path_prefix: '/', paths: ['encoded_slash', 'empty_segments', 'double_encoding'] },
  });
  for (const path of ['/a%2fb', '/a%2Fb', '/a//b', '//a', '/a//', '/a%252fb', '/a%25%32%66b', '/a%2f%2fb']) {
    t.equal(routed(strict, path), 'bad_path', path);
    t.equal(routed(lenient, path), 'root', path);
  }
  const one = tableOf({ root: { path_prefix: '/', paths: ['encoded_slash'] } });
  t.equal(routed(one, '/a%2fb'), 'root');
  t.equal(routed(one, '/a%252fb'), 'bad_path');
  t.equal(routed(one, '/a//b'), 'bad_path');
});

t.test('C10 a path whose other reading is another route’s is refused', async (t) => {
  const table = tableOf({
    public: { path_prefix: '/', paths: ['encoded_slash', 'empty_segments', 'double_encoding'] },
    admin: { path_prefix: '/admin' },
    accented: { path_prefix: '/caf%C3%A9' },
  });
  for (const path of [
    '/%61dmin',
    '/%61dmin/x',
    '/%2561dmin',
    '/x/..%2fadmin',
    '//admin',
    '/%2fadmin',
    '/adm%69n',
    '/%252fadmin',
  ]) {
    t.equal(routed(table, path), 'bad_path', path);
  }
  t.equal(routed(table, '/admin'), 'admin');
  t.equal(routed(table, '/admin%20x'), 'public');
  t.equal(routed(table, '/admin/%61'), 'admin');
  t.equal(routed(table, '/caf%C3%A9/x'), 'accented', 'a route may itself be written with escapes');
});

t.test('ordinary paths pass as they are', async (t) => {
  const table = tableOf({ root: { path_prefix: '/' } });
  for (const path of [
    '/',
    '/a',
    '/a/',
    '/a;v=1/b',
    '/a.b',
    '/.well-known/x',
    '/...',
    '/a..b',
    '/..a',
    '/~u',
    '/%E2%82%AC',
    '/100%25',
    '/a%2520b',
    '/a=b&c',
    "/:@!$&'()*+,",
    '/a?../..',
    '/a?%',
    '/a?x//y',
  ]) {
    t.equal(routed(table, path), 'root', path);
  }
});

t.test('a look-up finds what a plain reading of the rules finds (property)', async (t) => {
  const segment = fc.constantFrom('a', 'b', 'ab', 'c');
  const path = fc.array(segment, { maxLength: 4 }).map((parts) => `/${parts.join('/')}`);
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.tuple(fc.boolean(), path), { minLength: 1, maxLength: 12, selector: String }),
      path,
      (routes, target) => {
        const table = tableOf(
          Object.fromEntries(
            routes.map(([exact, value], index) => [
              `r${index}`,
              exact ? { path: value } : { path_prefix: value },
            ]),
          ),
        );
        const matching = routes
          .map(([exact, value], index) => ({ exact, value, name: `r${index}` }))
          .filter(({ exact, value }) =>
            exact ? target === value : value === '/' || target === value || target.startsWith(`${value}/`),
          )
          .sort((x, y) => Number(y.exact) - Number(x.exact) || y.value.length - x.value.length);
        return routed(table, target) === (matching[0]?.name ?? 'no_route');
      },
    ),
    { numRuns: 300 },
  );
  t.pass('agreed');
});
