/** When signals are acknowledged, and how a transmitter is polled. Rule V17. */
import t from 'tap';
import type { Test } from 'tap';
import { MAX_RETRY_MS, Poller, type PollPolicy, type Taken } from '../../src/signals/poller.ts';
import { TransmitterError } from '../../src/signals/transmitter-error.ts';
import { until } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { ScriptedTransmitter } from '../support/scripted-transmitter.ts';

const POLICY: PollPolicy = { maxEvents: 10, everyMs: 60_000, waitMs: 0, timeoutMs: 5_000 };
/** Longer than any test: what has to come comes by itself, or by the clock. */
const HELD: PollPolicy = { ...POLICY, waitMs: 600_000 };

interface Play {
  readonly clock: ManualClock;
  readonly transmitter: ScriptedTransmitter;
  /** What the store has. */
  readonly stored: Set<string>;
  readonly told: string[];
  readonly poller: Poller;
  take: (token: string) => Promise<Taken>;
  mayPoll: boolean;
}

function play(t: Test, policy: PollPolicy = POLICY): Play {
  const clock = new ManualClock();
  const transmitter = new ScriptedTransmitter(clock);
  const [stored, told] = [new Set<string>(), [] as string[]];
  const poller = new Poller({
    policy,
    url: () => 'https://tr.example.com/poll',
    calls: transmitter,
    take: (token) => parts.take(token),
    mayPoll: () => parts.mayPoll,
    clock,
    random: () => 0,
    observer: {
      polled: (result) => told.push(result),
      failed: ({ failure }, times) => told.push(`${failure} ${times}`),
      untaken: (count) => told.push(`untaken ${count}`),
      works: () => told.push('works'),
      tooMany: (leftOut) => told.push(`too many: ${leftOut}`),
    },
  });
  const parts: Play = {
    clock,
    transmitter,
    stored,
    told,
    poller,
    mayPoll: true,
    async take(token) {
      const isKnown = stored.has(token);
      stored.add(token);
      return { kind: isKnown ? 'repeated' : 'taken' };
    },
  };
  t.teardown(() => poller.stop());
  return parts;
}

t.test('V17 a signal is acknowledged after the store has it, and never before', async (t) => {
  const { transmitter, stored, poller, told } = play(t);
  transmitter.offer('one', 'two');
  const early: string[] = [];
  const send = transmitter.send.bind(transmitter);
  transmitter.send = async (call) => {
    const { ack = [] } = JSON.parse(call.body ?? '') as { ack?: string[] };
    early.push(...ack.filter((id) => !stored.has(`token of ${id}`)));
    return send(call);
  };
  poller.start();
  await until(() => told.includes('empty'));
  t.equal(stored.size, 2);
  t.strictSame(early, []);
  t.strictSame(transmitter.acknowledged.toSorted(), ['one', 'two']);
  t.strictSame(told, ['signals', 'empty']);
});

t.test('V17 what the store does not take is neither acknowledged nor refused, and comes again', async (t) => {
  const parts = play(t);
  const { transmitter, stored, poller, clock, told } = parts;
  const works = parts.take;
  parts.take = async (token) => {
    if (token.endsWith('two')) throw new Error('the store is unavailable');
    return works(token);
  };
  transmitter.offer('one', 'two', 'three');
  poller.start();
  await until(() => told.includes('untaken 1'));
  t.strictSame([...stored].toSorted(), ['token of one', 'token of three']);
  // The acknowledgements of the others are not kept back.
  await until(() => {
    clock.advance(500);
    return transmitter.held.size === 1;
  });
  t.strictSame(transmitter.acknowledged.toSorted(), ['one', 'three']);
  t.strictSame(transmitter.refused, {});
  parts.take = works;
  await until(() => {
    clock.advance(5_000);
    return transmitter.held.size === 0;
  });
  t.ok(stored.has('token of two'));
  t.strictSame(transmitter.acknowledged.toSorted(), ['one', 'three', 'two']);
  t.ok(told.includes('works'));
});

