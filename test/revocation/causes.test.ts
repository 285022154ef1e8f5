/** How the causes of refusals are found: beside the requests, bounded, and never for long. */
import { setImmediate as turn } from 'node:timers/promises';
import t from 'tap';
import { Causes } from '../../src/revocation/causes.ts';
import type { RevocationMark } from '../../src/revocation/mark.ts';
import type { RevocationEntry } from '../../src/revocation/revocation-store.ts';
import { RevocableToken, targetId, type TargetKind } from '../../src/revocation/revocation-target.ts';
import { RevocationView } from '../../src/revocation/revocation-view.ts';
import { MemoryStore } from '../../src/revocation/memory-store.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { ISSUER, nowSeconds } from '../support/tokens.ts';

const entryOf = (kind: TargetKind, value: string, counter = 0): RevocationEntry => {
  const target = { issuer: ISSUER, kind, value };
  return {
    id: targetId(target),
    target,
    revoked: true,
    issuedBefore: kind === 'subject' || kind === 'client' ? nowSeconds() : null,
    expiresAt: nowSeconds() + 3_600,
    version: { timeMs: Date.now(), counter },
    createdAt: nowSeconds(),
    createdBy: 'alice',
    reason: `reason ${counter}`,
  };
};

/** A store that responds when the test says so. */
class SlowStore {
  readonly asked: string[] = [];
  readonly #pending: PromiseWithResolvers<RevocationEntry | undefined>[] = [];

  find(id: string): Promise<RevocationEntry | undefined> {
    this.asked.push(id);
    const pending = Promise.withResolvers<RevocationEntry | undefined>();
    this.#pending.push(pending);
    return pending.promise;
  }

  respond(entry: RevocationEntry | undefined): void {
    this.#pending.shift()?.resolve(entry);
  }

  fail(): void {
    this.#pending.shift()?.reject(new Error('lost'));
  }
}

function setUp(...marks: readonly RevocationMark[]): {
  clock: ManualClock;
  store: SlowStore;
  view: RevocationView;
  causes: Causes;
} {
  const clock = new ManualClock();
  const store = new SlowStore();
  const view = new RevocationView(new MemoryStore(clock), clock);
  view.apply(marks);
  return { clock, store, view, causes: new Causes({ store, view, clock }) };
}

t.test('the store is asked once for an entry, until the entry changes', async (t) => {
  const entry = entryOf('session', 's');
  const { store, view, causes } = setUp(entry);
  const both = Promise.all([causes.soon(entry.id), causes.soon(entry.id)]);
  store.respond(entry);
  t.match(await both, [{ reason: 'reason 0' }, { reason: 'reason 0' }]);
  t.match(causes.soon(entry.id), { createdBy: 'alice' }, 'without a Promise from now on');
  t.equal(store.asked.length, 1);
  const changed = entryOf('session', 's', 1);
  view.apply([changed]);
  const asked = causes.soon(entry.id);
  store.respond(changed);
  t.match(await asked, { reason: 'reason 1' });
  t.equal(store.asked.length, 2);
});

t.test('a store that is silent is waited for no longer than a moment', async (t) => {
  const entry = entryOf('session', 's');
  const { clock, store, causes } = setUp(entry);
  const waiting = causes.soon(entry.id);
  clock.advance(250);
  t.equal(await waiting, undefined);
  store.respond(entry);
  await turn();
  t.match(causes.soon(entry.id), { id: entry.id }, 'what came late is known for the next one');
});

t.test('a store that fails is left alone for a second', async (t) => {
  const entry = entryOf('session', 's');
  const { clock, store, causes } = setUp(entry);
  const failed = causes.soon(entry.id);
  store.fail();
  t.equal(await failed, undefined);
  t.equal(causes.soon(entry.id), undefined);
  t.equal(store.asked.length, 1);
  clock.advance(1_001);
  const again = causes.soon(entry.id);
  store.respond(undefined);
  t.equal(await again, undefined, 'the store does not have it');
  t.equal(causes.soon(entry.id), undefined);
  t.equal(store.asked.length, 2, 'which is remembered, too');
});

t.test('at most 32 entries are asked for at a time, and none waits after stop()', async (t) => {
  const entries = Array.from({ length: 40 }, (_, index) => entryOf('session', `s${index}`));
  const { store, causes } = setUp(...entries);
  const asked = entries.map(({ id }) => causes.soon(id));
  t.equal(store.asked.length, 32);
  t.strictSame(asked.slice(32), Array.from({ length: 8 }));
  causes.stop();
  t.strictSame(await Promise.all(asked.map((each) => Promise.resolve(each))), Array.from({ length: 40 }));
  t.equal(causes.soon(entries[39]?.id ?? ''), undefined);
});

t.test('the entry that refuses is the first that matches, by the cutoff of its kind', (t) => {
  const [session, subject, client] = [
    entryOf('session', 's'),
    entryOf('subject', 'alice'),
    entryOf('client', 'agent-1'),
  ];
  const { view, causes } = setUp(subject, client);
  const token = (issuer: string): RevocableToken =>
    new RevocableToken({
      issuer,
      tokenId: 'jti',
      digest: () => 'digest',
      subjects: ['alice'],
      sessions: ['s'],
      clients: [],
      actors: [{ issuer: undefined, subject: 'agent-1', clients: [] }],
      claims: [],
      loggedInAt: nowSeconds() - 1_000,
    });
  // A second may end between the two entries and here.
  const now = Math.min(subject.issuedBefore ?? 0, client.issuedBefore ?? 0);
  t.equal(causes.refusingId(token(ISSUER), now), subject.id);
  t.equal(causes.refusingId(token(ISSUER), now + 100), subject.id, 'its login was before');
  view.apply([session]);
  t.equal(causes.refusingId(token(ISSUER), now), session.id);
  t.equal(causes.refusingId(token('https://other'), now), undefined);
  view.apply(
    [subject, session].map((entry) => ({
      ...entry,
      revoked: false,
      version: { timeMs: Date.now() + 5, counter: 0 },
    })),
  );
  t.equal(causes.refusingId(token(ISSUER), now), client.id, 'through an actor');
  t.equal(causes.refusingId(token(ISSUER), now + 100), undefined);
  t.end();
});
