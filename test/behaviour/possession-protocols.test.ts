/** Bound tokens on every way into the gateway, with real clients. Rules D1, D9, D12 to D15, F1, G5, M1. */
import { createHash, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Agent, request as httpsRequest } from 'node:https';
import type { IncomingMessage } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { once } from 'node:events';
import { status as Status, type Metadata } from '@grpc/grpc-js';
import t from 'tap';
import { WebSocket } from 'ws';
import { certificateAuthority, noOpenssl } from '../support/certificates.ts';
import { send } from '../support/client.ts';
import { startAsker } from '../support/ext-authz.ts';
import { loginIssuer, startGateway, type TestGateway } from '../support/gateway.ts';
import { callStream, callUnary, key as grpcKey, startGrpc, withToken } from '../support/grpc.ts';
import { responseOf, startHttp2 } from '../support/http2.ts';
import { temporaryFolder } from '../support/process.ts';
import { proofKey } from '../support/proofs.ts';
import { claimsOf, createKey, mint } from '../support/tokens.ts';
import { startEcho, startRawUpstream, startUpstream } from '../support/upstream.ts';
import { HTTP_DIALECTS, type HttpDialect } from '../../src/http/original-request.ts';

const key = createKey('EdDSA');
const holder = proofKey();
const HOST = 'api.example.com';
const URL_OF_API = `https://${HOST}`;
const cnf = { jkt: holder.thumbprint };
const token = mint(key, claimsOf({ cnf }));
const OPTIONAL = { sender_constrained: 'optional' };
const NONCES = { dpop: { nonces: { secret: 'a secret of the tests, 32 characters or more' } } };

t.test('D12 D13 D14 WebSocket: the handshake needs a proof of its own', async (t) => {
  const echo = await startEcho(t);
  const gateway = await startGateway(t, {
    issuers: { login: loginIssuer(key) },
    timeouts: { drain: '100ms' },
    routes: [
      {
        name: 'chat',
        match: { path_prefix: '/' },
        public_url: URL_OF_API,
        upstream: 'u',
        auth: { ...OPTIONAL, websocket_protocol: true },
        upgrade: ['websocket'],
      },
    ],
    upstreams: { u: { targets: [echo] } },
  });
  const open = (headers: Record<string, string>, protocols: string[] = []): WebSocket =>
    new WebSocket(`ws://127.0.0.1:${gateway.port}/chat`, protocols, { headers });
  const handshake = async (headers: Record<string, string>, protocols?: string[]): Promise<number> => {
    const socket = open(headers, protocols);
    const { promise, resolve } = Promise.withResolvers<number>();
    socket.on('unexpected-response', (_, response) => resolve(response.resume().statusCode ?? 0));
    socket.on('open', () => resolve(101));
    const status = await promise;
    socket.on('error', () => undefined);
    socket.terminate();
    return status;
  };
  const fresh = (of = token): string => holder.proof({ url: `${URL_OF_API}/chat`, token: of });
  const authorization = `DPoP ${token}`;
  const proof = fresh();
  t.equal(await handshake({ authorization, dpop: proof }), 101);
  t.equal(await handshake({ authorization, dpop: proof }), 401, 'again');
  t.equal(await handshake({ authorization }), 401, 'without');
  t.equal(await handshake({ authorization: `Bearer ${token}`, dpop: fresh() }), 401, 'as Bearer');
  t.equal(await handshake({}, ['bearer', token]), 401, 'among the protocols');
  t.equal(await handshake({ dpop: fresh() }, ['bearer', token]), 401, 'among the protocols, with a proof');
  const wss = holder.proof({ url: `wss://${HOST}/chat`, token });
  t.equal(await handshake({ authorization, dpop: wss }), 401, 'htu is of http or https');

  const claims = claimsOf({ cnf });
  const living = mint(key, claims);
  const socket = open({ authorization: `DPoP ${living}`, dpop: fresh(living) });
  await once(socket, 'open');
  const closed = once(socket, 'close');
  t.equal((await gateway.admin('POST', '/v1/revocations', { token: living })).status, 201);
  t.equal((await closed)[0], 1008, 'V10 its revocation ends it');
  t.equal(
    await handshake({ authorization: `DPoP ${living}`, dpop: fresh(living) }),
    401,
    'V1 a proof is no way around it',
  );
});

