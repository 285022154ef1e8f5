/** Certificates that end are told of before, when and after they do: by check, log, metric and admin API. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import {
  certificateFindings,
  certificateState,
  configuredCertificates,
  endsAtMs,
} from '../../src/config/certificates.ts';
import { parseConfiguration } from '../../src/config/load.ts';
import { certificateAuthority, noOpenssl } from '../support/certificates.ts';
import { sallyport } from '../support/command.ts';
import { startGateway, until } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { temporaryFolder } from '../support/process.ts';

const DAY_MS = 24 * 3_600_000;
const METRIC = 'sallyport_tls_certificate_expiry_timestamp_seconds';

/** Where the configuration of a test differs: TLS of the listener and of the upstream, and other keys. */
interface Places {
  readonly listener?: Record<string, unknown>;
  readonly upstream?: Record<string, unknown>;
  readonly more?: Record<string, unknown>;
}

/** A folder with a good and an expired certificate, and a configuration that uses them where the test says. */
function scene(t: Test) {
  const folder = temporaryFolder(t);
  const authority = certificateAuthority(folder);
  const [good, old] = [authority.issue('good', 'DNS:good'), authority.issueExpired('old')];
  const read = (file: string): string => readFileSync(file, 'utf8');
  writeFileSync(join(folder, 'both.pem'), read(good.cert) + read(old.cert));
  writeFileSync(join(folder, 'bundle.pem'), read(authority.ca) + read(old.cert));
  const pair = (files: { cert: string; key: string }) => ({ cert_file: files.cert, key_file: files.key });
  const GOOD = pair(good);
  const configuration = ({ listener = GOOD, upstream, more = {} }: Places = {}): Record<string, unknown> => ({
    listeners: [{ host: '127.0.0.1', port: 0, tls: listener }],
    routes: [{ name: 'all', match: {}, upstream: 'u', auth: { mode: 'none' } }],
    upstreams: { u: { targets: ['https://127.0.0.1:1'], ...(upstream && { tls: upstream }) } },
    ...more,
  });
  const certificatesOf = (document: Record<string, unknown>) =>
    configuredCertificates(
      parseConfiguration(
        JSON.stringify({ realm: 'r', admin: { port: 0 }, ...document }),
        'a.json',
        folder,
        {},
      ),
    );
  return { folder, ca: authority.ca, GOOD, OLD: pair(old), configuration, certificatesOf };
}

t.test(
  'every place of the configuration that holds a certificate is looked at',
  { skip: noOpenssl },
  async (t) => {
    const { ca, GOOD, configuration, certificatesOf } = scene(t);
    const server = { ...GOOD, certificates: [GOOD], client_ca_file: ca };
    const found = certificatesOf(
      configuration({
        listener: server,
        upstream: { ...GOOD, ca_file: ca },
        more: {
          admin: { port: 0, tls: server },
          revocation: { store: 'rediss://127.0.0.1:1', tls: { ...GOOD, ca_file: ca } },
        },
      }),
    );
    t.strictSame(
      found.map(({ key }) => key),
      [
        'listeners[0].tls.cert',
        'listeners[0].tls.certificates[0].cert',
        'listeners[0].tls.client_ca',
        'admin.tls.cert',
        'admin.tls.certificates[0].cert',
        'admin.tls.client_ca',
        'revocation.tls.cert',
        'revocation.tls.ca',
        'upstreams.u.tls.cert',
        'upstreams.u.tls.ca',
      ],
    );
  },
);

t.test('the state by the clock: not yet valid, valid, expiring, expired', { skip: noOpenssl }, async (t) => {
  const { configuration, certificatesOf } = scene(t);
  const [certificate] = certificatesOf(configuration());
  if (!certificate) throw new Error('there is none');
  const end = endsAtMs(certificate, 0);
  for (const [nowMs, state] of [
    [end - 3 * DAY_MS, 'not_yet_valid'],
    [end - DAY_MS, 'expiring'],
    [end - 1, 'expiring'],
    [end, 'expired'],
  ] as const) {
    t.equal(certificateState(certificate, nowMs), state);
    t.match(certificateFindings([certificate], nowMs), [{ key: certificate.key, state }]);
  }
  // One that lives for two days is always near its end: the border is that of dates that are made up.
  const made = (days: number) =>
    ({ ...certificate, members: [{ subject: 'CN=a', notBeforeMs: 0, notAfterMs: days * DAY_MS }] }) as const;
  t.equal(certificateState(made(15), DAY_MS), 'valid');
  t.equal(certificateState(made(15), DAY_MS + 1), 'expiring');
  t.strictSame(certificateFindings([made(15)], DAY_MS), []);
});

