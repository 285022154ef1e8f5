/** A full cache takes what comes again, and not what comes once. */
import t from 'tap';
import { hash } from 'node:crypto';
import { FirstSight } from '../../src/token/first-sight.ts';
import { send } from '../support/client.ts';
import { loginIssuer, startGateway } from '../support/gateway.ts';
import { createKey, mint } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const digestOf = (index: number): string => hash('sha256', `token ${index}`, 'base64url');

t.test('what was not seen is new, and then it is not', async (t) => {
  const sight = new FirstSight();
  const digests = Array.from({ length: 2_000 }, (_, index) => digestOf(index));
  t.equal(digests.filter((digest) => sight.again(digest)).length, 0);
  // A few have been pushed out by others with the same slot.
  t.ok(digests.filter((digest) => sight.again(digest)).length > 1_900);
});

t.test('however many come, old ones are forgotten and nothing grows', async (t) => {
  const sight = new FirstSight();
  sight.again(digestOf(0));
  for (let index = 1; index < 1_000_000; index++) sight.again(`${index}`.padEnd(16, 'x') + index);
  t.notOk(sight.again(digestOf(0)));
});

t.test(
  'a full cache keeps a token on its second sight, and tokens that come once push out none',
  async (t) => {
    const key = createKey('ES256');
    const upstream = await startUpstream(t);
    const gateway = await startGateway(t, {
      issuers: { login: loginIssuer(key) },
      caches: { tokens: { entries: 3 }, negatives: { entries: 3 } },
      routes: [{ name: 'r', match: { path_prefix: '/' }, upstream: 'u' }],
      upstreams: { u: { targets: [upstream.url] } },
    });
    const hits = (cache: string): Promise<number> =>
      gateway.metric(`sallyport_cache_lookups_total{cache="${cache}",result="hit"}`);
    const foreign = { ...createKey('ES256'), kid: key.kid };
    for (const [cache, signer, status] of [
      ['tokens', key, 200],
      ['negatives', foreign, 401],
    ] as const) {
      const ask = async (token: string): Promise<void> => {
        t.equal((await send(gateway.url, '/', { token })).status, status);
      };
      const kept = Array.from({ length: 3 }, () => mint(signer));
      for (const token of kept) await ask(token);
      for (let index = 0; index < 20; index++) await ask(mint(signer));
      for (const token of kept) await ask(token);
      t.equal(await hits(cache), 3, `${cache}: those that were there first are known`);

      const late = mint(signer);
      for (let sight = 0; sight < 3; sight++) await ask(late);
      t.equal(await hits(cache), 4, `${cache}: the third time it is known`);
    }
  },
);
