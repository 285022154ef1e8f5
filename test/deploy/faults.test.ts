/**
 * Eleven faults on a live gateway under a real Prometheus: for each, which alert fires, which line is in the log, and which
 * tile of the admin page turns. The rules are those of deploy/prometheus, with every window 120 times as short; promtool
 * tests the true ones. The page's five minutes are its latest step of five seconds here.
 */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { parseConfiguration } from '../../src/config/load.ts';
import { alertGroups, recordingGroups } from '../../deploy/prometheus/rules.ts';
import { tilesNow } from '../support/admin-tiles.ts';
import { certificateAuthority, noOpenssl } from '../support/certificates.ts';
import { startGateway, until, withTestPorts } from '../support/gateway.ts';
import { temporaryFolder } from '../support/process.ts';
import { noPrometheus, startPrometheus } from '../support/prometheus.ts';
import { proofKey } from '../support/proofs.ts';
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

/** How a fault is told. */
interface Told {
  /** What must fire, by name and the label that says where. */
  readonly alerts: readonly string[];
  /** What the log says of it, in one line. */
  readonly line: object;
  /** What the page says, by the title of the tile. */
  readonly tile: readonly [title: string, verdict: string];
}

const PUBLIC_URL = 'https://api.example.com';
/** Routes whose clients send proofs. */
const PROVEN = ['bound', 'elsewhere'];
const holder = proofKey();
const newKey = createKey('EdDSA');
const FAULTS: Readonly<Record<string, Told>> = {
  'Redis is down': {
    alerts: ['SallyportRevocationStoreOut'],
    line: { level: 'error', store: /127\.0\.0\.1:\d+/, msg: /^the revocation store is unavailable; / },
    tile: ['Revocation store', 'bad Not connected'],
  },
  'the store of used proofs is down': {
    alerts: ['SallyportUsedProofsUnknown', 'SallyportRoutePassesNothing bound'],
    line: {
      level: 'error',
      store: /127\.0\.0\.1:\d+/,
      msg: /^the memory of used proofs is unavailable; .* bound/,
    },
    tile: ['Used proofs', 'bad Not available'],
  },
  'a wrong public URL': {
    alerts: ['SallyportRoutePassesNothing elsewhere'],
    line: { route: 'elsewhere', status: 401, cause: /^htu /, auth: { reason: 'proof', binding: 'dpop' } },
    tile: ['Route elsewhere', 'bad All are refused'],
  },
  'a key endpoint is down': {
    alerts: ['SallyportKeysStale down', 'SallyportAuthorityOut down'],
    line: { level: 'warn', issuer: 'down', keys_known: false, msg: /^the key set cannot be fetched, and / },
    tile: ['Keys of down', 'bad Missing'],
  },
  'unknown keys after a rotation': {
    alerts: ['SallyportUnknownKeys rotation', 'SallyportRoutePassesNothing rotation'],
    line: { route: 'rotation', status: 401, auth: { reason: 'unknown_key', kid: newKey.kid } },
    tile: ['Route rotation', 'bad All are refused'],
  },
  'a slow upstream': {
    alerts: ['SallyportLatencyBudgetBurnsFast slow'],
    line: {
      route: 'slow',
      status: 200,
      upstream: 'shop',
      target: /^http/,
      upstream_ms: (ms: number) => ms > 1_000,
    },
    tile: ['Route slow', 'bad Many are slow'],
  },
  'a dead upstream': {
    alerts: ['SallyportRoutePassesNothing dead', 'SallyportErrorBudgetBurnsFast'],
    line: { level: 'warn', route: 'dead', status: 502, target: /^http/, error: /^upstream_/ },
    tile: ['Route dead', 'bad All fail'],
  },
  'an expired certificate': {
    alerts: ['SallyportCertificateExpired upstreams.mtls.tls.cert'],
    line: { level: 'error', certificate: 'upstreams.mtls.tls.cert', state: 'expired', msg: / expired at / },
    tile: ['Certificates', 'bad 1 of 1 expired'],
  },
  'a flood of bad tokens': {
    // It blocks no user, so no person is called for it.
    alerts: [],
    line: {
      route: 'flood',
      reason: 'unknown_key',
      left_out: (count: number) => count > 0,
      msg: /no line of their own/,
    },
    tile: ['Route flood', 'warn Many are refused'],
  },
  'a clock that is 10 s off': {
    alerts: ['SallyportRoutePassesNothing clock'],
    line: { route: 'clock', status: 401, auth: { reason: 'not_yet_valid' } },
    tile: ['Route clock', 'bad All are refused'],
  },
  'a wrong audience after a deploy': {
    alerts: ['SallyportRoutePassesNothing audience'],
    line: { route: 'audience', status: 401, auth: { reason: 'wrong_audience' } },
    tile: ['Route audience', 'bad All are refused'],
  },
};
/** Are these members there: as they are, by a pattern, or by a test? */
function matches(value: unknown, wanted: unknown): boolean {
  if (wanted instanceof RegExp) return wanted.test(String(value));
  if (typeof wanted === 'function') return (wanted as (value: unknown) => boolean)(value);
  if (typeof wanted !== 'object' || wanted === null) return value === wanted;
  return Object.entries(wanted).every(([name, member]) =>
    matches((value as Record<string, unknown> | undefined)?.[name], member),
  );
}

