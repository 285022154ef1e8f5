/** What every revocation store promises, run over all of them, Redis for real. Rules V4 to V7, V11, V14. */
import t, { type Test } from 'tap';
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { systemClock, type Clock } from '../../src/clock.ts';
import { RedisReplayStore } from '../../src/replay/redis-replay-store.ts';
import { DPOP } from '../../src/replay/used-proofs.ts';
import { compareListed } from '../../src/revocation/list-cursor.ts';
import { MemoryStore } from '../../src/revocation/memory-store.ts';
import { RedisStore } from '../../src/revocation/redis-store.ts';
import { compareVersions, type RevocationMark } from '../../src/revocation/mark.ts';
import { RENEWAL_STEP_SECONDS } from '../../src/revocation/merge-rules.ts';
import {
  PositionLost,
  type RevocationEntry,
  type RevocationStore,
} from '../../src/revocation/revocation-store.ts';
import { targetId, type RevocationTarget } from '../../src/revocation/revocation-target.ts';
import { SqliteStore } from '../../src/revocation/sqlite-store.ts';
import { startRedis } from '../support/redis.ts';
import { nowSeconds } from '../support/tokens.ts';

const ISSUER = 'https://login.example.com';
const soon = (): number => nowSeconds() + 3600;

function requestFor(
  target: RevocationTarget,
  issuedBefore: number | null = null,
  expiresAt = soon(),
  reason: string | null = 'lost',
) {
  return { id: targetId(target), target, issuedBefore, expiresAt, createdBy: 'alice', reason };
}
const subject = (value: string): RevocationTarget => ({ issuer: ISSUER, kind: 'subject', value });
const session = (value: string): RevocationTarget => ({ issuer: ISSUER, kind: 'session', value });
const markFor = (
  target: RevocationTarget,
  issuedBefore: number | null,
  timeMs: number,
  revoked = true,
): RevocationMark => ({
  id: targetId(target),
  revoked,
  issuedBefore,
  expiresAt: soon(),
  version: { timeMs, counter: 0 },
});
const tokenId = (value: string): RevocationTarget => ({ issuer: ISSUER, kind: 'token_id', value });

async function allMarks(store: RevocationStore): Promise<Map<string, RevocationMark>> {
  const marks = new Map<string, RevocationMark>();
  for await (const batch of store.snapshot()) for (const mark of batch) marks.set(mark.id, mark);
  return marks;
}

/** Everything that is listed, page by page. */
async function listed(store: RevocationStore, limit: number): Promise<RevocationEntry[]> {
  const entries: RevocationEntry[] = [];
  for (let cursor: string | undefined; ;) {
    const page = await store.list({ limit, ...(cursor === undefined ? {} : { cursor }) });
    if (page.entries.length > limit) throw new Error('a page is longer than was asked for');
    entries.push(...page.entries);
    if (page.cursor === undefined) return entries;
    cursor = page.cursor;
  }
}

