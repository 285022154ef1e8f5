/** What hostile input leaves in the log and in the metrics: one line, bounded labels, nothing secret. Rules A5 to A7, B5; C11, C16. */
import t from 'tap';
import { send, sendRaw } from '../support/client.ts';
import { loginIssuer, startGateway } from '../support/gateway.ts';
import { claimsOf, createKey, ISSUER, mint } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const key = createKey();
const upstream = await startUpstream(t);
const gateway = await startGateway(t, {
  log_key: 'the same on every gateway',
  issuers: { login: loginIssuer(key) },
  routes: [{ name: 'r', match: { path_prefix: '/r' }, upstream: 'u', auth: { scopes: ['a"b\\c'] } }],
  upstreams: { u: { targets: [upstream.url] } },
});

t.test(
  'A6 C16 control characters in paths, methods, agents and claims stay within one JSON line',
  async (t) => {
    const before = gateway.log.length;
    const bytes = '\x1b[31m\x7f\u0085';
    await sendRaw(
      gateway.port,
      `GET /r?a=${bytes} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nUser-Agent: ${bytes}\r\n\r\n`,
    );
    await send(gateway.url, '/r/%0d%0aforged', {
      token: mint(key, claimsOf({ client_id: 'a\r\n{"level":"info"}\u2028\u009b31m' })),
    });
    const lines = gateway.log.slice(before);
    t.ok(lines.length >= 1);
    // Every line was parsed as JSON when it was written; none holds a raw control character.
    for (const line of lines) t.equal(line['msg'], 'request');
  },
);

t.test('A5 neither tokens nor raw subjects are logged; the same person gives the same hash', async (t) => {
  const before = gateway.log.length;
  const tokens = [0, 1].map(() => mint(key, claimsOf({ sub: 'someone@example.com', scope: 'a"b\\c' })));
  for (const token of tokens) t.equal((await send(gateway.url, '/r', { token })).status, 200);
  const lines = gateway.log.slice(before);
  const text = JSON.stringify(lines);
  for (const token of tokens) t.notOk(text.includes(token.split('.')[1] ?? ''));
  t.notOk(text.includes('someone@example.com'));
  const hashes = lines.map(({ auth }) => auth as { sub_hash: string; jti_hash: string });
  t.equal(hashes[0]?.sub_hash, hashes[1]?.sub_hash);
  t.not(hashes[0]?.jti_hash, hashes[1]?.jti_hash);
});

t.test('A7 methods, paths, hosts and issuers of strangers make no new series', async (t) => {
  const series = async (): Promise<number> =>
    (await (await fetch(`${gateway.adminUrl}/metrics`)).text())
      .split('\n')
      .filter((line) => line.startsWith('sallyport_')).length;
  const stray = async (index: number): Promise<void> => {
    await send(gateway.url, `/r/${index}`, { method: 'PROPFIND', headers: ['host', `h${index}.example`] });
    await send(gateway.url, `/none/${index}`, { method: 'PURGE' });
    await send(gateway.url, '/r', { token: mint(key, claimsOf({ iss: `https://${index}.example` })) });
  };
  await stray(0);
  const before = await series();
  for (let index = 1; index < 30; index++) await stray(index);
  t.equal(await series(), before);
  t.ok(
    (await gateway.metric(
      'sallyport_http_requests_total{route="unmatched",method="other",code="404",source="gateway"}',
    )) >= 30,
  );
});

t.test('B5 a challenge has each attribute once and nothing that breaks its quotes', async (t) => {
  const { headers } = await send(gateway.url, '/r', { token: mint(key) });
  t.equal(headers['www-authenticate'], 'Bearer realm="test", error="insufficient_scope", scope="abc"');
});

t.test('C11 a User-Agent never changes the decision', async (t) => {
  for (const agent of ['GoogleHC/1.0', 'kube-probe/1.30', 'ELB-HealthChecker/2.0', '']) {
    t.equal((await send(gateway.url, '/r', { headers: ['user-agent', agent] })).status, 401);
  }
});

t.test(
  'a refused token: the log says exactly what does not fit, once, and never the token or its claims',
  async (t) => {
    const own = await startGateway(t, {
      issuers: {
        login: loginIssuer(key),
        other: { issuer: 'https://other.example/', jwks: { keys: [key.jwk] } },
      },
      limits: { token_bytes: '1KiB' },
      routes: [{ name: 'r', match: { path_prefix: '/' }, upstream: 'u', auth: { issuers: ['login'] } }],
      upstreams: { u: { targets: [upstream.url] } },
    });
    const cases: [token: string, says: RegExp][] = [
      [mint(key, claimsOf(), { alg: 'RS512' }), /RS512.*issuers\.login\.algorithms/],
      [mint(key, claimsOf(), { alg: 'none' }), /none.*issuers\.login\.algorithms/],
      [mint(key, claimsOf(), { alg: 'SECRET-IN-ALG' }), /unknown.*issuers\.login\.algorithms/],
      [mint(key, claimsOf({ x: 'y'.repeat(1_000) })), /limits\.token_bytes \(1024\)/],
      [mint(key, claimsOf({ iss: `${ISSUER}/` })), /issuers\.login.*: a trailing slash differs/],
      [
        mint(key, claimsOf({ iss: ISSUER.replace('https', 'http') })),
        /issuers\.login.*: http or https differs/,
      ],
      [
        mint(key, claimsOf({ iss: ISSUER.replace('login', 'Login') })),
        /issuers\.login.*: upper and lower case differs/,
      ],
      [
        mint(key, claimsOf({ iss: 'http://OTHER.example' })),
        /issuers\.other.*: http or https and a trailing slash and upper/,
      ],
      [
        mint(key, claimsOf({ iss: 'https://other.example/' })),
        /issuers\.other, whose JWTs this route does not accept/,
      ],
    ];
    const seen = upstream.seen.length;
    for (const [token, says] of cases) {
      const from = own.log.length;
      const response = await send(own.url, '/', { token });
      await send(own.url, '/', { token });
      t.match(response, { status: 401, problem: { code: 'invalid_token' } });
      t.notMatch(
        response.body + JSON.stringify(response.headers),
        /differs|algorithms|token_bytes|issuers\./,
      );
      const lines = own.log.slice(from);
      const warnings = lines.filter(({ level }) => level === 'warn');
      t.equal(warnings.length, 1, 'once');
      t.match(warnings[0]?.['detail'], says);
      const requests = lines.filter(({ msg }) => msg === 'request');
      t.equal(requests.length, 2);
      for (const { cause } of requests) t.match(cause, says);
      t.notMatch(JSON.stringify(lines), /SECRET-IN-ALG|yyyy/);
      t.notMatch(JSON.stringify(warnings), /OTHER\.example/);
    }
    const from = own.log.length;
    await send(own.url, '/', { token: mint(key, claimsOf({ iss: 'https://stranger.example' })) });
    t.equal(
      own.log.slice(from).filter(({ level }) => level === 'warn').length,
      0,
      'a stranger is no mistake',
    );
    t.equal(upstream.seen.length, seen);
  },
);
