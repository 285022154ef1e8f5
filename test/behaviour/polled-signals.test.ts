/** A transmitter that is polled, and its stream, with a whole gateway: RFC 8936 and OpenID SSF 1.0. Rule V17. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { alone } from '../../src/assembly/place.ts';
import type { RevocationStore } from '../../src/revocation/revocation-store.ts';
import { send } from '../support/client.ts';
import {
  loginIssuer,
  startGateway,
  until,
  type GatewayOptions,
  type TestGateway,
} from '../support/gateway.ts';
import {
  startHttpTransmitter,
  TRANSMITTER_TOKEN,
  type HttpTransmitter,
} from '../support/http-transmitter.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { startRedis } from '../support/redis.ts';
import { claimsOf, createKey, mint, nowSeconds } from '../support/tokens.ts';
import { CAEP, opaque, RECEIVER, SSF } from '../support/transmitter.ts';
import { startUpstream } from '../support/upstream.ts';

const upstream = await startUpstream(t);
const key = createKey('ES256');

const folder = mkdtempSync(join(tmpdir(), 'sallyport-signals-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
writeFileSync(join(folder, 'token'), TRANSMITTER_TOKEN, { mode: 0o600 });

function configuration(
  { url }: HttpTransmitter,
  transmitter: Record<string, unknown> = {},
  more: Record<string, unknown> = {},
): Record<string, unknown> {
  return {
    issuers: { login: loginIssuer(key) },
    signals: {
      events: {
        issuer: url,
        discovery: true,
        audiences: [RECEIVER],
        for: ['login'],
        http: { bearer_token_file: 'token' },
        poll: { url: `${url}/poll` },
        ...transmitter,
      },
    },
    routes: [{ name: 'all', match: { path_prefix: '/' }, upstream: 'u' }],
    upstreams: { u: { targets: [upstream.url] } },
    ...more,
  };
}

const start = (t: Test, given: Record<string, unknown>, options: GatewayOptions = {}): Promise<TestGateway> =>
  startGateway(t, given, { folder, ...options });

/** As long as the first pause after a failure. */
const RETRY_MS = 1_000;

const passes = async (gateway: TestGateway, claims: Record<string, unknown>): Promise<boolean> =>
  (await send(gateway.url, '/', { token: mint(key, claimsOf({ iat: nowSeconds() - 60, ...claims })) }))
    .status === 200;
const said = (gateway: TestGateway, message: RegExp): boolean =>
  gateway.log.some(({ msg }) => message.test(String(msg)));

const SESSION = `${CAEP}session-revoked`;
const session = (id: string): Record<string, unknown> => ({
  sub_id: { format: 'complex', session: opaque(id) },
});

t.test('V17 a polled signal ends tokens, and is acknowledged then', async (t) => {
  const transmitter = await startHttpTransmitter(t);
  const gateway = await start(t, configuration(transmitter));
  t.ok(await passes(gateway, { sid: 's1' }));
  const ended = transmitter.offer(SESSION, {}, session('s1'));
  const wrong = transmitter.offer(SESSION, {}, { ...session('s2'), aud: 'another' });
  transmitter.hold('no-token', 'no token');
  await until(() => transmitter.held.size === 0);
  t.strictSame([...transmitter.acknowledged], [ended]);
  t.match(transmitter.refused, {
    [wrong]: { err: 'invalid_audience' },
    'no-token': { err: 'invalid_request' },
  });
  const before = upstream.seen.length;
  t.notOk(await passes(gateway, { sid: 's1' }));
  t.equal(upstream.seen.length, before, 'the upstream saw nothing');
  t.ok(await passes(gateway, { sid: 's2' }));
  t.ok(
    transmitter
      .callsOf('POST', '/poll')
      .every(({ authorization }) => authorization === `Bearer ${TRANSMITTER_TOKEN}`),
  );
  t.ok((await gateway.metric('sallyport_signal_polls_total{transmitter="events",result="signals"}')) > 0);
  t.ok(await gateway.metric('sallyport_signal_last_timestamp_seconds{transmitter="events"}'));
});

t.test('V17 while the store fails a polled signal is not acknowledged; then it takes effect', async (t) => {
  const transmitter = await startHttpTransmitter(t);
  let isDown = true;
  const gateway = await start(t, configuration(transmitter), {
    place: (loaded, clock) => {
      const place = alone(loaded, clock);
      const store = new Proxy(place.store, {
        get(target, name: keyof RevocationStore) {
          const member: unknown = Reflect.get(target, name, target);
          if (typeof member !== 'function') return member;
          return (...args: unknown[]) =>
            name === 'revoke' && isDown
              ? Promise.reject(new Error('the store is gone'))
              : (member as (...args: unknown[]) => unknown).apply(target, args);
        },
      });
      return { ...place, store };
    },
  });
  const jti = transmitter.offer(SESSION, {}, session('s1'));
  await until(() => said(gateway, /^signals could not be taken/));
  t.strictSame([...transmitter.acknowledged], []);
  t.strictSame(transmitter.refused, {});
  t.ok(await passes(gateway, { sid: 's1' }));
  isDown = false;
  await until(() => transmitter.acknowledged.has(jti));
  t.notOk(await passes(gateway, { sid: 's1' }));
  t.ok(said(gateway, /^signals are taken again/));
});

