/** Names as the system resolves them: what is asked of whom, and what a slow DNS server holds up. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import t from 'tap';
import { DnsQueries } from '../../src/dns/dns-queries.ts';
import { ServerResolver, SystemResolver } from '../../src/dns/resolvers.ts';
import { SystemLookup } from '../../src/dns/system-lookup.ts';
import { startDnsServer } from '../support/dns-server.ts';
import { until } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { temporaryFolder } from '../support/process.ts';

t.test('addresses are those of the system; the TTL is that of DNS where it speaks of the same', async (t) => {
  const dns = await startDnsServer(t, {
    'same.test': { a: ['10.0.0.1', '10.0.0.9'], ttl: 7 },
    'other.test': { a: ['10.0.0.2'], ttl: 7 },
  });
  const folder = temporaryFolder(t);
  const hosts = join(folder, 'hosts');
  writeFileSync(hosts, '127.0.0.1 localhost\n10.0.0.5 printer Files # not.this\n');
  const clock = new ManualClock();
  const lookup = new SystemLookup(clock, async () => ['10.0.0.1', '10.0.0.3']);
  const resolver = new SystemResolver(clock, lookup, new DnsQueries([dns.address], clock), hosts);
  const addresses = ['10.0.0.1', '10.0.0.3'];
  t.strictSame(await resolver.addresses('same.test'), { addresses, ttlMs: 7_000, unknown: undefined });
  t.strictSame(await resolver.addresses('other.test'), { addresses, ttlMs: undefined, unknown: undefined });
  t.strictSame(await resolver.addresses('short'), { addresses, ttlMs: undefined, unknown: undefined });
  dns.asked.length = 0;
  for (const name of ['localhost', 'a.localhost', 'PRINTER', 'files']) await resolver.addresses(name);
  t.strictSame(dns.asked, [], 'what /etc/hosts says waits for no DNS server');
  await resolver.addresses('not.this');
  t.ok(dns.asked.length > 0);
});

t.test('localhost is never asked of a DNS server', async (t) => {
  const dns = await startDnsServer(t, { localhost: { a: ['10.0.0.1'] } });
  const { addresses } = await new ServerResolver([dns.address], new ManualClock()).addresses('localhost');
  t.ok(addresses.every((address) => address.startsWith('127.') || address === '::1'));
  t.strictSame(dns.asked, []);
});

t.test('names that take long hold two threads at most, and do not hold up the others', async (t) => {
  const clock = new ManualClock();
  const open: string[] = [];
  const asked: string[] = [];
  const lookup = new SystemLookup(clock, async (name) => {
    asked.push(name);
    if (!name.startsWith('slow')) return ['10.0.0.1'];
    open.push(name);
    await new Promise(() => undefined);
    return [];
  });
  const failures: unknown[] = [];
  for (let index = 0; index < 5; index++)
    lookup.addresses(`slow${index}`, true).catch((error: unknown) => failures.push(error));
  t.strictSame(await lookup.addresses('fast', false), ['10.0.0.1']);
  t.strictSame(open, ['slow0'], 'one at a time of those that DNS servers do not respond for');
  lookup.addresses('slow-by-surprise', false).catch((error: unknown) => failures.push(error));
  await until(() => open.length === 2);
  clock.advance(5_000);
  await until(() => failures.length === 6);
  await turn();
  t.strictSame(open, ['slow0', 'slow-by-surprise'], 'those that were given up in line are not asked for');
});

t.test('a name that took long goes with the slow ones from then on, until it is fast again', async (t) => {
  const clock = new ManualClock();
  let takesMs = 600;
  const holding = Promise.withResolvers<readonly string[]>();
  const lookup = new SystemLookup(clock, async (name) => {
    if (name === 'held') return holding.promise;
    clock.advance(takesMs);
    return ['10.0.0.1'];
  });
  await lookup.addresses('a', false);
  // The fast line is held by another name: `a` does not wait for it.
  const held = lookup.addresses('held', false);
  takesMs = 0;
  t.strictSame(await lookup.addresses('a', false), ['10.0.0.1']);
  holding.resolve([]);
  await held;
});
