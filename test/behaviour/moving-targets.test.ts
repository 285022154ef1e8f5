/** Targets whose names have several addresses that come and go: balancing, drain, failures of DNS. Rule G6. */
import t from 'tap';
import { Instance } from '../../src/assembly/instance.ts';
import { createLog } from '../../src/telemetry/logger.ts';
import { send, type Response } from '../support/client.ts';
import { startDnsServer, type Fault } from '../support/dns-server.ts';
import { until } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { startMembers } from '../support/members.ts';
import {
  listening,
  OPEN,
  reloaded,
  resolutions,
  startMovingTargets,
  targetOf,
  steady,
} from '../support/moving-targets.ts';

for (const scheme of ['http', 'h2c']) {
  t.test(
    `G6 each address of a name of ${scheme}:// gets its share, new ones join, and vanished ones leave in peace`,
    async (t) => {
      const { members, hits, become, gateway, dns } = await startMovingTargets(
        t,
        ['127.0.0.2', '127.0.0.3'],
        { scheme },
      );
      const [second, third] = members.servers;
      t.strictSame(await steady(hits, 6, { '127.0.0.2': 3, '127.0.0.3': 3 }), {
        '127.0.0.2': 3,
        '127.0.0.3': 3,
      });
      t.ok(second && third);
      if (!second || !third) return;

      const fourth = await members.add('127.0.0.4');
      await become({ a: ['127.0.0.2', '127.0.0.3', '127.0.0.4'] });
      t.strictSame(await steady(hits, 9, { '127.0.0.2': 3, '127.0.0.3': 3, '127.0.0.4': 3 }), {
        '127.0.0.2': 3,
        '127.0.0.3': 3,
        '127.0.0.4': 3,
      });

      third.isHolding = true;
      const sent = Array.from({ length: 3 }, () => send(gateway.url, '/held', { method: 'POST', body: 'x' }));
      await until(() => third.held.length === 1);
      await become({ a: ['127.0.0.4', '127.0.0.2'] });
      t.strictSame(
        await steady(hits, 6, { '127.0.0.2': 3, '127.0.0.4': 3 }),
        { '127.0.0.2': 3, '127.0.0.4': 3 },
        'the vanished one gets no new request',
      );
      for (const reply of third.held) reply();
      t.strictSame(
        (await Promise.all(sent)).map(({ status, body }) => `${status} ${body}`).toSorted(),
        ['200 127.0.0.2', '200 127.0.0.3', '200 127.0.0.4'],
        'its request in flight ends as if nothing had happened',
      );
      await until(() => third.open.size === 0);
      t.equal(third.held.length, 1);

      await become({ a: ['127.0.0.4'] });
      await until(() => second.open.size === 0);
      t.strictSame(await steady(hits, 2, { '127.0.0.4': 2 }), { '127.0.0.4': 2 });
      t.ok(fourth.seen.length > 0);
      t.ok(dns.asked.includes('orders.test A') && dns.asked.includes('orders.test AAAA'));
      const { members: shown } = await targetOf(gateway);
      t.strictSame(
        shown.map(({ address, state }) => [address, state]),
        [['127.0.0.4', 'up']],
      );
      const lines = gateway.log.filter(({ joined_addresses }) => joined_addresses !== undefined);
      t.strictSame(lines[0]?.['joined_addresses'], ['127.0.0.2', '127.0.0.3']);
    },
  );
}

t.test('G6 whatever DNS fails with, the last good addresses stay, without a pause', async (t) => {
  const { dns, clock, gateway, hits, become } = await startMovingTargets(t, ['127.0.0.2', '127.0.0.3']);
  const both = { '127.0.0.2': 2, '127.0.0.3': 2 };
  t.strictSame(await steady(hits, 4, both), both);
  const failures =
    'sallyport_upstream_resolutions_total{upstream="u",target="TARGET",result="failure"}'.replace(
      'TARGET',
      (await targetOf(gateway)).url,
    );
  const faults: readonly Fault[] = ['servfail', 'nxdomain', 'refused', 'silent', 'garbage', 'other-question'];
  for (const [index, fault] of faults.entries()) {
    dns.fault = fault;
    const { length } = dns.asked;
    clock.advance(5_000);
    await until(() => dns.asked.length > length);
    t.strictSame(await steady(hits, 4, both), both, `${fault}: while the question is open`);
    // What gets no response is given up by the clock.
    await until(async () => {
      clock.advance(500);
      return (await gateway.metric(failures)) > index;
    });
    t.strictSame(await steady(hits, 4, both), both, `${fault}: after it has failed`);
  }
  const { resolves, resolution_error, healthy } = await targetOf(gateway);
  t.strictSame([resolves, healthy], [false, true]);
  t.match(resolution_error, 'orders.test');
  const warnings = (): number => gateway.log.filter(({ msg }) => /does not resolve/.test(String(msg))).length;
  t.equal(warnings(), 1, 'one line for all of them');
  dns.fault = undefined;
  for (const empty of [{ a: [] }, { a: ['0.0.0.0', '224.0.0.1'], aaaa: ['::', 'ff02::1'] }]) {
    await become(empty);
    t.strictSame(await steady(hits, 4, both), both, 'names without an address of a server');
  }
  await become({ a: ['127.0.0.3'] });
  t.strictSame(await steady(hits, 2, { '127.0.0.3': 2 }), { '127.0.0.3': 2 });
  t.equal(gateway.log.filter(({ msg }) => /resolves again/.test(String(msg))).length, 1);
  t.equal((await targetOf(gateway)).resolves, true);
});

