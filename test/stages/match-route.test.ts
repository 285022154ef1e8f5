/** Which route serves a request: precedence, hosts, and the path policy. Rules A8, H13; C10, C12, C22, C25, C26. */
import t from 'tap';
import fc from 'fast-check';
import { parseConfiguration } from '../../src/config/load.ts';
import { HeaderTable } from '../../src/http/header-names.ts';
import { readHead, type RequestHead } from '../../src/http/request-head.ts';
import { compilePolicy } from '../../src/assembly/compile-policy.ts';
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
  for (const host of ['good.com.evil', 'xgood.com', 'evil.com', 'good.com.evil.', 'good.co', 'good.com-'])
    t.equal(routed(table, '/a', { host }), 'no_route', host);
  for (const host of ['good.com', 'a.good.com', 'good.com:443', 'good.com.', 'GOOD.com.:80'])
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

const overlong = [
  ...['c0%ae', 'C0%AF', 'c1%9c', 'c0%80', 'c1%a1'],
  ...['e0%80%ae', 'e0%80%af', 'e0%81%9c', 'E0%9F%BF'],
  ...['f0%80%80%ae', 'f0%80%80%af', 'f0%8f%bf%bf', 'f8%80%80%80%af', 'fc%80%80%80%80%ae'],
].map((bytes) => `%${bytes}`);
t.test('C25 overlong UTF-8 is refused on every route, singly and doubly encoded', async (t) => {
  const table = tableOf({
    root: { path_prefix: '/', paths: ['encoded_slash', 'empty_segments', 'double_encoding'] },
  });
  for (const bytes of overlong) {
    for (const text of [
      bytes,
      bytes.replaceAll('%', '%25'),
      bytes.replaceAll('%', '%2525'),
      bytes.replace('%', '%25'),
    ])
      for (const path of [`/${text}`, `/a/${text}${text}/b`, `/a${text}b`, `/a;x=${text}`])
        t.equal(routed(table, path), 'bad_path', path);
  }
  for (const path of ['/%c3%a9', '/%e2%82%ac', '/%f0%9f%98%80', '/%C0', '/%E0/x', '/%c0/%ae', '/%ef%bf%bd'])
    t.equal(routed(table, path), 'root', path);
});

t.test('C26 a path that belongs to another route without its parameters is refused', async (t) => {
  const table = tableOf({
    public: { path_prefix: '/', paths: ['encoded_slash', 'empty_segments', 'double_encoding'] },
    admin: { path_prefix: '/admin' },
    exact: { path: '/a/b' },
    docs: { path_prefix: '/admin/docs' },
  });
  for (const path of [
    '/admin;x=1',
    '/admin;',
    '/admin;x=1;y=2/z',
    '/admin;/docs',
    '/;x/admin',
    '/;x=1;/admin/y',
    '/admin%3Bx=1',
    '/admin%3b',
    '/admin%253Bx',
    '/adm%69n;x',
    '/%61dmin;x/y',
    '/a;x/b',
    '/a/b;x',
    '/a;x/b;y',
    '/a/;x/b',
    '/a;x=%2Fb/b',
    '/admin;x/docs',
    '/admin/docs;x',
    '/admin%3Fx',
    '/admin%23x',
    '/admin%253Fx',
    '/a/b%3F',
  ])
    t.equal(routed(table, path), 'bad_path', path);
  t.equal(routed(table, '/admin/x;v=1'), 'admin');
  t.equal(routed(table, '/admin/x;v=1/docs'), 'admin');
  t.equal(routed(table, '/admin/docs/x%3By'), 'docs');
  t.equal(routed(table, '/x;v=1/y;w'), 'public');
  t.equal(routed(table, '/x%3Fy'), 'public');
  t.equal(routed(tableOf({ admin: { path_prefix: '/admin' } }), '/admin;x'), 'bad_path', 'no catch-all');
  t.equal(routed(tableOf({ admin: { path: '/b' } }), '/admin;x'), 'no_route');
});

t.test(
  'C26 a route whose own path has parameters is reached by it, and no other reading of it is served elsewhere',
  async (t) => {
    const table = tableOf({
      public: { path_prefix: '/', paths: ['empty_segments'] },
      versioned: { path: '/a;v=1' },
      below: { path_prefix: '/p;v=1/q' },
      merged: { path_prefix: '/m//n', paths: ['empty_segments'] },
    });
    t.equal(routed(table, '/a;v=1'), 'versioned');
    t.equal(routed(table, '/p;v=1/q/r'), 'below');
    t.equal(routed(table, '/m//n/o'), 'merged');
    for (const path of [
      '/a',
      '/a;v=2',
      '/a%3Bv=1',
      '/%61;v=1',
      '/p/q',
      '/p/q/r',
      '/p;v=1;/q',
      '/m/n',
      '/m///n',
    ])
      t.equal(routed(table, path), 'bad_path', path);
    t.equal(routed(table, '/a/b'), 'public');
    t.equal(routed(table, '/p'), 'public');
  },
);

t.test('C10 C26 a path with too many layers of encoding is refused, and costs little', async (t) => {
  const table = tableOf({ root: { path_prefix: '/', paths: ['double_encoding', 'encoded_slash'] } });
  t.equal(routed(table, `/a%${'25'.repeat(4_000)}2f`), 'bad_path');
  t.equal(routed(table, `/a;%${'25'.repeat(70)}3b/;%2F%253b;%25252f;/x`), 'bad_path');
  t.equal(routed(table, '/a%2525252fb'), 'root');
});

t.test('C22 every spelling of a guarded host leads to its route', async (t) => {
  const table = tableOf({
    public: { path_prefix: '/' },
    guarded: { hosts: ['API.example.com.', '*.Wild.example.'], path_prefix: '/' },
    address: { hosts: ['10.0.0.1'], path_prefix: '/' },
  });
  for (const host of ['api.example.com', 'API.example.com.', 'api.example.com.:8443', 'a.b.WILD.example.'])
    t.equal(routed(table, '/', { host }), 'guarded', host);
  for (const host of ['10.0.0.1', '10.0.0.1.', '10.0.0.1:80'])
    t.equal(routed(table, '/', { host }), 'address', host);
  for (const host of ['10.1', '0xa.0.0.1', '167772161', 'api%2eexample.com', 'api.example.com..'])
    t.equal(routed(table, '/', { host }), 'bad_host', host);
  t.equal(routed(table, 'http://api.example.com.:80/', { host: 'API.example.com' }), 'guarded');
  t.equal(routed(table, 'http://api.example.com./', { host: 'evil.example' }), 'bad_host');
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
    { numRuns: Number(process.env['FUZZ_RUNS'] ?? 80) },
  );
  t.pass('agreed');
});
