/** How the gateway authenticates at an introspection endpoint, tried at a real authorization server (oidc-provider). Rules I1, I6. */
import t, { type Test } from 'tap';
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { join } from 'node:path';
import { Provider } from 'oidc-provider';
import { certificateAuthority, noOpenssl } from '../support/certificates.ts';
import { json, startFallibleServer } from '../support/fallible-authorization-server.ts';
import { send } from '../support/client.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { temporaryFolder } from '../support/process.ts';
import { createKey } from '../support/tokens.ts';
import { startServer, startUpstream } from '../support/upstream.ts';

const upstream = await startUpstream(t);
const SECRET = 'a secret that is long enough for a server';

interface Asked {
  readonly authorization: string | undefined;
  readonly accept: string | undefined;
  readonly form: Record<string, string>;
}

interface RealServer {
  readonly url: string;
  readonly folder: string;
  /** Introspection requests. */
  readonly asked: Asked[];
  /** An opaque access token of its client `app`. */
  login(): Promise<string>;
  /** File of the private key that it knows for the client `signer`. */
  readonly keyFile: string;
  readonly ca: string;
  readonly client: { readonly cert: string; readonly key: string };
}

/** An authorization server over TLS whose clients may introspect each in its own way. */
async function startRealServer(t: Test): Promise<RealServer> {
  const folder = temporaryFolder(t);
  const authority = certificateAuthority(folder);
  const pair = authority.issue('as', 'IP:127.0.0.1');
  const client = authority.issue('gateway', 'DNS:gateway.example.com');
  const asked: Asked[] = [];
  let callback: (request: IncomingMessage, response: ServerResponse) => unknown = () => undefined;
  const server = createServer(
    {
      cert: readFileSync(pair.cert),
      key: readFileSync(pair.key),
      ca: readFileSync(authority.ca),
      requestCert: true,
      rejectUnauthorized: false,
    },
    (request, response) => {
      if (request.url === '/token/introspection') record(request, asked);
      void callback(request, response);
    },
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const signing = createKey('ES256', 'of-the-gateway');
  const keyFile = join(folder, 'gateway.jwk');
  const privateJwk = { ...signing.privateKey.export({ format: 'jwk' }), kid: signing.kid };
  writeFileSync(keyFile, JSON.stringify(privateJwk), { mode: 0o600 });
  callback = providerAt(url, signing.jwk).callback();
  const login = (): Promise<string> => loginWith(callback, t);
  return { url, folder, asked, login, keyFile, ca: authority.ca, client };
}

function record(request: IncomingMessage, asked: Asked[]): void {
  let body = '';
  request.on('data', (chunk: Buffer) => (body += chunk.toString()));
  request.on('end', () =>
    asked.push({
      authorization: request.headers.authorization,
      accept: request.headers.accept,
      form: Object.fromEntries(new URLSearchParams(body)),
    }),
  );
}

/** A token by the client credentials grant, over a plaintext door of the same server. */
async function loginWith(
  callback: (request: IncomingMessage, response: ServerResponse) => unknown,
  t: Test,
): Promise<string> {
  const door = await startServer(t, (request, response) => void callback(request, response));
  const response = await fetch(`${door}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${btoa(`app:${SECRET}`)}` },
    body: new URLSearchParams({ grant_type: 'client_credentials', scope: 'read' }),
  });
  return ((await response.json()) as { access_token: string }).access_token;
}

