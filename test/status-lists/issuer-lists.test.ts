/** The lists of one issuer: when they are fetched, how long they count, and what bounds them. */
import t, { type Test } from 'tap';
import { setImmediate as turn } from 'node:timers/promises';
import { GatewayError } from '../../src/errors.ts';
import type { FetchedText } from '../../src/status-lists/fetch-list.ts';
import type { FetchResult } from '../../src/status-lists/held-list.ts';
import { IssuerLists, type IssuerListsPolicy } from '../../src/status-lists/issuer-lists.ts';
import { ListVerifier } from '../../src/status-lists/status-list-token.ts';
import { authenticToken } from '../../src/token/authentic-token.ts';
import { StaticKeySet } from '../../src/token/key-set.ts';
import { StatusUris } from '../../src/token/status-claim.ts';
import type { AuthenticToken } from '../../src/token/token-verifier.ts';
import { importKeySet } from '../../src/token/verification-key.ts';
import { until } from '../support/gateway.ts';
import { claimNamesOf } from '../support/claim-names.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { signedList } from '../support/status-list-server.ts';
import { claimsOf, createKey, ISSUER, nowSeconds } from '../support/tokens.ts';

const PREFIX = 'https://a.example/lists/';
const key = createKey();
const keys = new StaticKeySet(importKeySet({ keys: [key.jwk] }, ['ES256']).keys, { ignoreKeyId: false });
const CALLER = { clientIp: '192.0.2.1' };

function tokenOf(index: number | undefined, uri = `${PREFIX}1`): AuthenticToken {
  const status = index === undefined ? undefined : { status_list: { idx: index, uri } };
  return authenticToken({
    issuerName: 'login',
    issuer: ISSUER,
    claims: claimsOf({ status }) as AuthenticToken['claims'],
    names: claimNamesOf(),
    digest: () => 'x',
    clockSkewSeconds: 0,
    futureIatSeconds: 5,
    revocableClaims: [],
  });
}

interface Scene {
  readonly lists: IssuerLists;
  readonly clock: ManualClock;
  readonly asked: { readonly uri: string; readonly etag: string | undefined }[];
  readonly results: FetchResult[];
  /** What each fetch comes to. */
  respond: (uri: string, etag: string | undefined) => Promise<FetchedText | 'unchanged'>;
  /** What the gateway would do with a token of this index. */
  look(index: number, uri?: string): Promise<string>;
}

function setScene(t: Test, policy: Partial<IssuerListsPolicy> = {}): Scene {
  const clock = new ManualClock();
  const signing = {
    issuerName: 'login',
    issuer: ISSUER,
    algorithms: ['ES256'] as const,
    audiences: undefined,
  };
  const verifier = new ListVerifier({ ...signing, clockSkewSeconds: 0, futureIatSeconds: 5 }, keys, clock);
  const scene: Omit<Scene, 'lists'> = {
    clock,
    asked: [],
    results: [],
    respond: async (uri) => ({ text: signedList(key, uri, [0, 1, 2, 0]), etag: '"1"' }),
    async look(index, uri) {
      const verdict = await lists.verdictOf(tokenOf(index, uri), CALLER);
      return verdict instanceof GatewayError
        ? `${verdict.status} ${verdict.reason}: ${verdict.detail}`
        : verdict;
    },
  };
  const lists = new IssuerLists(
    {
      issuerName: 'login',
      uris: new StatusUris([PREFIX]),
      required: false,
      refreshMs: 60_000,
      maxAgeMs: 600_000,
      maxLists: 3,
      maxBytes: 1024,
      ...policy,
    },
    {
      verifier,
      clock,
      fetch: (uri, etag) => {
        scene.asked.push({ uri, etag });
        return scene.respond(uri, etag);
      },
      changed: () => undefined,
      observer: { listFetched: (_issuer, _uri, result) => scene.results.push(result) },
    },
  );
  t.teardown(() => lists.stop());
  return Object.assign(scene, { lists });
}

const down = async (): Promise<never> => {
  throw new Error('there is no server');
};

/** Time passes until the next fetch has ended. */
async function passes(scene: Scene, ms: number): Promise<void> {
  const { length } = scene.results;
  scene.clock.advance(ms);
  await until(() => scene.results.length > length);
  await turn();
}

t.test('a token has a list fetched once, and each later look waits for nothing', async (t) => {
  const scene = setScene(t);
  t.equal(scene.lists.verdictOf(tokenOf(undefined), CALLER), 'good', 'no status, no fetch');
  t.strictSame(await Promise.all([0, 1, 2, 3].map((index) => scene.look(index))), [
    'good',
    '401 status: its status is INVALID (1)',
    '401 status: its status is SUSPENDED (2)',
    'good',
  ]);
  t.equal(scene.asked.length, 1);
  t.equal(scene.lists.verdictOf(tokenOf(0), CALLER), 'good', 'without a Promise');
  t.match(scene.lists.factsOf(tokenOf(2)), { uri: `${PREFIX}1`, index: 2, status: 2, isCurrent: true });
});

