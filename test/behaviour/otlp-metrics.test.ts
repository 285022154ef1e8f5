/**
 * The metrics through OpenTelemetry's API, by a meter provider that keeps to the API and does nothing else. Rule A7.
 */
import {
  metrics as api,
  type Attributes,
  type Meter,
  type MetricOptions,
  type Observable,
} from '@opentelemetry/api';
import t from 'tap';
import { offerMetrics } from '../../src/telemetry/trace-context.ts';
import { send } from '../support/client.ts';
import { startGateway, until } from '../support/gateway.ts';
import { startUpstream } from '../support/upstream.ts';

interface Made {
  readonly name: string;
  readonly kind: 'counter' | 'gauge';
  readonly options: MetricOptions;
}
interface Observed {
  readonly name: string;
  readonly value: number;
  readonly attributes: Attributes | undefined;
}
type Callback = Parameters<Meter['addBatchObservableCallback']>[0];

/** An SDK's meter, as far as observable instruments go. */
function recordingMeter(): { meter: Meter; made: Made[]; collect: () => Promise<Observed[]> } {
  const made: Made[] = [];
  const callbacks: Callback[] = [];
  const create = (kind: Made['kind']) => (name: string, options: MetricOptions) => {
    made.push({ name, kind, options });
    return { name } as unknown as Observable;
  };
  const meter = {
    createObservableCounter: create('counter'),
    createObservableGauge: create('gauge'),
    addBatchObservableCallback: (callback: Callback) => callbacks.push(callback),
  } as unknown as Meter;
  return {
    meter,
    made,
    async collect() {
      const observed: Observed[] = [];
      const result = {
        observe: (metric: Observable, value: number, attributes?: Attributes) =>
          void observed.push({ name: (metric as unknown as Made).name, value, attributes }),
      };
      for (const callback of callbacks) await callback(result);
      return observed;
    },
  };
}

t.test('an SDK collects what /metrics says, and nothing is counted twice', async (t) => {
  const { meter, made, collect } = recordingMeter();
  const upstream = await startUpstream(t);
  const gateway = await startGateway(t, {
    routes: [{ name: 'a', match: {}, upstream: 'u', auth: { mode: 'none' } }],
    upstreams: { u: { targets: [upstream.url] } },
  });
  await offerMetrics(gateway.instance.metrics);
  t.strictSame(made, [], 'no SDK has registered');
  api.setGlobalMeterProvider({ getMeter: () => meter });
  t.teardown(() => api.disable());
  await offerMetrics(gateway.instance.metrics);

  const requests = 'sallyport_http_requests_total{route="a",method="GET",code="200",source="upstream"}';
  for (let request = 0; request < 3; request++) await send(gateway.url, '/');
  await until(async () => (await gateway.metric(requests)) === 3);
  const observed = await collect();
  const of = (name: string): Observed[] => observed.filter((each) => each.name === name);
  t.strictSame(of('sallyport_http_requests_total'), [
    {
      name: 'sallyport_http_requests_total',
      value: 3,
      attributes: { route: 'a', method: 'GET', code: 200, source: 'upstream' },
    },
  ]);
  t.strictSame(
    of('sallyport_http_request_duration_seconds_count').map(({ value, attributes }) => [value, attributes]),
    [[3, { route: 'a' }]],
  );
  t.equal(of('sallyport_http_request_duration_seconds_bucket').at(-1)?.value, 3);
  t.equal(of('sallyport_upstream_requests_total')[0]?.value, 3);
  t.strictSame(
    observed.filter(({ value }) => !Number.isFinite(value)),
    [],
  );
  t.equal((await collect()).find(({ name }) => name === 'sallyport_http_requests_total')?.value, 3);

  const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
  const names = [...text.matchAll(/^# TYPE (\S+) (\w+)$/gm)].map(([, name = '', type]) =>
    type === 'histogram' ? `${name}_count` : name,
  );
  t.strictSame(
    names.filter((name) => !made.some((each) => each.name === name)),
    [],
    'each is offered',
  );
  const kindOf = (name: string): Made | undefined => made.find((each) => each.name === name);
  t.match(kindOf('sallyport_requests_in_flight'), { kind: 'gauge', options: { unit: '1' } });
  t.match(kindOf('sallyport_http_request_duration_seconds_sum'), { kind: 'counter', options: { unit: 's' } });
});