/** @param second opens the same list again, as another gateway would; undefined where nothing is shared */
function contract(
  name: string,
  open: (t: Test) => Promise<{ store: RevocationStore; second?: () => RevocationStore }>,
): void {
  t.test(name, async (t) => {
    const { store, second } = await open(t);
    t.teardown(() => store.close());

    t.test('an entry comes back as it was stored, with id, dates and version', async (t) => {
      const request = requestFor(tokenId('a'));
      const { entry, created } = await store.revoke(request);
      t.equal(created, true);
      t.match(entry, { ...request, revoked: true });
      t.ok(Math.abs(entry.createdAt - nowSeconds()) <= 2);
      t.ok(entry.version.timeMs > 0);
      t.strictSame(await store.find(request.id), entry);
    });

    t.test('an entry without a reason has none', async (t) => {
      const request = requestFor(tokenId('no-reason'), null, soon(), null);
      t.equal((await store.revoke(request)).entry.reason, null);
      t.equal((await store.find(request.id))?.reason, null);
    });

    t.test('a subject of any text survives the way', async (t) => {
      const odd = subject('é "\\ \n \u0000 日本 🍪 {}');
      await store.revoke(requestFor(odd, 1000));
      t.strictSame((await store.find(targetId(odd)))?.target, odd);
    });

    t.test(
      'repeating raises the cutoff and the expiry, never lowers them, and keeps who was first',
      async (t) => {
        const target = subject('repeat');
        const first = await store.revoke(requestFor(target, 1000, soon()));
        const raised = await store.revoke({ ...requestFor(target, 2000, soon() + 10), createdBy: 'bob' });
        t.equal(raised.created, false);
        t.equal(raised.entry.issuedBefore, 2000);
        t.equal(raised.entry.createdBy, 'alice');
        t.ok(compareVersions(raised.entry.version, first.entry.version) > 0);
        const lower = await store.revoke(requestFor(target, 1500, soon() - 100));
        t.equal(lower.entry.issuedBefore, 2000);
        t.equal(lower.entry.expiresAt, raised.entry.expiresAt);
        t.strictSame(lower.entry.version, raised.entry.version);
      },
    );

    t.test('a repetition says whether it has changed the list', async (t) => {
      const target = subject('changed');
      const expiresAt = soon();
      const first = await store.revoke(requestFor(target, 1000, expiresAt));
      t.strictSame([first.created, first.changed], [true, true]);
      const same = await store.revoke(requestFor(target, 1000, expiresAt));
      t.strictSame([same.created, same.changed], [false, false]);
      const later = await store.revoke(requestFor(target, 1001, expiresAt));
      t.strictSame([later.created, later.changed], [false, true]);
    });

    t.test('V14 a session is revoked for good, whatever cutoff is asked for', async (t) => {
      const target = session('for-good');
      const { entry } = await store.revoke(requestFor(target, 1000));
      t.equal(entry.issuedBefore, null);
      t.equal((await store.find(entry.id))?.issuedBefore, null);
      t.equal((await allMarks(store)).get(entry.id)?.issuedBefore, null);
      const again = await store.revoke(requestFor(target, 2000, soon() + 10));
      t.strictSame([again.created, again.entry.issuedBefore], [false, null]);
    });

    t.test('V14 for good beats any cutoff in a merge, in whatever order marks come', async (t) => {
      const [older, newer] = [Date.now() + 1_000, Date.now() + 2_000];
      const cases: [name: string, marks: [number | null, number][]][] = [
        ['a later cutoff', [[null, older], [1000, newer]]], // prettier-ignore
        ['an earlier cutoff', [[1000, older], [null, newer]]], // prettier-ignore
        ['the latest comes first', [[1000, newer], [null, older]]], // prettier-ignore
        ['for good is the latest, and first', [[null, newer], [1000, older]]], // prettier-ignore
        ['of one version', [[1000, newer], [null, newer]]], // prettier-ignore
        ['of one version, the other way round', [[null, newer], [1000, newer]]], // prettier-ignore
      ];
      for (const [name, marks] of cases) {
        const target = session(`merge ${name}`);
        for (const [issuedBefore, timeMs] of marks)
          await store.merge([markFor(target, issuedBefore, timeMs)]);
        const merged = (await allMarks(store)).get(targetId(target));
        t.strictSame([merged?.revoked, merged?.issuedBefore], [true, null], name);
        const latest = Math.max(...marks.map(([, timeMs]) => timeMs));
        t.equal(merged?.version.timeMs, latest, `${name}: the version of the latest`);
      }
      const undone = session('merge undone');
      await store.merge([markFor(undone, null, older)]);
      await store.merge([markFor(undone, null, newer, false)]);
      t.equal((await allMarks(store)).get(targetId(undone))?.revoked, false, 'an undo wins all the same');
    });

    t.test('V11 a renewal puts the expiry off, once a day at most, and only of what revokes', async (t) => {
      const target = subject('renewed');
      const { entry } = await store.revoke(requestFor(target, 1000));
      const life = 2 * RENEWAL_STEP_SECONDS;
      const renewed = await store.renew(entry.id, life);
      t.ok(Math.abs((renewed?.expiresAt ?? 0) - nowSeconds() - life) <= 2);
      t.match(renewed, { id: entry.id, revoked: true, issuedBefore: 1000 });
      t.ok(renewed && compareVersions(renewed.version, entry.version) > 0, 'every gateway learns of it');
      t.match(await store.find(entry.id), { target, createdBy: 'alice', expiresAt: renewed?.expiresAt });
      t.equal(await store.renew(entry.id, life), undefined, 'it is renewed already');
      t.equal(await store.renew(entry.id, life + RENEWAL_STEP_SECONDS - 10), undefined);
      t.equal(await store.renew(entry.id, 10), undefined, 'never lowered');
      await store.undo(entry.id);
      t.equal(await store.renew(entry.id, 10 * life), undefined, 'undone');
      t.equal(await store.renew(targetId(subject('never revoked')), life), undefined);
      const expired = await store.revoke(requestFor(subject('renew-expired'), 1, nowSeconds() - 10));
      t.equal(await store.renew(expired.entry.id, life), undefined, 'what has expired does not come back');
    });

    t.test('undo leaves a tombstone with a higher version, and a later revocation beats it', async (t) => {
      const request = requestFor(tokenId('undone'));
      const { entry } = await store.revoke(request);
      const tombstone = await store.undo(request.id);
      t.match(tombstone, { id: request.id, revoked: false, expiresAt: entry.expiresAt });
      t.ok(tombstone && compareVersions(tombstone.version, entry.version) > 0);
      t.equal(await store.find(request.id), undefined);
      t.equal((await allMarks(store)).get(request.id)?.revoked, false);
      t.equal(await store.undo(request.id), undefined);
      const again = await store.revoke(request);
      t.equal(again.created, true);
      t.ok(tombstone && compareVersions(again.entry.version, tombstone.version) > 0);
    });

    t.test('undoing what is not there changes nothing', async (t) => {
      t.equal(await store.undo('nothing'), undefined);
    });

    t.test('an expired entry is as good as none', async (t) => {
      const request = requestFor(tokenId('expired'), null, nowSeconds() - 10);
      await store.revoke(request);
      t.equal(await store.find(request.id), undefined);
      await store.revoke(requestFor(tokenId('next')));
      t.notOk((await allMarks(store)).has(request.id), 'the next change has removed it');
    });

    t.test('paging shows each entry once, the latest first; a filter by subject only that', async (t) => {
      for (let index = 0; index < 25; index++) await store.revoke(requestFor(subject(`page-${index}`), 1));
      // Of the hours before: what was put back was made when its mark was.
      const restored = Array.from({ length: 10 }, (_, hours) => ({
        id: targetId(tokenId(`restored-${hours}`)),
        revoked: true,
        issuedBefore: null,
        expiresAt: soon(),
        version: { timeMs: Date.now() - 3_600_000 * (hours + 1), counter: 0 },
      }));
      await store.merge(restored.toSorted((a, b) => (a.id < b.id ? -1 : 1)));
      const entries = await listed(store, 7);
      const ids = entries.map(({ id }) => id);
      t.equal(new Set(ids).size, ids.length);
      const live = [...(await allMarks(store)).values()].filter(({ revoked }) => revoked);
      t.equal(ids.length, live.length);
      t.strictSame(entries, entries.toSorted(compareListed), 'the latest first');
      t.strictSame(
        ids.slice(-restored.length),
        restored.map(({ id }) => id),
      );
      t.strictSame((await store.list({ limit: ids.length })).cursor, undefined, 'no page follows a full one');
      await t.rejects(store.list({ limit: 1, cursor: 'nonsense' }), RangeError);
      const filtered = await store.list({ limit: 100, subject: 'page-3' });
      t.strictSame(
        filtered.entries.map(({ target }) => target?.value),
        ['page-3'],
      );
    });

    t.test('V5 following from a position misses no change, also of another gateway', async (t) => {
      const position = await store.position();
      const abort = new AbortController();
      const others = second?.() ?? store;
      if (others !== store) t.teardown(() => others.close());
      const expected = ['f1', 'f2', 'f3'].map((value) => targetId(tokenId(value)));
      await store.revoke(requestFor(tokenId('f1')));
      const seen: RevocationMark[] = [];
      const following = (async () => {
        for await (const { marks } of store.follow(position, abort.signal)) {
          seen.push(...marks);
          if (seen.some(({ revoked }) => !revoked)) return;
        }
      })();
      await others.revoke(requestFor(tokenId('f2')));
      await others.revoke(requestFor(tokenId('f3')));
      await others.undo(targetId(tokenId('f2')));
      await following;
      abort.abort();
      for (const id of expected) t.ok(seen.some((mark) => mark.id === id));
    });

    t.test(
      'an announcement reaches every gateway that follows, once, in order, and none that begins later',
      async (t) => {
        const others = second?.() ?? store;
        if (others !== store) t.teardown(() => others.close());
        // The clock's timers keep no process alive.
        const alive = setInterval(() => undefined, 1_000);
        t.teardown(() => clearInterval(alive));
        const abort = new AbortController();
        t.teardown(() => abort.abort());
        const heard = async (by: RevocationStore, from: string): Promise<string[]> => {
          const texts: string[] = [];
          for await (const { announcements = [] } of by.follow(from, abort.signal)) {
            texts.push(...announcements);
            if (texts.includes('last')) return texts;
          }
          return texts;
        };
        const position = await store.position();
        const following = [heard(store, position), heard(others, position)];
        // It follows before it is told: the store in memory has no log to read from.
        await others.nowMs();
        const texts = ['{"a":"é \\n"}', 'second'];
        for (const text of texts) await store.announce(text);
        await store.revoke(requestFor(tokenId('between')));
        await others.announce('last');
        for (const each of await Promise.all(following)) t.strictSame(each, [...texts, 'last']);
        const late = heard(store, await store.position());
        await others.nowMs();
        await store.announce('last');
        t.strictSame(await late, ['last']);
        t.ok((await allMarks(store)).has(targetId(tokenId('between'))), 'revocations are read as before');
      },
    );

    t.test(
      'heartbeats are seen by all until their gateway leaves, and boxes by those who know their name',
      async (t) => {
        const others = second?.() ?? store;
        if (others !== store) t.teardown(() => others.close());
        const [board, otherBoard] = [store.board, others.board];
        if (!board || !otherBoard) throw new Error('this store has no board');
        const seen = async (): Promise<string[]> =>
          (await otherBoard.heartbeats()).map(({ id, text }) => `${id} ${text}`).toSorted();
        await board.beat('a', 'first');
        await otherBoard.beat('b', '{"t":"é|\\n"}');
        await board.beat('a', 'second');
        t.strictSame(await seen(), ['a second', 'b {"t":"é|\\n"}']);
        for (const { ageMs } of await board.heartbeats()) t.ok(ageMs >= 0 && ageMs < 60_000);
        await board.leave('a');
        await board.leave('a');
        t.strictSame(await seen(), ['b {"t":"é|\\n"}']);
        t.strictSame(await board.read('box', 0), []);
        await board.put('box', 'one');
        await otherBoard.put('box', 'two');
        await board.put('other box', 'three');
        t.strictSame(await otherBoard.read('box', 0), ['one', 'two']);
        t.strictSame(await board.read('box', 1), ['two']);
        t.strictSame(await board.read('box', 2), []);
      },
    );
  });
}

