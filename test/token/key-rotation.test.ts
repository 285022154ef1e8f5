/**
 * Random rotations, failing fetches and clocks that step, against one promise: a token whose key the authority has
 * published when its request arrives is never called bad. Rules K0, K2.
 */
import t from 'tap';
import { claimNamesOf } from '../support/claim-names.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { AUDIENCE, claimsOf, createKey, ISSUER, mint } from '../support/tokens.ts';
import type { Clock } from '../../src/clock.ts';
import { GatewayError } from '../../src/errors.ts';
import { JwtVerifier } from '../../src/token/jwt-verifier.ts';
import { readJwt } from '../../src/token/lexical-gate.ts';
import { REFETCH_INTERVAL_MS, RemoteKeySet } from '../../src/token/remote-key-set.ts';

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 25);
const STEPS = 150;
const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
/** Made once: a key costs more than a run. */
const KEYS = Array.from({ length: 12 }, () => createKey('EdDSA'));

/** Time that stands still unless it is moved; the wall clock steps apart from it. */
class SteppedClock implements Clock {
  wallMs = Date.now();
  monotonic = 0;
  readonly #timers = new Set<{ atMs: number; callback: () => void }>();
  nowMs = (): number => this.wallMs;
  monotonicMs = (): number => this.monotonic;
  after = (delayMs: number, callback: () => void): (() => void) => {
    const timer = { atMs: this.monotonic + delayMs, callback };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  };
  advance(ms: number): void {
    const untilMs = this.monotonic + ms;
    for (;;) {
      const next = [...this.#timers].toSorted((a, b) => a.atMs - b.atMs)[0];
      if (!next || next.atMs > untilMs) break;
      this.#timers.delete(next);
      this.monotonic = Math.max(this.monotonic, next.atMs);
      next.callback();
    }
    this.monotonic = untilMs;
    this.wallMs += ms;
  }
}

const settle = async (): Promise<void> => {
  const { promise, resolve } = Promise.withResolvers<void>();
  setImmediate(resolve);
  await promise;
};

interface Seen {
  passed: number;
  refused: number;
  unavailable: number;
  wrong: number;
  fetches: number;
}

async function run(random: SeededRandom, seen: Seen): Promise<void> {
  const clock = new SteppedClock();
  let published = [KEYS[0], KEYS[1]];
  /** How often each key has left the set. */
  const left = new Map<(typeof KEYS)[number] | undefined, number>();
  const rotate = (next: typeof published): void => {
    for (const key of published) if (!next.includes(key)) left.set(key, (left.get(key) ?? 0) + 1);
    published = next;
  };
  let starts: number[] = [];
  /** Fetches in flight: each has read what was published when it began. */
  const inFlight: { finish: (fails: boolean) => void }[] = [];
  const keys = new RemoteKeySet({
    fetchDocument: async () => {
      starts.push(clock.monotonic);
      const document = { keys: published.map((key) => key?.jwk) };
      const { promise, resolve, reject } = Promise.withResolvers<unknown>();
      inFlight.push({ finish: (fails) => (fails ? reject(new Error('down')) : resolve(document)) });
      return promise;
    },
    algorithms: ['EdDSA'],
    refreshMs: 60_000,
    maxStaleMs: 3_600_000,
    refetchIntervalMs: REFETCH_INTERVAL_MS,
    storage: undefined,
    clock,
    observer: { refreshed: () => undefined, restored: () => undefined, failed: () => undefined },
  });
  const verifier = new JwtVerifier(
    {
      issuerName: 'login',
      issuer: ISSUER,
      audiences: [AUDIENCE],
      algorithms: ['EdDSA'],
      tokenType: 'at+jwt',
      claimNames: claimNamesOf(),
      requiredClaims: [],
      claimRules: [],
      clockSkewSeconds: 30,
      futureIatSeconds: 1e6,
      maxLifetimeSeconds: 1e9,
      revocableClaims: [],
    },
    keys,
    clock,
  );
  const pending: Promise<void>[] = [];
  const present = (key: (typeof KEYS)[number], withoutKeyId: boolean): void => {
    const isPublished = published.includes(key);
    const leftBefore = left.get(key) ?? 0;
    const token = mint(key, claimsOf(), withoutKeyId ? { kid: undefined } : {});
    const jwt = readJwt(token);
    if (!jwt) throw new Error('it is a JWT');
    const verifying = (async () => verifier.verify(jwt, { clientIp: `192.0.2.${random.below(30)}` }))();
    pending.push(
      verifying.then(
        () => void seen.passed++,
        (error: unknown) => {
          if (!(error instanceof GatewayError)) throw error;
          if (error.status === 401) seen.refused++;
          else seen.unavailable++;
          // What has left since may be refused: a later fetch says so.
          if (error.status === 401 && isPublished && (left.get(key) ?? 0) === leftBefore) seen.wrong++;
        },
      ),
    );
  };
  const respond = async (fails: boolean): Promise<void> => {
    await settle();
    inFlight.splice(0).forEach(({ finish }) => finish(fails));
    await settle();
  };
  void keys.start();
  // Whatever the seed, each outcome is among them: no keys are known yet, a key that is published, one that is not.
  const [known, , unknown] = KEYS;
  if (!known || !unknown) throw new Error('there are no keys');
  present(known, false);
  await respond(true);
  clock.advance(61_000);
  await respond(false);
  present(known, false);
  clock.advance(61_000);
  await respond(false);
  present(unknown, false);
  await respond(false);
  for (let step = 0; step < STEPS; step++) {
    switch (random.below(7)) {
      case 0:
        rotate([random.of(KEYS), random.of(KEYS)]);
        break;
      case 1:
        clock.advance(random.of([1, 100, 1_000, 5_000, 61_000]));
        break;
      case 2:
        clock.wallMs += random.of([-3_600_000, -1_000, 1_000, 3_600_000]);
        break;
      case 3:
        inFlight.splice(0).forEach(({ finish }) => finish(random.below(4) === 0));
        break;
      case 4:
        if (random.below(4) === 0) void keys.force();
        break;
      default:
        present(
          random.below(3) > 0 ? (random.of(published) ?? random.of(KEYS)) : random.of(KEYS),
          random.below(4) === 0,
        );
    }
    await settle();
    if (inFlight.length > 1) throw new Error('two fetches at a time');
  }
  while (inFlight.length > 0) {
    inFlight.splice(0).forEach(({ finish }) => finish(false));
    await settle();
  }
  clock.advance(7_000);
  await settle();
  inFlight.splice(0).forEach(({ finish }) => finish(true));
  keys.stop();
  await Promise.all(pending);
  seen.fetches += starts.length;
  starts = [];
}

t.test(`K0 no token of a published key is called bad (SEED=${seed})`, async (t) => {
  t.comment(`SEED=${seed}`);
  const random = new SeededRandom(seed);
  const seen: Seen = { passed: 0, refused: 0, unavailable: 0, wrong: 0, fetches: 0 };
  for (let count = 0; count < RUNS; count++) await run(random, seen);
  t.equal(seen.wrong, 0, JSON.stringify(seen));
  t.ok(seen.passed >= RUNS && seen.refused >= RUNS && seen.unavailable >= RUNS, JSON.stringify(seen));
});

t.test('a fetch that the end of the gateway cuts off is not told as a failure of the server', async (t) => {
  const { promise, reject } = Promise.withResolvers<unknown>();
  let failures = 0;
  const keys = new RemoteKeySet({
    fetchDocument: () => promise,
    algorithms: ['EdDSA'],
    refreshMs: 60_000,
    maxStaleMs: 3_600_000,
    refetchIntervalMs: REFETCH_INTERVAL_MS,
    storage: undefined,
    clock: new SteppedClock(),
    observer: { refreshed: () => undefined, restored: () => undefined, failed: () => failures++ },
  });
  const started = keys.start();
  keys.stop();
  reject(new Error('cut off'));
  await started;
  t.equal(failures, 0);
});
