/** Paths with variables: which route serves a request, and which spellings of it are refused. Rules A8, C10, C25, C26. */
import t from 'tap';
import fc from 'fast-check';
import { compilePolicy } from '../../src/assembly/compile-policy.ts';
import { parseConfiguration } from '../../src/config/load.ts';
import { matchRoute, RouteTable } from '../../src/stages/match-route.ts';
import { headOf } from '../support/heads.ts';

function tableOf(routes: Record<string, Record<string, unknown>>): RouteTable {
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

/** The route's name, or the code of the refusal. */
function routed(
  table: RouteTable,
  target: string,
  { method = 'GET', host = 'a.example', fields = [] as string[] } = {},
): string {
  try {
    return matchRoute(table, headOf({ target, method, host, fields })).name;
  } catch (error) {
    return (error as { code: string }).code;
  }
}

t.test(
  'precedence: exact, then variable, then prefix; the leftmost literal, the longer prefix',
  async (t) => {
    const table = tableOf({
      root: { path_prefix: '/' },
      tenants: { path_prefix: '/tenants' },
      tenant: { path_prefix: '/tenants/{tenant}' },
      orders: { path: '/tenants/{tenant}/orders' },
      writes: { path: '/tenants/{t}/orders', methods: ['POST'] },
      beta: { path: '/tenants/{t}/orders', headers: { 'x-version': '2' } },
      order: { path: '/tenants/{tenant}/orders/{order}' },
      below: { path_prefix: '/tenants/{tenant}/orders/{order}' },
      exact: { path: '/tenants/acme/orders' },
      acme: { path_prefix: '/tenants/acme' },
      mine: { path: '/tenants/me/{what}' },
      hosted: { hosts: ['b.example'], path_prefix: '/{any}' },
      wild: { hosts: ['*.b.example'], path: '/{any}' },
    });
    const cases: [string, string, Parameters<typeof routed>[2]?][] = [
      ['/', 'root'],
      ['/x', 'root'],
      ['/tenants', 'tenants'],
      ['/tenants/', 'tenants'],
      ['/tenantsX/y', 'root'],
      ['/tenants/globex', 'tenant'],
      ['/tenants/globex/', 'tenant'],
      ['/tenants/globex/x/y', 'tenant'],
      ['/tenants/globex/orders', 'orders'],
      ['/tenants/globex/orders?x=/tenants/acme', 'orders'],
      ['/tenants/{tenant}/orders', 'orders'],
      ['/tenants/globex/orders', 'writes', { method: 'POST' }],
      ['/tenants/globex/orders', 'beta', { fields: ['X-Version: 2'] }],
      ['/tenants/globex/orders/', 'tenant'],
      ['/tenants/globex/orders/1', 'order'],
      ['/tenants/globex/orders/1/', 'below'],
      ['/tenants/globex/orders/1/x', 'below'],
      ['/tenants/acme/orders', 'exact'],
      ['/tenants/acme/orders/1', 'order'],
      ['/tenants/acme/x', 'acme'],
      ['/tenants/acme', 'acme'],
      ['/tenants/acme/orders/1/x', 'below'],
      ['/tenants/Acme', 'tenant'],
      ['/tenants/me/orders', 'mine'],
      ['/tenants/me/x', 'mine'],
      ['/x/y', 'hosted', { host: 'b.example' }],
      ['/', 'root', { host: 'b.example' }],
      ['/x', 'wild', { host: 'c.b.example' }],
      ['/x/y', 'root', { host: 'c.b.example' }],
    ];
    for (const [target, name, options] of cases) t.equal(routed(table, target, options), name, target);
  },
);

t.test('a variable is one segment that is not empty', async (t) => {
  const table = tableOf({
    one: { path: '/a/{x}' },
    two: { path: '/a/{x}/b/' },
    three: { path_prefix: '/p/{x}' },
  });
  for (const path of ['/a', '/a/', '/a/b/c', '/ab', '/A/x', '/p', '/p/', '/x/a/b', '/a/1/b'])
    t.equal(routed(table, path), 'no_route', path);
  t.equal(routed(table, '/a/b'), 'one');
  t.equal(routed(table, '/a/1/b/'), 'two');
  t.equal(routed(table, '/p/1/'), 'three');
  t.equal(routed(tableOf({ one: { path: '/a/{x}/c' } }), '/a//c'), 'bad_path');
});

t.test('a method that the more specific template lacks is served by the next', async (t) => {
  const table = tableOf({
    post: { path: '/a/b/{x}', methods: ['POST'] },
    any: { path: '/a/{x}/c' },
    prefix: { path_prefix: '/a/b' },
    deep: { path_prefix: '/a/{x}/c', methods: ['PUT'] },
  });
  t.equal(routed(table, '/a/b/c', { method: 'POST' }), 'post');
  t.equal(routed(table, '/a/b/c'), 'any');
  t.equal(routed(table, '/a/b/d'), 'prefix');
  t.equal(routed(table, '/a/b/c/d'), 'prefix');
  t.equal(routed(table, '/a/b/c/d', { method: 'PUT' }), 'deep');
});

const lenient = ['encoded_slash', 'empty_segments', 'double_encoding'];

t.test('C10 C26 spellings of a path with variables that have a second reading are refused', async (t) => {
  const routes = {
    orders: { path: '/tenants/{tenant}/orders' },
    files: { path_prefix: '/files/{tenant}' },
    user: { path: '/users/{user}' },
  };
  t.equal(routed(tableOf(routes), '/tenants//orders'), 'bad_path', 'an empty variable');
  const tables = [tableOf(routes), tableOf({ ...routes, root: { path_prefix: '/', paths: lenient } })];
  for (const table of tables) {
    for (const path of [
      '/tenants/acme;x/orders',
      '/tenants/acme/orders;x',
      '/tenants;x/acme/orders',
      '/tenants/;acme/orders',
      '/tenants/acme%3Bx/orders',
      '/tenants/acme%3bx/orders',
      '/tenants/acme%2Fx/orders',
      '/tenants/acme%2forders',
      '/tenants%2Facme/orders',
      '//tenants/acme/orders',
      '/tenants//acme/orders',
      '/tenants/acme//orders',
      '/tenants/x/../acme/orders',
      '/tenants/%2e%2e/orders',
      '/tenants/../orders',
      '/tenants/./orders',
      '/tenants/.;/orders',
      '/tenants/%2E/orders',
      '/tenants/acme%5C/orders',
      '/tenants/acme%00/orders',
      '/tenants/acm%2565/orders',
      '/tenants/acme%252f/orders',
      '/tenants/acme%25%32%46x/orders',
      '/tenants/acme%3Fx/orders',
      '/tenants/acme%23x/orders',
      '/tenants/acme%c0%ae/orders',
      '/%74enants/acme/orders',
      '/tenants/acme/order%73',
      '/files/acme%3Fx',
      '/files/acme%23x',
      '/files/acme%253Fx',
      '/files/acme%3Bx/y',
      '/files/acme;x/y',
      '/files/acme/y;x',
      '/files/acme/a%2Fb',
      '/files/acme//b',
      '/files/acm%2565/y',
      '/users/alice%3Fx',
      '/users/alice%23x',
      '/users/alice%2561',
      '/users/alice;x',
    ])
      t.equal(routed(table, path), 'bad_path', path);
    t.equal(routed(table, '/tenants/a%20b/orders'), 'orders');
    t.equal(routed(table, '/tenants/acm%65/orders'), 'orders', 'a rule compares its bytes');
    t.equal(routed(table, '/tenants/100%25/orders'), 'orders');
    t.equal(routed(table, '/tenants/%7Btenant%7D/orders'), 'orders');
    t.equal(routed(table, '/files/acme/a%3Fb'), 'files', 'beyond the variable');
    t.equal(routed(table, '/files/acme/%C3%BC'), 'files');
  }
});

t.test('C10 a spelling that leads from one route of two to the other is refused', async (t) => {
  const table = tableOf({
    acme: { path: '/tenants/acme/orders' },
    orders: { path: '/tenants/{tenant}/orders' },
    accented: { path: '/caf%C3%A9/{table}' },
    root: { path_prefix: '/', paths: lenient },
  });
  for (const path of ['/tenants/acm%65/orders', '/tenants/%61cme/orders', '/caf%c3%A9/1', '/%63af%C3%A9/1'])
    t.equal(routed(table, path), 'bad_path', path);
  t.equal(routed(table, '/tenants/glob%65x/orders'), 'orders');
  t.equal(routed(table, '/caf%C3%A9/1'), 'accented');
  t.equal(routed(table, '/caf%C3%A9/1/2'), 'root');
});

t.test('braces in a literal route path are characters, and no variable', async (t) => {
  const table = tableOf({ literal: { path: '/a/%7Bx%7D' }, root: { path_prefix: '/' } });
  t.equal(routed(table, '/a/%7Bx%7D'), 'literal');
  t.equal(routed(table, '/a/{x}'), 'bad_path', 'another spelling of it');
  t.equal(routed(table, '/a/b'), 'root');
});

t.test('a look-up finds what a plain reading of the rules finds (property)', async (t) => {
  const literal = fc.constantFrom('a', 'b', 'ab');
  const segment = fc.oneof(literal, fc.constantFrom('{x}', '{y}', '{z}'));
  const path = fc.array(segment, { maxLength: 4 });
  const shape = ([exact, parts]: [boolean, string[]]): string =>
    `${exact} ${parts.map((part) => part.replace(/\{.\}/, '{}')).join('/')}`;
  const fits = (parts: readonly string[], target: readonly string[]): boolean =>
    parts.every(
      (part, index) => target[index] !== undefined && (part.startsWith('{') || part === target[index]),
    );
  const rank = (parts: readonly string[]): string =>
    parts.map((part) => (part.startsWith('{') ? '1' : '0')).join('');
  let matched = 0;
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.tuple(fc.boolean(), path), { minLength: 1, maxLength: 12, selector: shape }),
      fc.array(fc.constantFrom('a', 'b', 'ab', 'c'), { maxLength: 5 }),
      (given, target) => {
        const routes = given.filter(
          ([, parts]) =>
            new Set(parts.filter((p) => p.startsWith('{'))).size ===
            parts.filter((p) => p.startsWith('{')).length,
        );
        if (routes.length === 0) return true;
        const table = tableOf(
          Object.fromEntries(
            routes.map(([exact, parts], index) => {
              const text = `/${parts.join('/')}`;
              return [`r${index}`, exact ? { path: text } : { path_prefix: text }];
            }),
          ),
        );
        const matching = routes
          .map(([exact, parts], index) => ({ exact, parts, name: `r${index}` }))
          .filter(({ exact, parts }) => fits(parts, target) && (!exact || parts.length === target.length))
          .sort(
            (one, other) =>
              Number(other.exact) - Number(one.exact) ||
              other.parts.length - one.parts.length ||
              rank(one.parts).localeCompare(rank(other.parts)),
          );
        if (matching.length > 0) matched++;
        return routed(table, `/${target.join('/')}`) === (matching[0]?.name ?? 'no_route');
      },
    ),
    {
      numRuns: Number(process.env['FUZZ_RUNS'] ?? 120),
      // Whatever the seed, some paths have a route.
      examples: [
        [[[true, ['a', '{x}']]], ['a', 'c']],
        [
          [
            [false, ['{x}']],
            [false, ['a']],
          ],
          ['a', 'b'],
        ],
      ],
    },
  );
  t.ok(matched > 0, `${matched} matched`);
});

t.test('a path of many segments costs no more than the configured templates', async (t) => {
  const table = tableOf({
    deep: { path: `/${Array.from({ length: 40 }, (_, index) => `{v${index}}`).join('/')}` },
    other: { path: `/${'a/'.repeat(39)}{x}/b` },
  });
  t.equal(routed(table, `/${'a/'.repeat(3_000)}`), 'no_route');
  t.equal(routed(table, `/${'a/'.repeat(39)}a`), 'deep');
});
