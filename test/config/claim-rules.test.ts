/** Claim rules and path variables in the configuration: what is refused, where, and what is risky. Rules C9, C10. */
import t from 'tap';
import { ConfigurationError, parseConfiguration } from '../../src/config/load.ts';
import type { Configuration } from '../../src/config/schema.ts';
import { configurationWarnings } from '../../src/config/warnings.ts';

const KEY = { issuer: 'https://i', hmac_secret: 's'.repeat(64), algorithms: ['HS256'] };

interface Parts {
  readonly issuer?: object;
  readonly auth?: object;
  readonly match?: object;
  readonly route?: object;
  readonly routes?: readonly object[];
}

function parse({
  issuer = {},
  auth = {},
  match = { path: '/a' },
  route = {},
  routes = [],
}: Parts): Configuration {
  const document = {
    issuers: { i: { ...KEY, ...issuer } },
    routes: [{ name: 'a', match, upstream: 'u', auth, ...route }, ...routes],
    upstreams: { u: { targets: ['http://u:1'] } },
  };
  return parseConfiguration(JSON.stringify(document), 'f', '/tmp', {});
}

/** The problems, each as `path: message`. */
function problemsOf(parts: Parts): string[] {
  try {
    parse(parts);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    return error.problems.map((line) => line.replace(/^f:\d+:\d+: /, ''));
  }
}

const PATH = '/tenants/{tenant}/orders';

t.test('every form of a rule may stand on a route, in an alternative and at an issuer', async (t) => {
  const claims = {
    a: 'x',
    b: 7,
    c: true,
    d: ['x', 7, false],
    e: { equals: '*' },
    f: { equals: ['*', 1] },
    g: { prefix: 'x:' },
    h: { prefix: ['x:', 'y:'] },
    i: { has_key: 'x' },
    j: { has_key: ['x', 'y'] },
    k: { absent: true },
    'urn:zitadel:iam:org:project:roles': { has_key: 'admin' },
  };
  const onRoute = { ...claims, l: { path: 'tenant' } };
  t.strictSame(problemsOf({ issuer: { claims } }), []);
  const any_of = [{ claims: onRoute }, { scopes: ['s'] }, { scopes: { any: ['s'] }, claims: onRoute }];
  t.strictSame(problemsOf({ auth: { claims: onRoute, any_of }, match: { path: PATH } }), []);
});

t.test('what is no rule is refused at its place, and the message lists the forms', async (t) => {
  const wrong: [rule: unknown, words: RegExp][] = [
    [{}, /equals.*prefix.*has_key.*absent.*path/],
    [null, /equals.*prefix.*has_key.*absent.*path/],
    [[null], /equals.*prefix.*has_key.*absent.*path/],
    [{ prefx: 'a' }, /equals.*prefix/],
    [{ prefix: 'a:', has_key: 'b' }, /equals.*prefix/],
    [{ prefix: '' }, /empty/],
    [{ prefix: 7 }, /equals.*prefix/],
    [{ absent: false }, /absent: true/],
    [{ has_key: [] }, /equals.*prefix|empty/],
    [[{ prefix: 'a:' }], /equals.*prefix/],
    [[], /empty/],
    [2 ** 53 + 2, /exactly|equals/],
  ];
  for (const [rule, words] of wrong) {
    const name = JSON.stringify(rule);
    const [onRoute = '', ...more] = problemsOf({ auth: { claims: { c: rule } } });
    t.match(onRoute, /^routes\[0\]\.auth\.claims\.c/, name);
    t.match(onRoute, words, name);
    t.strictSame(more, [], name);
    t.match(problemsOf({ issuer: { claims: { c: rule } } })[0] ?? '', /^issuers\.i\.claims\.c/, name);
    const any_of = [{ claims: { c: rule } }];
    t.match(problemsOf({ auth: { any_of } })[0] ?? '', /^routes\[0\]\.auth\.any_of\[0\]\.claims\.c/, name);
  }
});

t.test('a * in a value is an error that says that it is no wildcard', async (t) => {
  const stars: [rule: unknown, place: string, words: RegExp][] = [
    ['*', '', /no wildcard.*prefix.*\{ equals: "\*" \}/],
    ['acme*', '', /no wildcard.*prefix.*\{ equals: "\*" \}/],
    [['a', 'system:*:x'], '[1]', /no wildcard.*prefix.*\{ equals: "\*" \}/],
    [{ prefix: 'acme:*' }, '.prefix', /no wildcard.*remove/],
    [{ prefix: ['b:', 'acme:*'] }, '.prefix[1]', /no wildcard.*remove/],
    [{ has_key: '*' }, '.has_key', /no wildcard.*name the keys/],
  ];
  for (const [rule, place, words] of stars) {
    for (const [parts, where] of [
      [{ auth: { claims: { c: rule } } }, 'routes[0].auth.claims.c'],
      [{ auth: { any_of: [{ claims: { c: rule } }] } }, 'routes[0].auth.any_of[0].claims.c'],
      [{ issuer: { claims: { c: rule } } }, 'issuers.i.claims.c'],
    ] as const) {
      const problems = problemsOf(parts);
      t.equal(problems.length, 1, where);
      t.ok(problems[0]?.startsWith(`${where}${place}: `), `${where}${place}`);
      t.match(problems[0], words);
    }
  }
});