t.test('nothing is fetched for a token that names what its issuer may not', async (t) => {
  const scene = setScene(t, { required: true });
  t.equal(
    await scene.look(0, 'https://evil.example/1'),
    '401 status: its status list is none of status_list.uris',
  );
  t.equal(await scene.look(-1), '401 status: its status claim cannot be read');
  const without = scene.lists.verdictOf(tokenOf(undefined), CALLER);
  t.match(without, { status: 401, reason: 'status', detail: 'it names no status list' });
  t.equal(scene.asked.length, 0);
});

t.test(
  'a list is fetched again every refresh, by its entity tag, and in time for its ttl and its end',
  async (t) => {
    const scene = setScene(t);
    await scene.look(0);
    scene.respond = async () => 'unchanged';
    await passes(scene, 60_000);
    t.strictSame(scene.asked.at(-1), { uri: `${PREFIX}1`, etag: '"1"' });
    t.equal(scene.results.at(-1), 'not_modified');
    t.ok(
      [...scene.lists.lists].every(({ ageMs }) => ageMs < 10_000),
      'it is current again',
    );

    const text = signedList(key, `${PREFIX}1`, [0, 1], { iat: nowSeconds() + 1, ttl: 20 });
    scene.respond = async () => ({ text, etag: undefined });
    await passes(scene, 60_000);
    const { length } = scene.asked;
    await passes(scene, 20_000);
    t.equal(scene.asked.length, length + 1, 'a shorter ttl counts');
    t.equal(scene.results.at(-1), 'not_modified', 'the same text again');
    scene.clock.advance(4_000);
    t.equal(scene.asked.length, length + 1);
  },
);

t.test('a list is fetched at most every 5 s, however short its ttl is', async (t) => {
  const scene = setScene(t);
  scene.respond = async (uri) => ({ text: signedList(key, uri, [0], { ttl: 0.001 }), etag: undefined });
  await scene.look(0);
  for (let second = 0; second < 4; second++) {
    scene.clock.advance(1_000);
    await turn();
  }
  t.equal(scene.asked.length, 1);
  await passes(scene, 1_500);
  t.equal(scene.asked.length, 2);
});

t.test(
  'V18 a list counts until max_age, or its own end, while its server is down; what it refuses stays refused',
  async (t) => {
    const scene = setScene(t, { maxAgeMs: 120_000 });
    await scene.look(0);
    scene.respond = down;
    await passes(scene, 60_000);
    t.equal(scene.results.at(-1), 'unavailable');
    t.equal(await scene.look(0), 'good');
    scene.clock.advance(61_000);
    await until(async () => (await scene.look(0)) === 'unknown');
    t.match(await scene.look(1), '401 status');
    scene.respond = async (uri) => ({
      text: signedList(key, uri, [0, 0], { iat: nowSeconds() + 1 }),
      etag: undefined,
    });
    await passes(scene, 31_000);
    t.equal(await scene.look(1), 'good', 'it is back');

    const ending = setScene(t);
    const exp = nowSeconds() + 20;
    ending.respond = async (uri) => ({ text: signedList(key, uri, [0], { exp }), etag: '"1"' });
    await ending.look(0);
    ending.respond = async () => 'unchanged';
    ending.clock.advance(21_000);
    await until(() => ending.results.length > 1);
    t.equal(await ending.look(0), 'unknown', 'a list that has ended is no better for a 304');
    t.equal(ending.asked.at(-1)?.etag, undefined, 'and is fetched whole');
  },
);

t.test('V18 an older list is refused, and the one that is held stays', async (t) => {
  const scene = setScene(t);
  const iat = nowSeconds();
  scene.respond = async (uri) => ({ text: signedList(key, uri, [0, 1], { iat }), etag: undefined });
  t.match(await scene.look(1), '401 status');
  scene.respond = async (uri) => ({ text: signedList(key, uri, [0, 0], { iat: iat - 1 }), etag: undefined });
  await passes(scene, 60_000);
  t.equal(scene.results.at(-1), 'refused');
  t.match(await scene.look(1), '401 status', 'a replayed list brings nothing back');
  t.equal(await scene.look(0), 'good');
  scene.respond = async (uri) => ({ text: signedList(key, uri, [1, 0], { iat }), etag: undefined });
  await passes(scene, 60_000);
  t.equal(await scene.look(1), 'good', 'one of the same second is as new');
});

t.test(
  'an index beyond the end waits for a later list, and is refused where that is too short, too',
  async (t) => {
    const scene = setScene(t);
    scene.respond = async (uri) => ({ text: signedList(key, uri, [0, 0, 0, 0]), etag: undefined });
    t.equal(await scene.look(0), 'good');
    let waiting = scene.look(7);
    scene.respond = async (uri) => ({
      text: signedList(key, uri, [0, 0, 0, 0, 0, 0, 0, 0], { iat: nowSeconds() + 1 }),
      etag: undefined,
    });
    await passes(scene, 5_000);
    t.equal(await waiting, 'good', 'the token was issued after the list');
    waiting = scene.look(8);
    await passes(scene, 5_000);
    t.equal(await waiting, '401 status: its index is beyond the end of the list');
  },
);