contract('memory', async () => ({ store: new MemoryStore(systemClock) }));

contract('sqlite', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-sqlite-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const open = (): SqliteStore => new SqliteStore(join(folder, 'list.sqlite'), systemClock);
  return { store: open(), second: open };
});

contract('redis', async (t) => {
  const redis = await startRedis(t);
  return {
    store: new RedisStore({ url: redis.url, keyPrefix: 'sallyport' }, systemClock),
    second: () => new RedisStore({ url: redis.url, keyPrefix: 'sallyport' }, systemClock),
  };
});

t.test('redis: paging through thousands of the same second loses none', async (t) => {
  const redis = await startRedis(t);
  const store = new RedisStore({ url: redis.url, keyPrefix: 'sallyport' }, systemClock);
  t.teardown(() => store.close());
  const expiresAt = soon();
  const expected = Array.from({ length: 2_500 }, (_, index) => tokenId(`same-${index}`));
  await store.nowMs();
  await Promise.all(expected.map((target) => store.revoke(requestFor(target, null, expiresAt))));
  const seen = async (): Promise<number> => new Set((await listed(store, 700)).map(({ id }) => id)).size;
  t.equal(await seen(), expected.length);
  // The place is that of the index, also where it was rebuilt from a mark that had been raised since.
  for (const target of expected.slice(0, 20)) {
    const detail = JSON.stringify({ target, created_at: 1, created_by: 'alice' });
    await redis.command('HSET', '{sallyport}:revocation:detail', targetId(target), detail);
  }
  t.equal(await seen(), expected.length);

  // Redis evicts whole keys, and any of them.
  t.match(
    await redis.command('DEL', '{sallyport}:revocation:created', '{sallyport}:revocation:expiry'),
    /^:2/,
  );
  t.equal(await seen(), 0);
  const compare = async (): Promise<void> => {
    for await (const { complete } of store.follow(await store.position(), new AbortController().signal))
      if (complete !== undefined) return;
  };
  await compare();
  const repaired = await seen();
  t.ok(
    repaired >= 2_000 && repaired < expected.length,
    'who compares itself with the list repairs a piece of its indexes',
  );
  await compare();
  t.equal(await seen(), expected.length, 'and then the rest');
  // What is in an index only is in the way of none.
  await redis.command('ZADD', '{sallyport}:revocation:created', '9999999999', 'stray');
  await compare();
  await compare();
  t.match(
    await redis.command('ZCARD', '{sallyport}:revocation:created'),
    new RegExp(`^:${expected.length}\\r\\n`),
  );
  t.equal(await seen(), expected.length);
  t.match(
    await redis.command('ZCARD', '{sallyport}:revocation:expiry'),
    new RegExp(`^:${expected.length}\r\n`),
  );
});

