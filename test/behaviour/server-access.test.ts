/** The way to the provider: a private authority, mutual TLS, a proxy, a token of the gateway's own. Rules K4, I7, A5. */
import t, { type Test } from 'tap';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseConfiguration } from '../../src/config/load.ts';
import { certificateAuthority, noOpenssl } from '../support/certificates.ts';
import { send } from '../support/client.ts';
import { sallyport } from '../support/command.ts';
import { startConnectProxy } from '../support/connect-proxy.ts';
import { json } from '../support/fallible-authorization-server.ts';
import { startGateway, until, withTestPorts, type TestGateway } from '../support/gateway.ts';
import { temporaryFolder } from '../support/process.ts';
import { startTlsAuthority, type TlsAuthority } from '../support/tls-authority.ts';
import { AUDIENCE, claimsOf, createKey, mint } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const upstream = await startUpstream(t);
const key = createKey();
/** No DNS has it: it is reached through the proxy, or not at all. */
const HOST = 'login.provider.test';

/** A private authority, a server that it vouches for, and a client certificate. */
async function scene(t: Test) {
  const folder = temporaryFolder(t);
  const authority = certificateAuthority(folder);
  const server = authority.issue('server', `DNS:${HOST}`, 'DNS:localhost', 'IP:127.0.0.1');
  const client = authority.issue('gateway');
  const provider = await startTlsAuthority(t, server, authority.ca);
  provider.pages.set('/jwks', (response) => json(response, 200, { keys: [key.jwk] }));
  return {
    folder,
    authority,
    server,
    client,
    provider,
    ca: authority.ca,
    url: `https://127.0.0.1:${provider.port}`,
  };
}

const routes = [{ name: 'all', match: {}, upstream: 'u', auth: { issuers: ['login'] } }];
const configurationOf = (login: Record<string, unknown>): Record<string, unknown> => ({
  issuers: { login: { audiences: [AUDIENCE], ...login } },
  routes,
  upstreams: { u: { targets: [upstream.url] } },
});
const start = (t: Test, login: Record<string, unknown>, folder: string): Promise<TestGateway> =>
  startGateway(t, configurationOf(login), { folder });

const statusOf = async (gateway: TestGateway, iss: string): Promise<number> => {
  const before = upstream.seen.length;
  const { status } = await send(gateway.url, '/', { token: mint(key, claimsOf({ iss })) });
  if (status !== 200 && upstream.seen.length > before) throw new Error('the upstream saw a refused request');
  return status;
};

const metadata = (provider: TlsAuthority, issuer: string, jwksUri: string): void =>
  void provider.pages.set('/.well-known/openid-configuration', (response) =>
    json(response, 200, { issuer, jwks_uri: jwksUri }),
  );

t.test('K4 keys come over TLS of a private authority, and not without it', { skip: noOpenssl }, async (t) => {
  const { folder, provider, url, ca } = await scene(t);
  metadata(provider, url, `${url}/jwks`);
  const good = await start(t, { issuer: url, discovery: true, http: { tls: { ca_file: ca } } }, folder);
  t.equal(await statusOf(good, url), 200);
  const asked = provider.requests.length;
  const stranger = await start(t, { issuer: url, discovery: true }, folder);
  t.equal(await statusOf(stranger, url), 503);
  t.equal(provider.requests.length, asked, 'nothing is sent to a server that no authority vouches for');
  t.match(JSON.stringify(stranger.log), /ca_file/, 'the log names the remedy');
});

t.test('ca_file replaces the authorities of the system', { skip: noOpenssl }, async (t) => {
  const { folder, url, provider } = await scene(t);
  const other = certificateAuthority(folder, 'other');
  const gateway = await start(
    t,
    { issuer: url, jwks_url: `${url}/jwks`, http: { tls: { ca_file: other.ca } } },
    folder,
  );
  t.equal(await statusOf(gateway, url), 503);
  t.equal(provider.requests.length, 0);
});

