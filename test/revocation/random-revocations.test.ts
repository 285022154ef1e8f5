/**
 * Random tokens, revocations of every kind, refreshes, undoings and clock moves, against a small model that says what must
 * be refused. Memory, SQLite, the view of the gateway that revokes and a view that is reloaded must agree with it.
 * Rules V1, V3, V4, V11, V14, V16. The seed is printed; SEED=n runs that one again.
 */
import { once } from 'node:events';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import t from 'tap';
import type { Clock } from '../../src/clock.ts';
import { EntryRenewal } from '../../src/revocation/entry-renewal.ts';
import { MemoryStore } from '../../src/revocation/memory-store.ts';
import { nextVersion, parseVersion } from '../../src/revocation/mark.ts';
import type { RevocationStore } from '../../src/revocation/revocation-store.ts';
import { targetId, type RevocationTarget, type TargetKind } from '../../src/revocation/revocation-target.ts';
import { RevocationView } from '../../src/revocation/revocation-view.ts';
import { Revoker } from '../../src/revocation/revoker.ts';
import { SqliteStore } from '../../src/revocation/sqlite-store.ts';
import { authenticToken, revocableClaims } from '../../src/token/authentic-token.ts';
import type { JsonObject } from '../../src/token/claims.ts';
import type { AuthenticToken } from '../../src/token/token-verifier.ts';
import { claimNamesOf } from '../support/claim-names.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { temporaryFolder } from '../support/process.ts';

const KEEP = 10 * 86_400;
const DAY = 86_400;
const SKEW = 30;
const ISSUERS = ['https://a.example', 'https://b.example'];
const STEPS = 120;

/** Time as the test says; no timer ever fires. */
class FixedClock implements Clock {
  seconds = 1_800_000_000;
  nowMs = (): number => this.seconds * 1000;
  monotonicMs = (): number => this.seconds * 1000;
  after = (): (() => void) => () => undefined;
}

/** What an entry must do, by the documents' words. */
interface Promised {
  cutoff: number | null;
  /** Up to here it must be there; later it may be, until it is swept away. */
  until: number;
}

interface Token {
  readonly text: string;
  readonly claims: JsonObject;
  readonly authentic: AuthenticToken;
}

/** The claims that name something, without any of the code under test. */
function targetsOf({ text, claims }: Token): [RevocationTarget, comparedWith: number | undefined][] {
  const issuer = claims['iss'] as string;
  const iat = claims['iat'] as number | undefined;
  const login = claims['auth_time'];
  const since = iat !== undefined && typeof login === 'number' && login > 0 ? Math.min(iat, login) : iat;
  const device = claims['device'];
  const named = (kind: TargetKind, value: unknown): [RevocationTarget, number | undefined][] =>
    typeof value === 'string' && value !== ''
      ? [[{ issuer, kind, value }, kind === 'subject' ? since : iat]]
      : [];
  return [
    ...named('token', `digest of ${text}`),
    ...named('token_id', claims['jti']),
    ...named('session', claims['sid']),
    ...named('subject', claims['sub']),
    ...named('client', claims['client_id']),
    ...(Array.isArray(device) ? device : [device]).flatMap((value) =>
      ['string', 'number', 'boolean'].includes(typeof value) && value !== ''
        ? named('claim', JSON.stringify(['device', String(value)]))
        : [],
    ),
  ];
}

class Model {
  readonly entries = new Map<string, Promised>();
  /** The latest time that the clock has shown: what expired by then may be gone, though the clock is set back. */
  latest = 0;

  revoked(target: RevocationTarget, cutoff: number | null, now: number, life: number): void {
    const id = targetId(target);
    const known = this.entries.get(id);
    const forGood = cutoff === null || known?.cutoff === null;
    this.entries.set(id, {
      cutoff: forGood ? null : Math.max(cutoff, known?.cutoff ?? 0),
      until: Math.max(now + life, known?.until ?? 0),
    });
  }

  /** Undefined where either is right: an entry that may or may not have been renewed. */
  verdict(token: Token, now: number): boolean | undefined {
    let unsure = false;
    let refused = false;
    for (const [target, at] of targetsOf(token)) {
      const entry = this.entries.get(targetId(target));
      if (!entry || (entry.cutoff !== null && at !== undefined && Math.floor(at) > entry.cutoff)) continue;
      if (this.latest <= entry.until) refused = true;
      else unsure = true;
    }
    // Whatever refuses is renewed to a day less than `keep` at least, and to the end of what it refuses.
    if (refused || unsure) this.#touch(token, now);
    return refused ? true : unsure ? undefined : false;
  }