t.test('C10 a rule may name only a variable of its own route’s path', async (t) => {
  const claims = { c: { path: 'tenant' } };
  const place = /^routes\[0\]\.auth\.claims\.c\.path: /;
  t.strictSame(problemsOf({ auth: { claims }, match: { path_prefix: '/tenants/{tenant}' } }), []);
  for (const match of [{ path: '/tenants' }, { path_prefix: '/tenants' }, {}, { path: '/tenants/{Tenant}' }])
    t.match(problemsOf({ auth: { claims }, match }), [place], JSON.stringify(match));
  t.match(problemsOf({ auth: { any_of: [{ claims }] } }), [/any_of\[0\]\.claims\.c\.path: /]);
  t.match(problemsOf({ issuer: { claims } }), [/^issuers\.i\.claims\.c: /], 'an issuer sees no path');
});

t.test('C9 an empty list of alternatives, and one that asks for nothing, are errors', async (t) => {
  t.match(problemsOf({ auth: { any_of: [] } }), [/^routes\[0\]\.auth\.any_of: .*empty/]);
  for (const way of [
    {},
    { scopes: [] },
    { claims: {} },
    { scopes: [], claims: {} },
    { scopes: { all: [] } },
  ]) {
    const any_of = [{ scopes: ['s'] }, way];
    t.match(problemsOf({ auth: { any_of } }), [/any_of\[1\]: asks for nothing/], JSON.stringify(way));
  }
  t.match(problemsOf({ auth: { any_of: [{ issuers: ['i'], scopes: ['s'] }] } }), [
    /any_of\[0\]\.issuers: unknown/,
  ]);
  t.match(problemsOf({ auth: { mode: 'none', any_of: [{ scopes: ['s'] }] } }), [
    /auth\.any_of: .*mode: none/,
  ]);
});

t.test('C10 a brace that makes no variable is an error with its fix', async (t) => {
  for (const path of [
    '/a{b}',
    '/{a}b',
    '/a/{',
    '/a/}',
    '/a/{}',
    '/{a',
    '/a}',
    '/{{a}}',
    '/{a}{b}',
    '/{a.b}',
    '/{1a}',
    '/{a:int}',
    '/{*a}',
    '/{a...}',
    '/x/{a}/{b',
  ]) {
    t.match(problemsOf({ match: { path } }), [/^routes\[0\]\.match\.path: .*%7B and %7D/], path);
    t.match(problemsOf({ match: { path_prefix: path } }), [/^routes\[0\]\.match\.path_prefix: .*%7B/], path);
  }
  t.strictSame(problemsOf({ match: { path: '/a/%7Bb%7D' } }), []);
  t.match(problemsOf({ match: { path: '/{a}/{a}' } }), [/match\.path: .*twice/]);
});

t.test('C10 C26 what would give a variable several readings is an error', async (t) => {
  for (const allow of [['encoded_slash'], ['empty_segments'], ['double_encoding']])
    t.match(problemsOf({ match: { path: PATH }, route: { paths: { allow } } }), [/paths\.allow: .*exclude/]);
  t.strictSame(problemsOf({ match: { path: PATH }, route: { paths: { allow: [] } } }), []);
  for (const path of ['/a;v=1/{x}', '/a%3Bv/{x}', '/a%2Fb/{x}', '/a//{x}', '/a%2541/{x}', '/a%3Fb/{x}'])
    t.match(problemsOf({ match: { path } }), [/^routes\[0\]\.match\.path: .*refused/], path);
  t.match(problemsOf({ match: { path: '/a/../{x}' } }), [/^routes\[0\]\.match\.path: .*refused/]);
  for (const path of ['/caf%C3%A9/{x}', '/a%20b/{x}', '/{x}/', '/{x}'])
    t.strictSame(problemsOf({ match: { path } }), [], path);
});