t.test('a chain ends with its first member, authorities with the last', { skip: noOpenssl }, async (t) => {
  const { folder, GOOD, configuration, certificatesOf } = scene(t);
  const nowMs = Date.now();
  const [chain, , bundle] = certificatesOf(
    configuration({
      listener: { ...GOOD, cert_file: join(folder, 'both.pem'), certificates: [GOOD] },
      upstream: { ca_file: join(folder, 'bundle.pem') },
    }),
  );
  if (!chain || !bundle) throw new Error('they are missing');
  t.equal(certificateState(chain, nowMs), 'expired');
  t.equal(certificateState(bundle, nowMs), 'expiring');
  t.ok(endsAtMs(bundle, nowMs) > nowMs, 'the next one of the bundle that ends');
  t.equal(certificateFindings([bundle], nowMs).length, 2, 'one expires soon, one has expired');
  t.ok(endsAtMs(bundle, nowMs + 10 * DAY_MS) < nowMs + 10 * DAY_MS);
  t.equal(certificateState(bundle, nowMs + 10 * DAY_MS), 'expired');
});

t.test(
  'check: an expired certificate is an error, one that ends soon a warning',
  { skip: noOpenssl },
  async (t) => {
    const { folder, ca, GOOD, OLD, configuration } = scene(t);
    const file = join(folder, 'sallyport.json');
    const check = async (document: Record<string, unknown>, ...more: string[]) => {
      writeFileSync(file, JSON.stringify(document), { mode: 0o600 });
      const { code, out } = await sallyport(['check', '-c', file, '--json', ...more]);
      return { code, ...(JSON.parse(out) as { ok: boolean; problems: string[]; warnings: string[] }) };
    };
    const keysIn = (lines: readonly string[]): string[] =>
      lines.flatMap(
        (line) =>
          /(?:listeners|upstreams|admin|revocation)[^\s:]*\.(?:cert|ca|client_ca)(?=:)/.exec(line) ?? [],
      );
    const cases: [Record<string, unknown>, problems: string[]][] = [
      [configuration(), []],
      [configuration({ listener: OLD }), ['listeners[0].tls.cert']],
      [configuration({ upstream: { ...OLD, ca_file: ca } }), ['upstreams.u.tls.cert']],
      [configuration({ upstream: { ca_file: OLD.cert_file } }), ['upstreams.u.tls.ca']],
      [
        configuration({ listener: { ...GOOD, client_ca_file: OLD.cert_file } }),
        ['listeners[0].tls.client_ca'],
      ],
      [configuration({ more: { admin: { port: 0, tls: OLD } } }), ['admin.tls.cert']],
    ];
    for (const [document, problems] of cases) {
      const found = await check(document);
      t.strictSame(keysIn(found.problems), problems);
      t.equal(found.ok, problems.length === 0);
      t.equal(found.code, problems.length === 0 ? 0 : 1);
      if (problems.length === 0) t.strictSame(keysIn(found.warnings), ['listeners[0].tls.cert']);
    }
  },
);

t.test(
  'a gateway serves with an expired certificate, and tells of it at once and once a day',
  { skip: noOpenssl },
  async (t) => {
    const { folder, configuration } = scene(t);
    const clock = new ManualClock();
    const gateway = await startGateway(t, configuration(), { folder, clock });
    const told = (): unknown[] =>
      gateway.log.flatMap(({ certificate, state, level }) =>
        certificate === undefined ? [] : `${String(level)} ${String(state)}`,
      );
    t.strictSame(told(), ['warn expiring']);
    const series = `${METRIC}{certificate="listeners[0].tls.cert"}`;
    const end = await gateway.metric(series);
    t.ok(end * 1000 > clock.nowMs());
    clock.advance(DAY_MS);
    await until(() => told().length === 2);
    clock.advance(2 * DAY_MS);
    await until(() => told().length === 3);
    t.strictSame(told(), ['warn expiring', 'warn expiring', 'error expired']);
    t.equal(await gateway.metric(series), end);
    const { certificates } = (await (await gateway.admin('GET', '/v1/status')).json()) as {
      certificates: Record<string, unknown>[];
    };
    t.match(certificates, [{ key: 'listeners[0].tls.cert', state: 'expired' }]);
    t.ok(Number(certificates[0]?.['expires_in_seconds']) < 0);
  },
);