t.test('D14 redis: a user with no more rights than the documents ask for', async (t) => {
  const redis = await startRedis(t);
  const text = readFileSync(new URL('../../docs/revocation.md', import.meta.url), 'utf8');
  const [, words = ''] = /A user needs the commands ([^]*?) on `/.exec(text) ?? [];
  const commands = words.split(/,\s+|\s+and\s+/).map((word) => `+${word.trim().toLowerCase()}`);
  t.ok(commands.length > 20);
  const [, command = ''] = /^redis-cli (ACL SETUSER [^]*?)\n```/m.exec(text) ?? [];
  const acl = command.replaceAll("'", '').split(/[\s\\]+/);
  t.strictSame(
    acl.filter((word) => word.startsWith('+')).toSorted(),
    [...commands, '+set'].toSorted(),
    'the command that is ready to be used gives these rights',
  );
  t.match(await redis.command(...acl), /^\+OK/);
  const url = redis.url.replace('redis://', 'redis://gateway:PASSWORD@');
  const store = new RedisStore({ url, keyPrefix: 'sallyport' }, systemClock);
  t.teardown(() => store.close());
  const request = requestFor(subject('acl'), 1);
  const expired = requestFor(subject('acl-expired'), 1, nowSeconds() - 10);
  await store.revoke(expired);
  await store.revoke(request);
  t.match(await store.find(request.id), { createdBy: 'alice' });
  t.equal((await listed(store, 1)).length, 1);
  t.equal((await allMarks(store)).size, 1);
  await redis.command('DEL', '{sallyport}:revocation:created');
  const position = await store.position();
  await store.undo(request.id);
  await store.merge([{ ...request, revoked: true, version: { timeMs: Date.now() + 10_000, counter: 0 } }]);
  let marks = 0;
  for await (const batch of store.follow(position, new AbortController().signal)) {
    marks += batch.marks.length;
    if (batch.complete !== undefined) break;
  }
  t.equal(marks, 2);
  t.equal((await listed(store, 1)).length, 1);
  await store.board.beat('a', 'b');
  t.equal((await store.board.heartbeats()).length, 1);
  await store.board.leave('a');
  await store.board.put('box', 'text');
  t.strictSame(await store.board.read('box', 0), ['text']);
  const proofs = new RedisReplayStore({ url, keyPrefix: 'sallyport' }, systemClock);
  t.teardown(() => proofs.close());
  t.equal(await proofs.firstUse(DPOP, 'a', 60_000), true);
  t.equal(await proofs.firstUse(DPOP, 'a', 60_000), false);
  const other = new RedisStore({ url, keyPrefix: 'other' }, systemClock);
  t.teardown(() => other.close());
  await t.rejects(other.revoke(request), /NOPERM/);
});