t.test('V17 a gateway that dies before it acknowledges leaves the signals to the next one', async (t) => {
  const first = play(t);
  first.transmitter.offer('one');
  const { promise: stored, resolve } = Promise.withResolvers<void>();
  const take = first.take;
  first.take = async (token) => {
    const taken = await take(token);
    resolve();
    return taken;
  };
  first.poller.start();
  await stored;
  await first.poller.stop();
  t.strictSame(first.transmitter.acknowledged, [], 'it has stored it, and not acknowledged it');

  const second = play(t);
  second.transmitter.offer('one');
  for (const token of first.stored) second.stored.add(token);
  second.poller.start();
  await until(() => second.transmitter.acknowledged.includes('one'));
  t.equal(second.stored.size, 1, 'the repetition does no harm');
});

t.test('what is refused is told with its reason', async (t) => {
  const parts = play(t);
  parts.take = async () => ({ kind: 'refused', err: 'invalid_audience', description: 'For another.' });
  parts.transmitter.offer('one');
  parts.transmitter.held.set('two', 7);
  parts.poller.start();
  await until(() => parts.transmitter.held.size === 0);
  t.strictSame(parts.transmitter.refused, { one: 'invalid_audience', two: 'invalid_request' });
  t.strictSame(parts.transmitter.acknowledged, []);
});

t.test(
  'all that a transmitter holds is fetched without a pause, as many at a time as were asked for',
  async (t) => {
    const { transmitter, poller, stored } = play(t);
    transmitter.offer(...Array.from({ length: 95 }, (_, index) => `jti-${index}`));
    poller.start();
    await until(() => transmitter.held.size === 0);
    t.equal(stored.size, 95);
    t.equal(transmitter.polls.length, 11, 'ten with signals, and one to acknowledge the last');
    t.ok(transmitter.polls.every(({ maxEvents }) => maxEvents === 10));
  },
);

t.test(
  'a transmitter that holds polls open gives a signal at once; none is acknowledged in such a poll',
  async (t) => {
    const { transmitter, poller, stored } = play(t, HELD);
    poller.start();
    await until(() => transmitter.polls.length === 1);
    transmitter.offer('one');
    await until(() => stored.has('token of one') && transmitter.polls.length === 3);
    t.strictSame(
      transmitter.polls.map(({ returnImmediately, ack }) => [returnImmediately, ack]),
      [
        [false, undefined],
        [true, ['one']],
        [false, undefined],
      ],
    );
  },
);

t.test('after a poll that was held to the end comes one that the transmitter must respond to', async (t) => {
  const { transmitter, poller, clock, told } = play(t, HELD);
  poller.start();
  await until(() => transmitter.polls.length === 1);
  clock.advance(HELD.waitMs);
  await until(() => transmitter.polls.length === 3);
  t.strictSame(
    transmitter.polls.map(({ returnImmediately }) => returnImmediately),
    [false, true, false],
  );
  t.strictSame(told, ['held', 'empty'], 'it is no failure');
  transmitter.failure = () => {
    throw new TransmitterError('unreachable', '');
  };
  clock.advance(HELD.waitMs);
  await until(() => told.includes('unreachable 1'));
});

t.test(
  'a transmitter that has nothing and holds no polls open is asked as often as configured',
  async (t) => {
    for (const policy of [POLICY, HELD]) {
      const { transmitter, poller, clock } = play(t, policy);
      transmitter.holds = false;
      poller.start();
      await until(() => transmitter.polls.length === 1);
      for (let polls = 2; polls < 5; polls++) {
        clock.advance(policy.everyMs);
        await until(() => transmitter.polls.length === polls);
      }
      await poller.stop();
      t.equal(transmitter.polls.length, 4);
    }
  },
);

t.test('a transmitter that does not note what it is told is not asked in a loop', async (t) => {
  const { transmitter, poller, clock, stored } = play(t);
  transmitter.isForgetful = true;
  transmitter.offer('one');
  poller.start();
  await until(() => transmitter.polls.length === 3);
  clock.advance(POLICY.everyMs);
  await until(() => transmitter.polls.length === 4);
  clock.advance(POLICY.everyMs);
  await until(() => transmitter.polls.length === 5);
  t.equal(stored.size, 1);
});