t.test('G6 where one family gets no response, its last addresses stay', async (t) => {
  const { dns, hits, become } = await startMovingTargets(t, ['127.0.0.2', '127.0.0.3']);
  t.strictSame(await steady(hits, 2, { '127.0.0.2': 1, '127.0.0.3': 1 }), { '127.0.0.2': 1, '127.0.0.3': 1 });
  dns.fault = 'servfail';
  dns.faultyType = 'A';
  await become({ aaaa: ['::1'] });
  t.strictSame(Object.keys(await hits(4)).toSorted(), ['127.0.0.2', '127.0.0.3']);
  dns.fault = undefined;
  await become({ a: ['127.0.0.2'], aaaa: [] });
  t.strictSame(await steady(hits, 2, { '127.0.0.2': 2 }), { '127.0.0.2': 2 });
});

t.test(
  'a response that is too long for UDP is asked for over TCP, and at most 256 addresses are used',
  async (t) => {
    const many = Array.from(
      { length: 300 },
      (_, index) => `127.0.${1 + Math.floor(index / 200)}.${1 + (index % 200)}`,
    );
    const { dns, become, gateway } = await startMovingTargets(t, ['127.0.0.2']);
    dns.fault = 'truncated';
    await become({ a: many.toReversed() });
    const before = await targetOf(gateway);
    t.strictSame([before.members.length, before.addresses_left_out], [256, 44]);
    t.ok(dns.overTcp > 0);
    await become({ a: many });
    const after = await targetOf(gateway);
    t.strictSame(
      after.members.map(({ address, since }) => `${address} ${since}`),
      before.members.map(({ address, since }) => `${address} ${since}`),
      'the same ones, in whatever order they come',
    );
  },
);

t.test('names are resolved again by their TTL, within 1 and 60 seconds', async (t) => {
  const { dns, clock, gateway, become } = await startMovingTargets(t, ['127.0.0.2']);
  for (const [ttl, seconds] of [
    [0, 1],
    [1, 1],
    [20, 20],
    [4_000_000, 60],
  ] as const) {
    await become({ a: ['127.0.0.2'], ttl });
    const before = await resolutions(gateway);
    clock.advance(seconds * 1_000 - 800);
    t.equal(await resolutions(gateway), before, `TTL ${ttl}: not before`);
    dns.records.set('orders.test', { a: ['127.0.0.2'], ttl: 5 });
    clock.advance(900);
    await until(async () => (await resolutions(gateway)) > before);
  }
});

t.test('a name that never resolved is 502 at once, and works as soon as it resolves', async (t) => {
  const { dns, clock, gateway, members, become } = await startMovingTargets(t, ['127.0.0.2'], {
    records: () => ({ a: [] }),
  });
  const { status, problem } = await send(gateway.url, '/', { method: 'POST', body: 'x' });
  t.strictSame([status, problem.code], [502, 'upstream_unreachable']);
  t.strictSame(members.servers[0]?.seen, []);
  const line = gateway.log.find((entry) => entry['status'] === 502);
  t.match(JSON.stringify(line), /orders\.test does not resolve/, 'the log says why');
  t.equal(await gateway.metric('sallyport_upstream_target_healthy'), 0);
  await become({ a: ['127.0.0.2'] });
  t.equal((await send(gateway.url, '/')).status, 200);
  t.ok(dns.asked.length > 0 && clock);
});

t.test(
  'G6 requests that wait for the first resolution are served when it succeeds, and get 502 when it takes too long',
  async (t) => {
    for (const [succeeds, wanted] of [
      [true, 200],
      [false, 502],
    ] as const) {
      const members = await startMembers(t, ['127.0.0.2']);
      const dns = await startDnsServer(t, { 'orders.test': { a: ['127.0.0.2'] } });
      const clock = new ManualClock();
      dns.hold();
      // Its names are asked for at once, and its start is over when they have resolved.
      const instance = new Instance(
        reloaded({
          dns: { servers: [dns.address] },
          routes: [OPEN],
          upstreams: { u: { targets: [`http://orders.test:${members.port}`], connect_timeout: '1s' } },
        }),
        createLog({ write: () => undefined }),
        clock,
      );
      const started = instance.start();
      t.teardown(() => instance.stop());
      await until(() => dns.asked.length >= 2);
      const port = await listening(() => instance.listeners[0]?.address.port);
      const answers: Response[] = [];
      const sent = send(`http://127.0.0.1:${port}`, '/', { method: 'POST', body: 'x' }).then((response) =>
        answers.push(response),
      );
      if (succeeds) {
        await until(() => instance.inFlight.count === 1);
        t.equal(answers.length, 0);
        dns.release();
      } else {
        await until(() => {
          clock.advance(100);
          return answers.length > 0;
        });
        dns.release();
      }
      await sent;
      t.strictSame(
        answers.map(({ status }) => status),
        [wanted],
      );
      t.equal(members.servers[0]?.seen.length, succeeds ? 1 : 0);
      await started;
    }
  },
);

