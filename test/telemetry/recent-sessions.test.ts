/** The table of recent sessions: what it counts, keeps, forgets. Rule A5. */
import t from 'tap';
import { logHash } from '../../src/telemetry/log-hash.ts';
import {
  RecentSessions,
  type SessionQuery,
  type SessionReport,
  type SessionsPolicy,
} from '../../src/telemetry/recent-sessions.ts';
import type { AuthenticToken } from '../../src/token/token-verifier.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { verifiedToken } from '../support/verified-token.ts';

const POLICY: SessionsPolicy = { show: 'hashed', addresses: false, entries: 100, key: 'key' };
const ALICE = { sub: 'alice', sid: 's1', client_id: 'app' };

class Desk {
  readonly clock = new ManualClock();
  readonly sessions = new RecentSessions(this.clock);

  constructor(policy: Partial<SessionsPolicy> = {}) {
    this.sessions.use({ ...POLICY, ...policy });
  }

  saw(token: AuthenticToken, address = '203.0.113.9'): void {
    this.sessions.saw(token, this.clock.monotonicMs(), address);
  }

  find(query: Partial<SessionQuery> = {}): SessionReport[] {
    return this.sessions.search({ limit: 1_000, ...query });
  }
}

t.test('tokens of one session are one record, which counts and dates their requests', async (t) => {
  const desk = new Desk();
  const first = desk.clock.nowMs() / 1_000;
  desk.saw(verifiedToken(ALICE));
  desk.clock.advance(60_000);
  const renewed = verifiedToken({ ...ALICE, jti: 'other' });
  desk.saw(renewed);
  desk.saw(renewed);
  const [found, ...others] = desk.find({ session: 's1' });
  t.equal(others.length, 0);
  t.equal(found?.requests_last_hour, 3);
  t.ok(Math.abs((found?.first_seen ?? 0) - first) < 5);
  t.ok(Math.abs((found?.last_seen ?? 0) - first - 60) < 5);
});

t.test('a record is found by each of its names, as they are or hashed, and by its issuer', async (t) => {
  const desk = new Desk();
  desk.saw(verifiedToken(ALICE));
  desk.saw(verifiedToken({ ...ALICE, sid: 's2' }));
  desk.saw(verifiedToken(ALICE, 'https://other.example.com'));
  desk.saw(verifiedToken({ sub: 'bob' }));
  const count = (query: Partial<SessionQuery>): number => desk.find(query).length;
  t.equal(count({ subject: 'alice' }), 3);
  t.equal(count({ subjectHash: logHash('key', 'alice') }), 3);
  t.equal(count({ session: 's1' }), 2);
  t.equal(count({ sessionHash: logHash('key', 's1'), issuer: 'https://login.example.com' }), 1);
  t.equal(count({ client: 'app' }), 3);
  t.equal(count({ client: 'app', issuer: 'login' }), 3, 'the configured name means both');
  t.equal(count({ subject: 'bob' }), 1);
  t.equal(count({ subject: 'carol' }), 0);
  t.equal(count({ subject: 'alice', limit: 2 }), 2);
});

t.test(
  'A5 hashed: neither subject nor session is kept; plain: they are, up to a bounded length',
  async (t) => {
    const hashed = new Desk();
    hashed.saw(verifiedToken(ALICE));
    const text = JSON.stringify(hashed.find());
    t.notMatch(text, /alice|"s1"|203\.0\.113\.9/);
    t.match(text, logHash('key', 'alice'));
    const plain = new Desk({ show: 'plain' });
    plain.saw(verifiedToken(ALICE));
    plain.saw(verifiedToken({ sub: 'a'.repeat(300) }));
    t.match(plain.find({ subject: 'alice' }), [{ subject: 'alice', session: 's1' }]);
    t.equal(plain.find({ subject: 'a'.repeat(300) })[0]?.subject, undefined);
  },
);