function providerAt(url: string, publicJwk: Record<string, unknown>): Provider {
  const key = createKey('RS256', 'of-the-server');
  const shared = {
    grant_types: [],
    redirect_uris: [],
    response_types: [],
    introspection_signed_response_alg: 'RS256',
  };
  return new Provider(url, {
    jwks: { keys: [{ ...key.privateKey.export({ format: 'jwk' }), kid: key.kid, alg: 'RS256', use: 'sig' }] },
    cookies: { keys: ['of the tests'] },
    clientAuthMethods: [
      'client_secret_basic',
      'client_secret_post',
      'private_key_jwt',
      'tls_client_auth',
      'none',
    ],
    clients: [
      {
        client_id: 'app',
        client_secret: SECRET,
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
        scope: 'read',
      },
      {
        ...shared,
        client_id: 'basic',
        client_secret: SECRET,
        token_endpoint_auth_method: 'client_secret_basic',
      },
      {
        ...shared,
        client_id: 'post',
        client_secret: SECRET,
        token_endpoint_auth_method: 'client_secret_post',
      },
      {
        ...shared,
        client_id: 'signer',
        token_endpoint_auth_method: 'private_key_jwt',
        token_endpoint_auth_signing_alg: 'ES256',
        jwks: { keys: [publicJwk] },
      },
      {
        ...shared,
        client_id: 'certified',
        token_endpoint_auth_method: 'tls_client_auth',
        tls_client_auth_san_dns: 'gateway.example.com',
      },
      { ...shared, client_id: 'public', token_endpoint_auth_method: 'none' },
    ] as never,
    scopes: ['read'],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      jwtIntrospection: { enabled: true },
      mTLS: {
        enabled: true,
        tlsClientAuth: true,
        getCertificate: (ctx) => (ctx.req.socket as TLSSocket).getPeerX509Certificate()?.toString(),
        certificateAuthorized: (ctx) => (ctx.req.socket as TLSSocket).authorized,
        certificateSubjectMatches: (ctx, property, expected) => {
          const { subjectaltname = '' } = (ctx.req.socket as TLSSocket).getPeerCertificate();
          return property === 'tls_client_auth_san_dns' && subjectaltname.includes(`DNS:${expected}`);
        },
      },
    },
  });
}

const start = (t: Test, issuer: Record<string, unknown>, folder: string): Promise<TestGateway> =>
  startGateway(
    t,
    {
      issuers: { opaque: issuer },
      routes: [{ name: 'all', match: {}, upstream: 'u', auth: { issuers: ['opaque'] } }],
      upstreams: { u: { targets: [upstream.url] } },
    },
    { folder },
  );

/** The gateway that asks this server in this way; its status for a token, and for one that was never issued. */
async function statuses(
  t: Test,
  server: RealServer,
  introspection: Record<string, unknown>,
  issuer: Record<string, unknown> = {},
): Promise<[good: number, unknown: number]> {
  const { tls, ...more } = issuer as { tls?: Record<string, unknown> };
  const gateway = await start(
    t,
    {
      issuer: server.url,
      introspection: { url: `${server.url}/token/introspection`, timeout: '5s', ...introspection },
      http: { tls: { ca_file: server.ca, ...tls } },
      ...more,
    },
    server.folder,
  );
  const token = await server.login();
  const good = await send(gateway.url, '/', { token });
  const seen = upstream.seen.length;
  const other = await send(gateway.url, '/', { token: 'never-issued' });
  t.equal(upstream.seen.length, seen);
  return [good.status, other.status];
}

t.test('I1 a real server accepts the gateway by each way to authenticate', { skip: noOpenssl }, async (t) => {
  const server = await startRealServer(t);
  const tls = { cert_file: server.client.cert, key_file: server.client.key };
  const ways: [Record<string, unknown>, Record<string, unknown>?][] = [
    [{ client_id: 'basic', client_secret: SECRET }],
    [{ auth_method: 'client_secret_post', client_id: 'post', client_secret: SECRET }],
    [{ auth_method: 'private_key_jwt', client_id: 'signer', key_file: server.keyFile }],
    [{ auth_method: 'tls_client_auth', client_id: 'certified' }, { tls }],
    [{ auth_method: 'none', client_id: 'public' }],
  ];
  for (const [introspection, issuer] of ways)
    t.strictSame(
      await statuses(t, server, introspection, issuer),
      [200, 401],
      String(introspection['auth_method']),
    );
  t.strictSame(
    await statuses(t, server, {
      auth_method: 'private_key_jwt',
      client_id: 'post',
      key_file: server.keyFile,
    }),
    [503, 503],
    'I6 another client is refused',
  );
  t.strictSame(
    await statuses(t, server, { auth_method: 'tls_client_auth', client_id: 'basic' }, { tls }),
    [503, 503],
    'I6 and so is one whose certificate is not its own',
  );
});