t.test('sqlite: what was acknowledged is there after the process has ended', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-sqlite-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'list.sqlite');
  const first = new SqliteStore(file, systemClock);
  const request = requestFor(tokenId('kept'));
  await first.revoke(request);
  await first.close();
  const second = new SqliteStore(file, systemClock);
  t.teardown(() => second.close());
  t.equal((await second.find(request.id))?.id, request.id);
});

t.test('V7 sqlite: nothing is acknowledged into a file that was removed or replaced', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-sqlite-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'list.sqlite');
  const store = new SqliteStore(file, systemClock);
  t.teardown(() => store.close());
  const { entry } = await store.revoke(requestFor(tokenId('before')));
  renameSync(file, `${file}.old`);
  await t.rejects(store.revoke(requestFor(tokenId('after'))), /removed or replaced/);
  writeFileSync(file, '');
  await t.rejects(store.undo(entry.id), /removed or replaced/);
  t.ok((await allMarks(store)).has(entry.id), 'what is known can still be read');
  renameSync(`${file}.old`, file);
  t.ok((await store.revoke(requestFor(tokenId('after')))).created);
});

t.test(
  'V14 sqlite: a cutoff that an older gateway has stored for a session counts for nothing',
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-sqlite-'));
    t.teardown(() => rmSync(folder, { recursive: true, force: true }));
    const file = join(folder, 'list.sqlite');
    const store = new SqliteStore(file, systemClock);
    t.teardown(() => store.close());
    const { entry } = await store.revoke(requestFor(session('old')));
    const raw = new DatabaseSync(file);
    raw.exec('UPDATE revocation SET issued_before = 1000');
    raw.close();
    t.equal((await store.find(entry.id))?.issuedBefore, null);
    t.equal((await allMarks(store)).get(entry.id)?.issuedBefore, null);
  },
);