  #touch(token: Token, now: number): void {
    for (const [target, at] of targetsOf(token)) {
      const entry = this.entries.get(targetId(target));
      if (!entry || this.latest > entry.until) continue;
      if (entry.cutoff !== null && at !== undefined && Math.floor(at) > entry.cutoff) continue;
      const exp = token.claims['exp'] as number | undefined;
      const end = exp === undefined ? 0 : exp + SKEW;
      // An entry of one token need not outlive it.
      const lasts = target.kind.startsWith('token') && exp !== undefined ? 0 : now + KEEP - DAY - 1;
      entry.until = Math.max(entry.until, end, lasts);
    }
  }
}

function randomClaims(random: SeededRandom, now: number): JsonObject {
  const iat = now - random.below(4 * DAY);
  const claims: Record<string, unknown> = {
    iss: random.of(ISSUERS),
    sub: random.of(['alice', 'bob', '', undefined]),
    sid: random.of(['s1', 's2', 's3', '', undefined]),
    client_id: random.of(['app', 'web', '', undefined]),
    jti: random.of([`jti-${random.below(1e9)}`, `jti-${random.below(1e9)}`, '', undefined]),
    iat: random.of([iat, iat, iat, undefined]),
    exp: random.of([now + 1 + random.below(2 * DAY), now + 600, now + random.below(3 * KEEP), undefined]),
    auth_time: random.of([iat - random.below(9 * DAY), iat, undefined, 0, -1, 'x', now + 9 * DAY]),
    device: random.of(['d1', ['d1', 'd2'], ['d2', '', null, { a: 1 }], 7, [7, true], '', undefined]),
  };
  return Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined)) as JsonObject;
}

let made = 0;
function tokenOf(claims: JsonObject): Token {
  const text = `token-${made++}`;
  const authentic = authenticToken({
    issuerName: 'any',
    issuer: claims['iss'] as string,
    claims,
    names: claimNamesOf(),
    digest: () => `digest of ${text}`,
    clockSkewSeconds: SKEW,
    futureIatSeconds: 5,
    revocableClaims: revocableClaims(['device']),
  });
  return { text, claims, authentic };
}