t.test(
  'a client assertion is for the issuer alone, for a minute, and once',
  { skip: noOpenssl },
  async (t) => {
    const server = await startRealServer(t);
    await statuses(t, server, {
      auth_method: 'private_key_jwt',
      client_id: 'signer',
      key_file: server.keyFile,
    });
    const claims = server.asked.map(({ form, authorization }) => {
      t.equal(authorization, undefined);
      t.match(form, {
        client_id: 'signer',
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      });
      const [header = '', payload = ''] = (form['client_assertion'] ?? '').split('.');
      t.match(JSON.parse(Buffer.from(header, 'base64url').toString()), {
        alg: 'ES256',
        kid: 'of-the-gateway',
      });
      return JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>;
    });
    t.equal(claims.length, 2);
    for (const { iss, sub, aud, exp, iat } of claims) {
      t.strictSame({ iss, sub, aud }, { iss: 'signer', sub: 'signer', aud: server.url });
      t.equal(Number(exp) - Number(iat), 60);
    }
    t.not(claims[0]?.['jti'], claims[1]?.['jti']);
  },
);

t.test(
  'a key may be a JWK or PEM of each usual kind; what is none is a problem of the configuration',
  async (t) => {
    const authority = await startFallibleServer(t);
    authority.otherwise = { active: true, sub: 'olga' };
    const folder = temporaryFolder(t);
    const kinds = {
      RS256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
      ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
      ES384: generateKeyPairSync('ec', { namedCurve: 'P-384' }),
      EdDSA: generateKeyPairSync('ed25519'),
    };
    const withKey = async (text: string): Promise<number> => {
      writeFileSync(join(folder, 'key'), text, { mode: 0o600 });
      const introspection = {
        url: authority.url,
        auth_method: 'private_key_jwt',
        client_id: 'g',
        key_file: 'key',
      };
      const gateway = await start(t, { issuer: 'https://login.example.com', introspection }, folder);
      return (await send(gateway.url, '/', { token: 'opaque' })).status;
    };
    for (const { privateKey } of Object.values(kinds)) {
      t.equal(await withKey(privateKey.export({ format: 'pem', type: 'pkcs8' }) as string), 200);
      t.equal(await withKey(JSON.stringify(privateKey.export({ format: 'jwk' }))), 200);
    }
    const ps256 = { ...kinds.RS256.privateKey.export({ format: 'jwk' }), alg: 'PS256' };
    t.equal(await withKey(JSON.stringify(ps256)), 200);
    const weak = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey;
    for (const text of [
      'not a key',
      '{"kty":"EC"',
      JSON.stringify(kinds.ES256.publicKey.export({ format: 'jwk' })),
      JSON.stringify({ ...kinds.ES256.privateKey.export({ format: 'jwk' }), alg: 'RS256' }),
      weak.export({ format: 'pem', type: 'pkcs8' }) as string,
    ])
      await t.rejects(withKey(text), /issuers\.opaque: introspection\.key_file: /);
  },
);

t.test('none sends no credentials, bearer the token of the file alone', async (t) => {
  const authority = await startFallibleServer(t);
  authority.otherwise = (response) => json(response, 200, { active: true, sub: 'olga' });
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'token'), 'gateway-token');
  const none = await start(t, { introspection: { url: authority.url, auth_method: 'none' } }, folder);
  t.equal((await send(none.url, '/', { token: 'opaque' })).status, 200);
  const bearer = await start(
    t,
    {
      introspection: { url: authority.url, auth_method: 'bearer' },
      http: { bearer_token_file: 'token' },
    },
    folder,
  );
  t.equal((await send(bearer.url, '/', { token: 'opaque' })).status, 200);
  t.strictSame(
    authority.requests.map(({ headers }) => headers.authorization),
    [undefined, 'Bearer gateway-token'],
  );
});

t.test(
  'a real server signs its responses, also those about unknown tokens',
  { skip: noOpenssl },
  async (t) => {
    const server = await startRealServer(t);
    const signed = { client_id: 'basic', client_secret: SECRET, signed_response: true };
    t.strictSame(await statuses(t, server, signed), [200, 401]);
    t.strictSame(await statuses(t, server, { ...signed, jwks_url: `${server.url}/jwks` }), [200, 401]);
    t.ok(server.asked.every(({ accept }) => accept === 'application/token-introspection+jwt'));
    t.strictSame(await statuses(t, server, signed, { algorithms: ['ES256'] }), [503, 503]);
  },
);
