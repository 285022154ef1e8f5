/** Which stream is a gateway's, and what of it differs: the examples of OpenID SSF 1.0 section 8.1.1. */
import t from 'tap';
import {
  change,
  chooseStream,
  creation,
  POLL_METHOD,
  PUSH_METHOD,
  readStatus,
  readStream,
  readStreams,
  type WantedStream,
} from '../../src/signals/stream-document.ts';

const EXAMPLE = {
  stream_id: 'f67e39a0a4d34d56b3aa1bc4cff0069f',
  iss: 'https://tr.example.com',
  aud: ['http://receiver.example.com/web', 'http://receiver.example.com/mobile'],
  delivery: { method: PUSH_METHOD, endpoint_url: 'https://receiver.example.com/events' },
  events_supported: ['urn:example:secevent:events:type_1', 'urn:example:secevent:events:type_2'],
  events_requested: ['urn:example:secevent:events:type_2', 'urn:example:secevent:events:type_3'],
  events_delivered: ['urn:example:secevent:events:type_2'],
};
const WANTED: WantedStream = {
  issuer: 'https://tr.example.com',
  audiences: ['http://receiver.example.com/web'],
  id: undefined,
  delivery: {
    method: PUSH_METHOD,
    endpointUrl: 'https://receiver.example.com/events',
    authorization: undefined,
  },
  events: EXAMPLE.events_requested,
  description: 'Sallyport edge: login',
};
const POLLED: WantedStream = { ...WANTED, delivery: { method: POLL_METHOD } };
const stream = (changes: object = {}): ReturnType<typeof readStream> =>
  readStream({ ...EXAMPLE, ...changes });

t.test('the example of the specification is read', async (t) => {
  t.match(stream(), {
    id: 'f67e39a0a4d34d56b3aa1bc4cff0069f',
    issuer: 'https://tr.example.com',
    audiences: EXAMPLE.aud,
    method: 'urn:ietf:rfc:8935',
    endpointUrl: 'https://receiver.example.com/events',
    eventsDelivered: ['urn:example:secevent:events:type_2'],
    description: undefined,
    minVerificationSeconds: 0,
  });
  t.equal(readStreams([EXAMPLE, { ...EXAMPLE, stream_id: 'other' }]).length, 2);
  t.equal(readStreams(EXAMPLE).length, 1, 'one stream instead of a list');
  t.strictSame(readStreams([]), []);
  t.strictSame(readStreams(undefined), []);
});

t.test('what is no stream is an error', async (t) => {
  for (const document of [1, 'a', null, {}, { stream_id: '' }, { stream_id: 7 }, [1], [{}]])
    t.throws(() => readStreams(document), Error, JSON.stringify(document));
});

t.test('a stream is the gateway’s by audience, delivery and description', async (t) => {
  const chosen = (wanted: WantedStream, ...changes: object[]): string | undefined =>
    chooseStream(changes.map(stream), wanted).chosen?.id;
  const A = { stream_id: 'a' };
  t.equal(chosen(WANTED, A), 'a');
  t.equal(chosen(WANTED, { ...A, aud: 'http://receiver.example.com/web' }), 'a', 'one audience as text');
  t.equal(chosen(WANTED, { ...A, description: WANTED.description }), 'a');
  t.equal(chosen(WANTED, { ...A, iss: undefined, aud: undefined }), 'a', 'what is not said');
  t.equal(chosen(WANTED, { ...A, aud: ['another'] }), undefined);
  t.equal(chosen(WANTED, { ...A, iss: 'https://other.example.com' }), undefined);
  t.equal(chosen(WANTED, { ...A, description: 'another fleet' }), undefined);
  t.equal(chosen(POLLED, A), undefined);
  t.equal(
    chosen(POLLED, { ...A, delivery: { method: POLL_METHOD, endpoint_url: 'https://tr.example.com/poll' } }),
    'a',
  );
  t.equal(
    chosen(WANTED, { ...A, delivery: { method: PUSH_METHOD, endpoint_url: 'https://other.example.com' } }),
    undefined,
  );
});

t.test('of several, all gateways choose the same; those of others are told apart', async (t) => {
  const choice = chooseStream(
    [
      stream({ stream_id: 'c' }),
      stream({ stream_id: 'b' }),
      stream({ stream_id: 'd', description: 'other' }),
    ],
    WANTED,
  );
  t.equal(choice.chosen?.id, 'b');
  t.strictSame(
    choice.twins.map(({ id }) => id),
    ['c'],
  );
  t.strictSame(
    choice.others.map(({ id }) => id),
    ['d'],
  );
});

t.test('a stream that is named is taken over, however it delivers', async (t) => {
  const { chosen } = chooseStream([stream({ stream_id: 'd', description: 'other' })], { ...POLLED, id: 'd' });
  t.equal(chosen?.id, 'd');
  t.equal(chooseStream([stream()], { ...WANTED, id: 'd' }).chosen, undefined);
});

t.test('only what differs is changed', async (t) => {
  t.equal(change(stream(), WANTED), undefined);
  t.equal(
    change(stream({ events_requested: [...EXAMPLE.events_requested].reverse() }), WANTED),
    undefined,
    'a set',
  );
  t.strictSame(change(stream(), { ...WANTED, events: ['urn:a'] }), {
    stream_id: EXAMPLE.stream_id,
    events_requested: ['urn:a'],
  });
  t.strictSame(change(stream({ description: 'other' }), POLLED), {
    stream_id: EXAMPLE.stream_id,
    delivery: { method: 'urn:ietf:rfc:8936' },
    description: WANTED.description,
  });
});

t.test('a new stream is asked for as it is wanted', async (t) => {
  t.strictSame(creation(POLLED), {
    delivery: { method: 'urn:ietf:rfc:8936' },
    events_requested: WANTED.events,
    description: WANTED.description,
  });
  const delivery = {
    method: PUSH_METHOD,
    endpointUrl: 'https://a.example.com/s',
    authorization: 'Bearer x',
  } as const;
  t.strictSame(creation({ ...WANTED, delivery })['delivery'], {
    method: 'urn:ietf:rfc:8935',
    endpoint_url: 'https://a.example.com/s',
    authorization_header: 'Bearer x',
  });
});

t.test('a status is one of three', async (t) => {
  for (const status of ['enabled', 'paused', 'disabled']) t.equal(readStatus({ status }), status);
  for (const document of [undefined, null, {}, { status: 'on' }, { status: true }, [], 'enabled'])
    t.throws(() => readStatus(document), Error);
});
