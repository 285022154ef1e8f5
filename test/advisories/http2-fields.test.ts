/** HTTP/2 fields that no field can be: the stream is refused and nothing is forwarded. RFC 9113 section 8.2.1. Rule C27. */
import t, { type Test } from 'tap';
import { certificateAuthority, noOpenssl } from '../support/certificates.ts';
import { loginIssuer, startGateway, until, type TestGateway } from '../support/gateway.ts';
import { temporaryFolder } from '../support/process.ts';
import { END_HEADERS, END_STREAM, FRAME, frame, RawHttp2, requestBlock } from '../support/raw-http2.ts';
import { createKey, mint } from '../support/tokens.ts';
import { startUpstream, type HttpUpstream } from '../support/upstream.ts';

const key = createKey('EdDSA');

async function setUp(t: Test, strict: boolean): Promise<{ gateway: TestGateway; upstream: HttpUpstream }> {
  const folder = temporaryFolder(t);
  certificateAuthority(folder).issue('server', 'IP:127.0.0.1');
  const upstream = await startUpstream(t);
  const tls = { cert_file: 'server.crt', key_file: 'server.key', http2_strict_fields: strict };
  const gateway = await startGateway(
    t,
    {
      listeners: [{ host: '127.0.0.1', port: 0, tls }],
      issuers: { login: loginIssuer(key) },
      routes: [{ name: 'r', match: {}, upstream: 'u', auth: { mode: 'optional' } }],
      upstreams: { u: { targets: [upstream.url] } },
    },
    { folder },
  );
  return { gateway, upstream };
}

/** Sends a request with these fields between two good ones on one connection, and waits for its end. */
async function isServed(t: Test, gateway: TestGateway, ...fields: readonly string[]): Promise<boolean> {
  const client = await RawHttp2.connect(t, gateway.port);
  gateway.log.length = 0;
  const get = (stream: number, path: string, ...more: readonly string[]): Buffer =>
    frame(FRAME.headers, END_HEADERS | END_STREAM, stream, requestBlock('GET', path, ...more));
  client.send(get(1, '/good'), get(3, '/tried', ...fields), get(5, '/good'));
  const ended = (stream: number): boolean =>
    client.of(stream).some(({ type, flags }) => type === FRAME.resetStream || (flags & END_STREAM) !== 0);
  await until(() => client.closed || [1, 3, 5].every(ended));
  t.ok([1, 5].every(ended), 'the others on its connection are served');
  const statuses = gateway.log.filter((line) => line['msg'] === 'request' && line['path'] === '/tried');
  client.destroy();
  return statuses.some((line) => line['status'] === 200);
}

t.test('HTTP/2 fields', { skip: noOpenssl }, async (t) => {
  const token = mint(key);
  const unseen: Record<string, readonly string[]> = {
    'a token with NUL': ['authorization', `Bearer ${token}\0`],
    'a second token with CR': ['authorization', `Bearer ${token}`, 'authorization', `Bearer ${token}\r`],
    'a value with LF': ['x-a', 'b\nx-user-id: mallory'],
    'a value with another control byte': ['x-a', '\x01'],
    'a value with DEL': ['x-a', '\x7f'],
    'a name with a space': ['x a', 'b'],
    'a name with NUL': ['x-a\0', 'b'],
    'an empty name': ['', 'b'],
    'a cookie with NUL': ['cookie', 'a=1', 'cookie', 'b\0'],
    'an upper-case name': ['X-A', 'b'],
  };
  const untrimmed: Record<string, readonly string[]> = {
    'a space before the value': ['authorization', ` Bearer ${token}`],
    'a space behind it': ['authorization', `Bearer ${token} `],
    'a tab behind it': ['x-a', 'b\t'],
    'a value of white space': ['x-a', ' '],
  };

  t.test('C27 with http2_strict_fields, a field that nghttp2 drops refuses its stream', async (t) => {
    const { gateway, upstream } = await setUp(t, true);
    t.equal(await isServed(t, gateway, 'authorization', `Bearer ${token}`, 'x-empty', ''), true);
    upstream.seen.length = 0;
    for (const [name, fields] of Object.entries({ ...unseen, ...untrimmed }))
      t.equal(await isServed(t, gateway, ...fields), false, name);
    t.strictSame(
      upstream.seen.filter(({ url }) => url === '/tried'),
      [],
      'nothing was forwarded',
    );
  });

  t.test('C27 white space around a value always refuses its stream', async (t) => {
    const { gateway, upstream } = await setUp(t, false);
    for (const [name, fields] of Object.entries(untrimmed))
      t.equal(await isServed(t, gateway, ...fields), false, name);
    t.strictSame(
      upstream.seen.filter(({ url }) => url === '/tried'),
      [],
      'nothing was forwarded',
    );
  });

  t.test(
    'C27 without it, a field that is dropped reaches neither the decision nor the upstream',
    async (t) => {
      const { gateway, upstream } = await setUp(t, false);
      for (const fields of Object.values(unseen)) await isServed(t, gateway, ...fields);
      for (const { headers } of upstream.seen) {
        for (const name of ['x-a', 'x a', 'x-a\0', '']) t.notOk(headers[name]);
        t.notMatch(headers, { 'x-user-id': 'mallory' });
      }
    },
  );
});
