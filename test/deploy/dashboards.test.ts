/** The dashboards: what is committed is what the code makes, and a real Prometheus has values for every panel. */
import { readdirSync, readFileSync } from 'node:fs';
import { certificateAuthority, noOpenssl } from '../support/certificates.ts';
import { temporaryFolder } from '../support/process.ts';
import t from 'tap';
import { dashboards } from '../../deploy/grafana/dashboards.ts';
import { send } from '../support/client.ts';
import { loginIssuer, startGateway, until, type TestGateway } from '../support/gateway.ts';
import { noPrometheus, startPrometheus } from '../support/prometheus.ts';
import { claimsOf, createKey, ISSUER, mint, nowSeconds } from '../support/tokens.ts';
import { startServer, startUpstream } from '../support/upstream.ts';

interface Target {
  readonly expr: string;
  readonly datasource: { readonly uid: string };
}
interface Panel {
  readonly type: string;
  readonly title: string;
  readonly description: string;
  readonly datasource: { readonly type: string; readonly uid: string };
  readonly targets: readonly Target[];
  readonly fieldConfig: { readonly defaults: { readonly unit: string } };
}
interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string }[] };
}

const folder = new URL('../../deploy/grafana/dashboards/', import.meta.url);
const boards = readdirSync(folder).map((file): [string, Dashboard] => [
  file,
  JSON.parse(readFileSync(new URL(file, folder), 'utf8')) as Dashboard,
]);
const panels = boards.flatMap(([file, { panels }]) =>
  panels
    .filter(({ type }) => type !== 'row')
    .map((panel): [string, Panel] => [`${file}: ${panel.title}`, panel]),
);

t.test('what is committed is what the code makes: npm run dashboards', async (t) => {
  const made = [...dashboards()].map(([file, dashboard]) => [file, JSON.parse(JSON.stringify(dashboard))]);
  t.strictSame(Object.fromEntries(boards), Object.fromEntries(made));
});

t.test('every dashboard and panel is as it should be', async (t) => {
  t.equal(boards.length, 4);
  for (const [file, { uid, title, templating }] of boards) {
    t.equal(file, `${uid}.json`);
    t.match(title, /^Sallyport \/ /);
    t.strictSame(
      templating.list.map(({ name }) => name),
      ['datasource', 'job', 'instance'],
    );
  }
  t.ok(panels.length > 35);
  for (const [name, { datasource, description, targets, fieldConfig }] of panels) {
    t.strictSame(datasource, { type: 'prometheus', uid: '${datasource}' }, name);
    t.match(description, /\?/, `${name} is there for a question`);
    t.ok(fieldConfig.defaults.unit, `${name} has a unit`);
    t.ok(targets.length > 0);
    for (const { expr, datasource } of targets) {
      t.equal(datasource.uid, '${datasource}', name);
      t.match(expr, /\{job=~"\$job",instance=~"\$instance"/, `${name} is of the chosen gateways`);
      t.notMatch(expr, /rate\([^[]*\[(?!\$__rate_interval\])/, `${name} leaves the window to Grafana`);
    }
  }
});

t.test('every panel has something to show', { skip: noPrometheus || noOpenssl }, async (t) => {
  const { ca } = certificateAuthority(temporaryFolder(t));
  const key = createKey('EdDSA');
  const keys = await startServer(t, (_request, response) =>
    response.end(JSON.stringify({ keys: [key.jwk] })),
  );
  const introspector = await startServer(t, (request, response) => {
    request.resume();
    response.setHeader('content-type', 'application/json');
    response.end('{"active":false}');
  });
  const upstream = await startUpstream(t);
  const { jwks: _jwks, ...login } = loginIssuer(key);
  const start = (store: Record<string, unknown> = {}): Promise<TestGateway> =>
    startGateway(t, {
      issuers: {
        login: { ...login, jwks_url: keys },
        partner: {
          introspection: { url: introspector, client_id: 'a', client_secret: 'b' },
          audiences: ['https://api.example.com'],
        },
      },
      revocation: store,
      routes: [
        {
          name: 'orders',
          match: { path_prefix: '/orders' },
          upstream: 'shop',
          auth: { issuers: ['login', 'partner'] },
        },
        {
          name: 'new',
          match: { path_prefix: '/new' },
          upstream: 'shop',
          auth: { report_only: true, issuers: ['login'] },
        },
        {
          name: 'broken',
          match: { path_prefix: '/broken' },
          upstream: [
            { name: 'broken', weight: 1 },
            { name: 'shop', weight: 0 },
          ],
          auth: { mode: 'none' },
        },
      ],
      upstreams: {
        shop: { targets: [upstream.url] },
        broken: { targets: ['https://127.0.0.1:1'], tls: { ca_file: ca } },
      },
    });
  const gateways = [await start(), await start()];
  const prometheus = await startPrometheus(
    t,
    gateways.map(({ adminUrl }) => new URL(adminUrl).host),
  );
  let round = 0;
  /** Some of everything that happens to a gateway. */
  const replay = async (): Promise<void> => {
    round++;
    for (const gateway of gateways) {
      const token = mint(key, claimsOf({ sub: `s${round}`, iat: nowSeconds() - 5 }));
      await send(gateway.url, '/orders', { token, headers: ['x-user-id', 'mallory'] });
      await gateway.admin('POST', '/v1/revocations', { issuer: ISSUER, subject: `s${round}` });
      await send(gateway.url, '/orders', { token });
      await send(gateway.url, '/orders', { token: mint(createKey('EdDSA')) });
      await send(gateway.url, '/orders', { token: `opaque-${round}` });
      await send(gateway.url, '/new');
      await send(gateway.url, '/broken');
      await send(gateway.url, '/nowhere');
    }
  };
  const empty = new Map(
    panels.flatMap(([name, { targets }]) =>
      targets.map(({ expr }): [string, string] => [
        `${name}: ${expr}`,
        expr
          .replaceAll('$__rate_interval', '10m')
          .replaceAll('$__range', '10m')
          .replaceAll('"$job"', '".+"')
          .replaceAll('"$instance"', '".+"'),
      ]),
    ),
  );
  /** How often the gateway that was scraped less was scraped. */
  const scrapes = async (): Promise<number> => {
    const counts = await prometheus.query('count_over_time(up[1h])');
    return counts.length < gateways.length ? 0 : Math.min(...counts);
  };
  for (let tries = 0; tries < 40 && empty.size > 0; tries++) {
    await replay();
    const before = await scrapes();
    await until(async () => (await scrapes()) > before);
    for (const [name, expression] of empty) {
      if ((await prometheus.query(expression)).some((value) => !Number.isNaN(value))) empty.delete(name);
    }
  }
  t.strictSame([...empty.keys()], []);
});