t.test('rewrite and logout paths take no variables', async (t) => {
  const match = { path: PATH };
  const rewrite = (changes: object): string[] => problemsOf({ match, route: { rewrite: changes } });
  t.match(rewrite({ strip_prefix: '/tenants/{tenant}' }), [/rewrite\.strip_prefix: .*no variables/]);
  t.match(rewrite({ add_prefix: '/v1/{tenant}' }), [/rewrite\.add_prefix: .*no variables/]);
  t.strictSame(rewrite({ strip_prefix: '/tenants', add_prefix: '/v1' }), []);
  t.match(rewrite({ strip_prefix: '/tenant' }), [/rewrite\.strip_prefix: .*no prefix/]);
  const backchannel_logout = { host: 'a.example', path: '/out/{x}', client_ids: ['c'] };
  t.match(problemsOf({ issuer: { backchannel_logout } }), [/backchannel_logout\.path: .*no variables/]);
});

t.test('templates of one shape tie, whatever their variables are called', async (t) => {
  const tie = (match: object, other: object): boolean =>
    problemsOf({ match, routes: [{ name: 'b', match: other, upstream: 'u' }] }).some((line) =>
      /^routes\[1\]\.match: ties with/.test(line),
    );
  t.equal(tie({ path: '/a/{x}' }, { path: '/a/{y}' }), true);
  t.equal(tie({ path_prefix: '/a/{x}' }, { path_prefix: '/a/{y}/' }), true);
  t.equal(tie({ path: '/caf%C3%A9/{x}' }, { path: '/caf%c3%a9/{y}' }), true);
  t.equal(tie({ path: '/a/{x}', methods: ['GET', 'PUT'] }, { path: '/a/{y}', methods: ['PUT'] }), true);
  t.equal(tie({ path: '/a/{x}', methods: ['GET'] }, { path: '/a/{y}', methods: ['PUT'] }), false);
  t.equal(tie({ path: '/a/{x}', hosts: ['a.example'] }, { path: '/a/{y}' }), false);
  t.equal(tie({ path: '/a/{x}', headers: { v: '1' } }, { path: '/a/{y}' }), false);
  t.equal(tie({ path: '/a/{x}' }, { path_prefix: '/a/{x}' }), false);
  t.equal(tie({ path: '/a/{x}' }, { path: '/a/b' }), false);
  t.equal(tie({ path: '/a/{x}/b' }, { path: '/a/b/{x}' }), false);
  t.equal(tie({ path: '/a/{x}' }, { path: '/a/%7B%7D' }), false);
});

t.test('a template in a YAML flow needs quotes, and the problem says so', async (t) => {
  const text = 'routes: [{ name: a, match: { path: /tenants/{tenant}/orders }, upstream: u }]';
  try {
    parseConfiguration(text, 'f', '/tmp', {});
    t.fail('passed');
  } catch (error) {
    t.match((error as ConfigurationError).problems, [/put quotes around it: "\/tenants\/\{tenant\}"/]);
  }
});

function warningsOf(parts: Parts): string[] {
  return configurationWarnings({ configuration: parse(parts), folder: '/tmp', file: '/nowhere' });
}

t.test('check warns of a route that a client chooses by an identity header', (t) => {
  const warned = (header: string): number =>
    warningsOf({
      match: { path: '/a', headers: { [header]: 'admin' } },
      route: { identity: { headers: { 'X-Roles': 'roles' } } },
    }).filter((line) => line.includes('what the client writes there')).length;
  for (const header of ['X-Roles', 'x_roles', 'x-user-id', 'X.Scopes']) t.equal(warned(header), 1, header);
  for (const header of ['X-Version', 'X-Role']) t.equal(warned(header), 0, header);
  t.end();
});

t.test('check warns of a scope that no token can have', (t) => {
  const warned = (auth: object, issuer: object = {}): number =>
    warningsOf({ auth, issuer }).filter((line) => line.includes('is no scope')).length;
  for (const scope of ['a b', 'a"b', 'a\\b', 'ü', 'a\n', ' ']) {
    t.equal(warned({ scopes: [scope] }), 1, scope);
    t.equal(warned({ scopes: { all: [scope], any: [scope] } }), 2, scope);
    t.equal(warned({ any_of: [{ scopes: [scope] }, { scopes: { any: ['a'] } }] }), 1, scope);
  }
  for (const scope of ['a', 'orders:read', 'https://a.example/read', 'a,b', "a'b", '!#~'])
    t.equal(warned({ scopes: [scope] }), 0, scope);
  t.equal(warned({ scopes: ['Task Reader'] }, { claim_names: { scopes: 'roles' } }), 0, 'of another claim');
  t.end();
});

