/** What the caches may never do: forget good tokens under a flood, outlive a revocation. Rules V1, V2. */
import t from 'tap';
import type { ServerResponse } from 'node:http';
import { send } from '../support/client.ts';
import { loginIssuer, startGateway, until } from '../support/gateway.ts';
import { claimsOf, createKey, encode, mint } from '../support/tokens.ts';
import { startServer, startUpstream } from '../support/upstream.ts';

const upstream = await startUpstream(t);
const key = createKey('EdDSA');

t.test('a flood of bad tokens pushes no good one out, JWT or opaque', async (t) => {
  let asked = 0;
  const url = await startServer(t, (request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      asked++;
      const active = new URLSearchParams(body).get('token')?.startsWith('good') === true;
      response
        .writeHead(200, { 'content-type': 'application/json' })
        .end(JSON.stringify({ active, sub: 'x' }));
    });
  });
  const gateway = await startGateway(t, {
    caches: { tokens: { entries: 20 }, negatives: { entries: 50 }, introspection: { entries: 20 } },
    limits: { token_bytes: '4KiB' },
    issuers: {
      login: loginIssuer(key),
      partner: {
        introspection: {
          url,
          client_id: 'g',
          client_secret: 's',
          cache: '1h',
          // The flood comes from one address, and is to reach the caches.
          per_client: { in_flight: 0, per_second: 0 },
        },
      },
    },
    routes: [
      { name: 'r', match: { path_prefix: '/' }, upstream: 'u', auth: { issuers: ['login', 'partner'] } },
    ],
    upstreams: { u: { targets: [upstream.url] } },
  });
  const good = Array.from({ length: 20 }, () => mint(key));
  const opaque = Array.from({ length: 20 }, (_, index) => `good-${index}`);
  for (const token of [...good, ...opaque]) t.equal((await send(gateway.url, '/', { token })).status, 200);

  const [header] = good[0]?.split('.') ?? [];
  for (let index = 0; index < 1_000; index++) {
    const token =
      index % 2 === 0 ? `bad-${index}` : `${header}.${encode(claimsOf())}.${encode(`${index}`.repeat(9))}`;
    const { status } = await send(gateway.url, '/', { token });
    if (status !== 401) t.fail(`${status} for a bad token`);
  }
  const hits = async (cache: string): Promise<number> =>
    gateway.metric(`sallyport_cache_lookups_total{cache="${cache}",result="hit"}`);
  const before = [await hits('tokens'), await hits('introspection')];
  const askedBefore = asked;
  for (const token of [...good, ...opaque]) t.equal((await send(gateway.url, '/', { token })).status, 200);
  t.strictSame(
    [(await hits('tokens')) - (before[0] ?? 0), (await hits('introspection')) - (before[1] ?? 0)],
    [20, 20],
    'all of them were still known',
  );
  t.equal(asked, askedBefore);
  t.equal(await gateway.metric('sallyport_cache_entries{cache="tokens"}'), 20);
  t.ok((await gateway.metric('sallyport_cache_entries{cache="negatives"}')) <= 100);
});

t.test(
  'V2 a revocation that lands while the token is being checked holds, and for the cached response too',
  async (t) => {
    const waiting: ServerResponse[] = [];
    const url = await startServer(t, (request, response) => {
      request.resume();
      waiting.push(response);
    });
    const gateway = await startGateway(t, {
      issuers: {
        partner: { introspection: { url, client_id: 'g', client_secret: 's', cache: '1h', timeout: '30s' } },
      },
      routes: [{ name: 'r', match: { path_prefix: '/' }, upstream: 'u', auth: { issuers: ['partner'] } }],
      upstreams: { u: { targets: [upstream.url] } },
    });
    const seen = upstream.seen.length;
    const first = send(gateway.url, '/', { token: 'opaque' });
    await until(() => waiting.length === 1);
    const revoked = await gateway.admin('POST', '/v1/revocations', { issuer: 'partner', subject: 'olga' });
    t.equal(revoked.status, 201);
    await until(async () => (await gateway.metric('sallyport_revocation_entries')) === 1);
    waiting[0]
      ?.writeHead(200, { 'content-type': 'application/json' })
      .end(JSON.stringify({ active: true, sub: 'olga' }));
    t.equal((await first).status, 401);
    t.equal(
      (await send(gateway.url, '/', { token: 'opaque' })).status,
      401,
      'V1 cached as verified, and revoked',
    );
    t.equal(waiting.length, 1, 'the response was cached');
    t.equal(upstream.seen.length, seen);
  },
);