t.test(
  'K6 client certificate, server_name and token go to configured origins, and to no other',
  { skip: noOpenssl },
  async (t) => {
    const { folder, authority, client, provider, url, ca, server } = await scene(t);
    const elsewhere = await startTlsAuthority(t, server, ca);
    elsewhere.pages.set('/jwks', (response) => json(response, 200, { keys: [key.jwk] }));
    const elsewhereUrl = `https://127.0.0.1:${elsewhere.port}`;
    metadata(provider, url, `${elsewhereUrl}/jwks`);
    writeFileSync(join(folder, 'token'), 'gateway-token\n');
    const http = {
      tls: { ca_file: authority.ca, cert_file: client.cert, key_file: client.key, server_name: HOST },
      bearer_token_file: 'token',
    };
    const gateway = await start(t, { issuer: url, discovery: true, http }, folder);
    t.equal(await statusOf(gateway, url), 200);
    t.match(provider.requests, [
      { certificate: 'gateway', serverName: HOST, headers: { authorization: 'Bearer gateway-token' } },
    ]);
    t.equal(elsewhere.requests.length, 1);
    t.equal(elsewhere.requests[0]?.certificate, undefined);
    t.equal(elsewhere.requests[0]?.headers.authorization, undefined);
    t.not(elsewhere.requests[0]?.serverName, HOST);

    // The same server, written in the configuration.
    const both = await start(t, { issuer: url, jwks_url: `${elsewhereUrl}/jwks`, http }, folder);
    t.equal(await statusOf(both, url), 200);
    t.match(elsewhere.requests.at(-1), {
      certificate: 'gateway',
      serverName: HOST,
      headers: { authorization: 'Bearer gateway-token' },
    });
  },
);

t.test(
  'metadata of Kubernetes that names a server which wants the token: the log says to set jwks_url',
  { skip: noOpenssl },
  async (t) => {
    const { folder, provider, url, ca, server } = await scene(t);
    const inner = await startTlsAuthority(t, server, ca);
    inner.pages.set('/openid/v1/jwks', (response, { headers }) =>
      headers.authorization === 'Bearer gateway-token'
        ? json(response, 200, { keys: [key.jwk] })
        : json(response, 401, {}),
    );
    const keysUrl = `https://127.0.0.1:${inner.port}/openid/v1/jwks`;
    metadata(provider, url, keysUrl);
    writeFileSync(join(folder, 'token'), 'gateway-token');
    const http = { tls: { ca_file: ca }, bearer_token_file: 'token' };
    const gateway = await start(t, { issuer: url, discovery: true, http }, folder);
    t.equal(await statusOf(gateway, url), 503);
    t.match(JSON.stringify(gateway.log), new RegExp(`jwks_url: ${keysUrl}`));
    const cured = await start(t, { issuer: url, jwks_url: keysUrl, http }, folder);
    t.equal(await statusOf(cured, url), 200);
  },
);

t.test(
  'K4 K6 a redirect is refused, and takes neither token nor certificate along',
  { skip: noOpenssl },
  async (t) => {
    const { folder, client, provider, url, ca, server } = await scene(t);
    const elsewhere = await startTlsAuthority(t, server, ca);
    for (const path of ['/jwks', '/introspect'])
      provider.pages.set(path, (response) =>
        response.writeHead(307, { location: `https://127.0.0.1:${elsewhere.port}${path}` }).end(),
      );
    writeFileSync(join(folder, 'token'), 'gateway-token');
    const http = {
      tls: { ca_file: ca, cert_file: client.cert, key_file: client.key },
      bearer_token_file: 'token',
    };
    const keys = await start(t, { issuer: url, jwks_url: `${url}/jwks`, http }, folder);
    t.equal(await statusOf(keys, url), 503);
    const introspection = { url: `${url}/introspect`, auth_method: 'bearer' };
    const opaque = await start(t, { introspection, http }, folder);
    t.equal((await send(opaque.url, '/', { token: 'opaque' })).status, 503);
    t.equal(provider.requests.length, 2);
    t.equal(elsewhere.requests.length, 0);
  },
);