t.test('the runbooks say of each fault what shows where', async (t) => {
  const runbooks = readFileSync(new URL('../../docs/runbooks.md', import.meta.url), 'utf8');
  const rows = runbooks
    .split('\n')
    .filter((line) => /^\| (?!what is wrong)\w.* \|$/.test(line))
    .map((line) => line.split(' | ').map((cell) => cell.replace(/^\| | \|$/g, '')));
  t.strictSame(
    rows.map(([fault]) => fault),
    Object.keys(FAULTS),
  );
  for (const [fault = '', alerts = '', , page = ''] of rows) {
    const { alerts: expected = [], tile: [title, verdict] = ['', ''] } = FAULTS[fault] ?? {};
    const names = [...alerts.matchAll(/\[(\w+)\]/g)].map(([, name]) => name);
    t.strictSame(
      names,
      expected.map((name) => name.split(' ')[0]),
      fault,
    );
    t.ok(page.startsWith(`*${title.split(' ')[0]}`), fault);
    t.ok(page.includes(verdict.replace(/^\w+ /, ': ')), fault);
  }
});

const EXPECTED = Object.values(FAULTS).flatMap(({ alerts }) => alerts);
/** From the start: what has never worked is no change. */
const LASTING = 'a key endpoint is down';
/** What may follow from these faults, sooner or later, and what a busy machine makes true. */
const MAY_FIRE =
  /^Sallyport(?:ErrorBudgetBurnsSlowly|UpstreamTargetOut \S+|EventLoopSlow|LatencyBudgetBurns\w+ \w+|Down|Gone)$/;
const nameOf = ({ alertname = '', route, issuer, certificate, target }: Record<string, string>): string =>
  [alertname, route ?? certificate ?? issuer ?? target].filter((part) => part !== undefined).join(' ');

t.test(
  'A7: each fault fires its alert, and a flood of bad tokens fires none',
  { skip: noPrometheus || noOpenssl },
  async (t) => {
    const expired = certificateAuthority(temporaryFolder(t)).issueExpired('client');
    const redis = await startRedis(t);
    const keys = new Map(
      ['well', 'flood', 'rotation', 'slow', 'dead', 'clock', 'audience', 'down', ...PROVEN].map((name) => [
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
      // Of a flood some lines a second, and a count.
      log: { refusals: 3 },
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
          public_url:
            audience !== AUDIENCE && name === 'elsewhere' ? 'https://another.example.com' : PUBLIC_URL,
          auth: { issuers: [name], ...(PROVEN.includes(name) && { sender_constrained: 'required' }) },
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

    /** What the page and the log say of a fault. */
    const told = async (): Promise<{ tiles: Map<string, string>; lines: Set<string> }> => {
      const tiles = await tilesNow(gateway, 1);
      const lines = Object.entries(FAULTS).filter(([, { line }]) =>
        gateway.log.some((each) => matches(each, line)),
      );
      return {
        tiles: new Map(tiles.map(({ title, level, state }) => [title, `${level} ${state}`])),
        lines: new Set(lines.map(([fault]) => fault)),
      };
    };
    /** One request to each route, as its clients send them. */
    const sendAll = (): void => {
      for (const [name, key] of keys) {
        const claims = claimsOf({
          iss: `https://${name}.example.com`,
          ...(PROVEN.includes(name) && { cnf: { jkt: holder.thumbprint } }),
        });
        const ahead = isFaulty && name === 'clock' ? { nbf: nowSeconds() + 10, iat: nowSeconds() + 10 } : {};
        const signing = isFaulty && name === 'rotation' ? newKey : key;
        ask(name, mint(signing, { ...claims, ...ahead }));
        if (!isFaulty || name !== 'flood') continue;
        for (let bad = 0; bad < 5; bad++) ask(name, mint(newKey, claims));
      }
    };
    const ask = (name: string, token: string): void => {
      const headers = PROVEN.includes(name)
        ? { authorization: `DPoP ${token}`, dpop: holder.proof({ url: `${PUBLIC_URL}/${name}`, token }) }
        : { authorization: `Bearer ${token}` };
      fetch(`${gateway.url}/${name}`, { headers })
        .then((response) => response.arrayBuffer())
        .catch(() => undefined);
    };
    const traffic = setInterval(sendAll, TICK_MS);
    t.teardown(() => clearInterval(traffic));

    // The past that alerts compare with: recorded rates from before the ten minutes, which are five seconds here.
    const past = 'count(sallyport:route_passed:rate50m offset 5s >= 1)';
    await until(async () => (await prometheus.query(past))[0] === keys.size - 1);
    const early = (await prometheus.fired()).map(nameOf);
    const fromTheStart = [...(FAULTS[LASTING]?.alerts ?? []), 'SallyportErrorBudgetBurnsFast'];
    t.strictSame(
      early.filter((name) => !fromTheStart.includes(name) && !MAY_FIRE.test(name)),
      [],
      'before the faults only that of the key endpoint',
    );
    const before = await told();
    t.strictSame([...before.lines], [LASTING], 'as is its line');
    t.strictSame(
      [...before.tiles].filter(([, verdict]) => !/^(?:good|none) /.test(verdict)).map(([title]) => title),
      ['Keys of down', 'Route down'],
      'and its tiles',
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
    const names = async (): Promise<string[]> => (await prometheus.fired()).map(nameOf);
    for (const [fault, { alerts, tile }] of Object.entries(FAULTS))
      await t.test(`${fault}: ${[...alerts, 'a line', tile.join(' ')].join(', ')}`, async (t) => {
        await until(async () => {
          const fired = await names();
          const { tiles, lines } = await told();
          return (
            alerts.every((name) => fired.includes(name)) && lines.has(fault) && tiles.get(tile[0]) === tile[1]
          );
        });
        t.pass('all three');
      });
    t.strictSame(
      (await names()).filter((name) => !EXPECTED.includes(name) && !MAY_FIRE.test(name)),
      [],
      'nothing else, and nothing of the flood or of the route that is well',
    );
    const { tiles } = await told();
    t.match(tiles.get('Route well'), /^good Well$| are slow$/, 'at most as slow as the machine');
    t.equal(tiles.get('Gateway'), 'good Ready');
  },
);
