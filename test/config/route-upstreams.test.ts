/** A route's list of upstreams in the configuration: what is refused, where, and what is risky. */
import t from 'tap';
import { upstreamText } from '../../src/config/describe-route.ts';
import { ConfigurationError, parseConfiguration } from '../../src/config/load.ts';
import type { Configuration } from '../../src/config/schema.ts';
import { configurationWarnings } from '../../src/config/warnings.ts';

const KEY = { issuer: 'https://i', hmac_secret: 's'.repeat(64), algorithms: ['HS256'] };

interface Parts {
  readonly upstream: unknown;
  readonly route?: object;
  readonly document?: object;
}

function parse({ upstream, route = {}, document = {} }: Parts): Configuration {
  const text = JSON.stringify({
    issuers: { i: KEY },
    routes: [{ name: 'r', match: { path_prefix: '/t/{tenant}' }, upstream, ...route }],
    upstreams: {
      orders: { targets: ['http://o:1'] },
      'orders-next': { targets: ['http://n:1'] },
      'orders-h2': { targets: ['h2c://h:1'] },
    },
    ...document,
  });
  return parseConfiguration(text, 'f', '/tmp', {});
}

/** The problems, each as `path: message`. */
function problemsOf(parts: Parts): string[] {
  try {
    parse(parts);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    return error.problems.map((line) => line.replace(/^f:\d+:\d+: /, '').replace('routes[0].', ''));
  }
}

const orders = { name: 'orders' };
const stable = { name: 'orders', weight: 95 };
const canary = { name: 'orders-next', weight: 5 };
const beta = { name: 'orders-next', claims: { beta: true } };
const sticky = { sticky: 'subject' };
const NONE = { auth: { mode: 'none' } };

t.test('a name, weights, claims and both are accepted', async (t) => {
  const good: Parts[] = [
    { upstream: 'orders' },
    { upstream: [orders] },
    { upstream: [stable, canary] },
    { upstream: [stable, canary], route: sticky },
    { upstream: [stable, canary], route: NONE },
    { upstream: [stable, { ...canary, weight: 0 }], route: sticky },
    { upstream: [beta, orders] },
    { upstream: [beta, stable, canary], route: { ...sticky, auth: { mode: 'optional' } } },
    { upstream: [{ ...beta, weight: 0 }, orders] },
    { upstream: [{ ...beta, claims: { tenant: { path: 'tenant' } } }, orders] },
    { upstream: [{ ...beta, weight: 0 }, beta, orders] },
  ];
  for (const parts of good) t.strictSame(problemsOf(parts), [], JSON.stringify(parts));
});

const bad: [name: string, parts: Parts, problems: RegExp[]][] = [
  ['nothing', { upstream: [] }, [/^upstream: is empty/]],
  ['a list of names', { upstream: ['orders'] }, [/^upstream\[0\]: .*\{ name, weight \}/]],
  ['a number', { upstream: 7 }, [/^upstream: .*name of an upstream, or a list/]],
  ['a mapping', { upstream: stable }, [/^upstream: .*name of an upstream, or a list/]],
  ['no name', { upstream: [{ weight: 1 }] }, [/^upstream\[0\]\.name: is missing/]],
  [
    'another key',
    { upstream: [{ ...orders, wieght: 5 }] },
    [/^upstream\[0\]\.wieght: .*did you mean weight\?/],
  ],
  ['a share of a request', { upstream: [{ ...stable, weight: 0.5 }] }, [/^upstream\[0\]\.weight: .*whole/]],
  ['a debt', { upstream: [{ ...stable, weight: -1 }] }, [/^upstream\[0\]\.weight: /]],
  ['a share in per cent', { upstream: [{ ...stable, weight: '5%' }] }, [/^upstream\[0\]\.weight: .*whole/]],
  ['a huge share', { upstream: [{ ...stable, weight: 1e9 }] }, [/^upstream\[0\]\.weight: .*1000000/]],
  [
    'a name that is not there, and how it is spelled',
    { upstream: [stable, { ...canary, name: 'orders-nxt' }] },
    [/^upstream\[1\]\.name: .*not in upstreams.*did you mean orders-next\?/],
  ],
  [
    'what is no rule',
    { upstream: [{ ...beta, claims: { a: { prefx: 'x' } } }, orders] },
    [/^upstream\[0\]\.claims\.a: .*prefix/],
  ],
  [
    'a wildcard',
    { upstream: [{ ...beta, claims: { a: 'x*' } }, orders] },
    [/^upstream\[0\]\.claims\.a: .*wildcard/],
  ],
  [
    'a variable that the path does not have',
    { upstream: [{ ...beta, claims: { a: { path: 'org' } } }, orders] },
    [/^upstream\[0\]\.claims\.a\.path: .*no variable/],
  ],
  [
    'no claims to fit',
    { upstream: [{ ...beta, claims: {} }, orders] },
    [/^upstream\[0\]\.claims: asks for nothing/],
  ],
  [
    'a share of those who fit',
    { upstream: [{ ...beta, weight: 50 }, orders] },
    [/^upstream\[0\]\.weight: .*beside claims/],
  ],
  ['no upstream for the others', { upstream: [beta] }, [/^upstream: .*add an entry without claims/]],
  ['claims after the others', { upstream: [orders, beta] }, [/^upstream\[1\]: .*upstream\[0\].*first/]],
  [
    'the same claims twice',
    { upstream: [beta, { ...beta, name: 'orders' }, orders] },
    [/^upstream\[1\]: is never reached.*\[0\]/],
  ],
  [
    'more claims after fewer',
    { upstream: [beta, { ...beta, claims: { a: 1, beta: true } }, orders] },
    [/^upstream\[1\]: is never reached.*\[0\]/],
  ],
  ['a weight for one only', { upstream: [orders, canary] }, [/^upstream\[0\]: has no weight/]],
  [
    'no weight at all',
    { upstream: [orders, { name: 'orders-next' }] },
    [/^upstream\[0\]: has no weight/, /^upstream\[1\]: has no weight/],
  ],
  [
    'all out',
    {
      upstream: [
        { ...stable, weight: 0 },
        { ...canary, weight: 0 },
      ],
    },
    [/^upstream\[1\]\.weight: .*0; give/],
  ],
  ['the only one out', { upstream: [{ ...stable, weight: 0 }] }, [/^upstream\[0\]\.weight: .*0; give/]],
  ['one twice', { upstream: [stable, { ...stable, weight: 5 }] }, [/^upstream\[1\]\.name: .*\[0\] too/]],
  [
    'claims where none are known',
    { upstream: [beta, orders], route: NONE },
    [/^upstream\[0\]\.claims: .*mode: none/],
  ],
  [
    'a subject where none is known',
    { upstream: [stable, canary], route: { ...sticky, ...NONE } },
    [/^sticky: .*mode: none/],
  ],
  ['nothing to be sticky to', { upstream: 'orders', route: sticky }, [/^sticky: .*by weight/]],
  ['only claims to be sticky to', { upstream: [beta, orders], route: sticky }, [/^sticky: .*by weight/]],
  [
    'another kind of sticky',
    { upstream: [stable, canary], route: { sticky: 'cookie' } },
    [/^sticky: must be subject/],
  ],
  [
    'WebSocket, with HTTP/2 behind one entry',
    { upstream: [stable, { ...canary, name: 'orders-h2' }], route: { upgrade: ['websocket'] } },
    [/^upgrade: the upstream orders-h2 .*HTTP\/2/],
  ],
];
t.test('what is no choice is refused at its place', async (t) => {
  for (const [name, parts, expected] of bad) {
    const problems = problemsOf(parts);
    t.equal(problems.length, expected.length, `${name}: ${problems.join(' | ')}`);
    for (const [index, pattern] of expected.entries()) t.match(problems[index], pattern, name);
  }
});

