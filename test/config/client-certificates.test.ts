/** What is wrong, risky or good to know about client certificates. Rules M1, F1. */
import { join } from 'node:path';
import { writeFileSync } from 'node:fs';
import t from 'tap';
import { clientCertificateNotes } from '../../src/config/client-certificate-checks.ts';
import { ConfigurationError, parseConfiguration } from '../../src/config/load.ts';
import type { Configuration } from '../../src/config/schema.ts';
import { configurationWarnings } from '../../src/config/warnings.ts';
import { certificateAuthority, noOpenssl } from '../support/certificates.ts';
import { sallyport } from '../support/command.ts';
import { temporaryFolder } from '../support/process.ts';

t.test('client certificates in the configuration', { skip: noOpenssl }, async (t) => {
  const folder = temporaryFolder(t);
  certificateAuthority(folder).issue('server', 'IP:127.0.0.1');
  const TLS = { cert_file: 'server.crt', key_file: 'server.key' };
  const document = (listener: Record<string, unknown>, more: Record<string, unknown> = {}): string =>
    JSON.stringify({
      realm: 'test',
      listeners: [{ host: '127.0.0.1', port: 1, ...listener }],
      routes: [{ name: 'a', match: {}, upstream: 'u', auth: { mode: 'none' } }],
      upstreams: { u: { targets: ['http://127.0.0.1:2'] } },
      ...more,
    });
  const load = (...parts: Parameters<typeof document>): Configuration =>
    parseConfiguration(document(...parts), join(folder, 'test.json'), folder, {});
  const problems = (...parts: Parameters<typeof document>): string => {
    try {
      load(...parts);
      return '';
    } catch (error) {
      if (error instanceof ConfigurationError) return error.problems.join('\n');
      throw error;
    }
  };
  const warnings = (listener: Record<string, unknown>): string[] =>
    configurationWarnings({ configuration: load(listener), folder, file: '/nowhere' });

  t.test('M1 F1 what has no meaning is a problem, with its place', async (t) => {
    const header = (client_cert_header: unknown) => ({ client_cert_header });
    const rows: [name: string, parts: Parameters<typeof document>, problem: RegExp][] = [
      ['no peers', [header({})], /client_cert_header/],
      ['empty peers', [header({ peers: [] })], /client_cert_header\.peers/],
      ['null', [header(null)], /client_cert_header/],
      ['true', [header(true)], /client_cert_header/],
      [
        'a name',
        [header({ peers: ['10.0.0.1', 'haproxy'] })],
        /client_cert_header\.peers\[1\]: must be an addr/,
      ],
      ['no network', [header({ peers: ['10.0.0.0/40'] })], /client_cert_header\.peers\[0\]: must be an addr/],
      ['another key', [header({ peers: ['10.0.0.1'], header: 'X-Client-Cert' })], /header/],
      [
        'a redirect',
        [{ serve: 'redirect', ...header({ peers: ['10.0.0.1'] }) }],
        /client_cert_header: .*remove it/,
      ],
      [
        'none verified by an authority',
        [{ tls: { ...TLS, client_ca_file: 'ca.crt', client_certificates: 'unverified' } }],
        /write optional/,
      ],
      [
        'required without an authority',
        [{ tls: { ...TLS, client_certificates: 'required' } }],
        /without client_ca_file/,
      ],
      [
        'a word of its own',
        [{ tls: { ...TLS, client_certificates: 'any' } }],
        /must be required, optional or unverified/,
      ],
      [
        'the admin listener',
        [{}, { admin: { tls: { ...TLS, client_certificates: 'unverified' } } }],
        /admin\.tls\.client_certificates: must be required or optional/,
      ],
      ['identity in it', [{}, { identity: { headers: { 'Client-Cert': 'sub' } } }], /Client-Cert/],
      [
        'identity in its alias',
        [{}, { identity: { headers: { client_cert_chain: 'sub' } } }],
        /client_cert_chain/,
      ],
    ];
    for (const [name, parts, problem] of rows) t.match(problems(...parts), problem, name);
  });

  t.test('M1 what has a meaning is valid', async (t) => {
    const peers = { client_cert_header: { peers: ['10.0.0.0/8', '::1'] } };
    for (const listener of [
      peers,
      { ...peers, serve: 'decisions', dialect: 'original', trusted_peers: ['10.0.0.1'] },
      { ...peers, tls: { ...TLS, client_ca_file: 'ca.crt' } },
      { tls: { ...TLS, client_certificates: 'unverified' } },
    ])
      t.equal(problems(listener), '');
  });

  t.test('F1 peers that are all addresses are a risk', async (t) => {
    for (const network of ['0.0.0.0/0', '::/0'])
      t.match(
        warnings({ client_cert_header: { peers: ['10.0.0.1', network] } }).join(),
        new RegExp(`127\\.0\\.0\\.1:1 has client_cert_header\\.peers ${network}: .*name the proxies`),
      );
    t.strictSame(warnings({ client_cert_header: { peers: ['10.0.0.0/8'] } }), []);
  });

  t.test('M1 check says what the configuration cannot tell, which --strict allows', async (t) => {
    const notes = (listener: Record<string, unknown>): string =>
      clientCertificateNotes(load(listener)).join('\n');
    const peers = { client_cert_header: { peers: ['10.0.0.1', '10.0.0.2'] } };
    t.equal(notes({}), '');
    t.equal(notes({ tls: { ...TLS, client_ca_file: 'ca.crt' } }), '');
    t.match(
      notes(peers),
      /^listeners: 127\.0\.0\.1:1 believes Client-Cert from 10\.0\.0\.1, 10\.0\.0\.2: .*must overwrite/,
    );
    t.match(
      notes({ ...peers, tls: { ...TLS, client_ca_file: 'ca.crt' } }),
      /never with the certificate of the connection/,
    );
    t.match(notes({ tls: { ...TLS, client_certificates: 'unverified' } }), /keeps no client out/);
    const file = join(folder, 'sallyport.json');
    writeFileSync(file, document(peers));
    const checked = await sallyport(['check', '-c', file, '--strict']);
    t.match(checked, { code: 0, out: /note: .*must overwrite/ });
  });
});
