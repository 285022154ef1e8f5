/** Names some of whose addresses cannot be reached: no request fails or waits for long (RFC 8305). Each address has its own health. */
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import t from 'tap';
import { send } from '../support/client.ts';
import { until } from '../support/gateway.ts';
import { startMovingTargets, steady, targetOf } from '../support/moving-targets.ts';

const post = { method: 'POST', body: 'a body' };

t.test('a name with both families of which one listens costs no error, and is logged once', async (t) => {
  const { gateway, members, clock, become } = await startMovingTargets(t, ['127.0.0.1'], {
    records: (a) => ({ a, aaaa: ['::1'] }),
  });
  for (let count = 0; count < 8; count++) t.equal((await send(gateway.url, '/', post)).status, 200);
  await become({ a: ['127.0.0.1'], aaaa: ['::1'], ttl: 5 });
  await become({ a: ['127.0.0.1'], aaaa: ['::1'], ttl: 6 });
  t.equal((await send(gateway.url, '/', post)).status, 200);
  const states = async (): Promise<string[]> =>
    (await targetOf(gateway)).members.map(({ address, state }) => `${address} ${state}`);
  t.strictSame(await states(), ['127.0.0.1 up', '::1 unreachable']);
  const told = gateway.log.filter(({ level, address }) => level === 'warn' && address === '::1');
  t.equal(told.length, 1);

  const v6 = await members.add('::1');
  await until(async () => {
    clock.advance(1_000);
    return (await states()).every((state) => state.endsWith(' up'));
  });
  t.equal(v6.seen.length, 0, 'it was tried without a request');
  for (let count = 0; count < 2; count++) await send(gateway.url, '/');
  t.equal(v6.seen.length, 1, 'it gets its share');
});

t.test('a name none of whose addresses can be reached is 502, and works as soon as one can', async (t) => {
  const { gateway, members } = await startMovingTargets(t, ['127.0.0.2', '127.0.0.3']);
  for (const member of members.servers) member.stop();
  for (let count = 0; count < 3; count++) {
    const { status, problem } = await send(gateway.url, '/', post);
    t.strictSame([status, problem.code], [502, 'upstream_unreachable']);
  }
  await members.add('127.0.0.3');
  const statuses = [];
  for (let count = 0; count < 4; count++) statuses.push((await send(gateway.url, '/', post)).status);
  t.equal(statuses.filter((status) => status === 200).length >= 3, true, String(statuses));
});

t.test(
  'an address that takes no connection, and does not refuse it either, delays a first request only',
  async (t) => {
    // It accepts, but never says that it speaks HTTP/2: as a packet filter that drops.
    const { gateway, members } = await startMovingTargets(t, ['127.0.0.2'], {
      scheme: 'h2c',
      // No request may wait for it.
      upstream: { connect_timeout: '1h' },
      records: () => ({ a: ['127.0.0.2', '127.0.0.9'] }),
    });
    const sockets: Socket[] = [];
    const silent = createServer((socket) => void sockets.push(socket.on('error', () => undefined)));
    silent.listen(members.port, '127.0.0.9');
    await once(silent, 'listening');
    t.teardown(() => {
      for (const socket of sockets) socket.destroy();
      silent.close();
    });
    const statuses: number[] = [];
    for (let count = 0; count < 6; count++) statuses.push((await send(gateway.url, '/', post)).status);
    t.strictSame(statuses, [200, 200, 200, 200, 200, 200]);
    const { members: shown } = await targetOf(gateway);
    t.strictSame(
      shown.map(({ state }) => state),
      ['up', 'unreachable'],
    );
  },
);

t.test('each address is ejected, and checked, by itself', async (t) => {
  const { gateway, members, hits, clock } = await startMovingTargets(t, ['127.0.0.2', '127.0.0.3'], {
    upstream: { health: { path: '/health', interval: '1s', unhealthy_after: 1, healthy_after: 1 } },
  });
  const [second, third] = members.servers;
  if (!second || !third) return;
  await until(() => second.seen.includes('/health') && third.seen.includes('/health'));
  third.status = 503;
  const states = async (): Promise<string[]> => (await targetOf(gateway)).members.map(({ state }) => state);
  await until(async () => {
    clock.advance(1_000);
    return (await states())[1] === 'unhealthy';
  });
  t.strictSame(await steady(hits, 3, { '127.0.0.2': 3 }), { '127.0.0.2': 3 });
  const line = gateway.log.find(({ level, address }) => level === 'warn' && address === '127.0.0.3');
  t.ok(line);
  third.status = 200;
  await until(async () => {
    clock.advance(1_000);
    return (await states())[1] === 'up';
  });
  t.strictSame(await steady(hits, 4, { '127.0.0.2': 2, '127.0.0.3': 2 }), { '127.0.0.2': 2, '127.0.0.3': 2 });
});
