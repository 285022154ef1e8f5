/** How the fields of a request go out to an HTTP/2 upstream. RFC 7541. */
import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import t from 'tap';
import { send } from '../support/client.ts';
import { loginIssuer, startGateway } from '../support/gateway.ts';
import { string } from '../support/hpack-blocks.ts';
import { startRawHttp2Upstream } from '../support/http2-upstream.ts';
import { temporaryFolder } from '../support/process.ts';
import { block, END_HEADERS, END_STREAM, FRAME, frame } from '../support/raw-http2.ts';
import { createKey, mint } from '../support/tokens.ts';

const key = createKey('EdDSA');

/** RFC 7541 section 6.2.3: a literal that no hop may index, its name an index of the static table. */
const neverIndexed = (index: number): Buffer => Buffer.from([0x1f, index - 15]);
const COOKIE = 32;
const AUTHORIZATION = 23;

t.test('credentials and the identity assertion never enter the table of the compression', async (t) => {
  const folder = temporaryFolder(t);
  const { privateKey } = generateKeyPairSync('ed25519');
  writeFileSync(`${folder}/identity.jwk`, JSON.stringify(privateKey.export({ format: 'jwk' })));
  const heads: Buffer[] = [];
  const upstream = await startRawHttp2Upstream(t, (connection, { type, stream, payload }) => {
    if (type !== FRAME.headers) return;
    heads.push(payload);
    connection.send(frame(FRAME.headers, END_HEADERS | END_STREAM, stream, block(':status', '204')));
  });
  const gateway = await startGateway(
    t,
    {
      issuers: { login: loginIssuer(key) },
      identity: {
        assertion: { key_file: 'identity.jwk', header: 'Associate' },
        forward_authorization: true,
      },
      routes: [{ name: 'all', match: {}, upstream: 'u' }],
      upstreams: { u: { targets: [upstream.url] } },
    },
    { folder },
  );
  const token = mint(key);
  // The letters whose Huffman codes have five bits.
  const value = 'associatesaccosttoast'.repeat(3);
  for (let count = 0; count < 3; count++) {
    const headers = ['Cookie', value, 'X-Plain', value];
    t.equal((await send(gateway.url, '/', { token, headers })).status, 204);
    const head = heads.at(-1) ?? Buffer.alloc(0);
    t.ok(head.includes(Buffer.concat([neverIndexed(COOKIE), string(value, true)])), 'Cookie');
    t.ok(head.includes(neverIndexed(AUTHORIZATION)), 'Authorization');
    t.ok(head.includes(Buffer.concat([Buffer.from([0x10]), string('associate', true)])), 'the assertion');
  }
  const [first, second] = heads;
  t.ok((first?.length ?? 0) - (second?.length ?? 0) >= 40, 'any other field is indexed');
});
