/** The way to a provider, in the configuration: each problem has its place, and none repeats a secret. */
import t, { type Test } from 'tap';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigurationError, parseConfiguration, type LoadedConfiguration } from '../../src/config/load.ts';
import { loadedFiles, namedFiles } from '../../src/config/named-files.ts';
import { configurationWarnings } from '../../src/config/warnings.ts';
import { certificateAuthority, noOpenssl } from '../support/certificates.ts';
import { sallyport } from '../support/command.ts';
import { temporaryFolder } from '../support/process.ts';

const base = {
  routes: [{ name: 'a', match: {}, upstream: 'u', auth: { issuers: ['p'] } }],
  upstreams: { u: { targets: ['http://127.0.0.1:1'] } },
};

function load(
  issuer: Record<string, unknown>,
  environment: Record<string, string> = {},
  folder = '/tmp',
): LoadedConfiguration['configuration'] {
  return parseConfiguration(
    JSON.stringify({ ...base, issuers: { p: issuer } }),
    'f.json',
    folder,
    environment,
  );
}

/** Without their places. */
function problems(
  issuer: Record<string, unknown>,
  environment: Record<string, string> = {},
  folder = '/tmp',
): readonly string[] {
  try {
    load(issuer, environment, folder);
    return [];
  } catch (error) {
    if (error instanceof ConfigurationError)
      return error.problems.map((line) => line.replace(/^[^ ]+ issuers\.p\.?/, ''));
    throw error;
  }
}

const jwt = (http: unknown, more: Record<string, unknown> = {}): Record<string, unknown> => ({
  issuer: 'https://login.example.com',
  discovery: true,
  http,
  ...more,
});
const opaque = (introspection: Record<string, unknown>, more: Record<string, unknown> = {}) => ({
  introspection: { url: 'https://as.example.com/i', ...introspection },
  ...more,
});

function folderWith(t: Test, files: Record<string, string>): string {
  const folder = temporaryFolder(t);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text, { mode: 0o600 });
  return folder;
}

t.test('a proxy is an HTTP proxy or the environment, for https:// only', async (t) => {
  t.strictSame(problems(jwt({ proxy: 'http://proxy.example.com:3128' })), []);
  t.strictSame(problems(jwt({ proxy: 'http://user:p%40ss@proxy.example.com:3128' })), []);
  for (const proxy of [
    'proxy:3128',
    'https://proxy:3128',
    'socks5://proxy:1080',
    'http://proxy/path',
    'http://user:%zz-secret@proxy',
    'http://user:%0asecret@proxy',
    'Environment',
    '',
  ]) {
    const found = problems(jwt({ proxy }));
    t.match(found, [/http\.proxy: must be environment, or the URL/], proxy);
    t.notMatch(found.join(), /secret/);
  }
  const plain = { jwks_url: 'http://keys.example.com/', discovery: undefined, allow_http: true };
  t.match(problems(jwt({ proxy: 'http://proxy:1' }, plain)), [/http\.proxy: is for https/]);
  t.match(problems(jwt({ proxy: 'environment' }, plain)), [/http\.proxy: is for https/]);
  t.strictSame(problems(jwt({ proxy: 'http://proxy:1' }, { ...plain, jwks_url: 'http://127.0.0.1/' })), []);
});

t.test('proxy: environment reads HTTPS_PROXY and NO_PROXY, and nothing else does', async (t) => {
  const proxyIn = (environment: Record<string, string>) =>
    load(jwt({ proxy: 'environment' }), environment).issuers['p']?.http?.proxy;
  t.match(proxyIn({ HTTPS_PROXY: 'http://a:1', NO_PROXY: '.svc' }), { url: 'http://a:1', noProxy: '.svc' });
  t.match(proxyIn({ https_proxy: 'b:2', HTTPS_PROXY: 'http://a:1' }), { url: 'http://b:2', noProxy: '' });
  t.match(proxyIn({ HTTP_PROXY: 'http://a:1', ALL_PROXY: 'http://a:1' }), { url: undefined });
  t.match(load(jwt({ proxy: 'http://own:1' }), { HTTPS_PROXY: 'http://a:1' }).issuers['p']?.http?.proxy, {
    url: 'http://own:1',
  });
  const found = problems(jwt({ proxy: 'environment' }), { HTTPS_PROXY: 'socks5://u:secret@a:1' });
  t.match(found, [/http\.proxy: the variable HTTPS_PROXY is not/]);
  t.notMatch(found.join(), /secret/);
});

