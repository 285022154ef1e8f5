/** What the upstream gets: identity, header fields, target, framing. Rules H1, H11, H13, F1; C1 to C4. */
import t from 'tap';
import { once } from 'node:events';
import { connect } from 'node:net';
import { send, sendRaw, statuses } from '../support/client.ts';
import { CLOSED, OPEN, seenHeaders } from '../support/forwarding.ts';
import { loginIssuer, startGateway, until } from '../support/gateway.ts';
import { claimsOf, createKey, mint } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const key = createKey();
const issuers = { login: loginIssuer(key) };
const identity = {
  headers: { 'X-User-Id': 'sub', 'X-Roles': 'realm_access.roles', 'X-Level': 'level', 'X-Org': 'org' },
};

t.test('requests to the upstream', async (t) => {
  const upstream = await startUpstream(t);
  const gateway = await startGateway(t, {
    issuers,
    identity,
    routes: [
      OPEN,
      { ...CLOSED, identity: { headers: { 'X-Tenant': 'tenant.id' } } },
      {
        name: 'through',
        match: { path_prefix: '/through' },
        upstream: 'u',
        identity: { forward_authorization: true },
        rewrite: { host: 'preserve' },
      },
      {
        name: 'rewritten',
        match: { path_prefix: '/old' },
        upstream: 'u',
        rewrite: { strip_prefix: '/old', add_prefix: '/v1' },
      },
    ],
    upstreams: { u: { targets: [upstream.url] } },
  });
  const last = () => upstream.seen.at(-1) ?? { rawHeaders: [], headers: {}, url: '', method: '', body: '' };

  t.test(
    'C1 C2 C4 identity headers come from the token alone, whatever the client sends, on every route',
    async (t) => {
      const spoofed = [
        ...[
          'X-User-Id',
          'eve',
          'x-user-id',
          'eve',
          'X_User_Id',
          'eve',
          'X.User.Id',
          'eve',
          'x_tenant',
          'evil',
          'X-Roles',
          'root',
        ],
        ...['Connection', 'X-User-Id, X-Roles, X-Forwarded-For, keep-alive'],
      ];
      const token = mint(key, claimsOf({ realm_access: { roles: ['a', 'b,c'] }, tenant: { id: 'acme' } }));
      t.equal((await send(gateway.url, '/', { token, headers: spoofed })).status, 200);
      t.strictSame(seenHeaders(last().rawHeaders, 'x-user-id'), ['alice']);
      t.strictSame(seenHeaders(last().rawHeaders, 'x-roles'), ['a,b%2Cc']);
      t.strictSame(seenHeaders(last().rawHeaders, 'x-tenant'), ['acme']);
      t.strictSame(seenHeaders(last().rawHeaders, 'x-forwarded-for'), ['127.0.0.1']);
      t.notOk(JSON.stringify(last().rawHeaders).includes('eve'));
      t.equal((await send(gateway.url, '/open', { headers: spoofed })).status, 200);
      t.notOk(/eve|root|evil/.test(JSON.stringify(last().rawHeaders)), 'on a public route too');
      t.ok((await gateway.metric('sallyport_identity_headers_stripped_total{route="open"}')) >= 5);
    },
  );

  t.test(
    'claims are encoded so that they decode back: numbers by their digits, objects as base64url JSON',
    async (t) => {
      const payload = JSON.stringify(claimsOf({ org: { a: 1 }, sub: 'Zoë % , 🍪 ' })).replace(
        /}$/,
        ',"level":1.50e3}',
      );
      t.equal((await send(gateway.url, '/', { token: mint(key, payload) })).status, 200);
      const { headers } = last();
      t.equal(headers['x-level'], '1.50e3');
      t.equal(Buffer.from(String(headers['x-org']), 'base64url').toString(), '{"a":1}');
      t.equal(headers['x-user-id'], 'Zo%C3%AB %25 %2C %F0%9F%8D%AA%20');
      t.equal(decodeURIComponent(String(headers['x-user-id'])), 'Zoë % , 🍪 ');
    },
  );

  t.test('a claim that is absent, null or [] sends no header', async (t) => {
    await send(gateway.url, '/', {
      token: mint(key, claimsOf({ level: null, realm_access: { roles: [] } })),
    });
    for (const name of ['x-level', 'x-roles', 'x-org']) t.notOk(name in last().headers);
  });

  t.test('DPoP is removed, and Authorization unless the route forwards it', async (t) => {
    const token = mint(key);
    await send(gateway.url, '/', { token, headers: ['dpop', 'x'] });
    t.notOk('authorization' in last().headers);
    t.notOk('dpop' in last().headers);
    await send(gateway.url, '/through', { token, headers: ['dpop', 'x', 'host', 'shop.example:8080'] });
    t.equal(last().headers.authorization, `Bearer ${token}`);
    t.notOk('dpop' in last().headers);
    t.equal(last().headers.host, 'shop.example:8080');
  });

  t.test('F1 C3 forwarding headers of an untrusted peer are replaced or removed', async (t) => {
    const lies = [
      'X-Forwarded-For',
      'X-Forwarded-Proto',
      'X-Forwarded-Host',
      'X-Forwarded-Prefix',
      'X-Forwarded-Uri',
      'X-Forwarded-User',
      'Forwarded',
      'X-Real-IP',
      'X-Original-URI',
      'X-Original-Method',
      'X-Forwarded-Client-Cert',
      'X-SSL-Client-Cert',
      'Client-Cert',
      'X_Forwarded_For',
      'X.Real.IP',
    ];
    await send(gateway.url, '/open', { headers: lies.flatMap((name) => [name, 'lie']) });
    t.notOk(JSON.stringify(last().rawHeaders).includes('lie'));
    t.match(last().headers, {
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-proto': 'http',
      'x-forwarded-host': new URL(gateway.url).host,
    });
  });

  t.test('H1 hop-by-hop fields of the client are removed', async (t) => {
    const hop = [
      'Keep-Alive',
      'timeout=1',
      'Proxy-Connection',
      'x',
      'TE',
      'gzip',
      'Proxy-Authorization',
      'x',
      'X-Hop',
      'x',
      'Connection',
      'close, X-Hop',
    ];
    await send(gateway.url, '/open', { headers: [...hop, 'X-End', 'to-end'] });
    for (const name of ['keep-alive', 'proxy-connection', 'te', 'proxy-authorization', 'x-hop'])
      t.notOk(name in last().headers, name);
    t.equal(last().headers['x-end'], 'to-end');
    await send(gateway.url, '/open', { headers: ['TE', 'trailers', 'Connection', 'TE'] });
    t.equal(last().headers.te, 'trailers');
  });

  t.test('the upstream gets Via, a request id and the trace of the client', async (t) => {
    const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
    const response = await send(gateway.url, '/open', {
      headers: [
        'x-request-id',
        'mine.1',
        'traceparent',
        `00-${trace}-00f067aa0ba902b7-01`,
        'via',
        '1.0 first',
      ],
    });
    t.equal(response.headers['x-request-id'], 'mine.1');
    t.equal(last().headers['x-request-id'], 'mine.1');
    t.equal(last().headers.via, '1.0 first, 1.1 sallyport');
    t.match(last().headers['traceparent'], new RegExp(`^00-${trace}-(?!00f067aa0ba902b7)[0-9a-f]{16}-01$`));
    await send(gateway.url, '/open', { headers: ['x-request-id', 'not ok', 'traceparent', '00-0-0-0'] });
    t.not(last().headers['x-request-id'], 'not ok');
    t.match(last().headers['traceparent'], /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
  });

  t.test('H13 path and query arrive unchanged, or as the route rewrites them', async (t) => {
    await send(gateway.url, '/open/a%20b;c=1/%E2%82%AC?x=%2F..%2F&y=[1]');
    t.equal(last().url, '/open/a%20b;c=1/%E2%82%AC?x=%2F..%2F&y=[1]');
    const token = mint(key);
    for (const [path, url] of [
      ['/old/a?b', '/v1/a?b'],
      ['/old', '/v1'],
      ['/old/', '/v1/'],
    ]) {
      await send(gateway.url, path ?? '', { token });
      t.equal(last().url, url);
    }
  });

  t.test('the body of any method arrives with the framing of the client', async (t) => {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      await send(gateway.url, '/open', { method, body: 'hello' });
      t.match(last(), { method, body: 'hello', headers: { 'content-length': '5' } });
    }
    await send(gateway.url, '/open', { method: 'POST', body: '' });
    t.equal(last().headers['content-length'], '0');
  });

  t.test('H11 the gateway sends 100 (Continue) itself, after authentication', async (t) => {
    const head = (token: string): string =>
      `POST /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 3\r\nExpect: 100-continue\r\nAuthorization: Bearer ${token}\r\n\r\n`;
    const refused = await sendRaw(gateway.port, head('bad'));
    t.strictSame(statuses(refused), [401], 'no go-ahead');
    const socket = connect(gateway.port, '127.0.0.1');
    let received = '';
    socket.on('data', (chunk) => (received += chunk.toString()));
    socket.write(head(mint(key)));
    await until(() => received.startsWith('HTTP/1.1 100 '));
    socket.write('abc');
    await once(socket, 'close');
    t.strictSame(statuses(received), [100, 200]);
    t.equal(last().body, 'abc');
    t.notOk('expect' in last().headers);
  });

  t.test('H11 a client of HTTP/1.0 gets no 100 (Continue), and is served', async (t) => {
    const received = await sendRaw(
      gateway.port,
      `POST /x HTTP/1.0\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\nAuthorization: Bearer ${mint(key)}\r\n\r\nabc`,
    );
    t.strictSame(statuses(received), [200]);
    t.match(received, /^HTTP\/1\.1 200 /);
    t.equal(last().body, 'abc');
    t.notOk('expect' in last().headers);
  });
});
