/**
 * Spans of OpenTelemetry: one for each request of a client, and one below it for the request to the upstream. Loaded
 * only where the process has loaded an SDK, so that it costs nothing without one. W3C Trace Context;
 * OpenTelemetry's semantic conventions for HTTP.
 */
import { withoutKeys } from '../api-keys/key-elsewhere.ts';
import {
  createTraceState,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Attributes,
  type Span,
  type SpanContext,
  type Tracer,
} from '@opentelemetry/api';
import { singleHeader, type RequestHead } from '../http/request-head.ts';
import type { Exchange } from './exchange.ts';
import { VERSION } from '../version.ts';
import { parseTraceparent, traceparentText, type TraceContext, type Tracing } from './trace-context.ts';

export class Spans implements Tracing {
  readonly #tracer: Tracer = trace.getTracer('sallyport', VERSION);

  begin(head: RequestHead, exchange: Exchange): TraceContext {
    return new SpanPair(this.#tracer, parentOf(head), exchange);
  }
}

/** The span of a request, and that of its way to the upstream. */
class SpanPair implements TraceContext {
  readonly traceId: string;
  readonly #tracer: Tracer;
  readonly #server: Span;
  #client: Span | undefined;

  constructor(tracer: Tracer, parent: SpanContext | undefined, exchange: Exchange) {
    const context = parent ? trace.setSpanContext(ROOT_CONTEXT, parent) : ROOT_CONTEXT;
    this.#tracer = tracer;
    this.#server = tracer.startSpan(exchange.method, { kind: SpanKind.SERVER }, context);
    this.traceId = this.#server.spanContext().traceId;
  }

  /** Asked for once, when the request is about to go to the upstream: that is when its span begins. */
  get traceparent(): string {
    this.#client ??= this.#tracer.startSpan(
      'upstream',
      { kind: SpanKind.CLIENT },
      trace.setSpan(ROOT_CONTEXT, this.#server),
    );
    return traceparentText(this.#client.spanContext());
  }

  upstreamEnded(exchange: Exchange): void {
    // Without a status something failed, and the note of it follows.
    if (exchange.status > 0) this.#endClient(exchange);
  }

  end(exchange: Exchange): void {
    this.#endClient(exchange);
    const { route, head, method, status, clientIp, decision, failure } = exchange;
    this.#server.updateName(route ? `${method} ${route.name}` : method);
    this.#server.setAttributes(
      defined({
        'http.request.method': method,
        'http.response.status_code': status,
        'http.route': route?.name,
        'url.scheme': head?.scheme,
        'url.path': head && withoutKeys(head.path),
        'server.address': head?.hostname,
        'client.address': clientIp,
        'network.protocol.version': head?.httpVersion,
        'sallyport.request_id': exchange.requestId,
        'sallyport.decision': decision?.decision,
        'sallyport.reason': decision?.reason,
        'sallyport.issuer': exchange.issuerName,
        'error.type': failure,
      }),
    );
    if (status >= 500) this.#server.setStatus({ code: SpanStatusCode.ERROR });
    this.#server.end();
  }

  #endClient({ target, method, status, failure, upstream }: Exchange): void {
    const client = this.#client;
    if (!client?.isRecording()) return;
    client.updateName(`${method} ${upstream ?? 'upstream'}`);
    client.setAttributes(
      defined({
        'http.request.method': method,
        'http.response.status_code': failure === undefined && status > 0 ? status : undefined,
        'server.address': target,
        'error.type': failure,
      }),
    );
    if (failure !== undefined || status >= 400) client.setStatus({ code: SpanStatusCode.ERROR });
    client.end();
  }
}

/** The client's span, where it said so; with what tracing systems have added to it. */
function parentOf(head: RequestHead): SpanContext | undefined {
  const parent = parseTraceparent(head.traceparent);
  const state = singleHeader(head, 'tracestate');
  return (
    parent && {
      ...parent,
      isRemote: true,
      ...(state !== undefined && { traceState: createTraceState(state) }),
    }
  );
}

function defined(attributes: Record<string, string | number | undefined>): Attributes {
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined));
}
