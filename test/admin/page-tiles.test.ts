/** What the tiles of the admin page say, and when they turn. In a browser: test/behaviour/admin-page.test.ts. */
import t from 'tap';
import { canaryTile, sharesOf, tilesOf } from '../support/admin-tiles.ts';

t.test('a route is judged by what was refused, failed and slow within five minutes', async (t) => {
  const rows: [counts: [requests: number, refused: number, failed: number, slow: number], verdict: string][] =
    [
      [[0, 0, 0, 0], 'none No requests'],
      [[1_000, 199, 1, 10], 'good Well'],
      [[1_000, 200, 0, 0], 'warn Many are refused'],
      [[1_000, 900, 0, 0], 'bad Nearly all are refused'],
      [[1_000, 1_000, 0, 0], 'bad All are refused'],
      [[1_000, 0, 2, 0], 'warn Some fail'],
      [[1_000, 0, 50, 0], 'bad Many fail'],
      [[1_000, 0, 1_000, 1_000], 'bad All fail'],
      [[1_000, 0, 0, 11], 'warn Some are slow'],
      [[1_000, 0, 0, 144], 'warn Some are slow'],
      [[1_000, 0, 0, 145], 'bad Many are slow'],
      [[1_000, 0, 50, 145], 'bad Many fail'],
      [[1_000, 200, 2, 145], 'bad Many are slow'],
      [[9, 9, 0, 0], 'warn All are refused'],
      [[9, 0, 0, 9], 'warn Many are slow'],
    ];
  for (const [[requests, refused, failed, slow], verdict] of rows) {
    // What is older than five minutes, and steps without the gateway, count for nothing.
    const steps = (count: number): (number | null)[] => [7_000, ...Array<null>(59).fill(null), count];
    const [share] = sharesOf({
      step_seconds: 5,
      routes: [
        {
          route: 'a',
          requests: steps(requests),
          refused: steps(refused),
          failed: steps(failed),
          slow: steps(slow),
        },
      ],
    });
    t.equal(`${share?.level} ${share?.words}`, verdict, JSON.stringify({ requests, refused, failed, slow }));
  }
});

t.test('keys that could not be fetched for half an hour are old, as for the alert', async (t) => {
  const tileOf = (issuer: object): string => {
    const status = {
      ...{ name: 'g', ready: true, uptime_seconds: 1, upstreams: [], certificates: [] },
      issuers: [{ name: 'login', ...issuer }],
      revocation: {
        ...{ entries: 0, view_age_seconds: 0, max_view_age_seconds: 30, claims: [] },
        ...{ store: 'memory', store_connected: true },
      },
    };
    const tile = tilesOf(status).find(({ title }) => title.endsWith('login'));
    return `${tile?.title}: ${tile?.level} ${tile?.state}`;
  };
  t.equal(tileOf({}), 'Issuer login: good Configured');
  t.equal(tileOf({ keys_available: true, keys_age_seconds: 1_800 }), 'Keys of login: good There');
  t.equal(tileOf({ keys_available: true, keys_age_seconds: 1_801 }), 'Keys of login: warn Old');
  t.equal(tileOf({ keys_available: false, keys_age_seconds: null }), 'Keys of login: bad Missing');
});

t.test('V7 the last canary: how many gateways refuse it, and as of when', async (t) => {
  const [madeAt, every] = [1_800_000_000, 60];
  const told = (last: object | null, afterSeconds: number, report: object = {}): string => {
    const made = last && {
      ...{
        made_by: 'edge@a',
        made_at: madeAt,
        gateways: 5,
        refuse: 5,
        slowest_seconds: 0.012,
        error_seconds: 0.001,
      },
      ...{ waiting: [], missed: [], silent: [], unknown: [] },
      ...last,
    };
    const shown = canaryTile(
      { complete: true, canary: { every_seconds: every, last: made }, ...report },
      madeAt + afterSeconds,
    );
    return shown
      ? `${shown.asOf === undefined ? shown.tile.level : 'old'}: ${shown.tile.state}; ${shown.tile.more}`
      : 'none';
  };
  const all = 'revoked 14 s ago by edge@a, the slowest after 12 ms (± 1 ms)';
  t.equal(told({}, 14), `good: 5 of 5 gateways refuse it; ${all}`);
  t.equal(told({ refuse: 3, waiting: ['b', 'c'] }, 14), `good: 3 of 5 gateways refuse it so far; ${all}`);
  t.equal(told({ refuse: 4, missed: ['b'] }, 14), `bad: 4 of 5 gateways refuse it; ${all}, passes at b`);
  t.equal(
    told({ refuse: 4, silent: ['b'] }, 14),
    `warn: 4 of 5 gateways refuse it; ${all}, nothing heard from b`,
  );
  t.equal(told({ refuse: 4, unknown: ['b'] }, 14), `warn: 4 of 5 gateways refuse it; ${all}, not known at b`);
  t.match(told({}, 180), /^good/);
  t.match(told({}, 181), /^old/, 'three turns were missed');
  t.match(told({}, 14, { complete: false }), /^old/, 'others are not known');
  t.equal(told(null, 0), 'good: None yet; every 60 s a gateway revokes an entry of its own');
  t.equal(told(null, 0, { canary: { every_seconds: null, last: null } }), 'none', 'it is off');
  t.equal(told(null, 0, { canary: undefined }), 'none', 'an older gateway');
});

t.test('a target that gets no requests says why, where the gateway knows', async (t) => {
  const targets = [
    { url: 'http://a', healthy: true },
    { url: 'http://b', healthy: false, cause: 'health check: responded 503' },
    { url: 'http://c', healthy: false },
  ];
  const status = {
    ...{ name: 'g', ready: true, uptime_seconds: 1, issuers: [], certificates: [] },
    upstreams: [{ name: 'shop', targets }],
    revocation: {
      ...{ entries: 0, view_age_seconds: 0, max_view_age_seconds: 30, claims: [] },
      ...{ store: 'memory', store_connected: true },
    },
  };
  const tile = tilesOf(status).find(({ title }) => title === 'Upstream shop');
  t.match(tile, { state: '2 of 3 out', more: 'http://b (health check: responded 503), http://c' });
});
