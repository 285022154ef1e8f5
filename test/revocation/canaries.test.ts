/** Canaries: what looks them up, and how their time to refuse is measured. Rules V7, V11. */
import t, { type Test } from 'tap';
import { once } from 'node:events';
import { Canaries, CANARY_WATCHED_MS } from '../../src/revocation/canaries.ts';
import {
  CANARY_ISSUER,
  CANARY_LIFE_SECONDS,
  canaryId,
  canaryTarget,
  canaryToken,
  isCanaryDigest,
  newCanary,
} from '../../src/revocation/canary.ts';
import { MemoryStore } from '../../src/revocation/memory-store.ts';
import { RevocationView } from '../../src/revocation/revocation-view.ts';
import { Revoker, RevocationRefused } from '../../src/revocation/revoker.ts';
import { ManualClock } from '../support/manual-clock.ts';

/** The store of another host, whose clock is ten minutes ahead. */
const AHEAD_MS = 600_000;

async function start(t: Test) {
  const clock = new ManualClock();
  const storeClock = new ManualClock();
  storeClock.stepWall(AHEAD_MS);
  const store = new MemoryStore(storeClock);
  const view = new RevocationView(store, clock);
  t.teardown(() => view.stop());
  view.start();
  await once(view, 'loaded');
  const canaries = new Canaries({ store, view, clock });
  const revoker = new Revoker({
    ...{ store, view, clock, issuers: [], keepSeconds: 3_600 },
    identify: async () => ({
      target: { issuer: CANARY_ISSUER, kind: 'token_id', value: 'x' },
      endsAt: undefined,
    }),
  });
  return { clock, storeClock, store, view, canaries, revoker };
}

t.test('V7 the first refusal is timed by the clock of the store, whatever this host thinks', async (t) => {
  const { store, view, canaries, revoker } = await start(t);
  const digest = newCanary();
  const watched = canaries.watch(digest);
  const isRefused = (): boolean => view.isRevoked(canaryToken(digest), undefined);
  t.notOk(isRefused(), 'nothing is refused before it is revoked');
  t.equal(canaries.inForce, 0);
  await revoker.revokeCanary(digest);
  const { afterMs = NaN, errorMs = NaN } = (await watched) ?? {};
  t.ok(afterMs < 1_000 && afterMs >= 0, `after ${afterMs} ms`);
  t.ok(errorMs >= 1 && errorMs < 500);
  t.ok(isRefused());
  t.equal(canaries.inForce, 1, 'it is known to be one');
  t.ok(canaries.has(canaryId(digest)));
  const entry = await store.find(canaryId(digest));
  t.match(entry, { target: canaryTarget(digest), createdBy: 'canary' });
  t.equal((entry?.expiresAt ?? 0) - (entry?.createdAt ?? 0), CANARY_LIFE_SECONDS);
});

t.test('V7 what the news took is in it', async (t) => {
  const { clock, storeClock, store, view, canaries } = await start(t);
  const digest = newCanary();
  const watched = canaries.watch(digest);
  const target = canaryTarget(digest);
  const other = new MemoryStore(storeClock);
  const { entry } = await other.revoke({
    ...{ id: canaryId(digest), target, issuedBefore: null, createdBy: 'canary', reason: null },
    expiresAt: Math.floor((await store.nowMs()) / 1_000) + CANARY_LIFE_SECONDS,
  });
  // Both clocks go on, and then the news is there.
  for (const each of [clock, storeClock]) each.advance(4_000);
  view.apply([entry]);
  const { afterMs = NaN } = (await watched) ?? {};
  t.ok(afterMs >= 3_998 && afterMs < 5_000, `after ${afterMs} ms`);
});

t.test(
  'V7 one that is not refused in time is missed, and one that came without a word is found',
  async (t) => {
    const { clock, store, view, canaries, revoker } = await start(t);
    const missed = canaries.watch(newCanary());
    clock.advance(CANARY_WATCHED_MS);
    t.equal(await missed, undefined);

    const digest = newCanary();
    const watched = canaries.watch(digest);
    // As a full comparison of the list does, which tells of no single entry.
    view.emit = () => true;
    await revoker.revokeCanary(digest);
    clock.advance(1_000);
    t.ok(await watched);

    const failing = canaries.watch(digest);
    store.nowMs = () => Promise.reject(new Error('lost'));
    await t.rejects(failing, /lost/, 'without the clock of the store nothing is known');
  },
);

t.test('V11 its entry is never put off, though it refuses something', async (t) => {
  const { view, canaries, revoker, storeClock, store } = await start(t);
  const refusedUntil: (number | undefined)[] = [];
  view.onRefusal = (token) => void refusedUntil.push(token.endsAt);
  const digest = newCanary();
  const watched = canaries.watch(digest);
  await revoker.revokeCanary(digest);
  await watched;
  t.ok(refusedUntil.length > 0);
  t.ok(refusedUntil.every((endsAt) => endsAt === 0));
  storeClock.advance(CANARY_LIFE_SECONDS * 1_000 + 1_000);
  t.equal(await store.find(canaryId(digest)), undefined);
  t.strictSame((await store.list({ limit: 9 })).entries, [], 'it leaves nothing behind');
});

t.test('no command reaches the name that is reserved for them', async (t) => {
  const { revoker, store } = await start(t);
  const shared = { reason: null, createdBy: 'x' };
  for (const kind of ['subject', 'session', 'client', 'token_id', 'token'] as const) {
    const command = {
      ...shared,
      target: { issuer: CANARY_ISSUER, kind, value: 'x' },
      issuedBefore: undefined,
    };
    await t.rejects(revoker.revoke(command), RevocationRefused, kind);
    await t.rejects(revoker.targetOf(command), RevocationRefused, `${kind}, dry run`);
  }
  await t.rejects(revoker.revoke({ ...shared, token: 'x', issuerName: undefined }), RevocationRefused);
  t.equal(revoker.resolveIssuer(CANARY_ISSUER), undefined);
  t.strictSame((await store.list({ limit: 9 })).entries, []);
});

t.test('a digest is as long as that of a token, and no two are alike', async (t) => {
  const some = new Set(Array.from({ length: 100 }, newCanary));
  t.equal(some.size, 100);
  t.ok([...some].every(isCanaryDigest));
  for (const text of ['', 'x', `${newCanary()}=`, `${newCanary()} `]) t.notOk(isCanaryDigest(text));
});

t.test('only so many are remembered', async (t) => {
  const { canaries, clock } = await start(t);
  const [first = '', ...others] = Array.from({ length: 65 }, newCanary);
  const all = [first, ...others].map((digest) => canaries.watch(digest));
  t.notOk(canaries.has(canaryId(first)));
  t.ok(canaries.has(canaryId(others[0] ?? '')));
  clock.advance(CANARY_WATCHED_MS);
  t.ok((await Promise.all(all)).every((each) => each === undefined));
});
