/** The client certificate that a proxy in front tells of: in Client-Cert (RFC 9440), or in an attribute of ext_authz. Rules M1, F1. */
import { createHash, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import t from 'tap';
import {
  clientCertificateOf,
  readClientCert,
  readEscapedPem,
  type ClientCertificate,
} from '../../src/http/client-cert-header.ts';
import { HeaderTable } from '../../src/http/header-names.ts';
import { readHead, type RequestHead } from '../../src/http/request-head.ts';
import { certificateAuthority, noOpenssl } from '../support/certificates.ts';
import { temporaryFolder } from '../support/process.ts';
import { SeededRandom } from '../support/seeded-random.ts';

const SEED = Number(process.env['FUZZ_SEED'] ?? Date.now() % 1_000_000);
const RUNS = Number(process.env['FUZZ_RUNS'] ?? 500);

t.test('M1 the certificate that a proxy tells of', { skip: noOpenssl }, async (t) => {
  const folder = temporaryFolder(t);
  const authority = certificateAuthority(folder);
  const pem = readFileSync(authority.issue('alice').cert, 'utf8');
  const der = new X509Certificate(pem).raw;
  const other = new X509Certificate(readFileSync(authority.ca)).raw;
  const thumbprint = createHash('sha256').update(der).digest('base64url');
  const base64 = der.toString('base64');
  const good = `:${base64}:`;

  t.test('M1 one byte sequence with one certificate is its thumbprint', async (t) => {
    t.equal(readClientCert([good]), thumbprint);
    t.match(thumbprint, /^[\w-]{43}$/);
    const large = authority.issue(
      'many',
      ...Array.from({ length: 400 }, (_, index) => `DNS:host-${index}.example.com`),
    );
    const bytes = new X509Certificate(readFileSync(large.cert)).raw;
    t.ok(bytes.length > 8_000);
    t.type(readClientCert([`:${bytes.toString('base64')}:`]), 'string');
    t.not(readClientCert([`:${bytes.toString('base64')}:`]), null, 'a certificate with many names');
  });

  t.test('M1 none is none', async (t) => {
    t.equal(readClientCert([]), undefined);
    t.equal(readEscapedPem(''), undefined);
  });

  /** A certificate whose base64 ends with padding: the bits behind its last byte can be set. */
  const padded = (): Buffer => {
    for (let index = 0; ; index++) {
      const { raw } = new X509Certificate(readFileSync(authority.issue('p'.repeat(index + 1)).cert));
      if (raw.length % 3 === 1) return raw;
    }
  };

  t.test('M1 anything that is not exactly that is malformed', async (t) => {
    const odd = padded().toString('base64');
    t.equal(readClientCert([`:${odd}:`])?.length, 43, 'it can be read as it should be');
    const lastBits = `${odd.slice(0, -3)}${String.fromCharCode(odd.charCodeAt(odd.length - 3) + 1)}==`;
    t.ok(Buffer.from(lastBits, 'base64').equals(Buffer.from(odd, 'base64')), 'the same bytes');
    const rows: Record<string, readonly string[]> = {
      'the same twice': [good, good],
      'two of them': [good, `:${other.toString('base64')}:`],
      'an empty one beside it': [good, ''],
      'a list': [`${good}, ${good}`],
      'a list with an empty member': [`${good},`],
      'a chain in one sequence': [`:${Buffer.concat([der, other]).toString('base64')}:`],
      'a byte behind it': [`:${Buffer.concat([der, Buffer.of(0)]).toString('base64')}:`],
      'a certificate that is cut off': [`:${der.subarray(0, -1).toString('base64')}:`],
      parameters: [`${good};a=1`],
      'an empty parameter': [`${good};`],
      'an empty value': [''],
      'one colon': [':'],
      'an empty sequence': ['::'],
      'no colons': [base64],
      'no colon at its end': [`:${base64}`],
      'a string': [`"${base64}"`],
      'a token': [base64.replace(/[=]/g, '')],
      base64url: [`:${der.toString('base64url')}:`],
      'no padding': [`:${odd.replace(/=+$/, '')}:`],
      'too much padding': [`:${odd}=:`],
      'bits behind the last byte': [`:${lastBits}:`],
      'white space in it': [`:${base64.slice(0, 64)} ${base64.slice(64)}:`],
      'white space around it': [` ${good}`],
      'a line break in it': [`:${base64.slice(0, 64)}\n${base64.slice(64)}:`],
      PEM: [pem],
      'PEM in a sequence': [`:${Buffer.from(pem).toString('base64')}:`],
      'PEM on one line': [pem.replaceAll('\n', ' ')],
      'percent-encoded PEM': [encodeURIComponent(pem)],
      'percent-encoded sequence': [encodeURIComponent(good)],
      'no certificate': [`:${Buffer.from('certificate').toString('base64')}:`],
      'a key': [`:${readFileSync(`${folder}/alice.key`).toString('base64')}:`],
      '1 MB': [`:${Buffer.alloc(750_000, 'a').toString('base64')}:`],
      '1 MB behind a certificate': [`:${Buffer.concat([der, Buffer.alloc(750_000)]).toString('base64')}:`],
      'Envoy’s X-Forwarded-Client-Cert': [`Hash=${'a'.repeat(64)};Cert="${encodeURIComponent(pem)}"`],
    };
    for (const [name, values] of Object.entries(rows)) t.equal(readClientCert(values), null, name);
  });

  t.test('M1 of an attribute: percent-encoded PEM with one certificate', async (t) => {
    const envoys = encodeURIComponent(pem);
    t.equal(readEscapedPem(envoys), thumbprint);
    // Envoy leaves signs as they are that encodeURIComponent encodes.
    t.equal(readEscapedPem(pem.replace(/[\n +/=]/g, encodeURIComponent)), thumbprint);
    t.equal(readEscapedPem(envoys.replace(/%0A$/, '')), thumbprint, 'no line break at its end');
    const otherPem = readFileSync(authority.ca, 'utf8');
    const rows: Record<string, string> = {
      'a chain': encodeURIComponent(pem + otherPem),
      'no PEM': encodeURIComponent('certificate'),
      'a sequence': encodeURIComponent(good),
      'another kind of block': encodeURIComponent(readFileSync(`${folder}/alice.key`, 'utf8')),
      'text before it': encodeURIComponent(`x\n${pem}`),
      'a cut percent sign': `${envoys}%`,
      'bytes that are no UTF-8': `${envoys}%ff`,
      'no padding': encodeURIComponent(
        pem.replace(/=+\n-----END/, '\n-----END').replace(/(\S)\n-----END/, '$1x\n-----END'),
      ),
      'an empty block': encodeURIComponent('-----BEGIN CERTIFICATE-----\n\n-----END CERTIFICATE-----\n'),
      '1 MB': encodeURIComponent(
        `-----BEGIN CERTIFICATE-----\n${'a'.repeat(1_000_000)}\n-----END CERTIFICATE-----\n`,
      ),
    };
    for (const [name, text] of Object.entries(rows)) t.equal(readEscapedPem(text), null, name);
  });

  t.test(`M1 random changes of a good header never give another thumbprint (seed ${SEED})`, async (t) => {
    const random = new SeededRandom(SEED);
    const signs = [...':;,= +/-_%"\0\t', ...base64.slice(0, 40)];
    const allowed = new Set<ClientCertificate>([null, thumbprint]);
    let malformed = 0;
    for (let run = 0; run < RUNS; run++) {
      const at = random.below(good.length + 1);
      const removed = random.below(3);
      const put = Array.from({ length: random.below(3) }, () => random.of(signs)).join('');
      const changed = good.slice(0, at) + put + good.slice(at + removed);
      const read = readClientCert([changed]);
      if (changed === good) continue;
      // A change in the middle gives other bytes: where they are still a certificate, it is one of its own.
      const expected = new Set(allowed);
      if (/^:[A-Za-z0-9+/]+={0,2}:$/.test(changed)) {
        const bytes = Buffer.from(changed.slice(1, -1), 'base64');
        if (!bytes.equals(der)) expected.delete(thumbprint);
        expected.add(createHash('sha256').update(bytes).digest('base64url'));
      } else expected.delete(thumbprint);
      if (read === null) malformed++;
      if (read === undefined || !expected.has(read)) t.fail(`${JSON.stringify(changed)} is ${String(read)}`);
    }
    t.ok(malformed > RUNS / 10, `${malformed} were malformed`);
  });

  t.test('M1 F1 from a believed peer the header alone counts, from all others never', async (t) => {
    const table = new HeaderTable([]);
    const limits = { uriBytes: 1024, headerBytes: 65_536, headerCount: 100, bodyBytes: 0 };
    const headOf = (...fields: string[]): RequestHead =>
      readHead(
        {
          ...{ method: 'GET', target: '/', httpVersion: '1.1', scheme: 'http' },
          ...{ bodyFollows: false, wantsTunnel: false },
          rawHeaders: ['Host', 'a.example', ...fields],
        },
        table,
        limits,
      );
    const seen = () => 'of the connection';
    const unasked = (): undefined => void t.fail('the connection does not count');
    t.equal(clientCertificateOf(headOf('Client-Cert', good), true, unasked), thumbprint);
    t.equal(clientCertificateOf(headOf('CLIENT-CERT', good), true, unasked), thumbprint);
    t.equal(clientCertificateOf(headOf(), true, unasked), undefined);
    t.equal(clientCertificateOf(headOf('Client-Cert', 'x'), true, unasked), null);
    const twice = headOf('Client-Cert', good, 'client-cert', good);
    t.equal(clientCertificateOf(twice, true, unasked), null);
    for (const alias of ['Client_Cert', 'Client.Cert', 'CLIENT_CERT', 'Client-Cert-Chain', 'X-Client-Cert'])
      t.equal(clientCertificateOf(headOf(alias, good), true, unasked), undefined, alias);
    t.equal(clientCertificateOf(headOf('Client-Cert', good), false, seen), 'of the connection');
    t.equal(clientCertificateOf(headOf('Client-Cert', 'x'), false, seen), 'of the connection');
    t.equal(
      clientCertificateOf(headOf('Client-Cert', good), false, () => undefined),
      undefined,
    );
  });
});
