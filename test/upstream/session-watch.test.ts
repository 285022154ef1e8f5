/** When an HTTP/2 connection gets a PING, and when it is given up. Rule G4. */
import t from 'tap';
import { SessionWatch } from '../../src/upstream/session-watch.ts';

/** A peer that replies to each PING, and the PINGs of these seconds. */
function pingsWithin(
  watch: SessionWatch,
  session: { bytesRead: number; streams: number; opened: number },
  fromSecond: number,
  toSecond: number,
): number[] {
  const pings: number[] = [];
  for (let second = fromSecond; second < toSecond; second++) {
    if (watch.look(second * 1_000, session) !== 'probe') continue;
    pings.push(second);
    session.bytesRead += 17;
  }
  return pings;
}

t.test(
  'a stream that waits for hours causes a PING soon, and then at most one in five minutes',
  async (t) => {
    const watch = new SessionWatch();
    const session = { bytesRead: 100, streams: 1, opened: 1 };
    const pings = pingsWithin(watch, session, 0, 4 * 3600);
    t.equal(pings[0], 10);
    t.ok(pings.length > 40);
    t.ok(pings.every((second, index) => index === 0 || second - (pings[index - 1] ?? 0) > 300));
  },
);

t.test('new streams cause one more quick PING, and no third one before a response', async (t) => {
  const watch = new SessionWatch();
  const session = { bytesRead: 100, streams: 1, opened: 1 };
  const pings: number[] = [];
  for (let at = 0; at < 250; at += 25) {
    pings.push(...pingsWithin(watch, session, at, at + 25));
    session.opened++;
    session.streams++;
  }
  t.strictSame(pings.length, 2, String(pings));
  watch.responded();
  session.bytesRead += 10;
  session.opened++;
  t.equal(pingsWithin(watch, session, 250, 290).length, 1);
});

t.test('a session without streams is left alone, however long', async (t) => {
  t.strictSame(pingsWithin(new SessionWatch(), { bytesRead: 1, streams: 0, opened: 3 }, 0, 9_000), []);
});

t.test('silence behind a PING ends it after 5 s; a byte, or a pause of the process, does not', async (t) => {
  const session = { bytesRead: 1, streams: 1, opened: 1 };
  const asked = (): SessionWatch => {
    const watch = new SessionWatch();
    watch.look(0, session);
    t.equal(watch.look(10_000, session), 'probe');
    t.notOk(watch.isSuspect);
    return watch;
  };
  const dead = asked();
  t.equal(dead.look(10_500, session), 'nothing');
  t.ok(dead.isSuspect);
  t.equal(dead.look(14_900, session), 'nothing');
  t.equal(dead.look(15_000, session), 'give up');
  const paused = asked();
  t.equal(paused.look(60_000, session), 'nothing', 'the reply may have come, and wait to be read');
  t.equal(paused.look(60_500, session), 'give up');
  const alive = asked();
  t.equal(alive.look(10_500, session), 'nothing');
  session.bytesRead++;
  t.equal(alive.look(60_000, session), 'nothing');
  t.notOk(alive.isSuspect);
});
