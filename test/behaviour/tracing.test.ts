/** Spans, where an SDK of OpenTelemetry is loaded; and nothing of it where none is. Rule A5. */
import { spawnSync } from 'node:child_process';
import { SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import {
  InMemorySpanExporter,
  NodeTracerProvider,
  SimpleSpanProcessor,
  type ReadableSpan,
} from '@opentelemetry/sdk-trace-node';
import t from 'tap';
import { loadTracing, passingTracing } from '../../src/telemetry/trace-context.ts';
import { send } from '../support/client.ts';
import { loginIssuer, startGateway, until } from '../support/gateway.ts';
import { createKey, mint } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const key = createKey('EdDSA');
const configuration = (upstream: string): Record<string, unknown> => ({
  issuers: { login: loginIssuer(key) },
  routes: [
    { name: 'orders', match: { path_prefix: '/orders' }, upstream: 'shop' },
    { name: 'broken', match: { path_prefix: '/broken' }, upstream: 'gone', auth: { mode: 'none' } },
  ],
  upstreams: { shop: { targets: [upstream] }, gone: { targets: ['http://127.0.0.1:1'] } },
});
const PARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

t.test('without an SDK none of it is loaded, and traces are continued', async (t) => {
  t.equal(await loadTracing(), passingTracing);
  const script = `
    const { loadTracing } = await import('./src/telemetry/trace-context.ts');
    await loadTracing();
    await import('./src/assembly/instance.ts');
    process.exit(Symbol.for('opentelemetry.js.api.1') in globalThis ? 1 : 0);`;
  const { status } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    cwd: new URL('../..', import.meta.url),
  });
  t.equal(status, 0);
  const upstream = await startUpstream(t);
  const gateway = await startGateway(t, configuration(upstream.url));
  await send(gateway.url, '/orders', { token: mint(key), headers: ['traceparent', PARENT] });
  t.match(
    upstream.seen[0]?.headers['traceparent'],
    /^00-0af7651916cd43dd8448eb211c80319c-(?!b7ad6b7169203331)[0-9a-f]{16}-01$/,
  );
});

t.test('with an SDK', async (t) => {
  const exporter = new InMemorySpanExporter();
  const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  provider.register();
  t.teardown(async () => {
    await provider.shutdown();
    trace.disable();
  });
  const tracing = await loadTracing();
  t.not(tracing, passingTracing);
  const upstream = await startUpstream(t);
  const gateway = await startGateway(t, configuration(upstream.url), { tracing });
  /** The spans of one request. */
  const spansOf = async (
    count: number,
  ): Promise<{ server: ReadableSpan; client: ReadableSpan | undefined }> => {
    await until(() => exporter.getFinishedSpans().length === count);
    const spans = exporter.getFinishedSpans();
    exporter.reset();
    const [server] = spans.filter(({ kind }) => kind === SpanKind.SERVER);
    if (!server) throw new Error('there is no span of the request');
    return { server, client: spans.find(({ kind }) => kind === SpanKind.CLIENT) };
  };

  t.test('one for the request, below the client’s, and one for the upstream, which it is told', async (t) => {
    const token = mint(key);
    await send(gateway.url, '/orders/1?secret=2', {
      token,
      headers: ['traceparent', PARENT, 'tracestate', 'a=1'],
    });
    const { server, client } = await spansOf(2);
    t.equal(server.name, 'GET orders');
    t.equal(server.spanContext().traceId, '0af7651916cd43dd8448eb211c80319c');
    t.equal(server.parentSpanContext?.spanId, 'b7ad6b7169203331');
    t.match(server.attributes, {
      'http.request.method': 'GET',
      'http.response.status_code': 200,
      'http.route': 'orders',
      'url.path': '/orders/1',
      'sallyport.decision': 'allow',
      'sallyport.reason': 'ok',
      'sallyport.issuer': 'login',
    });
    t.equal(client?.parentSpanContext?.spanId, server.spanContext().spanId);
    t.equal(client?.name, 'GET shop');
    t.equal(
      upstream.seen.at(-1)?.headers['traceparent'],
      `00-0af7651916cd43dd8448eb211c80319c-${client?.spanContext().spanId}-01`,
    );
    t.equal(upstream.seen.at(-1)?.headers['tracestate'], 'a=1');
    const text = JSON.stringify([server.attributes, client?.attributes]);
    for (const secret of [token, 'secret', 'alice']) t.notMatch(text, secret);
    t.equal(gateway.log.at(-1)?.['trace_id'], server.spanContext().traceId);
  });

  t.test('a refusal has no upstream span, and says why', async (t) => {
    const before = upstream.seen.length;
    await send(gateway.url, '/orders', { token: 'bad' });
    t.equal(upstream.seen.length, before);
    const { server, client } = await spansOf(1);
    t.equal(client, undefined);
    t.notOk(server.parentSpanContext);
    t.match(server.attributes, {
      'http.response.status_code': 401,
      'sallyport.reason': 'malformed',
      'error.type': 'invalid_token',
    });
    t.equal(server.status.code, SpanStatusCode.UNSET, 'the client’s fault');
  });

  t.test('an upstream that cannot be reached is an error of both', async (t) => {
    await send(gateway.url, '/broken');
    const { server, client } = await spansOf(2);
    t.equal(server.status.code, SpanStatusCode.ERROR);
    t.equal(client?.status.code, SpanStatusCode.ERROR);
    t.equal(server.attributes['error.type'], 'upstream_unreachable');
  });

  t.test('what is not to be recorded is not, and is passed on as such', async (t) => {
    await send(gateway.url, '/orders', {
      token: mint(key),
      headers: ['traceparent', PARENT.replace(/01$/, '00')],
    });
    t.match(
      upstream.seen.at(-1)?.headers['traceparent'],
      /^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-00$/,
    );
    t.equal(exporter.getFinishedSpans().length, 0);
  });
});
