/** Changed tokens: none is accepted, none is slow, none crashes. Rules J0, J5, J17. */
import fc from 'fast-check';
import t from 'tap';
import { systemClock } from '../../src/clock.ts';
import { parseConfiguration } from '../../src/config/load.ts';
import { GatewayError } from '../../src/errors.ts';
import { SILENT_OBSERVER } from '../../src/assembly/issuer-observer.ts';
import { Issuers } from '../../src/assembly/issuers.ts';
import { OPERATOR } from '../../src/token/token-verifier.ts';
import { compilePolicy } from '../../src/assembly/compile-policy.ts';
import { AuthorizationServerClient } from '../../src/token/authorization-server-client.ts';
import type { TokenVerifier } from '../../src/token/token-verifier.ts';
import { TokenCaches } from '../../src/token/token-caches.ts';
import { AUDIENCE, claimsOf, createKey, encode, ISSUER, mint } from '../support/tokens.ts';

/** More are for runs by hand. */
const RUNS = Number(process.env['FUZZ_RUNS'] ?? 10_000);
/** Of processor time: what other processes take away does not count. */
const SLOW_MS = 10;

const keys = [createKey('ES256'), createKey('EdDSA'), createKey('RS256'), createKey('PS256')];
const tokens = keys.flatMap((key) => [
  mint(key),
  mint(key, claimsOf({ sub: 'Zoë', scope: 'a b' }), { kid: undefined }),
]);
const valid: ReadonlySet<string> = new Set(tokens);

function verifier(): TokenVerifier {
  const configuration = parseConfiguration(
    JSON.stringify({
      issuers: {
        login: { issuer: ISSUER, audiences: [AUDIENCE], jwks: { keys: keys.map(({ jwk }) => jwk) } },
      },
      routes: [{ name: 'r', match: {}, upstream: 'u' }],
      upstreams: { u: { targets: ['http://u'] } },
    }),
    'test.json',
    '/',
    {},
  );
  const issuers = new Issuers(
    { configuration, folder: '/', file: 'test.json' },
    {
      client: new AuthorizationServerClient(),
      caches: new TokenCaches(configuration.caches),
      clock: systemClock,
      observer: SILENT_OBSERVER,
    },
  );
  const [verifier] = issuers.verifiersOf(compilePolicy(configuration)).values();
  if (!verifier) throw new Error('no route asks for a token');
  return verifier;
}

const ODD = [
  '.',
  '..',
  '=',
  '==',
  ' ',
  '\t',
  '\n',
  '+',
  '/',
  '-',
  '_',
  'A',
  '%',
  '\0',
  'é',
  '\u{1f600}',
  '{}',
];
const anyToken = fc.constantFrom(...tokens);
const character = fc.oneof(
  fc.constantFrom(...ODD),
  fc.string({ minLength: 1, maxLength: 3, unit: 'binary' }),
);
const place = fc.nat({ max: 2_000 });

/** Bytes changed anywhere. */
const edited = fc
  .tuple(anyToken, place, fc.nat({ max: 3 }), character)
  .map(([token, at, removed, inserted]) => {
    const from = at % (token.length + 1);
    return token.slice(0, from) + inserted + token.slice(from + removed);
  });
const bitFlipped = fc.tuple(anyToken, place, fc.nat({ max: 6 })).map(([token, at, bit]) => {
  const from = at % token.length;
  return (
    token.slice(0, from) + String.fromCharCode(token.charCodeAt(from) ^ (1 << bit)) + token.slice(from + 1)
  );
});
/** Segments of several tokens, in any order and number. */
const mixed = fc
  .array(fc.tuple(anyToken, fc.nat({ max: 2 })), { minLength: 1, maxLength: 6 })
  .map((parts) => parts.map(([token, index]) => token.split('.')[index]).join('.'));
/** Headers and claims of an attacker's choice over a good signature. */
const reheaded = fc
  .tuple(
    anyToken,
    fc.record(
      {
        alg: fc.constantFrom(
          'none',
          'None',
          '',
          'HS256',
          'RS256',
          'ES256',
          'ES256 ',
          'EdDSA',
          'PS256',
          ['ES256'],
          null,
        ),
        typ: fc.constantFrom('at+jwt', 'JWT', 'dpop+jwt', null, 1),
        kid: fc.oneof(fc.constantFrom(...keys.map(({ kid }) => kid)), fc.string(), fc.integer()),
        crit: fc.constantFrom([], ['b64'], ['exp'], 'exp'),
        jwk: fc.constant(keys[0]?.jwk),
        b64: fc.boolean(),
      },
      { requiredKeys: [] },
    ),
    fc.oneof(
      fc.constant(undefined),
      fc.jsonValue(),
      fc.dictionary(fc.constantFrom('iss', 'sub', 'exp', 'aud'), fc.jsonValue()),
    ),
  )
  .map(([token, header, claims]) => {
    const [, payload, signature] = token.split('.');
    return `${encode(header)}.${claims === undefined ? payload : encode(claims)}.${signature}`;
  });
const respelt = fc
  .tuple(anyToken, fc.nat({ max: 2 }), fc.constantFrom('=', '==', '%3D', 'A', '\u200b'))
  .map(([token, index, tail]) =>
    token
      .split('.')
      .map((segment, at) => (at === index ? segment + tail : segment))
      .join('.'),
  );

t.test(
  `J0 J5 J17 of ${RUNS} changed tokens none is accepted, none takes ${SLOW_MS} ms of the event loop`,
  async (t) => {
    const unhandled: unknown[] = [];
    const note = (error: unknown): void => void unhandled.push(error);
    process.on('unhandledRejection', note);
    t.teardown(() => process.off('unhandledRejection', note));

    const subject = verifier();
    for (const token of tokens) t.ok(await subject.verify(token, OPERATOR), 'the tokens themselves are good');
    const spentMs = (since?: NodeJS.CpuUsage): number => {
      const { user, system } = process.threadCpuUsage(since);
      return (user + system) / 1_000;
    };
    /** Returns how long it held up the event loop, in milliseconds of its processor time. */
    const refuse = async (by: TokenVerifier, token: string): Promise<number> => {
      const since = process.threadCpuUsage();
      let heldMs: number | undefined;
      try {
        const verifying = by.verify(token, OPERATOR);
        heldMs = spentMs(since);
        await verifying;
      } catch (error) {
        if (!(error instanceof GatewayError) || error.status !== 401) throw error;
        return heldMs ?? spentMs(since);
      }
      throw new Error(`accepted: ${token}`);
    };
    const seed = Number(process.env['FC_SEED'] ?? Date.now() % 2 ** 31);
    t.comment(`seed ${seed}`);
    await fc.assert(
      fc.asyncProperty(fc.oneof(edited, bitFlipped, mixed, reheaded, respelt), async (token) => {
        if (valid.has(token)) return;
        let heldMs = await refuse(subject, token);
        // A garbage collection is not the token's doing: a slow token is slow every time. A new verifier has it in no cache.
        for (let again = 0; again < 3 && heldMs > SLOW_MS; again++) heldMs = await refuse(verifier(), token);
        if (heldMs > SLOW_MS) throw new Error(`${heldMs} ms for ${token}`);
      }),
      { numRuns: RUNS, seed },
    );
    t.strictSame(unhandled, []);
  },
);