t.test('an address that vanishes and returns while it has requests keeps its connections', async (t) => {
  const { members, gateway, become } = await startMovingTargets(t, ['127.0.0.2', '127.0.0.3']);
  const [second] = members.servers;
  if (!second) return;
  second.isHolding = true;
  const sent = [send(gateway.url, '/'), send(gateway.url, '/')];
  await until(() => second.held.length === 1);
  await become({ a: ['127.0.0.3'] });
  await become({ a: ['127.0.0.2', '127.0.0.3'] });
  second.isHolding = false;
  for (const reply of second.held) reply();
  await Promise.all(sent);
  for (let count = 0; count < 4; count++) t.equal((await send(gateway.url, '/')).status, 200);
  t.equal(second.opened, 1);
  t.equal(second.seen.length, 3);
});

t.test('A7: addresses show in /v1/status, and in no metric', async (t) => {
  const { gateway, hits, members } = await startMovingTargets(t, ['127.0.0.2', '127.0.0.3']);
  await hits(2);
  const target = `http://orders.test:${members.port}`;
  t.equal(await gateway.metric(`sallyport_upstream_members{upstream="u",target="${target}",state="up"}`), 2);
  t.equal(await gateway.metric(`sallyport_upstream_target_healthy{upstream="u",target="${target}"}`), 1);
  t.notMatch(await (await fetch(`${gateway.adminUrl}/metrics`)).text(), /127\.0\.0\.[23]/);
});

t.test('what a response says of other names concerns no other name', async (t) => {
  const { dns, gateway, become } = await startMovingTargets(t, ['127.0.0.2', '127.0.0.3']);
  dns.records.set('bank.test', { a: ['127.0.0.2'] });
  await become({ a: ['127.0.0.2'], more: [{ name: 'bank.test', type: 'A', ttl: 60, data: '127.0.0.3' }] });
  await gateway.instance.reload(
    reloaded({
      dns: { servers: [dns.address] },
      routes: [OPEN],
      upstreams: { u: { targets: ['http://bank.test:80'] } },
    }),
  );
  t.strictSame(
    (await targetOf(gateway)).members.map(({ address }) => address),
    ['127.0.0.2'],
  );
});

t.test(
  'a reload keeps members, their health and their connections where the target is the same',
  async (t) => {
    const { gateway, members, hits, configuration, dns } = await startMovingTargets(
      t,
      ['127.0.0.2', '127.0.0.3'],
      {
        upstream: { eject: { errors: 1, for: '1h' } },
      },
    );
    const [second, third] = members.servers;
    if (!second || !third) return;
    t.strictSame(await steady(hits, 4, { '127.0.0.2': 2, '127.0.0.3': 2 }), {
      '127.0.0.2': 2,
      '127.0.0.3': 2,
    });
    third.stop();
    await hits(3);
    const before = await targetOf(gateway);
    t.strictSame(
      before.members.map(({ healthy }) => healthy),
      [true, false],
    );
    const asked = dns.asked.length;

    // Another weight, another way to balance, another target beside it.
    const url = `http://orders.test:${members.port}`;
    await gateway.instance.reload(
      reloaded(
        configuration({ targets: [{ url, weight: 3 }, 'http://127.0.0.1:1'], balance: 'least_requests' }),
      ),
    );
    t.strictSame(
      (await targetOf(gateway)).members.map(({ address, healthy, since }) => [address, healthy, since]),
      before.members.map(({ address, healthy, since }) => [address, healthy, since]),
    );
    t.equal(dns.asked.length, asked, 'its name is not asked for');
    await gateway.instance.reload(reloaded(configuration()));
    t.strictSame(await steady(hits, 3, { '127.0.0.2': 3 }), { '127.0.0.2': 3 });
    t.equal(second.opened, 1, 'the connection serves on');

    await gateway.instance.reload(reloaded(configuration({ connect_timeout: '1s' })));
    await until(() => second.open.size === 0);
    t.strictSame(
      await steady(hits, 2, { '127.0.0.2': 2 }),
      { '127.0.0.2': 2 },
      'another timeout is another target',
    );
  },
);