t.test(
  'a gateway whose token is refused says once what to do, and goes on with a token that is rotated in',
  async (t) => {
    const transmitter = await startHttpTransmitter(t);
    const file = join(folder, 'rotated');
    writeFileSync(file, 'old-token', { mode: 0o600 });
    const clock = new ManualClock();
    const gateway = await start(t, configuration(transmitter, { http: { bearer_token_file: 'rotated' } }), {
      clock,
    });
    /** The pauses between two tries pass. */
    const untilLater = (condition: () => boolean): Promise<void> =>
      until(() => {
        clock.advance(RETRY_MS);
        return condition();
      });
    await untilLater(() => transmitter.callsOf('POST', '/poll').length > 1);
    const refusals = gateway.log.filter(({ msg }) =>
      String(msg).includes('refuses the token of the gateway'),
    );
    t.equal(refusals.length, 1);
    t.match(refusals[0], { level: 'error', transmitter: 'events', status: 401 });
    t.match(refusals[0]?.['msg'], /bearer_token_file or oauth/);
    writeFileSync(file, TRANSMITTER_TOKEN);
    await untilLater(() => said(gateway, /^the transmitter is polled again/));
  },
);

t.test('by a stream alone: it is made, polled where it says, and has a heartbeat', async (t) => {
  const transmitter = await startHttpTransmitter(t);
  const gateway = await start(
    t,
    configuration(transmitter, {
      http: undefined,
      oauth: {
        token_url: `${transmitter.url}/token`,
        client_id: 'gateway',
        client_secret: 'secret of the gateway',
      },
      poll: {},
      stream: {},
    }),
  );
  const last = 'sallyport_signal_last_timestamp_seconds{transmitter="events"}';
  await until(async () => (await gateway.metric(last)) > 0);
  await until(() => transmitter.held.size === 0);
  t.equal(transmitter.acknowledged.size, 1, 'the verification event is acknowledged');
  const [stream] = transmitter.streams.values();
  t.match(stream, { description: 'Sallyport sallyport: events', delivery: { method: 'urn:ietf:rfc:8936' } });
  t.equal(await gateway.metric('sallyport_signal_stream_enabled{transmitter="events"}'), 1);
  t.equal(await gateway.metric('sallyport_signal_quiet_after_seconds{transmitter="events"}'), 600);

  const other = transmitter.offer(`${SSF}verification`, { state: 'of another' });
  const own = transmitter.offer(`${SSF}verification`);
  const paused = transmitter.offer(`${SSF}stream-updated`, { status: 'paused', reason: 'x' });
  await until(() => transmitter.held.size === 0);
  t.match(transmitter.refused, { [other]: { err: 'invalid_state' } });
  t.ok(transmitter.acknowledged.has(own) && transmitter.acknowledged.has(paused));
  t.ok(
    gateway.log.some(({ msg, status }) => /has changed the status/.test(String(msg)) && status === 'paused'),
  );
});

t.test('one gateway of a fleet polls and keeps the stream; another takes over when it ends', async (t) => {
  const redis = await startRedis(t);
  const transmitter = await startHttpTransmitter(t);
  const given = configuration(transmitter, { poll: {}, stream: {} }, { revocation: { store: redis.url } });
  const first = await start(t, given);
  await until(() => transmitter.streams.size === 1);
  const second = await start(t, given);
  const gateways = async (): Promise<number> => {
    const { gateways } = (await (await second.admin('GET', '/v1/gateways')).json()) as {
      gateways: unknown[];
    };
    return gateways.length;
  };
  await until(async () => (await gateways()) === 2);
  transmitter.offer(SESSION, {}, session('s1'));
  await until(() => transmitter.held.size === 0);
  await until(async () => !(await passes(second, { sid: 's1' })));
  const polls = (gateway: TestGateway): Promise<number> =>
    gateway.metric('sallyport_signal_polls_total{transmitter="events",result="signals"}');
  t.ok((await polls(first)) > 0);
  t.equal(await polls(second), 0);
  await first.stop();
  transmitter.offer(SESSION, {}, session('s2'));
  await until(() => transmitter.held.size === 0);
  t.ok((await polls(second)) > 0);
  t.equal(transmitter.streams.size, 1, 'no second stream');
  t.notOk(await passes(second, { sid: 's2' }));
});

t.test(
  'a reload goes on polling where nothing has changed, and stops where the transmitter is gone',
  async (t) => {
    const transmitter = await startHttpTransmitter(t);
    const gateway = await start(t, configuration(transmitter));
    await until(() => transmitter.callsOf('POST', '/poll').length === 1);
    const { configuration: before } = gateway.loaded;
    const reload = (signals: typeof before.signals): Promise<void> =>
      gateway.instance.reload({ ...gateway.loaded, configuration: { ...before, signals } });
    await reload({ ...before.signals });
    transmitter.offer(SESSION, {}, session('s1'));
    await until(() => transmitter.held.size === 0);
    t.equal(
      transmitter.callsOf('POST', '/poll').filter(({ body }) => body['ack'] === undefined).length <= 2,
      true,
    );
    await until(() => transmitter.callsOf('POST', '/poll').length === 3);
    await reload({});
    transmitter.offer(SESSION, {}, session('s2'));
    const changed = structuredClone(before.signals);
    await reload(changed);
    await until(() => transmitter.held.size === 0);
    t.notOk(await passes(gateway, { sid: 's2' }));
  },
);