t.test('the token file is there, and its token travels encrypted and alone', async (t) => {
  const folder = folderWith(t, { token: 'token', empty: '\n' });
  const found = (http: unknown, more = {}) => problems(jwt(http, more), {}, folder);
  t.strictSame(found({ bearer_token_file: 'token' }), []);
  t.match(found({ bearer_token_file: 'missing' }), [/bearer_token_file: the file cannot be read/]);
  t.match(found({ bearer_token_file: 'empty' }), [/bearer_token_file: the file is empty/]);
  t.match(
    found(
      { bearer_token_file: 'token' },
      { discovery: undefined, jwks_url: 'http://keys.example.com/', allow_http: true },
    ),
    [/bearer_token_file: would travel in plaintext/],
  );
  const http = { bearer_token_file: 'token' };
  const validation = { url: 'https://v.example.com/' };
  t.strictSame(problems({ validation, http }, {}, folder), []);
  for (const twice of [{ send: { in: 'header' } }, { headers: { authorization: 'Bearer x' } }])
    t.match(problems({ validation: { ...validation, ...twice }, http }, {}, folder), [
      /goes into Authorization/,
    ]);
});

t.test('http without anything to fetch has no meaning, nor has tls without https', async (t) => {
  const secret = 'x'.repeat(48);
  t.match(problems({ issuer: 'https://a', hmac_secret: secret, http: {} }), [/^http: has no meaning/]);
  const local = { discovery: undefined, jwks_url: 'http://127.0.0.1/' };
  t.match(problems(jwt({ tls: { server_name: 'a' } }, local)), [/http\.tls: has no meaning/]);
  t.match(problems(jwt({ tls: { cert: 'x' } })), [/http\.tls: a client certificate needs its key/]);
  t.match(problems(jwt({ ca_file: 'x' })), [/http\.ca_file: unknown key/]);
});

t.test('each way to authenticate has what it needs, and nothing beside it', async (t) => {
  const folder = folderWith(t, { key: '{}', token: 'token', secret: 's' });
  const found = (introspection: Record<string, unknown>, more: Record<string, unknown> = {}) =>
    problems(opaque(introspection, more), {}, folder);
  const iss = { issuer: 'https://as.example.com' };
  const id = { client_id: 'g' };
  const secret = { client_secret_file: 'secret' };
  t.match(found(id), [/introspection: has no client_secret/]);
  t.match(found(secret), [/introspection: has no client_id/]);
  t.match(found({ ...id, ...secret, key_file: 'key' }), [
    /introspection\.key_file: has no meaning with auth_method: client_secret_basic/,
  ]);
  const jwtAuth = { ...id, auth_method: 'private_key_jwt' };
  t.strictSame(found({ ...jwtAuth, key_file: 'key' }, iss), []);
  t.match(found(jwtAuth, iss), [/introspection: has no key/]);
  t.match(found({ ...jwtAuth, key_file: 'key' }), [/private_key_jwt needs the issuer/]);
  t.match(found({ ...jwtAuth, ...secret, key_file: 'key' }, iss), [/client_secret_file: has no meaning/]);
  const mtls = { ...id, auth_method: 'tls_client_auth' };
  t.match(found(mtls), [/needs a client certificate/]);
  t.match(found({ ...mtls, ...secret }, { http: { tls: { cert: 'c', key: 'k' } } }), [
    /client_secret_file: has no meaning/,
  ]);
  t.match(found({ ...mtls, url: 'http://127.0.0.1/' }, { http: { tls: { cert: 'c', key: 'k' } } }), [
    /http\.tls: has no meaning|needs an https/,
    /needs an https|http\.tls: has no meaning/,
  ]);
  const bearer = { auth_method: 'bearer' };
  const http = { bearer_token_file: 'token' };
  t.strictSame(found(bearer, { http }), []);
  t.match(found(bearer), [/bearer needs the token/]);
  t.match(found({ ...bearer, ...id }, { http }), [/client_id: has no meaning/]);
  t.match(found({ ...id, ...secret }, { http }), [/http\.bearer_token_file: is not sent with/]);
  t.strictSame(found({ auth_method: 'none' }), []);
  t.match(found({ auth_method: 'none', ...secret }), [/client_secret_file: has no meaning/]);
  t.match(found({ auth_method: 'digest' }), [/must be one of client_secret_basic/]);
});

