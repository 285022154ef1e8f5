/** An HTTP/2 upstream that is gone without a word: no FIN, no RST. It must not swallow requests. Rules H10, H19, G2, G4. */
import t, { type Test } from 'tap';
import { OPEN } from '../support/forwarding.ts';
import { startGateway, until, type TestGateway } from '../support/gateway.ts';
import { startRawHttp2Upstream, type RawHttp2Connection } from '../support/http2-upstream.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { block, END_HEADERS, END_STREAM, FRAME, frame } from '../support/raw-http2.ts';

const ACK = 1;

/** Responds to requests and PINGs, but for connections that are `dead`, and for requests while it is `silent`. */
async function setUp(t: Test, upstreams: object = {}) {
  const state = { silent: false, requests: 0, dead: new Set<RawHttp2Connection>() };
  const upstream = await startRawHttp2Upstream(t, (connection, { type, flags, stream, payload }) => {
    if (state.dead.has(connection)) return;
    if (type === FRAME.ping && flags !== ACK) connection.send(frame(FRAME.ping, ACK, 0, payload));
    if (type !== FRAME.headers) return;
    state.requests++;
    if (!state.silent)
      connection.send(frame(FRAME.headers, END_HEADERS | END_STREAM, stream, block(':status', '204')));
  });
  const clock = new ManualClock();
  const gateway = await startGateway(
    t,
    {
      routes: [{ ...OPEN, timeouts: { response: '1h', idle: '1h' }, retries: { attempts: 1 } }],
      upstreams: { u: { targets: [upstream.url], ...upstreams } },
    },
    { clock },
  );
  const pings = (connection = upstream.connections[0]): number =>
    connection?.frames.filter(({ type, flags }) => type === FRAME.ping && flags !== ACK).length ?? 0;
  const first = (): RawHttp2Connection => upstream.connections[0] as RawHttp2Connection;
  return { state, upstream, clock, gateway, pings, first };
}

const ask = async (gateway: TestGateway, method = 'GET'): Promise<number> =>
  (await fetch(`${gateway.url}/open`, { method })).status;
const waiting = (gateway: TestGateway): Promise<number> => gateway.metric('sallyport_requests_in_flight');

/** Lets time pass in the steps of the sweep, each looked at by both sides. */
async function pass(clock: ManualClock, gateway: TestGateway, seconds: number): Promise<void> {
  for (let step = 0; step < seconds * 2; step++) {
    clock.advance(500);
    if (step % 4 === 0 || step > seconds * 2 - 4) await fetch(`${gateway.adminUrl}/livez`);
  }
}

t.test('requests on a dead connection fail within 16 s; a GET goes to a new one at once', async (t) => {
  const { state, upstream, clock, gateway, first } = await setUp(t);
  t.equal(await ask(gateway), 204);
  state.dead.add(first());
  const get = ask(gateway);
  const post = ask(gateway, 'POST');
  await until(async () => (await waiting(gateway)) === 2);
  await pass(clock, gateway, 16);
  t.equal(await get, 204, 'tried once more');
  t.equal(await post, 504, 'H10');
  t.equal(upstream.connections.length, 2);
  await until(() => first().socket.destroyed || first().socket.readableEnded);
  t.equal(await ask(gateway, 'POST'), 204);
});

t.test('a connection that died while it was idle is found within 6 s of its next request', async (t) => {
  const { state, clock, gateway, first } = await setUp(t);
  t.equal(await ask(gateway), 204);
  state.dead.add(first());
  await pass(clock, gateway, 40);
  const get = ask(gateway);
  await until(async () => (await waiting(gateway)) === 1);
  await pass(clock, gateway, 6);
  t.equal(await get, 204);
});

t.test('while a PING waits for its reply, new requests go to another connection', async (t) => {
  const { state, upstream, clock, gateway, pings, first } = await setUp(t);
  t.equal(await ask(gateway), 204);
  state.dead.add(first());
  const held = ask(gateway, 'POST');
  await until(async () => (await waiting(gateway)) === 1);
  await until(async () => {
    await pass(clock, gateway, 0.5);
    return pings() === 1;
  });
  await pass(clock, gateway, 1);
  t.equal(await ask(gateway, 'POST'), 204);
  t.equal(upstream.connections.length, 2);
  await pass(clock, gateway, 6);
  t.equal(await held, 504);
});

t.test('the failures count for the health of the target', async (t) => {
  const { state, clock, gateway, upstream, first } = await setUp(t, { eject: { errors: 3, for: '1h' } });
  t.equal(await ask(gateway), 204);
  state.dead.add(first());
  const held = [1, 2, 3].map(() => ask(gateway, 'POST'));
  await until(async () => (await waiting(gateway)) === 3);
  await pass(clock, gateway, 16);
  t.strictSame(await Promise.all(held), [504, 504, 504]);
  t.equal(
    await gateway.metric(`sallyport_upstream_target_healthy{upstream="u",target="${upstream.url}"}`),
    0,
  );
});

t.test('a peer that responds is not asked, and one that replies to PINGs keeps its streams', async (t) => {
  const { state, upstream, clock, gateway, pings } = await setUp(t);
  for (let count = 0; count < 5; count++) {
    await pass(clock, gateway, 4);
    t.equal(await ask(gateway), 204);
  }
  t.equal(pings(), 0);
  state.silent = true;
  const watching = ask(gateway);
  await until(async () => (await waiting(gateway)) === 1);
  await pass(clock, gateway, 60);
  t.equal(pings(), 1);
  t.equal(await waiting(gateway), 1);
  upstream.connections[0]?.send(
    frame(FRAME.headers, END_HEADERS | END_STREAM, 2 * state.requests - 1, block(':status', '204')),
  );
  t.equal(await watching, 204);
});
