/** Random requests with bound tokens against a small model of which of them must pass. Rules D8, D9, D11 to D14. */
import t from 'tap';
import { send } from '../support/client.ts';
import { loginIssuer, startGateway } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { proofKey } from '../support/proofs.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { claimsOf, createKey, mint } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const SEED = Number(process.env['FUZZ_SEED'] ?? Date.now() % 1_000_000);
const REQUESTS = 600;
const MAX_AGE = 60;
const FUTURE = 5;
const PER_KEY = 15;
const HOST = 'https://api.example.com';

const issuer = createKey('EdDSA');
const keys = [proofKey('EdDSA'), proofKey('EdDSA'), proofKey('ES256')];
const METHODS = ['GET', 'POST', 'DELETE'];
const PATHS = ['/optional/a', '/optional/b', '/required/a', '/none/a'];
const SCHEMES = ['DPoP', 'DPoP', 'DPoP', 'DPoP', 'Bearer'];

interface Token {
  readonly text: string;
  /** Which of the keys; undefined: it is bound to none. */
  readonly key: number | undefined;
}
interface Proof {
  readonly text: string;
  readonly id: string;
  readonly key: number;
  readonly token: Token;
  readonly method: string;
  readonly path: string;
  readonly iat: number;
}
interface Request {
  readonly scheme: string;
  readonly token: Token;
  readonly method: string;
  readonly path: string;
  readonly proofs: readonly Proof[];
}

/** What the gateway promises, in other words. */
class Model {
  /** Until when each is remembered: a client may use a `jti` again when no proof with it can pass. */
  readonly #used = new Map<string, number>();
  /** When proofs of each key were accepted, in seconds. */
  readonly accepted: number[][] = keys.map(() => []);

  /** @returns undefined where both are right: the limit of a key counts some of its proofs for a little longer */
  expects({ scheme, token, method, path, proofs }: Request, now: number): boolean | undefined {
    const rule = path.split('/')[1];
    if (token.key === undefined) return scheme === 'Bearer' && rule !== 'required';
    const [proof, second] = proofs;
    if (scheme !== 'DPoP' || rule === 'none' || proof === undefined || second !== undefined) return false;
    const isAbout =
      proof.key === token.key && proof.token === token && proof.method === method && proof.path === path;
    if (!isAbout || proof.iat < now - MAX_AGE || proof.iat > now + FUTURE) return false;
    const until = this.#used.get(proof.id) ?? -Infinity;
    if (until > now) return false;
    // Whole seconds, and somewhat longer.
    if (until > now - 3) return undefined;
    const ofKey = this.accepted[token.key] ?? [];
    const within = (seconds: number): number => ofKey.filter((at) => at > now - seconds).length;
    const window = MAX_AGE + FUTURE;
    if (within(window) >= PER_KEY) return false;
    return within((window * 9) / 8 + 1) >= PER_KEY ? undefined : true;
  }

  pass({ token, proofs }: Request, now: number): void {
    if (token.key === undefined) return;
    const [proof] = proofs;
    if (proof) this.#used.set(proof.id, proof.iat + MAX_AGE + FUTURE);
    this.accepted[token.key]?.push(now);
  }
}

t.test(`seed ${SEED}`, async (t) => {
  t.comment(`FUZZ_SEED=${SEED} runs the same again`);
  const random = new SeededRandom(SEED);
  const clock = new ManualClock();
  const upstream = await startUpstream(t);
  const gateway = await startGateway(
    t,
    {
      issuers: { login: loginIssuer(issuer) },
      dpop: { remembered: { per_key: PER_KEY } },
      revocation: { max_view_age: '10h' },
      routes: ['optional', 'required', 'none'].map((rule) => ({
        name: rule,
        match: { path_prefix: `/${rule}` },
        public_url: HOST,
        upstream: 'u',
        auth: rule === 'none' ? {} : { sender_constrained: rule },
      })),
      upstreams: { u: { targets: [upstream.url] } },
    },
    { clock },
  );
  const now = (): number => clock.nowMs() / 1_000;
  const of = <T>(all: readonly T[]): T => random.of(all);
  const iat = Math.floor(now());
  const tokens = [0, 0, 1, 2, undefined].map((key): Token => {
    const cnf = key !== undefined && { cnf: { jkt: keys[key]?.thumbprint } };
    return { key, text: mint(issuer, claimsOf({ iat, exp: iat + 36_000, ...cnf })) };
  });
  const proofs: Proof[] = [];
  const make = (token: Token, method: string, path: string): Proof => {
    const key = random.below(8) === 0 ? random.below(keys.length) : (token.key ?? 0);
    // Half a second from each limit: time goes on while the request is on its way.
    const age = of([0, 0, 0, 0, 1, MAX_AGE - 2, MAX_AGE + 2, 2 - FUTURE, -FUTURE - 2]);
    const about = { method, url: `${HOST}${path}`, token: token.text, iat: now() - age };
    // The same jti for several keys, sometimes.
    const jti = random.below(4) === 0 ? `shared ${random.below(20)}` : `own ${proofs.length}`;
    const text = (keys[key] as (typeof keys)[number]).proof({ ...about, claims: { jti } });
    const proof = { text, id: `${key} ${jti}`, key, token, method, path, iat: about.iat };
    proofs.push(proof);
    return proof;
  };
  const next = (): Request => {
    const [scheme, token, method, path] = [of(SCHEMES), of(tokens), of(METHODS), of(PATHS)];
    const mine = (): Proof => make(token, method, path);
    const old = (): Proof => (proofs.length === 0 ? mine() : of(proofs.slice(-30)));
    switch (random.below(12)) {
      case 0:
        return { scheme, token, method, path, proofs: [] };
      case 1:
        return { scheme, token, method, path, proofs: [mine(), mine()] };
      case 2:
        return { scheme, token, method, path, proofs: [old()] };
      case 3:
      case 4: {
        // An old proof with all that it is about.
        const proof = old();
        return {
          scheme: 'DPoP',
          token: proof.token,
          method: proof.method,
          path: proof.path,
          proofs: [proof],
        };
      }
      default:
        return { scheme, token, method, path, proofs: [mine()] };
    }
  };
  const model = new Model();
  let [passed, tooMany] = [0, 0];
  for (let count = 0; count < REQUESTS; count++) {
    if (random.below(40) === 0) clock.advance(1_000 * random.below(50));
    const request = next();
    const expected = model.expects(request, now());
    const { status } = await send(gateway.url, request.path, {
      method: request.method,
      headers: [
        ...['Authorization', `${request.scheme} ${request.token.text}`],
        ...request.proofs.flatMap(({ text }) => ['DPoP', text]),
      ],
    });
    const hasPassed = status === 200;
    if (hasPassed) model.pass(request, now());
    if (hasPassed) passed++;
    if (status === 429) tooMany++;
    if (![200, 401, 429].includes(status) || (expected !== undefined && expected !== hasPassed)) {
      t.fail(`request ${count}: ${status}`, { expected, request });
      return;
    }
  }
  t.equal(upstream.seen.length, passed);
  t.comment(`${tooMany} were too many of one key`);
  t.ok(passed > REQUESTS / 10, `${passed} of ${REQUESTS} have passed`);
});
