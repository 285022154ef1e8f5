/** Which server gets the next request. */
import t from 'tap';
import { Balancer, type Weighted } from '../../src/upstream/balancer.ts';

interface Server extends Weighted {
  readonly name: string;
  available: boolean;
}

const server = (name: string, weight = 1, priority = 0): Server => ({
  name,
  weight,
  priority,
  inFlight: 0,
  available: true,
});
const names = (balancer: Balancer<Server>, count: number, avoid?: Server): string =>
  Array.from({ length: count }, () => balancer.next(avoid).name).join('');

t.test('in turn, by weight; those that join and leave do not disturb the turn of the others', async (t) => {
  const [a, b, c] = [server('a', 2), server('b'), server('c')];
  const balancer = new Balancer([a, b], 'round_robin');
  t.equal(names(balancer, 6), 'abaaba');
  balancer.use([a, b, c]);
  t.equal([...names(balancer, 8)].toSorted().join(''), 'aaaabbcc');
  balancer.use([c]);
  t.equal(names(balancer, 2), 'cc');
});

for (const balance of ['round_robin', 'least_requests'] as const) {
  t.test(
    `${balance}: a higher priority gets requests only if none of a lower one is available`,
    async (t) => {
      const [a, b, c] = [server('a'), server('b'), server('c', 1, 1)];
      const balancer = new Balancer([a, b, c], balance);
      t.notMatch(names(balancer, 6), 'c');
      a.available = false;
      t.equal(names(balancer, 3), 'bbb');
      t.equal(names(balancer, 1, b), 'c', 'another try goes to the spare one');
      b.available = false;
      t.equal(names(balancer, 3), 'ccc');
      c.available = false;
      t.equal(
        [...names(balancer, 4)].toSorted().join(''),
        'aabb',
        'none is available: the first ones are tried',
      );
    },
  );
}

t.test('least_requests: servers of the same load get requests in turn', async (t) => {
  const [a, b] = [server('a'), server('b')];
  const balancer = new Balancer([a, b], 'least_requests');
  t.equal([...names(balancer, 4)].toSorted().join(''), 'aabb');
  a.inFlight = 2;
  t.equal(names(balancer, 3), 'bbb');
});
