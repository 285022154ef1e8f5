/** docs/how-to/traces.md: the packages that it names, its file and its commands, and what a collector gets. Rule A5. */
import { spawnSync } from 'node:child_process';
import t from 'tap';
import { blocksOf } from '../support/document.ts';
import { until } from '../support/gateway.ts';
import { startServer } from '../support/upstream.ts';
import { noTerminal, sitDown } from './support/reader.ts';

const OPEN = `
listeners: [{ host: 127.0.0.1, port: 8080 }]
admin: { port: 9090, token_file: admin-token }
routes: [{ name: orders, match: { path_prefix: /orders }, upstream: orders, auth: { mode: none } }]
upstreams: { orders: { targets: [http://127.0.0.1:3000] } }
`;
const TRACE = '0af7651916cd43dd8448eb211c80319c';

interface Span {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
}
interface Export {
  readonly resourceSpans: {
    resource: { attributes: { key: string; value: { stringValue?: string } }[] };
    scopeSpans: { spans: Span[] }[];
  }[];
}

const noNpm = spawnSync('npm', ['--version']).status !== 0 && 'npm must be installed for this test';

t.test('traces arrive at a collector, as the page says', { skip: noTerminal || noNpm }, async (t) => {
  const exported: Export[] = [];
  const collector = await startServer(t, (request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      if (request.url === '/v1/traces') exported.push(JSON.parse(body) as Export);
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    });
  });
  const reader = await sitDown(t, OPEN, { '4318': new URL(collector).port });
  for (const block of blocksOf('how-to/traces.md')) await reader.terminal.follow(t, block);
  const spans = (): Span[] =>
    exported.flatMap(({ resourceSpans }) =>
      resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap((scope) => scope.spans)),
    );
  await until(() => spans().length >= 2);
  const server = spans().find(({ parentSpanId }) => parentSpanId === 'b7ad6b7169203331');
  t.match(server, { traceId: TRACE, name: 'GET orders' });
  const below = spans().find(({ parentSpanId }) => parentSpanId === server?.spanId);
  t.match(below, { traceId: TRACE });
  const traceparent = reader.upstreams[0]?.seen.find(({ url }) => url === '/orders')?.headers['traceparent'];
  t.equal(traceparent, `00-${TRACE}-${below?.spanId ?? ''}-01`, 'the service gets the span of its request');
  const attributes = exported[0]?.resourceSpans[0]?.resource.attributes;
  t.match(
    attributes?.find(({ key }) => key === 'service.name'),
    { value: { stringValue: 'sallyport' } },
  );
});