t.test('V14 redis: a cutoff that an older gateway has stored for a session counts for nothing', async (t) => {
  const redis = await startRedis(t);
  const store = new RedisStore({ url: redis.url, keyPrefix: 'sallyport' }, systemClock);
  t.teardown(() => store.close());
  const request = requestFor(session('old'));
  await store.revoke(request);
  const old = `1|1000|${request.expiresAt}|${Date.now()}-0`;
  await redis.command('HSET', '{sallyport}:revocation:state', request.id, old);
  t.equal((await store.find(request.id))?.issuedBefore, null);
  t.match(await listed(store, 1), [{ id: request.id, issuedBefore: null }]);
  const again = await store.revoke(requestFor(session('old'), 500, request.expiresAt));
  t.strictSame([again.created, again.changed, again.entry.issuedBefore], [false, true, null]);
  t.equal((await allMarks(store)).get(request.id)?.issuedBefore, null, 'repeating it writes so');
});

t.test('versions go up though the clock steps back', async (t) => {
  let nowMs = Date.now();
  const clock: Clock = { ...systemClock, nowMs: () => nowMs };
  const store = new MemoryStore(clock);
  const { entry } = await store.revoke(requestFor(tokenId('x')));
  nowMs -= 3_600_000;
  const tombstone = await store.undo(entry.id);
  t.ok(tombstone && compareVersions(tombstone.version, entry.version) > 0);
});

