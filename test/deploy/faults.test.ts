/**
 * Faults on a live gateway under a real Prometheus: which alerts fire, and which keep still. The rules are those of
 * deploy/prometheus, with every window 120 times as short; promtool tests the true ones.
 */
import t from 'tap';
import { parseConfiguration } from '../../src/config/load.ts';
import { alertGroups, recordingGroups } from '../../deploy/prometheus/rules.ts';
import { certificateAuthority, noOpenssl } from '../support/certificates.ts';
import { startGateway, until, withTestPorts } from '../support/gateway.ts';
import { temporaryFolder } from '../support/process.ts';
import { noPrometheus, startPrometheus } from '../support/prometheus.ts';
import { startRedis } from '../support/redis.ts';
import { AUDIENCE, claimsOf, createKey, mint, nowSeconds } from '../support/tokens.ts';
import { startServer } from '../support/upstream.ts';

const FASTER = 120;
const UNIT_MS: Readonly<Record<string, number>> = { s: 1e3, m: 6e4, h: 36e5, d: 864e5 };
const INTERVAL_MS = 250;
const TICK_MS = 100;

const shortened = (duration: string): string =>
  `${Math.round((Number.parseInt(duration, 10) * (UNIT_MS[duration.slice(-1)] ?? NaN)) / FASTER)}ms`;