t.test('failures are tried again after longer and longer pauses, up to a minute', async (t) => {
  const { transmitter, poller, clock, told } = play(t);
  transmitter.failure = () => {
    throw new TransmitterError('refused', '', { status: 401 });
  };
  poller.start();
  const pauses = [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, MAX_RETRY_MS, MAX_RETRY_MS];
  for (const [index, pauseMs] of pauses.entries()) {
    await until(() => told.includes(`refused ${index + 1}`));
    // Real time counts as well.
    clock.advance(pauseMs - 500);
    t.equal(transmitter.polls.length, index + 1, `not before ${pauseMs} ms`);
    clock.advance(500);
  }
  transmitter.failure = undefined;
  clock.advance(MAX_RETRY_MS);
  await until(() => told.includes('works'));
  t.match(told.slice(0, 4), ['failed', 'refused 1', 'failed', 'refused 2']);
});

t.test('a transmitter that asks for a pause gets it, up to a minute', async (t) => {
  const { transmitter, poller, clock, told } = play(t);
  let retryAfterSeconds = 20;
  transmitter.failure = () => {
    throw new TransmitterError('busy', '', { status: 429, retryAfterSeconds });
  };
  poller.start();
  await until(() => told.includes('busy 1'));
  clock.advance(19_000);
  t.equal(transmitter.polls.length, 1);
  retryAfterSeconds = 86_400;
  clock.advance(1_000);
  await until(() => told.includes('busy 2'));
  clock.advance(MAX_RETRY_MS);
  await until(() => told.includes('busy 3'));
});

t.test('hostile responses change nothing, and the next poll works', async (t) => {
  const { transmitter, poller, clock, told, stored } = play(t);
  const hostile = [[], 1, null, 'sets', { sets: [] }, { sets: 'a' }];
  let at = 0;
  transmitter.failure = () => ({ status: 200, document: hostile[at++ % hostile.length] ?? null });
  poller.start();
  for (let count = 1; count <= hostile.length; count++) {
    await until(() => told.includes(`unreadable ${count}`));
    clock.advance(MAX_RETRY_MS);
  }
  t.equal(stored.size, 0);
  transmitter.failure = undefined;
  transmitter.offer('one');
  clock.advance(MAX_RETRY_MS);
  await until(() => stored.size === 1);
});

t.test('of more signals than were asked for, the rest is left', async (t) => {
  const { transmitter, poller, told, stored } = play(t);
  transmitter.failure = () => {
    const sets = Object.fromEntries(Array.from({ length: 3_000 }, (_, at) => [`jti-${at}`, `token ${at}`]));
    transmitter.failure = undefined;
    return { status: 200, document: { sets } };
  };
  poller.start();
  await until(() => transmitter.acknowledged.length === 10);
  t.ok(told.includes('too many: 2990'));
  t.equal(stored.size, 10);
});

t.test('where a response is too large, fewer signals are asked for', async (t) => {
  const { transmitter, poller, clock, stored, told } = play(t);
  transmitter.offer('one', 'two', 'three');
  const tooLarge = (): never => {
    throw new TransmitterError('too_large', '');
  };
  transmitter.failure = tooLarge;
  poller.start();
  await until(() => told.includes('too_large 1'));
  clock.advance(MAX_RETRY_MS);
  await until(() => told.includes('too_large 2'));
  transmitter.failure = undefined;
  clock.advance(MAX_RETRY_MS);
  await until(() => transmitter.held.size === 0);
  t.equal(stored.size, 3);
  t.strictSame(
    transmitter.polls.slice(0, 3).map(({ maxEvents }) => maxEvents),
    [10, 5, 2],
  );
});

t.test('only a gateway that is the one to poll does', async (t) => {
  const parts = play(t);
  parts.mayPoll = false;
  parts.transmitter.offer('one');
  parts.poller.start();
  parts.clock.advance(60_000);
  t.equal(parts.transmitter.polls.length, 0);
  parts.mayPoll = true;
  parts.clock.advance(1_000);
  await until(() => parts.transmitter.held.size === 0);
});
