/** Limits in the configuration: what is refused, where, with which remedy, and what is risky. */
import t from 'tap';
import { ConfigurationError, parseConfiguration } from '../../src/config/load.ts';
import type { Configuration } from '../../src/config/schema.ts';
import { configurationWarnings } from '../../src/config/warnings.ts';
import { loginIssuer } from '../support/gateway.ts';
import { createKey } from '../support/tokens.ts';

type Limit = Record<string, unknown>;
const LOGIN = loginIssuer(createKey());
const good: Limit = { name: 'calls', by: 'subject', rate: '100/1m' };

interface Parts {
  readonly global?: readonly unknown[];
  readonly a?: readonly unknown[];
  readonly b?: readonly unknown[];
  readonly auth?: object;
  readonly more?: Record<string, unknown>;
}

function parse({ global = [], a = [], b = [], auth = {}, more = {} }: Parts): Configuration {
  const document = {
    issuers: { login: LOGIN },
    rate_limits: global,
    routes: [
      { name: 'a', match: { path: '/a' }, upstream: 'u', auth, rate_limits: a },
      { name: 'b', match: { path: '/b' }, upstream: 'u', rate_limits: b },
    ],
    upstreams: { u: { targets: ['http://u:1'] } },
    ...more,
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

t.test('a rate is a number in a time, and the burst is that number where nothing else is said', async (t) => {
  const rates: [text: string, count: number, windowMs: number][] = [
    ['100/1m', 100, 60_000],
    ['100/m', 100, 60_000],
    ['1/s', 1, 1_000],
    ['5000/h', 5_000, 3_600_000],
    ['30/90s', 30, 90_000],
    ['10/7d', 10, 604_800_000],
  ];
  for (const [rate, count, windowMs] of rates)
    t.match(parse({ a: [{ ...good, rate }] }).routes[0]?.rate_limits, [
      { rate: { count, windowMs }, burst: undefined, scope: 'fleet', report_only: false },
    ]);
});

const RATE = 'must be a number of requests in a time, both 1 or more, such as 100/1m or 10/s; change it';
const problems: [name: string, limit: Limit, key: string, message: string][] = [
  ...['100', '100/', '/1m', '100/1', '100 / 1m', '-1/s', '1.5/s', '100/1x', '0/1m', '1/0s', '1e3/s'].map(
    (rate): [string, Limit, string, string] => [`rate ${rate}`, { rate }, '.rate', RATE],
  ),
  [
    'a rate that is a number',
    { rate: 100 },
    '.rate',
    'must be a number of requests in a time, such as 100/1m or 10/s; change it',
  ],
  [
    'no rate',
    { rate: undefined },
    '.rate',
    'is missing (must be a number of requests in a time, such as 100/1m or 10/s); add it',
  ],
  [
    'a rate that no gateway reaches',
    { rate: '999999999/1s' },
    '.rate',
    'must be at most 100000 requests a second; lower it',
  ],
  ['burst 0', { burst: 0 }, '.burst', 'must be a whole number, 1 or more; change it'],
  ['burst 1.5', { burst: 1.5 }, '.burst', 'must be a whole number, 1 or more; change it'],
  ['an absurd burst', { burst: 1e15 }, '.burst', 'must be 1000000000 or less; change it'],
  [
    'a burst that takes years to come back',
    { rate: '1/d', burst: 1000 },
    '.burst',
    'must be what the rate gives in 31 days, or less; lower it, or the time of the rate',
  ],
  [
    'a time of years',
    { rate: '1/99999d' },
    '.burst',
    'must be what the rate gives in 31 days, or less; lower it, or the time of the rate',
  ],
  [
    'another by',
    { by: 'cookie' },
    '.by',
    'must be subject, client, tenant, issuer, ip, or { claim: PATH }; change it',
  ],
  [
    'no by',
    { by: undefined },
    '.by',
    'is missing (must be subject, client, tenant, issuer, ip, or { claim: PATH }); add it',
  ],
  [
    'a path that is none',
    { by: { claim: 'a..b' } },
    '.by.claim',
    'is no claim path; write names joined by dots, with "\\." for a dot in a name',
  ],
  ['another scope', { scope: 'host' }, '.scope', 'must be fleet or gateway; change it'],
  [
    'a name that is no label',
    { name: 'a b' },
    '.name',
    'must be 1 to 64 of A-Z a-z 0-9 . _ - and begin with a letter or digit; change it',
  ],
  [
    'a name that is taken',
    { name: 'failed_authentications' },
    '.name',
    'is how metrics name limits.failed_authentications; choose another name',
  ],
  ['a key that is none', { bursts: 1 }, '.bursts', 'unknown key; did you mean burst?'],
  ['two letters the wrong way round', { burts: 1 }, '.burts', 'unknown key; did you mean burst?'],
];
t.test('each mistake is told once, at its place, with one remedy', async (t) => {
  for (const [name, changes, key, message] of problems)
    for (const [parts, place] of [
      [{ a: [{ ...good, ...changes }] }, 'routes[0].rate_limits[0]'],
      [{ global: [{ ...good, ...changes }] }, 'rate_limits[0]'],
    ] as const)
      t.strictSame(problemsOf(parts), [`${place}${key}: ${message}`], `${name}: ${place}`);
});

t.test('one name is one limit', async (t) => {
  t.strictSame(
    problemsOf({ a: [good], b: [{ ...good, rate: '100/60s', burst: 100 }] }),
    [],
    'the same, in other words',
  );
  const other =
    'routes[1].rate_limits[0].name: is defined otherwise at routes[0].rate_limits[0]; make both the same, or rename one';
  for (const changes of [
    { rate: '99/1m' },
    { by: 'client' },
    { burst: 5 },
    { scope: 'gateway' },
    { report_only: true },
  ])
    t.strictSame(problemsOf({ a: [good], b: [{ ...good, ...changes }] }), [other], JSON.stringify(changes));
  t.strictSame(problemsOf({ a: [good, good] }), [
    'routes[0].rate_limits[1].name: is the name of another limit of this list; rename one',
  ]);
  t.strictSame(problemsOf({ global: [good], b: [good] }), [
    'routes[1].rate_limits[0].name: is the name of a limit of all routes, which counts here already; rename or remove it',
  ]);
});

t.test('a route that examines no token counts no callers by it', async (t) => {
  const auth = { mode: 'none' };
  t.strictSame(problemsOf({ a: [good], auth }), [
    'routes[0].rate_limits[0].by: counts callers by their tokens, which a route with auth.mode: none does not look at; write by: ip',
  ]);
  t.strictSame(problemsOf({ a: [{ ...good, by: 'ip' }], auth }), []);
  t.strictSame(problemsOf({ global: [good], auth }), [], 'a limit of all routes may well meet such a route');
});

t.test('the limit of refused credentials is checked alike', async (t) => {
  const of = (failed_authentications: unknown): string[] =>
    problemsOf({ more: { limits: { failed_authentications } } });
  t.strictSame(of({ rate: '30/1m' }), []);
  t.strictSame(of({ rate: '0/1m' }), [`limits.failed_authentications.rate: ${RATE}`]);
  t.strictSame(of({ rate: '1/d', burst: 1000 }), [
    'limits.failed_authentications.burst: must be what the rate gives in 31 days, or less; lower it, or the time of the rate',
  ]);
});

t.test('what is risky', async (t) => {
  const warningsOf = (parts: Parts): string[] =>
    configurationWarnings({ configuration: parse(parts), folder: '/tmp', file: 'f' }).filter((text) =>
      /limit|failed_auth/.test(text),
    );
  const ip = { ...good, by: 'ip' };
  const remedy =
    'and trusted_proxies is empty: behind a proxy all clients share its address; name the proxies, or 127.0.0.1 where there are none';
  t.strictSame(warningsOf({ a: [ip] }), [`routes: a: the limit calls counts by ip, ${remedy}`]);
  t.strictSame(warningsOf({ global: [ip] }), [`rate_limits: the limit calls counts by ip, ${remedy}`]);
  const failures = { limits: { failed_authentications: { rate: '30/1m' } } };
  t.strictSame(warningsOf({ more: failures }), [
    `limits.failed_authentications: counts by address, ${remedy}`,
  ]);
  const trusted = { ...failures, trusted_proxies: ['10.0.0.0/8'] };
  t.strictSame(warningsOf({ global: [ip], more: trusted }), []);
  const decisions = {
    listeners: [{ port: 1, serve: 'decisions', dialect: 'original', trusted_peers: ['127.0.0.1'] }],
  };
  t.strictSame(warningsOf({ global: [ip], more: decisions }), [], 'the proxy that asks tells the address');
  t.strictSame(warningsOf({ a: [{ ...good, by: 'tenant' }] }), [
    'routes: a: the limit calls counts by tenant, but no issuer has claim_names.tenant, so that all callers of an issuer share one bucket; set it',
  ]);
  const issuers = { login: { ...LOGIN, claim_names: { tenant: 'tid' } } };
  t.strictSame(warningsOf({ a: [{ ...good, by: 'tenant' }], more: { issuers } }), []);
});