t.test(
  'K6 the token file is read for each call; one without a token fails the call unsent',
  { skip: noOpenssl },
  async (t) => {
    const { folder, provider, url, ca } = await scene(t);
    const file = join(folder, 'token');
    provider.pages.set('/introspect', (response) =>
      json(response, 200, { active: true, sub: 'olga', aud: AUDIENCE }),
    );
    writeFileSync(file, 'first\n');
    const gateway = await start(
      t,
      {
        introspection: { url: `${url}/introspect`, auth_method: 'bearer', failure_cache: '0s' },
        http: { tls: { ca_file: ca }, bearer_token_file: 'token' },
      },
      folder,
    );
    const ask = async (token: string): Promise<number> => (await send(gateway.url, '/', { token })).status;
    t.equal(await ask('o-1'), 200);
    writeFileSync(file, 'second\n');
    t.equal(await ask('o-2'), 200);
    t.strictSame(
      provider.requests.map(({ headers }) => headers.authorization),
      ['Bearer first', 'Bearer second'],
    );
    const seen = upstream.seen.length;
    for (const spoil of [
      () => writeFileSync(file, '\n'),
      () => writeFileSync(file, 'two tokens'),
      () => rmSync(file),
    ]) {
      spoil();
      t.equal(await ask('o-3'), 503);
    }
    t.equal(provider.requests.length, 2, 'nothing was sent');
    t.equal(upstream.seen.length, seen);
    const text = JSON.stringify(gateway.log);
    t.match(text, /bearer_token_file/);
    t.notMatch(text, /two tokens|second/);
    writeFileSync(file, 'third');
    t.equal(await ask('o-3'), 200, 'it works again as soon as there is one');
  },
);

t.test(
  'a proxy carries https to the provider, by CONNECT and with its password',
  { skip: noOpenssl },
  async (t) => {
    const { folder, provider, ca } = await scene(t);
    const proxy = await startConnectProxy(t, () => provider.port);
    const issuer = `https://${HOST}`;
    metadata(provider, issuer, `${issuer}/jwks`);
    const http = { tls: { ca_file: ca }, proxy: `http://user:p%40ss-of-proxy@127.0.0.1:${proxy.port}` };
    const gateway = await start(t, { issuer, discovery: true, http }, folder);
    t.equal(await statusOf(gateway, issuer), 200);
    t.strictSame([...new Set(proxy.asked)], [`${HOST}:443`]);
    t.strictSame([...new Set(proxy.authorizations)], [`Basic ${btoa('user:p@ss-of-proxy')}`]);
    t.notMatch(proxy.passed, /jwks|GET /, 'the proxy sees no request');
    t.notOk(provider.requests.some(({ headers }) => headers['proxy-authorization'] !== undefined));

    proxy.refusal = 407;
    const refused = await start(t, { issuer, discovery: true, http }, folder);
    t.equal(await statusOf(refused, issuer), 503);
    const log = JSON.stringify(refused.log);
    t.match(log, new RegExp(`proxy 127\\.0\\.0\\.1:${proxy.port} responded 407`));
    t.notMatch(log, /ss-of-proxy|dXNlc|user/, 'its password is in no log');
  },
);

t.test('loopback is reached without the proxy', { skip: noOpenssl }, async (t) => {
  const { folder, provider, ca, url } = await scene(t);
  const proxy = await startConnectProxy(t, () => provider.port);
  const http = { tls: { ca_file: ca }, proxy: `http://127.0.0.1:${proxy.port}` };
  const gateway = await start(t, { issuer: url, jwks_url: `${url}/jwks`, http }, folder);
  t.equal(await statusOf(gateway, url), 200);
  t.strictSame(proxy.asked, []);
});

