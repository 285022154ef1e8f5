/**
 * Forwards over undici's dispatch: a keep-alive pool for each target, one request at a time on a connection,
 * HTTP/1.1. Rules H10, H15, H17.
 */
import type { Readable } from 'node:stream';
import { Pool, type Dispatcher } from 'undici';
import type { AnswerHeaders } from '../http/answer-headers.ts';
import type { Clock } from '../clock.ts';
import { upstreamTimeout, upstreamUnreachable } from '../errors.ts';
import type { OutboundRequest } from '../stages/rewrite-headers.ts';
import { Balancer, type Balance, type Weighted } from './balancer.ts';
import type { AnswerSink, Forwarder, Forwarding, UpgradeSink } from './forwarder.ts';
import { Patience, type Waiting } from './patience.ts';
import { isConnectionError, upstreamFailure } from './upstream-errors.ts';
import { forwardUpgrade } from './upgrade.ts';

export interface UpstreamOptions {
  readonly targets: readonly { readonly url: string; readonly weight: number }[];
  readonly balance: Balance;
  /** Per target. */
  readonly connections: number;
  readonly connectTimeoutMs: number;
}

/** One server that requests go to. */
export interface Target extends Weighted {
  /** Scheme, host and port. */
  readonly origin: string;
  readonly pool: Pool;
}

/** Idle connections are closed before the usual upstream would (Node: 5 s, nginx: 75 s): a request must not meet a closing one. */
const KEEP_ALIVE_MS = 4_000;
/** Answers with larger header sections are taken for a broken upstream. */
const MAX_ANSWER_HEADER_BYTES = 64 * 1024;

export class UndiciForwarder implements Forwarder {
  readonly #upstreams: ReadonlyMap<string, Balancer<Target>>;
  readonly #targets: readonly Target[];
  readonly #connectTimeoutMs: ReadonlyMap<string, number>;
  readonly #countRetry: (upstream: string) => void;
  readonly #patience: Patience;

