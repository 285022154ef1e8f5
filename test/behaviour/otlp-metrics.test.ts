/**
 * The metrics through OpenTelemetry's SDK, loaded as docs/operations.md says: its exporter gets what /metrics says.
 */
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { offerMetrics } from '../../src/telemetry/trace-context.ts';
import { VERSION } from '../../src/version.ts';
import { send } from '../support/client.ts';
import { loginIssuer, startGateway, until } from '../support/gateway.ts';
import type { Exported } from '../support/otlp-sdk.ts';
import { startGatewayProcess, temporaryFolder } from '../support/process.ts';
import { createKey, mint } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const SDK = fileURLToPath(new URL('../support/otlp-sdk.ts', import.meta.url));

/** By name and labels in their order: the value. Of series without one that OTLP could carry there is nothing to compare. */
function seriesIn(text: string): Map<string, number> {
  const series = new Map<string, number>();
  for (const line of text.split('\n')) {
    const [, name, labels = '', value] = /^([a-z]\w*)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (name === undefined || !Number.isFinite(Number(value))) continue;
    const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, label, text = '']) =>
      JSON.stringify([label, text.replaceAll(/\\(.)/g, '$1')]),
    );
    series.set([name, ...pairs.sort()].join(' '), Number(value));
  }
  return series;
}

/** The same of what was exported. */
function seriesOf(exported: readonly Exported[]): Map<string, number> {
  return new Map(
    exported.flatMap(({ name, points }) =>
      points.map(({ attributes, value }): [string, number] => {
        const pairs = Object.entries(attributes).map(([label, text]) =>
          JSON.stringify([label, String(text)]),
        );
        return [[name, ...pairs.sort()].join(' '), Number(value)];
      }),
    ),
  );
}

t.test('an SDK that node --import has loaded gets what /metrics says', async (t) => {
  const key = createKey('EdDSA');
  const upstream = await startUpstream(t);
  const gateway = await startGatewayProcess(
    t,
    {
      issuers: { login: loginIssuer(key) },
      routes: [
        { name: 'open', match: { path_prefix: '/open' }, upstream: 'u', auth: { mode: 'none' } },
        { name: 'closed', match: { path_prefix: '/closed' }, upstream: 'u' },
      ],
      upstreams: { u: { targets: [upstream.url] } },
    },
    temporaryFolder(t),
    undefined,
    undefined,
    ['--import', SDK],
  );
  for (let request = 0; request < 3; request++) await send(gateway.url, '/open');
  await send(gateway.url, '/closed', { token: mint(key) });
  await send(gateway.url, '/closed', { token: 'bad' });
  const metrics = async (): Promise<string> => (await fetch(`${gateway.adminUrl}/metrics`)).text();
  const counted = /^sallyport_http_requests_total\{.*"closed".* 1$/gm;
  await until(async () => (await metrics()).match(counted)?.length === 2);

  const text = await metrics();
  const before = seriesIn(text);
  const exported = (await gateway.ask('collect')) as Exported[];
  const after = seriesIn(await metrics());
  const got = seriesOf(exported);
  // What Node says of its timers and sockets comes and goes with them.
  const lasts = (series: string): boolean => !series.startsWith('nodejs_');
  t.strictSame(
    [...before.keys()].filter((series) => lasts(series) && !got.has(series)),
    [],
    'no series is missing',
  );
  t.strictSame(
    [...got.keys()].filter((series) => lasts(series) && !after.has(series)),
    [],
    'no other is there',
  );
  t.ok(got.has('nodejs_heap_size_total_bytes'));
  const counters = new Set(exported.filter(({ kind }) => kind === 'counter').map(({ name }) => name));
  const isCounter = (series: string): boolean => counters.has(series.split(' ')[0] ?? '');
  for (const [series, value] of got)
    if (
      lasts(series) &&
      isCounter(series) &&
      !(value >= (before.get(series) ?? 0) && value <= (after.get(series) ?? 0))
    )
      t.fail(`${series} is ${value}, and not from ${before.get(series)} to ${after.get(series)}`);

  const of = (name: string): Exported | undefined => exported.find((each) => each.name === name);
  const requests = of('sallyport_http_requests_total');
  t.match(requests, { unit: '1', kind: 'counter', scope: `sallyport ${VERSION}` });
  const sorted = requests?.points.toSorted((a, b) => Number(b.value) - Number(a.value));
  t.match(sorted?.[0], {
    value: 3,
    attributes: { route: 'open', method: 'GET', code: 200, source: 'upstream' },
  });
  t.match(of('sallyport_http_request_duration_seconds_count')?.points[0], {
    value: 3,
    attributes: { route: 'open' },
  });
  t.match(of('sallyport_http_request_duration_seconds_sum'), { kind: 'counter', unit: 's' });
  t.match(of('sallyport_http_request_duration_seconds_bucket'), { kind: 'counter', unit: '1' });
  t.match(of('sallyport_requests_in_flight'), { kind: 'gauge', unit: '1', points: [{ value: 0 }] });
  t.match(of('sallyport_build_info')?.points, [{ value: 1, attributes: { version: VERSION } }]);

  const types = [...text.matchAll(/^# TYPE (\S+) (\w+)$/gm)];
  const helps = new Map([...text.matchAll(/^# HELP (\S+) (.*)$/gm)].map(([, name, help]) => [name, help]));
  for (const [, name = '', type = ''] of types) {
    const metric = of(type === 'histogram' ? `${name}_count` : name);
    if (!metric) continue;
    t.equal(metric.kind, type === 'gauge' ? 'gauge' : 'counter', name);
    t.equal(metric.description, helps.get(name)?.replaceAll(/\\(.)/g, '$1'), name);
  }
  const again = seriesOf((await gateway.ask('collect')) as Exported[]);
  const opened = [...again].filter(([series]) => /^sallyport_http_requests_total .*"open"/.test(series));
  t.strictSame(
    opened.map(([, value]) => value),
    [3],
    'collected again, nothing is counted twice',
  );
  gateway.kill('SIGTERM');
  t.equal(await gateway.exited, 0, 'an SDK that is loaded keeps no gateway from ending');
});

t.test('where no SDK is loaded nothing is offered', async (t) => {
  const gateway = await startGateway(t, {
    routes: [{ name: 'a', match: {}, upstream: 'u', auth: { mode: 'none' } }],
    upstreams: { u: { targets: ['http://127.0.0.1:1'] } },
  });
  await offerMetrics(gateway.instance.metrics);
  t.notOk(Symbol.for('opentelemetry.js.api.1') in globalThis);
});