t.test('a weight may come from the environment, and a bad one is told at its place', async (t) => {
  const document = `
routes:
  - name: r
    match: { path: /a }
    upstream:
      - name: orders
        weight: \${STABLE}
      - name: next
        weight: \${CANARY}
    auth: { mode: none }
upstreams: { orders: { targets: [http://o:1] }, next: { targets: [http://n:1] } }
`;
  const [route] = parseConfiguration(document, 'f', '/tmp', { STABLE: '90', CANARY: '10' }).routes;
  t.strictSame(route?.upstream, [
    { name: 'orders', weight: 90 },
    { name: 'next', weight: 10 },
  ]);
  try {
    parseConfiguration(document, 'f', '/tmp', { STABLE: '90', CANARY: 'ten' });
    t.fail('it is refused');
  } catch (error) {
    t.match((error as ConfigurationError).problems, [/^f:9:17: routes\[0\]\.upstream\[1\]\.weight: /]);
  }
});

const warningsOf = (parts: Parts): string[] =>
  configurationWarnings({ configuration: parse(parts), folder: '/tmp', file: 'f' }).filter((line) =>
    line.startsWith('routes: r '),
  );

t.test('the warnings about claim rules hold for these, too', async (t) => {
  const open = { name: 'orders-next', claims: { sub: { prefix: 'beta' } } };
  t.match(warningsOf({ upstream: [open, orders] }), [
    /^routes: r upstream\[0\]\.claims\.sub: the prefix "beta"/,
  ]);
  const many = {
    issuer: 'https://login.example/{tenant}/v2',
    tenants: 'any',
    claim_names: { tenant: 'tid' },
    claims: { azp: 'app' },
    audiences: ['a'],
    discovery: true,
  };
  const named = { name: 'orders-next', claims: { email: 'a@b.example' } };
  t.match(warningsOf({ upstream: [named, orders], document: { issuers: { many } } }), [
    /^routes: r upstream\[0\]\.claims\.email: .*tenants: any/,
  ]);
});

t.test('a list that no listener uses is told', async (t) => {
  const decisions = { port: 8090, serve: 'decisions', dialect: 'request', trusted_peers: ['127.0.0.1'] };
  const listeners = [decisions, { port: 8091, serve: 'redirect' }];
  t.match(warningsOf({ upstream: [stable, canary], document: { listeners } }), [/no listener forwards/]);
  t.strictSame(warningsOf({ upstream: 'orders', document: { listeners } }), []);
  const forwarding = [...listeners, { port: 8080 }];
  t.strictSame(warningsOf({ upstream: [stable, canary], document: { listeners: forwarding } }), []);
});

t.test('a list in one line, for people', async (t) => {
  const rows: [parts: Parts, text: string][] = [
    [{ upstream: 'orders' }, 'orders'],
    [{ upstream: [stable, canary] }, 'orders 95 %, orders-next 5 %'],
    [
      {
        upstream: [
          { ...stable, weight: 2 },
          { ...canary, weight: 1 },
        ],
      },
      'orders 66.7 %, orders-next 33.3 %',
    ],
    [{ upstream: [stable, canary], route: sticky }, 'orders 95 %, orders-next 5 %, sticky'],
    [{ upstream: [beta, orders] }, 'orders-next if beta in true; orders'],
    [{ upstream: [stable, { ...canary, weight: 0 }] }, 'orders 100 %, orders-next 0 %'],
  ];
  for (const [parts, text] of rows) {
    const [route] = parse(parts).routes;
    t.equal(route && upstreamText(route), text);
  }
});
