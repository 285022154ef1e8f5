/** How the gateway keeps its event stream at a transmitter: OpenID SSF 1.0 section 8. */
import t, { type Test } from 'tap';
import type { WantedStream } from '../../src/signals/stream-document.ts';
import { StreamKeeper, type StreamPolicy } from '../../src/signals/stream-keeper.ts';
import { TransmitterCalls } from '../../src/signals/transmitter-calls.ts';
import { madeAtMs } from '../../src/signals/verification-state.ts';
import { AuthorizationServerClient } from '../../src/token/authorization-server-client.ts';
import { until } from '../support/gateway.ts';
import {
  startHttpTransmitter,
  TRANSMITTER_TOKEN,
  type HttpTransmitter,
} from '../support/http-transmitter.ts';
import { ManualClock } from '../support/manual-clock.ts';

interface Play {
  readonly transmitter: HttpTransmitter;
  readonly clock: ManualClock;
  readonly keeper: StreamKeeper;
  readonly told: string[];
}

interface Changes {
  readonly policy?: Partial<StreamPolicy>;
  readonly wanted?: Partial<WantedStream>;
  readonly transmitter?: HttpTransmitter;
}

async function play(t: Test, changes: Changes = {}): Promise<Play> {
  const transmitter = changes.transmitter ?? (await startHttpTransmitter(t));
  const clock = new ManualClock();
  const client = new AuthorizationServerClient();
  t.teardown(() => client.close());
  const tokens = { token: async () => TRANSMITTER_TOKEN, forget: () => undefined } as never;
  const told: string[] = [];
  const keeper = new StreamKeeper({
    policy: {
      wanted: {
        issuer: transmitter.url,
        audiences: [transmitter.audience],
        id: undefined,
        delivery: { method: 'urn:ietf:rfc:8936' },
        events: ['urn:a', 'urn:b'],
        description: 'Sallyport edge: login',
        ...changes.wanted,
      },
      manages: true,
      endpoints: {},
      verifyEveryMs: 180_000,
      timeoutMs: 5_000,
      ...changes.policy,
    },
    calls: new TransmitterCalls({ client, origins: [transmitter.url], tokens, clock }),
    mayKeep: () => true,
    clock,
    random: () => 0,
    observer: {
      changed: (what) => told.push(what),
      seen: (_, status) => told.push(`seen ${status}`),
      ambiguous: ({ twins }) => told.push(`ambiguous ${twins.length}`),
      undelivered: (events) => told.push(`undelivered ${events.join()}`),
      failed: ({ failure, message }) => told.push(`${failure}: ${message}`),
      works: () => told.push('works'),
    },
  });
  t.teardown(() => keeper.stop());
  keeper.start();
  await until(() => told.length > 0);
  return { transmitter, clock, keeper, told };
}

/** Time passes until the condition holds. */
const passing = ({ clock }: Play, condition: () => boolean): Promise<void> =>
  until(() => {
    if (!condition()) clock.advance(10_000);
    return condition();
  });

const verified = ({ transmitter }: Play): number => transmitter.callsOf('POST', '/verify').length;

t.test('where there is no stream one is made, and asked for a heartbeat', async (t) => {
  const kept = await play(t);
  const { transmitter, told, keeper } = kept;
  await until(() => verified(kept) === 1);
  const [created] = transmitter.callsOf('POST', '/streams');
  t.strictSame(created?.body, {
    delivery: { method: 'urn:ietf:rfc:8936' },
    events_requested: ['urn:a', 'urn:b'],
    description: 'Sallyport edge: login',
  });
  t.equal(created?.authorization, `Bearer ${TRANSMITTER_TOKEN}`);
  t.equal(transmitter.callsOf('GET', '/.well-known/ssf-configuration')[0]?.authorization, undefined);
  t.strictSame(told, ['created', 'seen enabled']);
  t.equal(keeper.pollUrl, `${transmitter.url}/poll`);
  const { stream_id: id, state } = transmitter.callsOf('POST', '/verify')[0]?.body ?? {};
  t.ok(transmitter.streams.has(String(id)));
  t.ok(madeAtMs(String(state)));
});

t.test('a stream is made once: by a look later, by the next gateway, and after a restart', async (t) => {
  const first = await play(t);
  await until(() => verified(first) === 1);
  await passing(first, () => verified(first) === 2);
  await first.keeper.stop();
  const second = await play(t, { transmitter: first.transmitter });
  await until(() => verified(second) === 3);
  t.equal(first.transmitter.streams.size, 1);
  t.equal(first.transmitter.callsOf('POST', '/streams').length, 1);
  t.equal(first.transmitter.callsOf('PATCH', '/streams').length, 0);
});

t.test('what differs is changed, and nothing else', async (t) => {
  const transmitter = await startHttpTransmitter(t);
  transmitter.makeStream({ delivery: { method: 'urn:ietf:rfc:8936' }, events_requested: ['urn:a'] });
  const { told } = await play(t, { transmitter });
  await until(() => told.includes('seen enabled'));
  const [id] = transmitter.streams.keys();
  t.strictSame(
    transmitter.callsOf('PATCH', '/streams').map(({ body }) => body),
    [{ stream_id: id, events_requested: ['urn:a', 'urn:b'] }],
  );
  t.strictSame(told, ['updated', 'seen enabled']);
});

