/** The client certificate in the header of a proxy that ends TLS in front of the gateway (RFC 9440). Rules M1, F1. */
import { createHash, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import t from 'tap';
import type { ClientCertificate } from '../../src/http/client-cert-header.ts';
import { ConfigurationError, parseConfiguration } from '../../src/config/load.ts';
import { explain } from '../../src/explain/explain.ts';
import { certificateAuthority, noOpenssl } from '../support/certificates.ts';
import { send } from '../support/client.ts';
import { recordedCertificates } from '../support/client-certificates.ts';
import { checkRequestOf, startAsker, type Original } from '../support/ext-authz.ts';
import { loginIssuer, startGateway, withTestPorts, type TestGateway } from '../support/gateway.ts';
import { temporaryFolder } from '../support/process.ts';
import { createKey } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

t.test('Client-Cert', { skip: noOpenssl }, async (t) => {
  const folder = temporaryFolder(t);
  const authority = certificateAuthority(folder);
  authority.issue('server', 'IP:127.0.0.1');
  const proxy = authority.issue('proxy');
  const pem = readFileSync(authority.issue('alice').cert, 'utf8');
  const { raw: der } = new X509Certificate(pem);
  const alice = createHash('sha256').update(der).digest('base64url');
  const good = `:${der.toString('base64')}:`;
  const ofProxy = createHash('sha256')
    .update(new X509Certificate(readFileSync(proxy.cert)).raw)
    .digest('base64url');
  const upstream = await startUpstream(t);
  const seen = recordedCertificates(t);

  const BELIEVED = { client_cert_header: { peers: ['127.0.0.1/32'] } };
  const ELSEWHERE = { client_cert_header: { peers: ['192.0.2.0/24', '::/0'] } };
  const TLS = { cert_file: 'server.crt', key_file: 'server.key', client_ca_file: 'ca.crt' };
  const configuration = (listener: Record<string, unknown>, more: Record<string, unknown>) => ({
    listeners: [{ host: '127.0.0.1', port: 0, ...listener }],
    issuers: { login: loginIssuer(createKey('EdDSA')) },
    routes: [{ name: 'all', match: {}, upstream: 'u', auth: { mode: 'none' } }],
    upstreams: { u: { targets: [upstream.url] } },
    limits: { header_bytes: '64KiB' },
    timeouts: { drain: '100ms' },
    ...more,
  });
  const start = (listener: Record<string, unknown>, more = {}): Promise<TestGateway> =>
    startGateway(t, configuration(listener, more), { folder });

  /** Spellings that servers read as one of the two names. */
  const NAMES = [
    'Client-Cert',
    'CLIENT-CERT',
    'Client_Cert',
    'client.cert',
    'Client-Cert-Chain',
    'client_cert_chain',
  ];
  const notForwarded = (): boolean =>
    !(upstream.seen.at(-1)?.rawHeaders ?? []).some((name) => /client.cert/i.test(name));

  t.test('M1 F1 from its peers the header is the certificate, and ends at the gateway', async (t) => {
    const gateway = await start({ ...BELIEVED, protocols: ['h2c', 'http/1.1'] });
    const rows: [name: string, headers: string[], certificate: ClientCertificate][] = [
      ['one', ['Client-Cert', good], alice],
      ['none', [], undefined],
      ['two', ['Client-Cert', good, 'Client-Cert', good], null],
      ['two, one of them empty', ['Client-Cert', good, 'client-cert', ''], null],
      ['a list', ['Client-Cert', `${good}, ${good}`], null],
      ['an empty one', ['Client-Cert', ''], null],
      ['percent-encoded PEM', ['Client-Cert', encodeURIComponent(pem)], null],
      ['with its chain', ['Client-Cert', good, 'Client-Cert-Chain', `${good}, ${good}`], alice],
      ['in other spellings', ['Client_Cert', good, 'Client.Cert', good], undefined],
      ['beside another spelling', ['Client_Cert', 'x', 'Client-Cert', good], alice],
      ['headers of other proxies', ['X-Client-Cert', good, 'X-Forwarded-Client-Cert', good], undefined],
    ];
    for (const [name, headers, certificate] of rows) {
      t.equal(await seen.during(() => send(gateway.url, '/', { headers })), certificate, name);
      t.ok(notForwarded(), name);
      const session = connectHttp2(gateway.url);
      const fields: Record<string, string[]> = {};
      for (let at = 0; at < headers.length; at += 2)
        (fields[(headers[at] ?? '').toLowerCase()] ??= []).push(headers[at + 1] ?? '');
      const known = await seen.during(async () => {
        const stream = session.request({ ':path': '/', ...fields });
        stream.resume();
        await once(stream, 'close');
      });
      session.destroy();
      t.equal(known, certificate, `${name}, by HTTP/2`);
      t.ok(notForwarded(), name);
    }
    const before = upstream.seen.length;
    const tooLong = send(gateway.url, '/', { headers: ['Client-Cert', `:${'A'.repeat(1_000_000)}:`] });
    // The client may not read the refusal before its connection ends.
    t.match(
      await tooLong.then(({ status }) => String(status), String),
      /^(?:414|431)$|ECONNRESET|EPIPE/,
      '1 MB',
    );
    t.equal(upstream.seen.length, before, 'the upstream saw nothing');
  });

  t.test('M1 F1 from every other peer the header says nothing, from trusted_proxies neither', async (t) => {
    const gateways = [
      await start({}),
      await start(ELSEWHERE),
      await start({}, { trusted_proxies: ['127.0.0.0/8'] }),
      await start(ELSEWHERE, { trusted_proxies: ['127.0.0.0/8'] }),
    ];
    for (const gateway of gateways)
      for (const name of NAMES)
        for (const value of [good, 'lie']) {
          const known = await seen.during(() => send(gateway.url, '/', { headers: [name, value] }));
          t.equal(known, undefined, name);
          t.ok(notForwarded(), name);
        }
  });

  t.test('M1 F1 certificate headers of other kinds pass from trusted_proxies as before', async (t) => {
    const { url } = await start({}, { trusted_proxies: ['127.0.0.0/8'] });
    await send(url, '/', {
      headers: ['X-Client-Cert', 'a', 'X-Forwarded-Client-Cert', 'b', 'Client-Cert', 'c'],
    });
    t.match(upstream.seen.at(-1)?.headers, { 'x-client-cert': 'a', 'x-forwarded-client-cert': 'b' });
    t.ok(!('client-cert' in (upstream.seen.at(-1)?.headers ?? {})));
  });

  t.test(
    'M1 from a believed peer its own certificate never counts; from others the connection’s does',
    async (t) => {
      const over = ({ port }: TestGateway, headers: string[]) =>
        seen.during(async () => {
          const request = httpsRequest({
            ...{ host: '127.0.0.1', port, agent: false, headers: ['Host', 'a.example', ...headers] },
            ...{
              ca: readFileSync(authority.ca),
              cert: readFileSync(proxy.cert),
              key: readFileSync(proxy.key),
            },
          });
          request.end();
          const [response] = (await once(request, 'response')) as [NodeJS.ReadableStream];
          response.resume();
          await once(response, 'end');
        });
      const believing = await start({ ...BELIEVED, tls: TLS });
      t.equal(await over(believing, ['Client-Cert', good]), alice);
      t.equal(await over(believing, []), undefined);
      t.equal(await over(believing, ['Client-Cert', 'x']), null);
      const others = await start({ ...ELSEWHERE, tls: TLS });
      t.equal(await over(others, ['Client-Cert', good]), ofProxy);
      t.equal(await over(others, ['Client-Cert', 'x']), ofProxy);
      const deciding = { serve: 'decisions', trusted_peers: ['127.0.0.1'], dialect: 'original', tls: TLS };
      const original = ['X-Original-Method', 'GET', 'X-Original-URI', '/'];
      const decisions = await start(deciding);
      t.equal(await over(decisions, original), undefined, 'a decision listener is asked by the proxy');
      t.equal(await over(decisions, [...original, 'Client-Cert', good]), undefined);
      const believingDecisions = await start({ ...deciding, ...BELIEVED });
      t.equal(await over(believingDecisions, [...original, 'Client-Cert', good]), alice);
    },
  );

  t.test('M1 F1 decision listeners read it, and tell Envoy to remove it', async (t) => {
    const listener = { serve: 'decisions', trusted_peers: ['127.0.0.1'], dialect: 'request' };
    for (const [more, certificate] of [
      [BELIEVED, alice],
      [ELSEWHERE, undefined],
    ] as const) {
      const { url } = await start({ ...listener, ...more });
      let removed = '';
      const known = await seen.during(async () => {
        const { headers } = await send(url, '/', { headers: ['Client-Cert', good, 'Client_Cert', 'x'] });
        removed = String(headers['x-envoy-auth-headers-to-remove']);
      });
      t.equal(known, certificate);
      for (const name of ['client-cert', 'client-cert-chain', 'client_cert'])
        t.ok(removed.split(', ').includes(name), name);
    }
  });

  t.test(
    'M1 F1 ext_authz: the header where it is believed, else the certificate that Envoy tells',
    async (t) => {
      const listener = { serve: 'decisions', dialect: 'ext_authz', trusted_peers: ['127.0.0.1'] };
      const escaped = encodeURIComponent(pem);
      /** What the gateway knows, and what Envoy is told to remove. */
      const check = async (gateway: TestGateway, original: Original, certificate = '') => {
        const asker = startAsker(t, gateway.port);
        const request = checkRequestOf(original) as { attributes: { source: object } };
        Object.assign(request.attributes.source, { certificate });
        let removed: readonly string[] = [];
        const known = await seen.during(async () => {
          const { response } = await asker.check(request);
          removed = response?.ok_response?.headers_to_remove ?? [];
        });
        return { known, removed };
      };
      const attribute = await start(listener);
      const forged = { headers: ['Client-Cert', good, 'Client_Cert', good, 'client.cert.chain', good] };
      t.equal((await check(attribute, {}, escaped)).known, alice);
      t.equal((await check(attribute, {})).known, undefined);
      t.equal((await check(attribute, forged)).known, undefined, 'the header of a client is none');
      t.equal((await check(attribute, {}, pem)).known, alice, 'PEM without a sign that had to be encoded');
      t.equal((await check(attribute, {}, encodeURIComponent(pem + pem))).known, null);
      const { removed } = await check(attribute, forged);
      for (const name of ['client-cert', 'client-cert-chain', 'client_cert', 'client.cert.chain'])
        t.ok(removed.includes(name), name);
      const header = await start({ ...listener, ...BELIEVED });
      for (const raw of [false, true]) {
        t.equal((await check(header, { headers: ['Client-Cert', good], raw })).known, alice);
        const twice = { headers: ['Client-Cert', good, 'Client-Cert', good], raw };
        t.equal((await check(header, twice)).known, null, 'Envoy joins them, or leaves them apart');
        t.equal(
          (await check(header, { raw }, escaped)).known,
          undefined,
          'from there the header alone counts',
        );
      }
    },
  );

  t.test('M1 F1 explain believes the header of an imagined request from the same peers', async (t) => {
    const { loaded } = await start(BELIEVED);
    const known = (peer: string) =>
      seen.during(() =>
        explain(
          loaded,
          {
            ...{ method: 'GET', scheme: 'http', target: '/', token: undefined, peer },
            headers: ['Host', 'a.example', 'Client-Cert', good],
          },
          { online: false, nowMs: undefined },
        ),
      );
    t.equal(await known('127.0.0.1'), alice);
    t.equal(await known('::ffff:127.0.0.1'), alice);
    t.equal(await known('127.0.0.2'), undefined);
  });

  t.test('M1 a change of the header’s peers needs a restart, as other keys of listeners do', async (t) => {
    const gateway = await start(BELIEVED);
    const text = JSON.stringify(withTestPorts({ realm: 'test', ...configuration(ELSEWHERE, {}) }));
    const changed = parseConfiguration(text, 'test.json', folder, {});
    const reloading = gateway.instance.reload({ configuration: changed, folder, file: 'test.json' });
    await t.rejects(reloading, ConfigurationError);
    await reloading.catch(({ problems }: ConfigurationError) =>
      t.match(problems.join(), /listeners: .*restart/),
    );
    t.equal(await seen.during(() => send(gateway.url, '/', { headers: ['Client-Cert', good] })), alice);
  });
});