/** Rules with shorter windows: `[5m]`, `offset 1h` and `for`. */
const faster = (rules: object): object =>
  JSON.parse(
    JSON.stringify(rules, (key, value: unknown) => {
      if (typeof value !== 'string') return value;
      if (key === 'for') return shortened(value);
      return key === 'expr'
        ? value.replace(
            /(\[|offset )(\d+[smhd])/g,
            (_, before: string, window: string) => before + shortened(window),
          )
        : value;
    }),
  ) as object;

/** What must fire for each fault, by name and the label that says where. */
const EXPECTED: Readonly<Record<string, readonly string[]>> = {
  'Redis is down': ['SallyportRevocationStoreOut'],
  'a key endpoint is down': ['SallyportKeysStale down', 'SallyportAuthorityOut down'],
  'unknown keys after a rotation': ['SallyportUnknownKeys rotation', 'SallyportRoutePassesNothing rotation'],
  'a slow upstream': ['SallyportLatencyBudgetBurnsFast slow'],
  'a dead upstream': ['SallyportRoutePassesNothing dead', 'SallyportErrorBudgetBurnsFast'],
  'an expired certificate': ['SallyportCertificateExpired upstreams.mtls.tls.cert'],
  'a clock that is 10 s off': ['SallyportRoutePassesNothing clock'],
  'a wrong audience after a deploy': ['SallyportRoutePassesNothing audience'],
};
/** What may follow from these faults, sooner or later. */
const MAY_FIRE = /^Sallyport(?:LatencyBudgetBurnsSlowly slow|ErrorBudgetBurnsSlowly|UpstreamTargetOut \S+)$/;
const nameOf = ({ alertname = '', route, issuer, certificate, target }: Record<string, string>): string =>
  [alertname, route ?? certificate ?? issuer ?? target].filter((part) => part !== undefined).join(' ');

t.test(
  'A7: each fault fires its alert, and a flood of bad tokens fires none',
  { skip: noPrometheus || noOpenssl },
  async (t) => {
    const expired = certificateAuthority(temporaryFolder(t)).issueExpired('client');
    const redis = await startRedis(t);
    const keys = new Map(
      ['well', 'flood', 'rotation', 'slow', 'dead', 'clock', 'audience', 'down'].map((name) => [
        name,
        createKey('EdDSA'),
      ]),
    );
    let isFaulty = false;
    const shop = await startServer(t, (request, response) => {
      if (isFaulty && request.url === '/dead') response.destroy();
      else if (isFaulty && request.url === '/slow') setTimeout(() => response.end(), 1_100).unref();
      else response.end();
    });
    const configurationOf = (audience: string): Record<string, unknown> => ({
      revocation: { store: redis.url, max_view_age: '1h' },
      issuers: Object.fromEntries(
        [...keys].map(([name, { jwk }]) => [
          name,
          {
            issuer: `https://${name}.example.com`,
            ...(name === 'down' ? { jwks_url: 'http://127.0.0.1:1' } : { jwks: { keys: [jwk] } }),
            audiences: [name === 'audience' ? audience : AUDIENCE],
            clock_skew: '5s',
          },
        ]),
      ),
      routes: [
        ...[...keys.keys()].map((name) => ({
          name,
          match: { path_prefix: `/${name}` },
          upstream: 'shop',
          auth: { issuers: [name] },
        })),
        { name: 'mtls', match: { path_prefix: '/mtls' }, upstream: 'mtls', auth: { mode: 'none' } },
      ],
      upstreams: {
        shop: { targets: [shop] },
        mtls: {
          targets: ['https://127.0.0.1:1'],
          ...(audience === AUDIENCE ? {} : { tls: { cert_file: expired.cert, key_file: expired.key } }),
        },
      },
    });
    const gateway = await startGateway(t, configurationOf(AUDIENCE));
    const prometheus = await startPrometheus(t, [new URL(gateway.adminUrl).host], {
      intervalMs: INTERVAL_MS,
      rules: [recordingGroups(), alertGroups('https://runbooks.example.com', () => '')].map(faster),
    });

    const newKey = createKey('EdDSA');
    /** One request to each route, as its clients send them. */
    const sendAll = (): void => {
      for (const [name, key] of keys) {
        const claims = claimsOf({ iss: `https://${name}.example.com` });
        const ahead = isFaulty && name === 'clock' ? { nbf: nowSeconds() + 10, iat: nowSeconds() + 10 } : {};
        const signing = isFaulty && name === 'rotation' ? newKey : key;
        ask(name, mint(signing, { ...claims, ...ahead }));
        if (!isFaulty || name !== 'flood') continue;
        for (let bad = 0; bad < 5; bad++) ask(name, mint(newKey, claims));
      }
    };
    const ask = (name: string, token: string): void => {
      fetch(`${gateway.url}/${name}`, { headers: { authorization: `Bearer ${token}` } })
        .then((response) => response.arrayBuffer())
        .catch(() => undefined);
    };
    const traffic = setInterval(sendAll, TICK_MS);
    t.teardown(() => clearInterval(traffic));

    // The past that alerts compare with: recorded rates from before the ten minutes, which are five seconds here.
    const past = 'count(sallyport:route_passed:rate50m offset 5s >= 1)';
    await until(async () => (await prometheus.query(past))[0] === keys.size - 1);
    const early = (await prometheus.fired()).map(nameOf);
    const fromTheStart = [...(EXPECTED['a key endpoint is down'] ?? []), 'SallyportErrorBudgetBurnsFast'];
    t.strictSame(
      early.filter((name) => !fromTheStart.includes(name) && !MAY_FIRE.test(name)),
      [],
      'before the faults only that of the key endpoint',
    );

    const text = JSON.stringify(
      withTestPorts({ realm: 'test', ...configurationOf('https://another.example.com') }),
    );
    const { folder, file } = gateway.loaded;
    await gateway.instance.reload({
      configuration: parseConfiguration(text, file, folder, {}),
      folder,
      file,
    });
    isFaulty = true;
    await redis.kill();
    const expected = Object.values(EXPECTED).flat();
    await until(async () => {
      const names = (await prometheus.fired()).map(nameOf);
      return expected.every((name) => names.includes(name));
    });
    const names = new Set((await prometheus.fired()).map(nameOf));
    for (const [fault, alerts] of Object.entries(EXPECTED))
      t.ok(
        alerts.every((name) => names.has(name)),
        fault,
      );
    t.strictSame(
      [...names].filter((name) => !expected.includes(name) && !MAY_FIRE.test(name)),
      [],
      'nothing else, and nothing of the flood or of the route that is well',
    );
  },
);