t.test('a transmitter that does not take a change is asked for it once', async (t) => {
  const transmitter = await startHttpTransmitter(t);
  transmitter.makeStream({ delivery: { method: 'urn:ietf:rfc:8936' }, events_requested: ['urn:a'] });
  transmitter.ignoresChanges = true;
  const kept = await play(t, { transmitter });
  await until(() => verified(kept) === 1);
  await passing(kept, () => verified(kept) === 3);
  t.equal(transmitter.callsOf('PATCH', '/streams').length, 1);
  t.equal(kept.told.filter((each) => each === 'updated').length, 1);
});

t.test('a stream that is paused or disabled is enabled', async (t) => {
  for (const status of ['paused', 'disabled']) {
    const transmitter = await startHttpTransmitter(t);
    transmitter.status = status;
    const { told } = await play(t, { transmitter });
    await until(() => told.includes('seen enabled'));
    t.equal(transmitter.status, 'enabled');
    t.ok(told.includes('enabled'));
  }
});

t.test('what may not be managed is looked at and verified only', async (t) => {
  const transmitter = await startHttpTransmitter(t);
  const policy = { manages: false };
  const { told, clock } = await play(t, { transmitter, policy });
  t.match(told[0], /^unreadable: the transmitter has no stream for this audience/);
  transmitter.makeStream({ delivery: { method: 'urn:ietf:rfc:8936' }, events_requested: ['urn:other'] });
  transmitter.status = 'paused';
  clock.advance(60_000);
  await until(() => told.includes('works'));
  t.strictSame(told.slice(1), ['undelivered urn:a,urn:b', 'seen paused', 'works']);
  t.strictSame(
    transmitter.calls.filter(({ method }) => method !== 'GET').map(({ path }) => path),
    ['/verify'],
  );
});

t.test('the stream of another receiver is left alone, and none is made beside it', async (t) => {
  const transmitter = await startHttpTransmitter(t);
  transmitter.makeStream({ delivery: { method: 'urn:ietf:rfc:8936' }, description: 'another fleet' });
  const { told, keeper } = await play(t, { transmitter });
  t.match(told[0], /another receiver seems to use/);
  t.equal(transmitter.streams.size, 1);
  t.equal(keeper.pollUrl, undefined);
  await keeper.stop();
  const [id] = transmitter.streams.keys();
  const taking = await play(t, { transmitter, wanted: { id } });
  await until(() => taking.told.includes('seen enabled'));
  t.equal(transmitter.streams.size, 1);
  t.equal(transmitter.streams.get(String(id))?.['description'], 'Sallyport edge: login');
});

t.test('a stream id that the transmitter does not know makes no stream', async (t) => {
  const { told, transmitter } = await play(t, { wanted: { id: 'unknown' } });
  t.match(told[0], /^status: /);
  t.equal(transmitter.streams.size, 0);
});

t.test('of several streams of this gateway the first is used, and told', async (t) => {
  const transmitter = await startHttpTransmitter(t);
  for (let count = 0; count < 2; count++)
    transmitter.makeStream({
      delivery: { method: 'urn:ietf:rfc:8936' },
      events_requested: ['urn:a', 'urn:b'],
    });
  const kept = await play(t, { transmitter });
  await until(() => verified(kept) === 1);
  t.strictSame(kept.told, ['ambiguous 1', 'seen enabled']);
  const [first] = [...transmitter.streams.keys()].toSorted();
  t.equal(transmitter.callsOf('POST', '/verify')[0]?.body['stream_id'], first);
});

t.test('a request to verify is not made more often than the transmitter allows', async (t) => {
  const transmitter = await startHttpTransmitter(t);
  transmitter.makeStream({
    delivery: { method: 'urn:ietf:rfc:8936' },
    events_requested: ['urn:a', 'urn:b'],
    min_verification_interval: 300,
  });
  const kept = await play(t, { transmitter });
  await until(() => verified(kept) === 1);
  await passing(kept, () => kept.told.length === 2);
  t.equal(verified(kept), 1);
  await passing(kept, () => verified(kept) === 2);
});

t.test('the metadata of another issuer, or endpoints elsewhere, are not used', async (t) => {
  const other = await startHttpTransmitter(t);
  for (const metadata of [
    { issuer: 'https://other.example.com' },
    { configuration_endpoint: `${other.url}/streams` },
  ]) {
    const transmitter = await startHttpTransmitter(t);
    transmitter.metadata = metadata;
    const { told } = await play(t, { transmitter });
    t.match(told[0], /^unreadable: /);
    t.strictSame(
      transmitter.calls.map(({ path }) => path),
      ['/.well-known/ssf-configuration'],
    );
  }
  t.strictSame(other.calls, [], 'the other server saw nothing');
});

t.test('a transmitter that is down, or sends what is no stream, is asked again', async (t) => {
  const transmitter = await startHttpTransmitter(t);
  transmitter.instead.set('/streams', (response) => void response.writeHead(500).end());
  const { told, clock } = await play(t, { transmitter });
  t.match(told[0], /^status: /);
  transmitter.instead.set('/streams', (response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end('[{"stream_id":7}]');
  });
  clock.advance(2_000);
  await until(() => told.length === 2);
  t.match(told[1], /^unreadable: /);
  transmitter.instead.clear();
  clock.advance(4_000);
  await until(() => told.includes('works'));
});