t.test('off, or a token that names no caller: nothing is kept', async (t) => {
  const off = new Desk({ show: 'off' });
  off.saw(verifiedToken(ALICE));
  t.strictSame([off.sessions.isOn, off.sessions.size], [false, 0]);
  const desk = new Desk();
  desk.saw(verifiedToken({ jti: 'a' }));
  t.equal(desk.sessions.size, 0);
});

t.test('addresses are kept only where the configuration says so: the latest four', async (t) => {
  const desk = new Desk({ addresses: true });
  const token = verifiedToken(ALICE);
  for (const last of [1, 2, 3, 4, 5, 2]) desk.saw(token, `203.0.113.${last}`);
  t.strictSame(
    desk.find()[0]?.addresses,
    [2, 5, 4, 3].map((last) => `203.0.113.${last}`),
  );
  desk.sessions.use(POLICY);
  t.equal(desk.find()[0]?.addresses, undefined);
  desk.sessions.use({ ...POLICY, addresses: true });
  t.strictSame(desk.find()[0]?.addresses, [], 'those of before were forgotten');
});

t.test('requests leave the hour, and records are told of for a day', async (t) => {
  const desk = new Desk();
  const token = verifiedToken(ALICE);
  desk.saw(token);
  desk.clock.advance(30 * 60_000);
  desk.saw(token);
  t.equal(desk.find()[0]?.requests_last_hour, 2);
  desk.clock.advance(40 * 60_000);
  t.equal(desk.find()[0]?.requests_last_hour, 1);
  desk.clock.advance(22 * 3_600_000);
  t.equal(desk.find()[0]?.requests_last_hour, 0);
  desk.clock.advance(3 * 3_600_000);
  t.strictSame(desk.find(), []);
});

t.test(
  'the table is bounded: what was not seen for long goes first, and comes back when it is seen',
  async (t) => {
    const desk = new Desk({ entries: 3 });
    const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((sub) => verifiedToken({ sub }));
    if (!a || !b || !c || !d) throw new TypeError('four tokens are needed');
    for (const token of [a, b, c, a]) {
      desk.saw(token);
      desk.clock.advance(1_000);
    }
    desk.saw(d);
    t.equal(desk.find({ subject: 'a' }).length, 1, 'used since');
    t.equal(desk.find({ subject: 'b' }).length, 0);
    // Its token is in the cache still.
    desk.saw(b);
    t.equal(desk.find({ subject: 'b' })[0]?.requests_last_hour, 2);
    t.equal(desk.sessions.size, 3);
    for (let count = 0; count < 1_000; count++) desk.saw(verifiedToken({ sub: `flood-${count}` }));
    t.equal(desk.sessions.size, 3);
  },
);

t.test('two tokens of a session that was forgotten count together again', async (t) => {
  const desk = new Desk({ entries: 1 });
  const one = verifiedToken(ALICE);
  desk.saw(one);
  desk.clock.advance(1);
  desk.saw(verifiedToken({ sub: 'bob' }));
  const other = verifiedToken(ALICE);
  for (const token of [other, one, other]) desk.saw(token);
  t.equal(desk.find({ subject: 'alice' })[0]?.requests_last_hour, 3);
});

t.test('a smaller table, another key or another way to show forgets what must go', async (t) => {
  const desk = new Desk();
  const token = verifiedToken(ALICE);
  for (const sub of ['a', 'b', 'c']) desk.saw(verifiedToken({ sub }));
  desk.sessions.use({ ...POLICY, entries: 2 });
  t.equal(desk.sessions.size, 2);
  desk.sessions.use({ ...POLICY, key: 'another' });
  t.equal(desk.sessions.size, 0);
  desk.saw(token);
  desk.sessions.use({ ...POLICY, key: 'another', show: 'plain' });
  t.equal(desk.sessions.size, 0);
  desk.saw(token);
  t.equal(desk.find()[0]?.subject, 'alice', 'also of a token that was known before');
});
