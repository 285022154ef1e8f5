/**
 * A refused token puts the expiry of the entry off, to `keep` from then on and to its own end, over every store. What holds
 * back needless calls of the store must never hold back that. Rules V11, V14.
 */
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { EntryRenewal } from '../../src/revocation/entry-renewal.ts';
import { MemoryStore } from '../../src/revocation/memory-store.ts';
import { RedisStore } from '../../src/revocation/redis-store.ts';
import type { RevocationStore } from '../../src/revocation/revocation-store.ts';
import { RevocableToken, targetId, type RevocationTarget } from '../../src/revocation/revocation-target.ts';
import { RevocationView } from '../../src/revocation/revocation-view.ts';
import { SqliteStore } from '../../src/revocation/sqlite-store.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { temporaryFolder } from '../support/process.ts';
import { startRedis } from '../support/redis.ts';

const ISSUER = 'https://login.example.com';
const HOUR = 3_600;
const DAY = 24 * HOUR;
const KEEP = 10 * DAY;

/** In whole milliseconds, as the system's is. */
class WholeClock extends ManualClock {
  override nowMs(): number {
    return Math.floor(super.nowMs());
  }
}

const STORES: Record<string, (t: Test, clock: ManualClock) => Promise<RevocationStore>> = {
  memory: async (_, clock) => new MemoryStore(clock),
  sqlite: async (t, clock) => new SqliteStore(join(temporaryFolder(t), 'list.sqlite'), clock),
  redis: async (t, clock) => {
    const { url } = await startRedis(t, { persistent: false });
    return new RedisStore({ url, keyPrefix: 'sallyport' }, clock);
  },
};

/** A gateway's part in it: refuses tokens, and has the entries that refuse them renewed. */
class Gateway {
  readonly view: RevocationView;
  readonly #store: RevocationStore;
  readonly #clock: ManualClock;
  #asked: Promise<unknown>[] = [];

  constructor(store: RevocationStore, clock: ManualClock) {
    this.#store = store;
    this.#clock = clock;
    this.view = new RevocationView(store, clock);
    const renew = store.renew.bind(store);
    store.renew = (id, lifeSeconds) => {
      const renewed = renew(id, lifeSeconds);
      this.#asked.push(renewed);
      return renewed;
    };
    const renewal = new EntryRenewal({ store, view: this.view, clock, keepSeconds: () => KEEP });
    this.view.onRefusal = (token, issuedAt) => renewal.refused(token, issuedAt);
  }

  async revoke(target: RevocationTarget, life: number): Promise<void> {
    const id = targetId(target);
    const expiresAt = Math.floor(this.#clock.nowMs() / 1000) + life;
    const { entry } = await this.#store.revoke({
      id,
      target,
      issuedBefore: null,
      expiresAt,
      createdBy: 'alice',
      reason: null,
    });
    this.view.apply([entry]);
  }

  async undo(target: RevocationTarget): Promise<void> {
    const tombstone = await this.#store.undo(targetId(target));
    if (tombstone) this.view.apply([tombstone]);
  }

  /** @returns how often the store was asked to renew something */
  async refuse(t: Test, token: RevocableToken): Promise<number> {
    this.#asked = [];
    t.ok(this.view.isRevoked(token, undefined), 'it is refused');
    const asked = await Promise.allSettled(this.#asked);
    return asked.length;
  }

  /** How long the entry lives from now on, in seconds: in the store, for every gateway. */
  async life(target: RevocationTarget): Promise<number> {
    const entry = await this.#store.find(targetId(target));
    return (entry?.expiresAt ?? 0) - this.#clock.nowMs() / 1000;
  }
}

/** A token that has this text for its session and its jti. */
function tokenOf(value: string, endsAt: number | undefined): RevocableToken {
  return new RevocableToken({
    issuer: ISSUER,
    tokenId: value,
    digest: () => `digest of ${value}`,
    subjects: [],
    sessions: [value],
    clients: [],
    claims: [],
    endsAt,
  });
}

/** Tokens that are refused within one minute, how long the entry lives at first, and must live at least in the end. */
interface Row {
  readonly title: string;
  readonly ends: readonly (number | undefined)[];
  /** Undone after the first refusal, and revoked again. */
  readonly again?: boolean;
  readonly first: number;
  readonly atLeast: number;
}

const ROWS: readonly Row[] = [
  { title: 'a refused token puts it off to keep', ends: [undefined], first: HOUR, atLeast: KEEP },
  {
    title: 'one that is undone and revoked again within a minute is put off as the first was',
    ends: [undefined, undefined],
    again: true,
    first: HOUR,
    atLeast: KEEP,
  },
  {
    title: 'of two tokens within a minute the one that lives longer counts',
    ends: [3 * HOUR, 90 * DAY],
    first: 2 * HOUR,
    atLeast: 90 * DAY,
  },
  {
    title: 'a token that ends less than a day after it is outlived, too',
    ends: [20 * DAY],
    first: 20 * DAY - HOUR,
    atLeast: 20 * DAY,
  },
];

for (const [name, open] of Object.entries(STORES)) {
  t.test(`V11 V14 ${name}: no refusal within a minute of another is lost on an entry`, async (t) => {
    const clock = new WholeClock();
    const store = await open(t, clock);
    t.teardown(() => store.close());
    const gateway = new Gateway(store, clock);
    for (const [row, { title, ends, again = false, first, atLeast }] of ROWS.entries()) {
      for (const kind of ['session', 'token_id'] as const) {
        const target = { issuer: ISSUER, kind, value: `${kind} ${row}` };
        for (const [index, end] of ends.entries()) {
          if (again && index > 0) await gateway.undo(target);
          if (again || index === 0) await gateway.revoke(target, first);
          const endsAt = end === undefined ? undefined : Math.floor(clock.nowMs() / 1000) + end;
          await gateway.refuse(t, tokenOf(target.value, endsAt));
        }
        const life = await gateway.life(target);
        t.ok(life > atLeast - 30, `${title}: ${kind} lives for ${life} s`);
      }
    }
  });
}

t.test('V11 a store that is down is asked once a minute, whatever tokens are refused', async (t) => {
  const clock = new WholeClock();
  const store = new MemoryStore(clock);
  store.renew = async () => {
    throw new Error('the store is down');
  };
  const gateway = new Gateway(store, clock);
  await gateway.revoke({ issuer: ISSUER, kind: 'session', value: 'phone' }, HOUR);
  t.equal(await gateway.refuse(t, tokenOf('phone', undefined)), 1);
  t.equal(await gateway.refuse(t, tokenOf('phone', undefined)), 0, 'not again');
  const soon = Math.floor(clock.nowMs() / 1000) + HOUR;
  t.equal(await gateway.refuse(t, tokenOf('phone', soon)), 0, 'nor for another token');
  t.equal(await gateway.refuse(t, tokenOf('phone', soon + 90 * DAY)), 1, 'but for one that needs it longer');
  t.equal(await gateway.refuse(t, tokenOf('phone', soon + 90 * DAY)), 0);
  clock.advance(61_000);
  t.equal(await gateway.refuse(t, tokenOf('phone', undefined)), 1, 'again after a minute');
});
