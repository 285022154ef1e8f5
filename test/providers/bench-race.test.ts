/** npm run bench: what it times is a race between gateways that do the same job. In its smallest form. */
import t, { type Test } from 'tap';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Contestant } from '../../bench/contestants/contestant.ts';
import { haproxy } from '../../bench/contestants/haproxy.ts';
import { sallyport } from '../../bench/contestants/sallyport.ts';
import { measureKind } from '../../bench/cpu.ts';
import { NAMES } from '../../bench/goals.ts';
import { KINDS, type KindName } from '../../bench/kinds.ts';
import type { Effort } from '../../bench/row.ts';
import { openWallet, type Wallet } from '../../bench/wallet.ts';
import { temporaryFolder } from '../support/process.ts';
import { cannotRace } from './support/race.ts';

const SHORT: Effort = { rounds: 1, seconds: 1, warmUpSeconds: 0 };
const FEW = 40;
const skip = cannotRace('nginx', 'haproxy', 'wrk');

/** Of the test: the wallets of real runs are not touched. */
function walletOf(t: Test, algorithm: 'RS256' | 'ES256' = 'RS256'): Wallet {
  return openWallet(algorithm, FEW, temporaryFolder(t));
}

/** A server in the place of a gateway. `respond` is the body of a function of request, response and the upstream's port. */
function stub(t: Test, name: string, respond: string): Contestant {
  const file = join(temporaryFolder(t), 'stub.mjs');
  writeFileSync(
    file,
    `import { createServer, get } from 'node:http';
const [port, upstreamPort] = process.argv.slice(2);
const claimsOf = ({ headers }) => JSON.parse(Buffer.from((headers.authorization ?? '').split('.')[1] ?? 'e30', 'base64url'));
const pass = (request, response, headers) =>
  get({ port: upstreamPort, path: request.url, headers, agent: false }, (answer) => answer.pipe(response));
let served = 0;
createServer((request, response) => {${respond}}).listen(port, '127.0.0.1');
`,
  );
  return {
    name,
    version: () => '1',
    kinds: Object.keys(KINDS) as KindName[],
    blindTo: [],
    warmsUp: false,
    start: ({ port, upstreamPort }) => ({
      command: [process.execPath, file, String(port), String(upstreamPort)],
    }),
  };
}

const HANDS_ON = `{ 'x-user-id': 'user-4711', 'x-scopes': 'orders:read orders:write' }`;
const REFUSE = 'response.writeHead(401).end()';

t.test('gateways that do the job are measured, with ratio, goal and proof', { skip }, async (t) => {
  const gateway = sallyport(NAMES.sallyport, { kinds: ['known'] });
  const rows = await measureKind('known', [gateway, haproxy], SHORT, { wallet: walletOf(t) });
  t.equal(rows.length, 2);
  const [ours, theirs] = rows;
  t.match(ours?.contestant, /^Sallyport \(\d/);
  t.match(ours?.note, /^(\d+) of \d+ tokens were in its cache$/);
  t.ok((ours?.median ?? 0) > 1);
  t.equal(theirs?.ratio?.value, 1);
  t.match(ours?.goals?.[0]?.text, /^goal ≤ 0.70 of HAProxy jwt_verify: \d/);
});

t.test('a contestant that authenticates badly is not timed', { skip }, async (t) => {
  const cases: readonly (readonly [name: string, respond: string, message: RegExp])[] = [
    ['passes everything', `pass(request, response, ${HANDS_ON});`, /bad signature must be refused/],
    [
      'refuses everything',
      `${REFUSE};`,
      /a good token must pass with one upstream call; the response was 401/,
    ],
    [
      'answers by itself',
      `request.headers.authorization ? response.end('ok') : ${REFUSE};`,
      /a good token must pass with one upstream call; the response was 200, with 0/,
    ],
    [
      'calls twice',
      `pass(request, { write() {}, end() {}, on() {}, once() {}, emit() {}, removeListener() {} }, ${HANDS_ON});
       pass(request, response, ${HANDS_ON});`,
      /must pass with one upstream call; the response was 200, with 2/,
    ],
    [
      'hands on the token',
      `pass(request, response, { ...${HANDS_ON}, authorization: request.headers.authorization ?? '' });`,
      /the upstream must see subject and scopes, and no token/,
    ],
    [
      'calls, and then refuses',
      `const { aud } = claimsOf(request);
       if (request.headers.authorization?.split('.')[2] && served++ === 0) return pass(request, response, ${HANDS_ON});
       get({ port: upstreamPort, path: request.url, agent: false }, (answer) => answer.resume().on('end', () => ${REFUSE}));`,
      /bad signature must be refused without an upstream call; the response was 401, with 1/,
    ],
  ];
  for (const [name, respond, message] of cases)
    await t.rejects(
      measureKind('known', [stub(t, name, respond)], SHORT, { wallet: walletOf(t) }),
      { message },
      name,
    );
});

t.test('each defect of a token that a contestant does not see is named', { skip }, async (t) => {
  const wallet = walletOf(t);
  const { issuer, audience } = wallet.credentials;
  const good = `pass(request, response, ${HANDS_ON})`;
  const isSigned = `(request.headers.authorization ?? '').split('.')[2]`;
  const right: Record<string, string> = {
    'wrong audience': `aud === '${audience}'`,
    'wrong issuer': `iss === '${issuer}'`,
    expired: 'exp * 1000 > Date.now()',
    'alg none': isSigned,
  };
  for (const defect of Object.keys(right)) {
    const others = Object.entries(right).flatMap(([name, condition]) => (name === defect ? [] : [condition]));
    const respond = `const { aud, iss, exp } = claimsOf(request);
      // The good one comes first, then the one with a bad signature.
      if (request.headers.authorization && served++ !== 1 && ${others.join(' && ')}) ${good}; else ${REFUSE};`;
    await t.rejects(measureKind('known', [stub(t, defect, respond)], SHORT, { wallet }), {
      message: new RegExp(`${defect} must be refused`),
    });
  }
});

t.test(
  'a round with another status than the one that was asked for fails, and says whose',
  { skip },
  async (t) => {
    const wallet = walletOf(t);
    // Right in the checks, wrong under load.
    const broken: Contestant = {
      ...stub(
        t,
        'breaks under load',
        `if (request.url === '/orders') return response.writeHead(served++ < 500 ? 200 : 503).end(); pass(request, response, {});`,
      ),
      blindTo: undefined,
    };
    const failure = await measureKind('known', [broken], SHORT, { wallet }).then(
      () => undefined,
      (error: unknown) => error as Error & { cause: Error },
    );
    t.match(failure?.message, 'breaks under load, known: not reported');
    t.match(failure?.cause.message, /a round with responses other than 200/);

    const lets = { ...broken, name: 'lets bad tokens pass' };
    await t.rejects(measureKind('new-bad', [lets], SHORT, { wallet }), {
      message: 'lets bad tokens pass, new-bad: not reported',
      cause: { message: /responses other than 401/ },
    });
  },
);

t.test('tokens that should be new and come from a cache are not reported', { skip }, async (t) => {
  // The cache of the gateway holds more than this wallet.
  const gateway = sallyport(NAMES.sallyport, { kinds: ['new-es256'] });
  await t.rejects(measureKind('new-es256', [gateway], SHORT, { wallet: walletOf(t, 'ES256') }), {
    message: /tokens were in its cache; they must be new$/,
  });
});
