/**
 * Attackers with made-up tokens, and an authorization server that takes them badly: the good tokens of all others pass, and no
 * cache grows beyond its bounds. Rule C23.
 */
import { gzipSync } from 'node:zlib';
import t from 'tap';
import {
  introspectedBy,
  json,
  startFallibleServer,
  validatedBy,
  type Behaviour,
} from '../support/fallible-authorization-server.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { send } from '../support/client.ts';
import { loginIssuer, startGateway } from '../support/gateway.ts';
import { claimsOf, createKey, encode, mint } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

/** More are for runs by hand. */
const ROUNDS = Number(process.env['FUZZ_RUNS'] ?? 60);
const BAD_PER_ROUND = 8;
const NEGATIVES = 50;
const HANDFUL = 40;

const key = createKey('ES256');

/** Keeps the end of a call back until the server has responded to a later one: three that fail in a row are an outage. */
type Hold = (end: () => unknown) => void;

/** How an authorization server may take a token that it does not know. 429 and Retry-After ask for a pause and are apart. */
const hostile = (random: SeededRandom, hold: Hold): Behaviour =>
  random.of<Behaviour>([
    { active: false },
    { active: 'true' },
    { active: true, exp: 'soon' },
    { active: true, token_type: 'refresh_token' },
    ...[204, 302, 400, 401, 403, 404, 405, 408, 410, 413, 418, 422, 431, 500, 501, 502, 503, 504],
    (response) =>
      json(response, 400, { error: random.of(['invalid_token', 'invalid_request', 'invalid_client']) }),
    (response) => json(response, 500, { active: true }, { 'retry-after': '3600' }),
    (response) => json(response, 401, {}, { 'www-authenticate': 'Bearer error="invalid_token"' }),
    (response) => void response.end('<html>'),
    (response) => void response.writeHead(200, { 'content-type': 'application/json' }).end('{"active":'),
    (response) => json(response, 200, '['.repeat(100_000)),
    (response) => json(response, 200, { active: false, pad: 'x'.repeat(1_100_000) }),
    (response) =>
      void response
        .writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' })
        .end(gzipSync('{"active":true}')),
    // No response, or half of one, and then a connection that breaks.
    (response) => hold(() => response.socket?.end('SSH-2.0-OpenSSH_9.6\r\n')),
    (response) => hold(() => response.socket?.destroy()),
    (response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100' });
      response.write('{');
      hold(() => response.socket?.end());
    },
    (response) => {
      response.writeHead(200, { 'content-length': '100' }).write('{');
      hold(() => response.socket?.destroy());
    },
  ]);

function madeUp(random: SeededRandom, index: number): string {
  const text = `made-up-${index}`;
  return random.of([
    text,
    `${text}${'='.repeat(random.below(4))}`,
    `${text}${'x'.repeat(random.below(7_000))}`,
    `${encode({ alg: 'none' })}.${encode({ jti: text })}.x`,
    `${encode({ alg: 'ES256', kid: text })}.${encode({ iss: 'https://nowhere.example', jti: text })}.${encode(text)}`,
    mint(key, claimsOf({ iss: `https://${text}.example` })),
    `${'.'.repeat(random.below(5))}${text}.${encode({})}.`,
    `a.b.c.d.${text}`,
  ]);
}

for (const [kind, issuerOf] of Object.entries({ introspectedBy, validatedBy })) {
  t.test(
    `C23 ${kind}: made-up tokens, and all that a server may do with them, refuse no good token`,
    async (t) => {
      const upstream = await startUpstream(t);
      const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31);
      t.comment(`SEED=${seed}`);
      const random = new SeededRandom(seed);
      const authority = await startFallibleServer(t);
      let [held, ripe]: (() => unknown)[][] = [[], []];
      let isOver = false;
      const hold: Hold = (end) => void (isOver ? end() : held?.push(end));
      /** Ends what was held before the last good token, whose response says that the server is up. */
      const release = (): void => {
        for (const end of ripe ?? []) end();
        [ripe, held] = [held, []];
      };
      const isMadeUp = (token: string): boolean => !token.startsWith('good');
      authority.otherwise = (response) => {
        if (!isMadeUp(authority.asked.at(-1) ?? '')) release();
        const behaviour = isMadeUp(authority.asked.at(-1) ?? '')
          ? hostile(random, hold)
          : { active: true, sub: 'olga' };
        if (typeof behaviour === 'function') behaviour(response);
        else if (typeof behaviour === 'number') response.writeHead(behaviour).end();
        else json(response, 200, behaviour);
      };
      const changes = kind === 'introspectedBy' ? { jwt: true } : {};
      const gateway = await startGateway(t, {
        issuers: {
          login: loginIssuer(key),
          partner: issuerOf(authority, { ...changes, timeout: '1h', cache: '1h' }),
        },
        caches: { negatives: { entries: NEGATIVES } },
        trusted_proxies: ['127.0.0.1'],
        routes: [
          {
            name: 'all',
            match: { path_prefix: '/' },
            upstream: 'u',
            auth: { issuers: ['login', 'partner'] },
          },
        ],
        upstreams: { u: { targets: [upstream.url] } },
      });
      const get = async (token: string, client: string): Promise<number> =>
        (await send(gateway.url, '/', { token, headers: ['x-forwarded-for', client] })).status;
      const attackers = ['203.0.113.1', '203.0.113.2', '2001:db8:bad::'];
      const attacks: Promise<number>[] = [];
      const jwt = mint(key);
      t.equal(await get('good-cached', '198.51.100.1'), 200);
      for (let round = 0; round < ROUNDS; round++) {
        for (let index = 0; index < BAD_PER_ROUND; index++) {
          const from = random.of(attackers);
          const client = from.endsWith('::') ? `${from}${random.below(65_536).toString(16)}` : from;
          attacks.push(get(madeUp(random, round * BAD_PER_ROUND + index), client));
        }
        const client = `198.51.100.${1 + random.below(HANDFUL)}`;
        for (const token of [`good-${round}`, 'good-cached', jwt])
          if ((await get(token, client)) !== 200)
            t.fail(`SEED=${seed}: ${token} is refused in round ${round}`);
      }
      t.equal(authority.asked.filter((token) => token === 'good-cached').length, 1, 'it stayed in the cache');
      // Before the last of them fail with no good token between.
      t.equal(
        await gateway.metric(
          'sallyport_introspection_requests_total{issuer="partner",result="circuit_open"}',
        ),
        0,
      );
      isOver = true;
      release();
      release();
      const statuses = new Set(await Promise.all(attacks));
      t.strictSame(
        [...statuses].filter((status) => ![401, 503].includes(status)),
        [],
        `SEED=${seed}`,
      );
      t.ok((await gateway.metric('sallyport_cache_entries{cache="negatives"}')) <= 2 * NEGATIVES);
      t.ok((await gateway.metric('sallyport_cache_entries{cache="introspection"}')) <= ROUNDS + 1);
      t.equal(upstream.seen.splice(0).length, 3 * ROUNDS + 1, 'the upstream saw the good ones alone');
    },
  );
}