  constructor(
    upstreams: ReadonlyMap<string, UpstreamOptions>,
    clock: Clock,
    countRetry: (upstream: string) => void,
  ) {
    const built = [...upstreams].map(
      ([name, options]) => [name, options.targets.map((target) => openTarget(target, options))] as const,
    );
    this.#targets = built.flatMap(([, targets]) => targets);
    this.#upstreams = new Map(
      built.map(([name, targets]) => [
        name,
        new Balancer(targets, upstreams.get(name)?.balance ?? 'round_robin'),
      ]),
    );
    this.#connectTimeoutMs = new Map(
      [...upstreams].map(([name, { connectTimeoutMs }]) => [name, connectTimeoutMs]),
    );
    this.#countRetry = countRetry;
    this.#patience = new Patience(clock);
  }

  forward(outbound: OutboundRequest, body: Readable | undefined, sink: AnswerSink): Forwarding {
    const { upstream } = outbound.route;
    const balancer = this.#upstreams.get(upstream);
    if (!balancer) throw upstreamUnreachable();
    const dispatch = new Dispatch(outbound, body, sink, balancer, this.#patience, () =>
      this.#countRetry(upstream),
    );
    dispatch.send();
    return dispatch;
  }

  forwardUpgrade(outbound: OutboundRequest, sink: UpgradeSink): Forwarding {
    const { upstream } = outbound.route;
    const target = this.#upstreams.get(upstream)?.next();
    if (!target) throw upstreamUnreachable();
    sink.sentTo(target.origin);
    return forwardUpgrade(outbound, target.origin, this.#connectTimeoutMs.get(upstream) ?? 0, sink);
  }

  async close(): Promise<void> {
    this.#patience.stop();
    await Promise.all(this.#targets.map(({ pool }) => pool.destroy()));
  }
}

function openTarget({ url, weight }: { url: string; weight: number }, options: UpstreamOptions): Target {
  const { origin } = new URL(url);
  const pool = new Pool(origin, {
    connections: options.connections,
    pipelining: 1,
    allowH2: false,
    keepAliveTimeout: KEEP_ALIVE_MS,
    maxHeaderSize: MAX_ANSWER_HEADER_BYTES,
    connect: { timeout: options.connectTimeoutMs },
  });
  return { origin, weight, inFlight: 0, pool };
}

/** RFC 9110 section 9.2.2, without TRACE, which is never forwarded. */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']);

/** One request on its way, over as many tries as it takes. One object instead of a handful of closures. */
class Dispatch implements Dispatcher.DispatchHandler, Forwarding, Waiting {
  deadlineMs = Infinity;
  readonly #outbound: OutboundRequest;
  readonly #body: Readable | undefined;
  readonly #sink: AnswerSink;
  readonly #balancer: Balancer<Target>;
  readonly #patience: Patience;
  readonly #countRetry: () => void;
  readonly #headers: string[];
  #target: Target | undefined;
  #controller: Dispatcher.DispatchController | undefined;
  #triesLeft: number;
  #answering = false;
  #aborted = false;

  constructor(
    outbound: OutboundRequest,
    body: Readable | undefined,
    sink: AnswerSink,
    balancer: Balancer<Target>,
    patience: Patience,
    countRetry: () => void,
  ) {
    this.#outbound = outbound;
    this.#body = body;
    this.#sink = sink;
    this.#balancer = balancer;
    this.#patience = patience;
    this.#countRetry = countRetry;
    const { headers, host, hasBody, contentLength } = outbound;
    if (host !== undefined) headers.push('host', host);
    if (hasBody && contentLength !== undefined) headers.push('content-length', String(contentLength));
    this.#headers = headers;
    const repeatable = !hasBody && IDEMPOTENT.has(outbound.method);
    this.#triesLeft = repeatable ? outbound.route.retryAttempts : 0;
  }

  send(): void {
    const { method, target: path, route } = this.#outbound;
    const target = this.#balancer.next(this.#target);
    this.#target = target;
    this.#controller = undefined;
    target.inFlight++;
    this.#sink.sentTo(target.origin);
    // While a body is on its way up, the wait for the answer has not begun; undici knows when it has.
    const waitsForUpload = this.#body !== undefined;
    if (!waitsForUpload) this.deadlineMs = this.#patience.deadlineAfter(route.responseTimeoutMs);
    this.#patience.begin(this);
    target.pool.dispatch(
      {
        path,
        method: method,
        headers: this.#headers,
        body: this.#body ?? null,
        headersTimeout: waitsForUpload ? route.responseTimeoutMs : 0,
        bodyTimeout: 0,
      },
      this,
    );
  }

  abort(): void {
    this.#aborted = true;
    this.#patience.end(this);
    this.#controller?.abort(new Error('the client has gone'));
  }

  pause(): void {
    // It is the client now who takes its time.
    this.deadlineMs = Infinity;
    this.#controller?.pause();
  }

  resume(): void {
    this.#expectMore();
    this.#controller?.resume();
  }

  tooLate(): void {
    const late = upstreamTimeout();
    if (this.#controller) {
      this.#controller.abort(late);
      return;
    }
    // Still waiting for a connection: nobody has anything to abort yet.
    this.#aborted = true;
    this.#sink.fail(late);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#aborted) controller.abort(new Error('the client has gone'));
  }

  /** The first byte of an answer: from here on nothing is tried again. */
  onResponseStarted(): void {
    this.#answering = true;
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: AnswerHeaders): void {
    if (status < 200) {
      this.#sink.informational(status, headers);
      return;
    }
    this.#expectMore();
    this.#sink.begin(status, headers);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#sink.data(chunk)) {
      this.#expectMore();
      return;
    }
    this.deadlineMs = Infinity;
    controller.pause();
  }

  onResponseEnd(_controller: Dispatcher.DispatchController, trailers: AnswerHeaders): void {
    this.#ended();
    this.#sink.end(trailers);
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    this.#ended();
    if (this.#aborted) return;
    if (this.#triesLeft > 0 && !this.#answering && isConnectionError(error)) {
      this.#triesLeft--;
      this.#countRetry();
      this.send();
      return;
    }
    this.#sink.fail(upstreamFailure(error));
  }

  #expectMore(): void {
    this.deadlineMs = this.#patience.deadlineAfter(this.#outbound.route.idleTimeoutMs);
  }

  #ended(): void {
    this.#patience.end(this);
    if (this.#target) this.#target.inFlight--;
  }
}