t.test(
  'D15 G5 gRPC: a refusal is UNAUTHENTICATED, with challenge and nonce',
  { skip: noOpenssl },
  async (t) => {
    const route = {
      name: 'all',
      match: { path_prefix: '/test.Echo/' },
      public_url: URL_OF_API,
      upstream: 'u',
    };
    const { client, seen } = await startGrpc(t, { routes: [{ ...route, auth: OPTIONAL }], ...NONCES });
    const bound = mint(grpcKey, claimsOf({ cnf }));
    const metadataFor = (path: string, nonce?: string): Metadata => {
      const metadata = withToken('');
      metadata.set('authorization', `DPoP ${bound}`);
      const about = { method: 'POST', url: `${URL_OF_API}${path}`, token: bound };
      metadata.set('dpop', holder.proof(nonce === undefined ? about : { ...about, nonce }));
      return metadata;
    };
    const asked = await callUnary(client, '/test.Echo/unary', metadataFor('/test.Echo/unary'), 'x');
    t.equal(asked.code, Status.UNAUTHENTICATED);
    const challenges = asked.metadata.get('www-authenticate').join(', ');
    t.match(challenges, /^Bearer realm="test", DPoP realm="test", error="use_dpop_nonce", algs="/);
    t.equal(asked.metadata.get('dpop-nonce').length, 1);
    const nonce = String(asked.metadata.get('dpop-nonce')[0]);
    for (const kind of ['unary', 'both']) {
      const path = `/test.Echo/${kind}`;
      const call = (metadata: Metadata) =>
        kind === 'unary'
          ? callUnary(client, path, metadata, 'x')
          : callStream(client, path, metadata, [Buffer.from('x')]);
      const metadata = metadataFor(path, nonce);
      t.match(await call(metadata), { code: Status.OK, body: 'x' }, kind);
      t.equal((await call(metadata)).code, Status.UNAUTHENTICATED, `${kind}, again`);
    }
    t.equal(
      (await callUnary(client, '/test.Echo/unary', withToken(bound), 'x')).code,
      Status.UNAUTHENTICATED,
    );
    t.strictSame(
      seen.map((metadata) => metadata.get('dpop')),
      seen.map(() => []),
    );
  },
);

t.test('D1 D9 D14 HTTP/2: proofs of requests on one connection', { skip: noOpenssl }, async (t) => {
  const route = { name: 'all', match: {}, public_url: URL_OF_API, upstream: 'u', auth: OPTIONAL };
  const { session, upstream } = await startHttp2(t, {
    more: { issuers: { login: loginIssuer(key) }, routes: [route] },
  });
  const ask = async (dpop: string | string[], headers: Record<string, string> = {}): Promise<number> =>
    (
      await responseOf(
        session.request({ ':path': '/a?b=c', authorization: `DPoP ${token}`, dpop, ...headers }),
      )
    ).status;
  const fresh = (url = `${URL_OF_API}/a`): string => holder.proof({ url, token });
  const proof = fresh();
  const both = await Promise.all([ask(proof), ask(proof)]);
  t.strictSame(both.toSorted(), [200, 401], 'one of two at once');
  t.equal(await ask([fresh(), fresh()]), 401, 'two fields');
  t.equal(await ask(Array.from({ length: 50 }, () => 'x')), 401, 'fifty fields');
  t.equal(await ask(fresh(`http://${HOST}/a`)), 401, 'another scheme');
  t.equal(
    await ask(fresh('https://evil.example/a'), { 'x-forwarded-host': 'evil.example' }),
    401,
    'X-Forwarded-Host of a client',
  );
  t.equal(upstream.seen.length, 1);
});

t.test(
  'D9 F1 decisions: the URL is that of the original request, whatever else its client writes',
  async (t) => {
    const upstream = await startUpstream(t);
    const deciding = { host: '127.0.0.1', port: 0, serve: 'decisions', trusted_peers: ['127.0.0.1'] };
    const dialects = [...HTTP_DIALECTS, 'ext_authz'];
    const gateway = await startGateway(t, {
      listeners: dialects.map((dialect) => ({ ...deciding, dialect })),
      // The outer proxy is one of them, as it is where it passes requests on, too.
      trusted_proxies: ['127.0.0.1', '203.0.113.0/24'],
      issuers: { login: loginIssuer(key) },
      routes: [
        {
          name: 'orders',
          match: { hosts: [HOST, 'other.example'], path_prefix: '/' },
          upstream: 'u',
          auth: OPTIONAL,
        },
      ],
      upstreams: { u: { targets: [upstream.url] } },
      ...NONCES,
    });
    const port = (dialect: string): number =>
      gateway.instance.listeners[dialects.indexOf(dialect)]?.address.port ?? 0;
    const asker = startAsker(t, port('ext_authz'));
    interface Outcome {
      readonly status: number;
      readonly nonce: string | undefined;
      readonly challenges: string;
    }
    const askHttp = async (dialect: HttpDialect, headers: readonly string[]): Promise<Outcome> => {
      const path = '/orders';
      const original = {
        forwarded: [
          'X-Forwarded-Method',
          'PUT',
          'X-Forwarded-Proto',
          'https',
          'X-Forwarded-Host',
          HOST,
        ].concat(['X-Forwarded-Uri', path]),
        original: ['Host', HOST, 'X-Original-Method', 'PUT', 'X-Original-URI', path],
        original_url: ['X-Original-Method', 'PUT', 'X-Original-URL', `https://${HOST}${path}`],
        request: ['Host', HOST],
      }[dialect];
      const response = await send(
        `http://127.0.0.1:${port(dialect)}`,
        dialect === 'request' ? path : '/auth',
        {
          method: dialect === 'request' ? 'PUT' : 'GET',
          headers: [...original, ...headers],
        },
      );
      const nonce = response.headers['dpop-nonce'];
      return {
        status: response.status,
        nonce: typeof nonce === 'string' ? nonce : undefined,
        challenges: String(response.headers['www-authenticate']),
      };
    };
    const askGrpc = async (headers: readonly string[]): Promise<Outcome> => {
      const outcome = await asker.ask({ method: 'PUT', path: '/orders', host: HOST, headers, raw: true });
      t.notOk(outcome.upstream['dpop'], 'Envoy removes the proof');
      const { 'dpop-nonce': nonce, 'www-authenticate': challenges = '' } = outcome.headers;
      return { status: outcome.status, nonce, challenges };
    };
    for (const dialect of dialects) {
      // Of the connection, where the dialect does not tell the scheme.
      const scheme = dialect === 'original' || dialect === 'request' ? 'http' : 'https';
      const ask = (url: string, nonce: string, more: string[] = [], proofs = 1): Promise<Outcome> => {
        const about = { method: 'PUT', url, token, nonce };
        const lines = Array.from({ length: proofs }, () => ['DPoP', holder.proof(about)]).flat();
        const headers = ['Authorization', `DPoP ${token}`, ...lines, ...more];
        return dialect === 'ext_authz' ? askGrpc(headers) : askHttp(dialect as HttpDialect, headers);
      };
      await t.test(dialect, async (t) => {
        const right = `${scheme}://${HOST}/orders`;
        const first = await ask(right, '');
        t.equal(first.status, 401);
        t.match(first.challenges, /DPoP realm="test", error="use_dpop_nonce"/);
        const { nonce = '' } = first;
        t.ok(nonce);
        t.equal((await ask(right, nonce)).status, 200);
        t.equal((await ask(right, nonce, [], 2)).status, 401, 'two proofs');
        t.equal((await ask(`${scheme}://other.example/orders`, nonce)).status, 401, 'another host');
        for (const name of [
          'X-Forwarded-Host',
          'X-Original-Host',
          'Forwarded',
          'X-Host',
          'X_Forwarded_Host',
        ]) {
          if (dialect === 'forwarded' && name === 'X-Forwarded-Host') continue;
          const value = name === 'Forwarded' ? 'host=other.example' : 'other.example';
          t.equal((await ask(`${scheme}://other.example/orders`, nonce, [name, value])).status, 401, name);
        }
        const otherScheme = scheme === 'http' ? 'https' : 'http';
        if (dialect !== 'forwarded')
          t.equal(
            (await ask(`${otherScheme}://${HOST}/orders`, nonce, ['X-Forwarded-Proto', otherScheme])).status,
            401,
            'X-Forwarded-Proto',
          );
      });
    }
  },
);

t.test('D15 a nonce of the upstream reaches no client, in whatever part of a response', async (t) => {
  const response = [
    'HTTP/1.1 103 Early Hints\r\nDPoP-Nonce: theirs\r\nLink: </a>\r\n\r\n',
    'HTTP/1.1 200 OK\r\nDPoP-Nonce: theirs\r\nTrailer: DPoP-Nonce, X-End\r\nTransfer-Encoding: chunked\r\n\r\n',
    '2\r\nok\r\n0\r\nDPoP-Nonce: theirs\r\nX-End: e\r\n\r\n',
  ].join('');
  const switched =
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nDPoP-Nonce: theirs\r\n\r\n';
  const upstream = await startRawUpstream(t, (socket, received) => {
    if (received.endsWith('\r\n\r\n'))
      socket.write(/upgrade: websocket/i.test(received) ? switched : response);
  });
  const route = { upstream: 'u', upgrade: ['websocket'], public_url: URL_OF_API };
  const gateway = await startGateway(t, {
    issuers: { login: loginIssuer(key) },
    timeouts: { drain: '100ms' },
    routes: [
      { ...route, name: 'checked', match: { path_prefix: '/' }, auth: OPTIONAL },
      {
        ...route,
        name: 'open',
        match: { path_prefix: '/open' },
        public_url: undefined,
        auth: { mode: 'none' },
      },
    ],
    upstreams: { u: { targets: [upstream.url] } },
  });
  const ask = async (path: string, upgrade: boolean): Promise<string> => {
    const { connect } = await import('node:net');
    const socket = connect(gateway.port, '127.0.0.1');
    t.teardown(() => socket.destroy());
    const extra = upgrade
      ? 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n'
      : 'TE: trailers\r\nConnection: TE\r\n';
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: ${HOST}\r\nAuthorization: Bearer ${mint(key)}\r\n${extra}\r\n`,
    );
    let text = '';
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      text += chunk.toString('latin1');
      if (/\r\n0\r\n(?:.+\r\n)*\r\n$/.test(text) || /101 [^]*\r\n\r\n/.test(text)) break;
    }
    return text;
  };
  for (const [upgrade, kept] of [
    [false, /x-end: e/i],
    [true, / 101 /],
  ] as const) {
    const checked = await ask('/a', upgrade);
    t.match(checked, kept);
    t.notMatch(checked, /^dpop-nonce:/im, upgrade ? 'behind an upgrade' : 'of a response');
    t.match(
      await ask('/open', upgrade),
      /^dpop-nonce: theirs/im,
      'where no proofs are checked, it is not ours',
    );
  }
});

interface Pair {
  readonly cert: string;
  readonly key: string;
}

t.test('M1 a token that is bound to a certificate, by real TLS clients', { skip: noOpenssl }, async (t) => {
  const folder = temporaryFolder(t);
  const authority = certificateAuthority(folder);
  authority.issue('server', 'IP:127.0.0.1');
  const [alice, bob] = [authority.issue('alice'), authority.issue('bob')];
  const ca = readFileSync(authority.ca);
  const upstream = await startUpstream(t);
  const thumbprint = createHash('sha256')
    .update(new X509Certificate(readFileSync(alice.cert)).raw)
    .digest('base64url');
  const tls = { cert_file: 'server.crt', key_file: 'server.key', client_ca_file: 'ca.crt' };
  const listener = { host: '127.0.0.1', port: 0, public_url: URL_OF_API };
  const gateway = await startGateway(
    t,
    {
      listeners: [{ ...listener, tls: { ...tls, client_certificates: 'optional' } }, { ...listener }],
      issuers: { login: loginIssuer(key) },
      timeouts: { drain: '100ms' },
      routes: [
        { name: 'all', match: {}, upstream: 'u' },
        { name: 'dpop', match: { path_prefix: '/dpop' }, upstream: 'u', auth: OPTIONAL },
        {
          name: 'bound',
          match: { path_prefix: '/bound' },
          upstream: 'u',
          auth: { sender_constrained: 'required' },
        },
      ],
      upstreams: { u: { targets: [upstream.url] } },
    },
    { folder },
  );
  const bound = mint(key, claimsOf({ cnf: { 'x5t#S256': thumbprint } }));
  const pem = (pair?: Pair) => (pair ? { cert: readFileSync(pair.cert), key: readFileSync(pair.key) } : {});
  const ask = async (path: string, authorization: string, pair?: Pair, more: Record<string, string> = {}) => {
    const request = httpsRequest({
      ...{ host: '127.0.0.1', port: gateway.port, ca, path, agent: new Agent(), ...pem(pair) },
      headers: { authorization, ...more },
    });
    request.end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    response.resume();
    await once(response, 'end');
    return response.statusCode;
  };
  const overHttp2 = async (path: string, pair?: Pair): Promise<number> => {
    const session = connectHttp2(`https://127.0.0.1:${gateway.port}`, { ca, ...pem(pair) });
    t.teardown(() => session.destroy());
    return (await responseOf(session.request({ ':path': path, authorization: `Bearer ${bound}` }))).status;
  };
  const der = new X509Certificate(readFileSync(alice.cert)).raw.toString('base64');
  for (const path of ['/', '/dpop', '/bound']) {
    t.equal(await ask(path, `Bearer ${bound}`, alice), 200, `${path}: its holder`);
    t.equal(await ask(path, `Bearer ${bound}`, bob), 401, `${path}: another`);
    t.equal(await ask(path, `Bearer ${bound}`), 401, `${path}: none`);
    t.equal(await ask(path, `Bearer ${bound}`, bob, { 'client-cert': `:${der}:` }), 401, `${path}: a header`);
    t.equal(await ask(path, `DPoP ${bound}`, alice), 401, `${path}: as DPoP`);
    t.equal(await overHttp2(path, alice), 200, `${path}: HTTP/2`);
    t.equal(await overHttp2(path, bob), 401, `${path}: HTTP/2, another`);
    const plain = `http://127.0.0.1:${gateway.instance.listeners[1]?.address.port ?? 0}`;
    t.equal((await send(plain, path, { token: bound })).status, 401, `${path}: without TLS`);
  }
  t.ok(upstream.seen.every(({ headers }) => headers['client-cert'] === undefined));

  const both = mint(key, claimsOf({ cnf: { 'x5t#S256': thumbprint, jkt: holder.thumbprint } }));
  const proof = (): Record<string, string> => ({
    dpop: holder.proof({ url: `${URL_OF_API}/dpop`, token: both }),
  });
  const kept = proof();
  t.equal(await ask('/dpop', `DPoP ${both}`, bob, kept), 401, 'both: another certificate');
  t.equal(await ask('/dpop', `DPoP ${both}`, alice), 401, 'both: no proof');
  t.equal(
    await ask('/dpop', `DPoP ${both}`, alice, kept),
    200,
    'D14 both: the refusal has not used up the proof',
  );
  t.equal(await ask('/dpop', `Bearer ${both}`, alice, proof()), 401, 'both: as Bearer');
});

t.test(
  'M1 F1 a token that is bound to a certificate, behind a proxy that ends TLS',
  { skip: noOpenssl },
  async (t) => {
    const folder = temporaryFolder(t);
    const authority = certificateAuthority(folder);
    const [alice, bob] = ['alice', 'bob'].map(
      (name) => new X509Certificate(readFileSync(authority.issue(name).cert)).raw,
    );
    if (!alice || !bob) throw new Error('two certificates');
    const upstream = await startUpstream(t);
    const start = (listener: object, more: object = {}): Promise<TestGateway> =>
      startGateway(t, {
        listeners: [{ host: '127.0.0.1', port: 0, ...listener }],
        issuers: { login: loginIssuer(key) },
        routes: [{ name: 'all', match: {}, upstream: 'u', auth: { mode: 'optional' } }],
        upstreams: { u: { targets: [upstream.url] } },
        ...more,
      });
    const jkt = createHash('sha256').update(alice).digest('base64url');
    const bound = mint(key, claimsOf({ cnf: { 'x5t#S256': jkt } }));
    const field = (...certificates: Buffer[]): string[] =>
      certificates.flatMap((der) => ['Client-Cert', `:${der.toString('base64')}:`]);
    const ask = async (gateway: TestGateway, token: string | undefined, headers: string[]): Promise<number> =>
      (await send(gateway.url, '/', { ...(token !== undefined && { token }), headers })).status;

    const behind = await start({ client_cert_header: { peers: ['127.0.0.1'] } });
    const plain = mint(key);
    for (const use of ['first', 'again']) {
      t.equal(await ask(behind, bound, field(alice)), 200, `its holder, ${use}`);
      t.equal(await ask(behind, bound, field(bob)), 401, `another, ${use}`);
      t.equal(await ask(behind, bound, []), 401, `none, ${use}`);
      for (const headers of [
        field(alice, alice),
        ['Client-Cert', 'x'],
        ['Client-Cert', ''],
        [...field(alice), 'Client-Cert', ''],
      ]) {
        t.equal(await ask(behind, bound, headers), 401, `repeated or malformed, ${use}`);
        t.equal(
          await ask(behind, plain, headers),
          401,
          `the same with a token that is bound to nothing, ${use}`,
        );
      }
      t.equal(await ask(behind, plain, field(bob)), 200, `a token that is bound to nothing, ${use}`);
      t.equal(
        await ask(behind, undefined, ['Client-Cert', 'x']),
        200,
        `without a token nothing is looked at, ${use}`,
      );
    }
    const others = [await start({}), await start({}, { trusted_proxies: ['127.0.0.0/8'] })];
    for (const other of others) {
      t.equal(await ask(other, bound, field(alice)), 401, 'from another peer the header counts for nothing');
      t.equal(await ask(other, plain, ['Client-Cert', 'x']), 200);
    }
  },
);