t.test(
  'redis: commands fail, and do not hang, while Redis is gone; they work again when it is back',
  async (t) => {
    const redis = await startRedis(t);
    const store = new RedisStore({ url: redis.url, keyPrefix: 'sallyport' }, systemClock);
    t.teardown(() => store.close());
    await store.revoke(requestFor(tokenId('before')));
    await redis.kill();
    await t.rejects(store.revoke(requestFor(tokenId('during'))));
    await redis.start();
    await store.revoke(requestFor(tokenId('after')));
    const marks = await allMarks(store);
    t.ok(marks.has(targetId(tokenId('before'))), 'V6 what was acknowledged survives kill -9');
    t.notOk(marks.has(targetId(tokenId('during'))));
    t.ok(marks.has(targetId(tokenId('after'))));
  },
);

t.test('V6 redis: another replication id means that everything is to be compared', async (t) => {
  const redis = await startRedis(t, { options: ['enable-debug-command yes'] });
  const store = new RedisStore({ url: redis.url, keyPrefix: 'sallyport' }, systemClock);
  t.teardown(() => store.close());
  await store.revoke(requestFor(tokenId('a')));
  const stopping = new AbortController();
  const position = await store.position();
  let comparisons = 0;
  const following = (async () => {
    for await (const { complete } of store.follow(position, stopping.signal)) {
      if (complete === undefined || comparisons++ > 0) continue;
      // As after a failover: nothing else differs.
      t.match(await redis.command('DEBUG', 'CHANGE-REPL-ID'), /OK/);
    }
  })();
  await t.rejects(following, PositionLost);
  t.equal(comparisons, 1);
  // Once it is known, it is the same one again.
  for await (const { complete } of store.follow(position, stopping.signal)) if (complete !== undefined) break;
  t.pass('followed on');
});

t.test(
  'V8 redis: a server that has reached maxmemory takes no change, and gateways go on to read',
  async (t) => {
    const redis = await startRedis(t);
    const store = new RedisStore({ url: redis.url, keyPrefix: 'sallyport' }, systemClock);
    t.teardown(() => store.close());
    await store.revoke(requestFor(tokenId('kept')));
    const expired = requestFor(tokenId('expired'), null, nowSeconds() - 10);
    await store.revoke(expired);
    await redis.command('CONFIG', 'SET', 'maxmemory', '1');
    const read = async (): Promise<void> => {
      for await (const { complete } of store.follow(await store.position(), new AbortController().signal))
        if (complete !== undefined) return;
    };
    // What has expired is dropped, and an index that was lost is made again: both write.
    await read();
    for (const key of ['expiry', 'created']) {
      const marks = await allMarks(store);
      t.ok(marks.has(targetId(tokenId('kept'))));
      t.notOk(marks.has(expired.id));
      await redis.command('DEL', `{sallyport}:revocation:${key}`);
      await redis.command('HSET', '{sallyport}:revocation:clock', 'count', '7');
      await read();
    }
    await t.rejects(store.merge([markFor(tokenId('new'), null, Date.now())]), /OOM/);
    await redis.command('CONFIG', 'SET', 'maxmemory', '0');
    t.equal((await listed(store, 10)).length, 1);
  },
);