t.test('check warns of a claim path beside the claim that is meant, wherever it stands', async (t) => {
  const cut = 'https://a.example/roles';
  const warned = (parts: Parts, sign: string): number =>
    warningsOf(parts).filter((line) => line.includes(sign)).length;
  const places = (path: string): Record<string, Parts> => ({
    'auth.claims': { auth: { claims: { [path]: 'a' } } },
    'auth.claims: absent': { auth: { claims: { [path]: { absent: true } } } },
    any_of: { auth: { any_of: [{ claims: { [path]: 'a' } }] } },
    'issuers.i.claims': { issuer: { claims: { [path]: 'a' } } },
    rate_limits: { route: { rate_limits: [{ name: 'l', by: { claim: path }, rate: '1/s' }] } },
  });
  const others = (path: string): Record<string, Parts> => ({
    'identity.headers': { route: { identity: { headers: { 'X-A': path } } } },
    'identity.headers: a list': { route: { identity: { headers: { 'X-A': ['sub', path] } } } },
    $keys: { route: { identity: { headers: { 'X-A': `$keys(${path})` } } } },
    required_claims: { issuer: { required_claims: [path] } },
    claim_names: { issuer: { claim_names: { client: [path] } } },
  });
  for (const [place, parts] of Object.entries({ ...places(cut), ...others(cut) }))
    t.equal(warned(parts, 'is read as 2 levels'), 1, place);
  for (const right of [
    'https://a\\.example/roles',
    'https://a\\.example/x.id',
    'realm_access.roles',
    'urn:a:b',
  ])
    for (const [place, parts] of Object.entries({ ...places(right), ...others(right) }))
      t.equal(warned(parts, 'is read as'), 0, `${place}: ${right}`);
  for (const [place, parts] of Object.entries(places('$subject')))
    t.equal(warned(parts, 'of that very name'), 1, place);
  t.equal(warned({ route: { identity: { headers: { 'X-A': '$subject' } } } }, 'of that very name'), 0);
});

t.test('check warns of a prefix that ends within a word, wherever it stands', async (t) => {
  const open = (prefix: unknown): object => ({ claims: { sub: { prefix } } });
  const count = (parts: Parts, start: RegExp): number =>
    warningsOf(parts).filter((line) => start.test(line) && line.includes('ends in a letter or digit')).length;
  for (const prefix of ['acme', 'acme:1', 'acmé', 'a/b']) {
    t.equal(count({ issuer: open(prefix) }, /^issuers\.i\.claims\.sub: /), 1, prefix);
    t.equal(count({ auth: open(prefix) }, /^routes: a auth\.claims\.sub: /), 1, prefix);
    t.equal(
      count({ auth: { any_of: [open(prefix)] } }, /^routes: a auth\.any_of\[0\]\.claims\.sub: /),
      1,
      prefix,
    );
  }
  t.equal(count({ auth: open(['a:', 'b', 'c']) }, /^routes/), 2);
  for (const prefix of ['acme:', 'acme/', 'acme-', 'acme.', 'acme|'])
    t.equal(count({ issuer: open(prefix), auth: open(prefix) }, /./), 0, prefix);
});

t.test(
  'J2 an issuer without audiences is warned of, unless one of its rules can stand in for them',
  async (t) => {
    const warned = (issuer: object): boolean =>
      warningsOf({ issuer }).some((line) => line.includes('no audiences'));
    t.equal(warned({}), true);
    t.equal(warned({ audiences: ['a'] }), false);
    t.equal(warned({ claims: { client_id: ['my-app'] } }), false);
    t.equal(warned({ claims: { client_id: ['my-app'], token_use: ['access'] } }), false);
    t.equal(warned({ claims: { token_use: ['access'] } }), true);
    t.equal(warned({ claims: { nonce: { absent: true } } }), true);
    t.equal(warned({ claims: { email_verified: [true] } }), true);
  },
);

t.test(
  'C10 check warns if another route serves a tenant’s path with one more / to the same upstream',
  async (t) => {
    const auth = { claims: { tenant: { path: 'tenant' } } };
    const warned = (match: object, ...routes: object[]): boolean =>
      warningsOf({
        auth,
        match,
        routes: routes.map((other, index) => ({ name: `r${index}`, upstream: 'u', ...other })),
      }).some((line) => /^routes: r\d serves .* without the rule of a, /.test(line));
    const exact = { path: PATH };
    const rest = { match: {} };
    t.equal(warned(exact), false);
    t.equal(warned(exact, rest), true);
    t.equal(warned(exact, { match: { path_prefix: '/tenants' } }), true);
    t.equal(warned(exact, { match: { path_prefix: '/tenants/{t}' } }), true);
    t.equal(warned(exact, { match: { path_prefix: '/tenants/{tenant}' }, auth }), false);
    t.equal(warned(exact, rest, { match: { path_prefix: '/tenants/{tenant}' }, auth }), false);
    t.equal(warned(exact, { match: { path_prefix: '/other' } }), false);
    t.equal(warned(exact, { match: { path: '/tenants' } }), false);
    t.equal(warned({ ...exact, hosts: ['a.example'] }, { match: { hosts: ['b.example'] } }), false);
    t.equal(warned({ path_prefix: PATH }, rest), false);
    t.equal(warned({ path: `${PATH}/` }, rest), true);
  },
);
