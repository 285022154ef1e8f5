/** Calls to a transmitter: with which token, where to, and what a failure is. */
import t, { type Test } from 'tap';
import { ClientCredentialsToken, type TokenEndpoint } from '../../src/signals/client-credentials.ts';
import { TransmitterCalls } from '../../src/signals/transmitter-calls.ts';
import { TransmitterError } from '../../src/signals/transmitter-error.ts';
import { AuthorizationServerClient } from '../../src/token/authorization-server-client.ts';
import type { HttpTransmitter } from '../support/http-transmitter.ts';
import { startHttpTransmitter } from '../support/http-transmitter.ts';
import { ManualClock } from '../support/manual-clock.ts';

interface Play {
  readonly transmitter: HttpTransmitter;
  readonly calls: TransmitterCalls;
  readonly clock: ManualClock;
}

async function play(t: Test, endpoint: Partial<TokenEndpoint> = {}): Promise<Play> {
  const transmitter = await startHttpTransmitter(t);
  const clock = new ManualClock();
  const client = new AuthorizationServerClient();
  t.teardown(() => client.close());
  const tokens = new ClientCredentialsToken(
    {
      url: `${transmitter.url}/token`,
      issuer: transmitter.url,
      credentials: { method: 'client_secret_basic', clientId: 'gateway', clientSecret: 'a secret' },
      scope: 'ssf.read ssf.manage',
      timeoutMs: 5_000,
      ...endpoint,
    },
    client,
    clock,
  );
  const calls = new TransmitterCalls({ client, origins: [transmitter.url], tokens, clock });
  return { transmitter, calls, clock };
}

const failureOf = async (promise: Promise<unknown>): Promise<TransmitterError> => {
  try {
    await promise;
  } catch (error) {
    if (error instanceof TransmitterError) return error;
    throw error;
  }
  throw new Error('it has not failed');
};
const poll = (url: string): Parameters<TransmitterCalls['send']>[0] => ({
  method: 'POST',
  url: `${url}/poll`,
  body: '{"returnImmediately":true}',
  timeoutMs: 5_000,
});

t.test('the gateway gets one token for many calls, and another before it ends', async (t) => {
  const { transmitter, calls, clock } = await play(t);
  await Promise.all([calls.send(poll(transmitter.url)), calls.send(poll(transmitter.url))]);
  const [asked, ...more] = transmitter.callsOf('POST', '/token');
  t.equal(more.length, 0);
  t.strictSame(asked?.body, { scope: 'ssf.read ssf.manage', grant_type: 'client_credentials' });
  t.equal(asked?.authorization, `Basic ${btoa('gateway:a+secret')}`);
  clock.advance(3_240_000);
  await calls.send(poll(transmitter.url));
  t.equal(transmitter.callsOf('POST', '/token').length, 2);
});

t.test('a token that is refused is replaced once', async (t) => {
  const { transmitter, calls } = await play(t);
  await calls.send(poll(transmitter.url));
  transmitter.accepts.clear();
  await calls.send(poll(transmitter.url));
  t.equal(transmitter.callsOf('POST', '/token').length, 2);
  transmitter.instead.set('/poll', (response) => void response.writeHead(401).end());
  t.match(await failureOf(calls.send(poll(transmitter.url))), { failure: 'refused', status: 401 });
  t.equal(transmitter.callsOf('POST', '/token').length, 3, 'and no more');
});

t.test('without a token nothing is sent', async (t) => {
  const { transmitter, calls } = await play(t);
  const responses = [
    { status: 401, body: '{"error":"invalid_client"}' },
    { status: 200, body: '{"token_type":"Bearer"}' },
    { status: 200, body: '{"access_token":"a b","token_type":"Bearer"}' },
    { status: 200, body: '{"access_token":"abc","token_type":"DPoP"}' },
    { status: 200, body: 'access_token=abc' },
    { status: 200, body: '[]' },
  ];
  for (const { status, body } of responses) {
    transmitter.instead.set('/token', (response) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(body);
    });
    t.equal((await failureOf(calls.send(poll(transmitter.url)))).failure, 'no_token', body);
  }
  t.equal(transmitter.callsOf('POST', '/poll').length, 0);
});

t.test('a server that the configuration does not name gets nothing', async (t) => {
  const { calls } = await play(t);
  const other = await startHttpTransmitter(t);
  t.equal((await failureOf(calls.send(poll(other.url)))).failure, 'unreadable');
  t.strictSame(other.calls, []);
});

t.test('each kind of failure is told apart', async (t) => {
  const { transmitter, calls } = await play(t);
  const cases: [number, Record<string, string>, string, object][] = [
    [403, {}, '', { failure: 'refused', status: 403 }],
    [404, {}, '', { failure: 'status', status: 404 }],
    [500, {}, '', { failure: 'status', status: 500 }],
    [302, { location: 'https://elsewhere.example.com' }, '', { failure: 'status', status: 302 }],
    [503, {}, '', { failure: 'status', status: 503 }],
    [503, { 'retry-after': '7' }, '', { failure: 'busy', retryAfterSeconds: 7 }],
    [429, {}, '', { failure: 'busy', retryAfterSeconds: undefined }],
    [200, { 'content-type': 'text/html' }, '<html>', { failure: 'unreadable' }],
    [200, { 'content-type': 'application/json' }, '{"sets":{},"sets":{}}', { failure: 'unreadable' }],
    [200, { 'content-type': 'application/json' }, '{', { failure: 'unreadable' }],
    [200, { 'content-type': 'application/json' }, ' '.repeat(1024 * 1024 + 1), { failure: 'too_large' }],
    [200, { 'content-encoding': 'gzip' }, '', { failure: 'unreadable' }],
  ];
  for (const [status, headers, body, expected] of cases) {
    transmitter.instead.set('/poll', (response) => void response.writeHead(status, headers).end(body));
    t.match(
      await failureOf(calls.send(poll(transmitter.url))),
      expected,
      `${status} ${JSON.stringify(headers)}`,
    );
  }
  transmitter.instead.set('/poll', (response) => void response.destroy());
  t.equal((await failureOf(calls.send(poll(transmitter.url)))).failure, 'unreachable');
});

t.test('a call ends when the caller ends it', async (t) => {
  const { transmitter, calls } = await play(t);
  const ending = new AbortController();
  const call = failureOf(
    calls.send({ ...poll(transmitter.url), body: '{}', timeoutMs: 600_000, signal: ending.signal }),
  );
  ending.abort();
  t.equal((await call).failure, 'unreachable');
});