t.test(
  'while its server is down a list that was never there is tried by itself, and no request waits',
  async (t) => {
    const scene = setScene(t);
    scene.respond = down;
    t.equal(await scene.look(0), 'unknown');
    for (let request = 0; request < 20; request++) t.equal(await scene.look(0), 'unknown');
    t.equal(scene.asked.length, 1);
    scene.respond = async (uri) => ({ text: signedList(key, uri, [0]), etag: undefined });
    await passes(scene, 6_000);
    t.equal(await scene.look(0), 'good');
  },
);

t.test('how many wait for one list is bounded, for each client, too', async (t) => {
  const scene = setScene(t);
  const { promise, resolve } = Promise.withResolvers<FetchedText>();
  scene.respond = () => promise;
  const waiting = Array.from({ length: 70 }, () => scene.look(0));
  const others = scene.lists.verdictOf(tokenOf(0), { clientIp: '192.0.2.2' });
  await turn();
  resolve({ text: signedList(key, `${PREFIX}1`, [0]), etag: undefined });
  const seen = await Promise.all(waiting);
  t.equal(seen.filter((verdict) => verdict === 'good').length, 64);
  t.equal(seen.filter((verdict) => verdict === 'unknown').length, 6);
  t.equal(await others, 'good', 'another client is not kept out');
  t.equal(scene.asked.length, 1);
});

t.test(
  'lists are bounded in number: those in use stay, and one that no token has named for a minute goes',
  async (t) => {
    const scene = setScene(t);
    for (const name of ['a', 'b', 'c']) t.equal(await scene.look(0, PREFIX + name), 'good');
    for (let request = 0; request < 5; request++) t.equal(await scene.look(0, `${PREFIX}d`), 'unknown');
    t.equal(scene.asked.length, 3, 'what there is no room for is not fetched');
    t.strictSame(scene.results.slice(3), ['full'], 'and is told once');
    scene.clock.advance(59_000);
    for (const name of ['a', 'c']) t.equal(await scene.look(0, PREFIX + name), 'good');
    scene.clock.advance(2_000);
    t.equal(await scene.look(0, `${PREFIX}d`), 'good');
    t.strictSame(
      [...scene.lists.lists].map(({ uri }) => uri.slice(PREFIX.length)),
      ['a', 'c', 'd'],
    );
  },
);

t.test('lists are bounded in bytes together', async (t) => {
  const scene = setScene(t, { maxBytes: 250 });
  const large = (uri: string) => ({
    text: signedList(key, uri, Array<number>(400).fill(0)),
    etag: undefined,
  });
  scene.respond = async (uri) => large(uri);
  t.strictSame([await scene.look(0, `${PREFIX}a`), await scene.look(0, `${PREFIX}b`)], ['good', 'good']);
  t.equal(await scene.look(0, `${PREFIX}c`), 'unknown');
  t.equal(scene.results.at(-1), 'full');
  t.equal(await scene.look(0, `${PREFIX}a`), 'good', 'those that are there stay');
});

t.test('a list that no token names any more is not fetched for ever', async (t) => {
  const scene = setScene(t);
  await scene.look(0);
  const held = (): number => [...scene.lists.lists].length;
  for (let minute = 0; minute < 12 && held() > 0; minute++) {
    const { length } = scene.results;
    scene.clock.advance(60_000);
    await until(() => scene.results.length > length || held() === 0);
  }
  t.equal(held(), 0);
  const { length } = scene.asked;
  scene.clock.advance(600_000);
  await turn();
  t.equal(scene.asked.length, length);
});

t.test(
  'what is held goes over to the next configuration, if its key does and its URI is still allowed',
  async (t) => {
    const [scene, next] = [setScene(t), setScene(t)];
    await scene.look(0);
    const { states } = scene.lists;
    next.respond = down;
    await next.lists.start(states);
    t.match(await next.look(1), '401 status');
    t.equal(await next.look(0), 'good');
    t.equal(next.asked.length, 0);
    const other = setScene(t, { uris: new StatusUris(['https://b.example/']) });
    await other.lists.start(states);
    t.equal([...other.lists.lists].length, 0);
  },
);

t.test('a look without a wait asks for what is missing, and keeps a list in use', async (t) => {
  const scene = setScene(t);
  t.equal(scene.lists.heldVerdictOf(tokenOf(1)), 'unknown');
  await until(() => scene.results.length === 1);
  t.match(scene.lists.heldVerdictOf(tokenOf(1)), { status: 401 });
  t.equal(scene.lists.heldVerdictOf(tokenOf(0)), 'good');
});
