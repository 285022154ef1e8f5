/** New tokens that arrive together are verified together, and each for itself. */
import t from 'tap';
import { MOST_TOGETHER, turnEnd } from '../../src/token/turn-end.ts';
import { send } from '../support/client.ts';
import { loginIssuer, startGateway } from '../support/gateway.ts';
import { claimsOf, createKey, mint } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

t.test(
  'who waits in one turn goes on in the order of the calls, behind what the turn itself does',
  async (t) => {
    const order: string[] = [];
    const waiting = ['one', 'two', 'three'].map(async (name) => {
      await turnEnd();
      order.push(name);
    });
    order.push('turn');
    await Promise.all(waiting);
    t.strictSame(order, ['turn', 'one', 'two', 'three']);
  },
);

t.test('one that fails takes no other with it', async (t) => {
  const outcomes = await Promise.allSettled(
    [1, 2, 3].map(async (number) => {
      await turnEnd();
      if (number === 2) throw new Error('bad');
      return number;
    }),
  );
  t.strictSame(
    outcomes.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
});

t.test('a full turn goes on before the loop has turned, and those behind it wait for its end', async (t) => {
  let turned = false;
  setImmediate(() => (turned = true));
  const before: boolean[] = [];
  const wait = async (): Promise<void> => {
    await turnEnd();
    before.push(!turned);
  };
  await Promise.all(Array.from({ length: MOST_TOGETHER + 1 }, wait));
  t.strictSame(before, [...Array.from({ length: MOST_TOGETHER }, () => true), false]);
});

t.test('J0 C7 of new tokens that come together each gets its own response', async (t) => {
  const [key, foreign] = [createKey('ES256'), createKey('ES256')];
  const upstream = await startUpstream(t);
  const gateway = await startGateway(t, {
    issuers: { login: loginIssuer(key) },
    routes: [{ name: 'r', match: { path_prefix: '/' }, upstream: 'u' }],
    upstreams: { u: { targets: [upstream.url] } },
  });
  const tokens = Array.from({ length: 60 }, (_, index) =>
    mint(index % 3 === 2 ? { ...foreign, kid: key.kid } : key, claimsOf({ sub: `user-${index}` })),
  );
  // Each comes twice.
  const statuses = await Promise.all(
    [...tokens, ...tokens].map(async (token) => (await send(gateway.url, '/', { token })).status),
  );
  const expected = tokens.map((_, index) => (index % 3 === 2 ? 401 : 200));
  t.strictSame(statuses, [...expected, ...expected]);
  t.strictSame(
    upstream.seen.map(({ headers }) => headers['x-user-id']).toSorted(),
    [...tokens, ...tokens]
      .flatMap((_, index) => (index % 3 === 2 ? [] : [`user-${index % tokens.length}`]))
      .toSorted(),
  );
});