t.test('signed responses need the issuer that signs and the client that they are for', async (t) => {
  const signed = { client_id: 'g', client_secret: 's', signed_response: true };
  const iss = { issuer: 'https://as.example.com' };
  t.strictSame(problems(opaque(signed, iss)), []);
  t.strictSame(problems(opaque(signed, { ...iss, algorithms: ['ES256'], keys: { refresh: '1m' } })), []);
  t.match(problems(opaque(signed)), [/signed_response needs the issuer/]);
  t.match(problems(opaque({ auth_method: 'none', signed_response: true }, iss)), [/add client_id/]);
  t.match(problems(opaque({ ...signed, signed_response: false, jwks_url: 'https://a/' }, iss)), [
    /jwks_url: has no meaning without signed_response/,
  ]);
  t.match(problems(opaque({ ...signed, jwks_url: 'http://a.example.com/' }, iss)), [
    /jwks_url: must be https/,
  ]);
  t.match(problems(opaque(signed, { issuer: 'http://as.example.com' })), [/issuer: must be https/]);
  t.match(problems(opaque({ ...signed, signed_response: false }, { ...iss, algorithms: ['ES256'] })), [
    /algorithms: is for JWTs/,
  ]);
});

t.test('a token file that is rotated reloads nothing; certificates do', async (t) => {
  const document = { http: { bearer_token_file: 'token', tls: { cert_file: 'cert' } } };
  t.strictSame(loadedFiles(document, '/f'), ['/f/cert']);
  t.strictSame(namedFiles(document, '/f'), ['/f/token', '/f/cert']);
});

t.test('a key or a password that others can read is a warning', async (t) => {
  const folder = folderWith(t, { 'f.json': '' });
  const file = join(folder, 'f.json');
  const text = JSON.stringify({
    ...base,
    issuers: { p: jwt({ proxy: 'http://user:proxy-password@proxy:1' }, { audiences: ['a'] }) },
  });
  writeFileSync(file, text, { mode: 0o644 });
  const { chmodSync } = await import('node:fs');
  chmodSync(file, 0o644);
  const loaded = { configuration: parseConfiguration(text, file, folder, {}), folder, file };
  t.ok(configurationWarnings(loaded).some((line) => line.includes('holds secrets')));
  t.notMatch(configurationWarnings(loaded).join(), /proxy-password/);
});

t.test('check reports a client certificate that has expired', { skip: noOpenssl }, async (t) => {
  const folder = temporaryFolder(t);
  const old = certificateAuthority(folder).issueExpired('old');
  const file = join(folder, 'f.json');
  const http = { tls: { cert_file: old.cert, key_file: old.key } };
  writeFileSync(file, JSON.stringify({ ...base, issuers: { p: jwt(http) } }), { mode: 0o600 });
  const { code, err } = await sallyport(['check', '-c', file]);
  t.equal(code, 1);
  t.match(err, /issuers\.p\.http\.tls\.cert: the certificate "CN=old" expired/);
});