t.test('metadata that names http:// is not fetched through the proxy', { skip: noOpenssl }, async (t) => {
  const { folder, provider, ca } = await scene(t);
  const proxy = await startConnectProxy(t, () => provider.port);
  const issuer = `https://${HOST}`;
  metadata(provider, issuer, `http://${HOST}/jwks`);
  const http = { tls: { ca_file: ca }, proxy: `http://127.0.0.1:${proxy.port}` };
  const gateway = await start(t, { issuer, discovery: true, allow_http: true, http }, folder);
  t.equal(await statusOf(gateway, issuer), 503);
  t.strictSame([...new Set(proxy.asked)], [`${HOST}:443`]);
});

t.test(
  'a renewed client certificate is used from the next call on, and costs no keys while the provider is down',
  { skip: noOpenssl },
  async (t) => {
    const { folder, authority, client, provider, url, ca } = await scene(t);
    const http = { tls: { ca_file: ca, cert_file: client.cert, key_file: client.key } };
    const login = { issuer: url, jwks_url: `${url}/jwks`, http };
    const gateway = await start(t, login, folder);
    t.equal(await statusOf(gateway, url), 200);
    const renewed = authority.issue('renewed');
    provider.pages.set('/jwks', (response) => response.writeHead(500).end());
    const reload = async (pair: { cert: string; key: string }): Promise<void> => {
      writeFileSync(client.cert, readFileSync(pair.cert));
      writeFileSync(client.key, readFileSync(pair.key));
      const text = JSON.stringify(withTestPorts({ realm: 'test', ...configurationOf(login) }));
      const configuration = parseConfiguration(text, gateway.loaded.file, folder, {});
      await gateway.instance.reload({ ...gateway.loaded, configuration });
    };
    await reload(renewed);
    await until(() => provider.requests.length >= 2);
    t.equal(provider.requests.at(-1)?.certificate, 'renewed');
    t.equal(await statusOf(gateway, url), 200, 'the keys from before serve on');
  },
);

t.test('check --online and explain --online go the configured way', { skip: noOpenssl }, async (t) => {
  const { folder, client, provider, ca } = await scene(t);
  const proxy = await startConnectProxy(t, () => provider.port);
  const issuer = `https://${HOST}`;
  metadata(provider, issuer, `${issuer}/jwks`);
  provider.pages.set('/introspect', (response, { certificate, form }) =>
    json(response, certificate === 'gateway' ? 200 : 401, {
      active: form['token'] === 'opaque',
      aud: AUDIENCE,
    }),
  );
  const tls = { ca_file: ca, cert_file: client.cert, key_file: client.key };
  const http = { tls, proxy: `http://127.0.0.1:${proxy.port}` };
  const introspection = { url: `${issuer}/introspect`, client_id: 'g', auth_method: 'tls_client_auth' };
  const file = join(folder, 'sallyport.json');
  const write = (changes: Record<string, unknown>): void =>
    writeFileSync(
      file,
      JSON.stringify({
        issuers: {
          login: { issuer, discovery: true, audiences: [AUDIENCE], http: { ...http, ...changes } },
          opaque: { introspection, audiences: [AUDIENCE], http: { ...http, ...changes } },
        },
        routes: [{ name: 'all', match: {}, upstream: 'u', auth: { issuers: ['login', 'opaque'] } }],
        upstreams: { u: { targets: [upstream.url] } },
      }),
      { mode: 0o600 },
    );
  write({});
  const good = await sallyport(['check', '-c', file, '--online']);
  t.match(good.out, /ok +keys of login: 1 key\nok +opaque tokens of opaque: responds/);
  t.equal(good.code, 0);
  const tokens = [mint(key, claimsOf({ iss: issuer })), 'opaque'];
  for (const token of tokens) {
    writeFileSync(join(folder, 'presented'), token, { mode: 0o600 });
    const args = [
      'explain',
      '-c',
      file,
      '--online',
      '--token-file',
      join(folder, 'presented'),
      'GET',
      'http://a/',
    ];
    t.equal((await sallyport(args)).code, 0, token.slice(0, 6));
  }
  write({ tls: { ...tls, ca_file: undefined } });
  const bad = await sallyport(['check', '-c', file, '--online']);
  t.match(bad.out, /FAIL +keys of login: .*ca_file/);
  t.equal(bad.code, 1);
});
