/** What the log says of key sets: everything that an operator needs, and nothing twice. */
import t, { type Test } from 'tap';
import type { RequestListener } from 'node:http';
import { advance, startGateway, until, type TestGateway } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { AUDIENCE, createKey, ISSUER } from '../support/tokens.ts';
import { startServer, startUpstream } from '../support/upstream.ts';

const upstream = await startUpstream(t);
const gatewayFor = (t: Test, issuer: Record<string, unknown>, clock: ManualClock): Promise<TestGateway> =>
  startGateway(
    t,
    {
      issuers: { login: { issuer: ISSUER, audiences: [AUDIENCE], keys: { refresh: '1m' }, ...issuer } },
      routes: [{ name: 'r', match: { path_prefix: '/' }, upstream: 'u' }],
      upstreams: { u: { targets: [upstream.url] } },
    },
    { clock },
  );
const warningsOf = ({ log }: TestGateway): Record<string, unknown>[] =>
  log.filter(({ level }) => level === 'warn');
const refreshed = (gateway: TestGateway, result: string): Promise<number> =>
  gateway.metric(`sallyport_jwks_refreshes_total{issuer="login",result="${result}"}`);

t.test('a key that cannot be used is said once, and again when it changes', async (t) => {
  const good = createKey().jwk;
  const enc = { ...createKey('RS256', 'enc').jwk, use: 'enc' };
  let keys: unknown[] = [good, enc, { kty: 'oct', k: 'AAAA', kid: 'shared' }];
  const url = await startServer(t, (_request, response) => response.end(JSON.stringify({ keys })));
  const clock = new ManualClock();
  const gateway = await gatewayFor(t, { jwks_url: `${url}/jwks` }, clock);
  const read = async (): Promise<void> => {
    const before = await refreshed(gateway, 'success');
    await advance(gateway, clock, 61_000);
    await until(async () => (await refreshed(gateway, 'success')) > before);
  };
  t.match(warningsOf(gateway), [
    { issuer: 'login', key: 1, kid: 'enc' },
    { issuer: 'login', key: 2, kid: 'shared' },
  ]);
  await read();
  await read();
  t.equal(warningsOf(gateway).length, 2);
  keys = [enc, { ...createKey('RS256', 'new').jwk, use: 'enc' }, good];
  await read();
  t.equal(warningsOf(gateway).length, 3, 'another place is no change, another key is');
  t.match(warningsOf(gateway).at(-1), { kid: 'new' });
  t.notMatch(JSON.stringify(gateway.log), /AAAA/, 'a secret that was published in error is not spread');
});

const failures: Record<string, { response: RequestListener; says: (url: string) => RegExp }> = {
  'both addresses with status and type': {
    response: (_request, response) =>
      void response.writeHead(404, { 'content-type': 'text/html' }).end('<p>'),
    says: (url) =>
      new RegExp(
        `${url}/.well-known/openid-configuration responded 404 text/html; ` +
          `${url}/.well-known/oauth-authorization-server responded 404 text/html`,
      ),
  },
  'a page where metadata should be': {
    response: (_request, response) =>
      void response.writeHead(200, { 'content-type': 'text/html' }).end('<p>'),
    says: () =>
      /openid-configuration responded 200 text\/html; .*authorization-server responded 200 text\/html/,
  },
  'what is no JSON at one, and a broken connection at the other': {
    response: (request, response) => {
      if (request.url?.includes('openid') === true)
        response.writeHead(200, { 'content-type': 'application/json' }).end('{');
      else response.socket?.destroy();
    },
    says: () => /openid-configuration: .*not strict JSON.*; .*oauth-authorization-server: [A-Z_]+/,
  },
  'an issuer that differs by a slash': {
    response: (request, response) => {
      const issuer = `http://${request.headers.host}/`;
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ issuer }));
    },
    says: (url) => new RegExp(`names "${url}/", not "${url}".*only a trailing slash differs`),
  },
  'a jwks_uri that may not be used': {
    response: (request, response) => {
      const metadata = {
        issuer: `http://${request.headers.host}`,
        jwks_uri: 'http://keys.example/jwks?key=s3cret',
      };
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(metadata));
    },
    says: () => /jwks_uri http:\/\/keys\.example\/jwks is neither/,
  },
};
for (const [name, { response: answer, says }] of Object.entries(failures)) {
  t.test(`a failed discovery names ${name}, once while it lasts`, async (t) => {
    const url = await startServer(t, answer);
    const clock = new ManualClock();
    const gateway = await gatewayFor(t, { issuer: url, discovery: true }, clock);
    t.match(warningsOf(gateway)[0]?.['error'], says(url));
    for (let failed = await refreshed(gateway, 'failure'); failed < 4; failed++) {
      await advance(gateway, clock, 33_000);
      await until(async () => (await refreshed(gateway, 'failure')) > failed);
    }
    t.equal(warningsOf(gateway).length, 1);
    t.notMatch(JSON.stringify(gateway.log), /s3cret/);
    await advance(gateway, clock, 600_000);
    await until(() => warningsOf(gateway).length === 2);
  });
}