async function play(seed: number, store: RevocationStore, clock: FixedClock): Promise<number> {
  const random = new SeededRandom(seed);
  const view = new RevocationView(store, clock);
  const renewal = new EntryRenewal({ store, view, clock, keepSeconds: () => KEEP });
  view.onRefusal = (token, issuedAt) => renewal.refused(token, issuedAt);
  const model = new Model();
  const tokens: Token[] = [];
  const targets: RevocationTarget[] = [];
  const revoker = new Revoker({
    store,
    view,
    issuers: ISSUERS.map((issuer, index) => ({
      name: `i${index}`,
      issuer,
      maxLifetimeSeconds: index === 0 ? 2 * DAY : undefined,
      clockSkewSeconds: SKEW,
      unnamed: new Set(),
    })),
    identify: async (text) => {
      const token = tokens.find((each) => each.text === text);
      if (!token) throw new Error('no such token');
      const { revocable, expiresAt } = token.authentic;
      return { target: revocable.target, endsAt: expiresAt === undefined ? undefined : expiresAt + SKEW };
    },
    keepSeconds: KEEP,
    clock,
  });
  const by = { createdBy: 'test', reason: null };
  const now = (): number => Math.floor(clock.seconds);
  let checks = 0;

  const check = async (seen: RevocationView, name: string): Promise<void> => {
    for (const token of tokens) {
      const exp = token.claims['exp'] as number | undefined;
      if (exp !== undefined && clock.seconds >= exp + SKEW) continue;
      const expected = model.verdict(token, now());
      const got = seen.isRevoked(token.authentic.revocable, token.authentic.issuedAt);
      checks++;
      if (expected !== undefined && got !== expected)
        throw new Error(
          `${name} says ${got}, not ${expected}, at ${now()}: ${JSON.stringify(token.claims)}; entries ${JSON.stringify([...model.entries])}`,
        );
    }
    // Renewals are asked for on the way, and take a moment.
    await turn();
  };

  const steps: (() => Promise<void>)[] = [
    async () => void tokens.push(tokenOf(randomClaims(random, now()))),
    async () => {
      const old = tokens.length > 0 ? random.of(tokens) : undefined;
      if (!old) return;
      const changes = { iat: now(), exp: now() + 600 + random.below(DAY), jti: `jti-${random.below(1e9)}` };
      tokens.push(tokenOf({ ...old.claims, ...changes }));
    },
    async () => {
      const token = tokens.length > 0 ? random.of(tokens) : undefined;
      if (!token) return;
      const outcome = await revoker.revoke({ ...by, token: token.text, issuerName: undefined });
      const exp = token.claims['exp'] as number | undefined;
      if (outcome.kind === 'expired') {
        if (exp === undefined || exp + SKEW >= now())
          throw new Error('a token that works was called expired');
        return;
      }
      const [[digest = undefined] = [], [second = undefined] = []] = targetsOf(token);
      const target = second?.kind === 'token_id' ? second : digest;
      if (!target) return;
      targets.push(target);
      // B's tokens may be asked about elsewhere; A's end when they expire.
      model.revoked(target, null, now(), exp === undefined ? KEEP : Math.max(0, exp + SKEW - now()));
    },
    async () => {
      const token = tokens.length > 0 ? random.of(tokens) : undefined;
      const [target] = token ? random.of(targetsOf(token)) : [];
      if (!target || target.kind === 'token') return;
      const forGood = target.kind === 'session' || target.kind === 'token_id';
      const issuedBefore = !forGood && random.below(2) === 0 ? now() - random.below(3 * DAY) : undefined;
      const { entry } = await revoker.revoke({ ...by, target, issuedBefore });
      targets.push(target);
      const life = target.kind === 'token_id' && target.issuer === ISSUERS[0] ? 2 * DAY : KEEP;
      model.revoked(target, forGood ? null : (issuedBefore ?? now()), now(), life);
      if ((entry.issuedBefore === null) !== forGood) throw new Error(`${target.kind} has a wrong cutoff`);
    },
    async () => {
      // What a gateway of an older version would write.
      const sessions = targets.filter(({ kind }) => kind === 'session');
      if (sessions.length === 0) return;
      const target = random.of(sessions);
      const mark = {
        id: targetId(target),
        revoked: true,
        issuedBefore: now() - random.below(DAY),
        expiresAt: now() + KEEP,
        version: nextVersion(parseVersion(await store.position()), clock.nowMs()),
      };
      await store.merge([mark]);
      view.apply([mark]);
      model.revoked(target, null, now(), KEEP);
    },
    async () => {
      if (targets.length === 0) return;
      const target = random.of(targets);
      // Of one that has lapsed there is nothing to undo.
      if (await revoker.undo(targetId(target))) model.entries.delete(targetId(target));
    },
    async () => void (clock.seconds += random.of([1, 30, 3_600, DAY, 3 * DAY, KEEP / 2])),
    async () => void (clock.seconds -= random.below(3)),
  ];
  // One that lasts: whatever the seed, each step has something to check.
  tokens.push(tokenOf({ iss: ISSUERS[0] ?? '', sub: 'alice', sid: 's1', iat: now() }));
  for (let step = 0; step < STEPS; step++) {
    await random.of(steps)();
    model.latest = Math.max(model.latest, now());
    await check(view, 'the view of the gateway that revokes');
    if (step % 20 !== 19) continue;
    const other = new RevocationView(store, clock);
    const loaded = once(other, 'loaded');
    other.start();
    await loaded;
    await check(other, 'a view that was reloaded');
    void other.stop();
    for (const [id, { until }] of model.entries)
      if (model.latest < until && (await store.find(id)) === undefined)
        throw new Error(`the store lacks ${id}`);
  }
  return checks;
}

const SEED = Number(process.env['SEED'] ?? Date.now() % 1e9);
/** Histories; more are for runs by hand. */
const RUNS = Number(process.env['FUZZ_RUNS'] ?? 12);

t.test('V11 V14 what must be refused is, and nothing else: random histories', async (t) => {
  t.comment(`SEED=${SEED}`);
  let checks = 0;
  for (let index = 0; index < RUNS; index++) {
    const clock = new FixedClock();
    checks += await play(SEED + index, new MemoryStore(clock), clock);
  }
  t.comment(`${checks} verdicts with the memory store`);
  t.ok(checks >= RUNS * STEPS);
});

t.test('V11 V14 the same over SQLite', async (t) => {
  t.comment(`SEED=${SEED}`);
  const folder = temporaryFolder(t);
  for (let index = 0; index < RUNS / 3; index++) {
    const clock = new FixedClock();
    const store = new SqliteStore(join(folder, `${index}.sqlite`), clock);
    const checks = await play(SEED + index, store, clock);
    await store.close();
    t.ok(checks >= STEPS, `${checks} verdicts`);
  }
});
