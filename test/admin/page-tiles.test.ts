/** What the tiles of the admin page say, and when they turn. In a browser: test/behaviour/admin-page.test.ts. */
import t from 'tap';
import { sharesOf, tilesOf } from '../support/admin-tiles.ts';

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
