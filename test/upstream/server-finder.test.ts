/** Which servers the records of a name make, and their shares. Rule G6. */
import t from 'tap';
import type { NameResolver, ServiceRecord } from '../../src/dns/name-resolver.ts';
import { readTargetUrl } from '../../src/http/target-url.ts';
import { ServerFinder } from '../../src/upstream/server-finder.ts';

function finderFor(records: readonly ServiceRecord[], ttlMs = 1_000): ServerFinder {
  const url = readTargetUrl('srv://_http._tcp.orders.test');
  const resolver: NameResolver = {
    services: async () => records,
    addresses: async (name) => ({ addresses: [name.replace('.test', '')], ttlMs, unknown: undefined }),
  };
  if (!url) throw new Error('this is no target');
  return new ServerFinder(url, resolver);
}

const record = (name: string, weight: number, priority = 0): ServiceRecord => ({
  ...{ name: `${name}.test`, port: 80, priority, weight },
});

t.test(
  'a server of weight 0 gets a hundredth of the mean; of weights 0 alone, all get the same',
  async (t) => {
    const sharesOf = async (...records: readonly ServiceRecord[]): Promise<Record<string, number>> => {
      const { servers } = await finderFor(records).find();
      return Object.fromEntries(servers.map(({ address, share }) => [address, share]));
    };
    t.strictSame(await sharesOf(record('10.0.0.1', 0), record('10.0.0.2', 100)), {
      '10.0.0.1': 0.01,
      '10.0.0.2': 2,
    });
    t.strictSame(await sharesOf(record('10.0.0.1', 0), record('10.0.0.2', 0)), {
      '10.0.0.1': 1,
      '10.0.0.2': 1,
    });
    t.strictSame(await sharesOf(record('10.0.0.1', 5), record('10.0.0.2', 900, 7)), {
      '10.0.0.1': 1,
      '10.0.0.2': 1,
    });
  },
);

t.test(
  'G6 SRV records are asked for again soon, however long the addresses of their servers hold',
  async (t) => {
    t.equal((await finderFor([record('10.0.0.1', 1)], 3_600_000).find()).ttlMs, 5_000);
    t.equal((await finderFor([record('10.0.0.1', 1)], 2_000).find()).ttlMs, 2_000);
  },
);
