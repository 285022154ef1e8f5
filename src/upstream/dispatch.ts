/**
 * One request on its way to an upstream, over as many tries as it takes. Rules H10, H13, V15.
 */
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import type { ResponseHead, ResponseHeaders } from '../http/response-head.ts';
import { grpcTypeOf } from '../http/grpc-response.ts';
import { withBearer } from '../http/websocket-protocol.ts';
import type { OutboundRequest } from '../stages/rewrite-headers.ts';
import type { Forwarding, Keep, ResponseSink } from './forwarder.ts';
import type { Deadlines, Deadline } from './deadlines.ts';
import { ATTEMPT_DELAY_MS, MAX_DETOURS, retriesOf } from './retry-limits.ts';
import { StreamRefused, TargetsChanged } from './stream-errors.ts';
import type { Target, Upstream } from './target.ts';
import { isConnectionError, tooLate, upstreamFailure } from './upstream-errors.ts';
import type { NoResponse } from '../telemetry/upstream-tries.ts';
import type { LinkUser, UpstreamLink, Waiter } from './upstream-link.ts';

/** A body of which less than this comes in `timeouts.idle` counts as stalled (rule H19); one of gRPC, of which nothing comes. */
const PROGRESS_BYTES = 1024;

const NOTHING: readonly Buffer[] = [];

/** One object for a request, instead of a handful of closures. */
export class Dispatch implements LinkUser, Waiter, Forwarding, Deadline {
  deadlineMs = Infinity;
  endsAtMs = Infinity;
  index = -1;
  readonly #outbound: OutboundRequest;
  readonly #body: Readable | undefined;
  readonly #sink: ResponseSink;
  readonly #upstream: Upstream;
  readonly #deadlines: Deadlines;
  #target: Target | undefined;
  #link: UpstreamLink | undefined;
  #triesLeft: number;
  #detoursLeft = MAX_DETOURS;
  /** Until then a connection is awaited, over all detours; 0 while only the deadline counts. */
  #connectByMs = 0;
  /** What an upstream that refused the stream had taken of the body; undefined before that. */
  #replay: readonly Buffer[] | undefined;
  /** The result of this try so far; undefined where there is none. */
  #result: number | NoResponse | undefined = 'abandoned';
  /** A try is in flight. */
  #trying = false;
  /** A response has begun. */
  #isResponding = false;
  /** The client's body is being sent. */
  #isUploading = false;
  /** Bytes of the body since the last progress. */
  #uploadedBytes = 0;
  /** The client has not yet taken what the gateway sent. */
  #isPaused = false;

  constructor(
    outbound: OutboundRequest,
    body: Readable | undefined,
    sink: ResponseSink,
    upstream: Upstream,
    deadlines: Deadlines,
  ) {
    this.#outbound = outbound;
    this.#body = body;
    this.#sink = sink;
    this.#upstream = upstream;
    this.#deadlines = deadlines;
    this.#triesLeft = retriesOf(outbound);
  }

  send(): void {
    const target = this.#upstream.balancer.next(this.#target);
    this.#target = target;
    this.#trying = true;
    this.#result = 'abandoned';
    target.inFlight++;
    this.#sink.sentTo(target.origin);
    // The wait for a connection counts as a wait for the response.
    this.deadlineMs = this.#deadlines.deadlineAfter(this.#outbound.route.responseTimeoutMs);
    if (target.isDoubtful || this.#connectByMs > 0) this.#limitConnecting(target);
    this.#deadlines.begin(this);
    if (this.#outbound.upgrade === undefined) target.pool.acquire(this);
    else target.pool.acquireAlone(this);
  }

  abort(): void {
    this.#letGo();
  }

  pause(): void {
    this.#isPaused = true;
    this.#expectMore();
    this.#link?.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#expectMore();
    this.#link?.resume();
  }

  onTimeout(): void {
    if (this.#connectByMs > 0 && this.#deadlines.nowMs < this.#connectByMs) {
      this.#waitedEnough();
      return;
    }
    if (this.#hasSentMessage()) {
      this.#uploadedBytes = 0;
      this.#expectMore();
      this.#deadlines.begin(this);
      return;
    }
    const isClients = this.#isPaused || (this.#isUploading && this.#link?.congested !== true);
    const error = tooLate(isClients, this.#link, this.#isUploading, this.#result);
    if (!isClients) {
      this.#target?.health.failed(error.cause);
      this.#without('timeout');
    }
    this.#letGo();
    this.#sink.fail(error);
  }

  reconsider(): void {
    const refusal = this.#sink.refusal();
    if (refusal === undefined) return;
    this.#letGo();
    this.#sink.fail(refusal);
  }

  connected(link: UpstreamLink): void {
    this.#link = link;
    if (this.#connectByMs > 0) {
      this.deadlineMs = this.#connectByMs;
      this.#connectByMs = 0;
    }
    const outbound = this.#outbound;
    // While a body is on its way up, the wait for the response has not begun.
    if (this.#body !== undefined) {
      this.#isUploading = true;
      this.#expectMore();
    }
    link.send(
      {
        outbound,
        host: outbound.host ?? this.#target?.host ?? '',
        body: this.#body,
        replay: this.#replay ?? NOTHING,
      },
      this,
    );
  }

  unconnected(error: Error): void {
    if (error instanceof TargetsChanged) {
      this.#detour(undefined);
    } else if (this.#mayDetour()) {
      this.#target?.health.failed(error);
      this.#detour('error');
    } else {
      this.failed(error, false);
    }
  }

  uploading(bytes: number): void {
    this.#uploadedBytes += bytes;
    if (this.#uploadedBytes < PROGRESS_BYTES) return;
    this.#uploadedBytes = 0;
    this.#expectMore();
  }

  uploaded(): void {
    this.#isUploading = false;
    if (!this.#isResponding)
      this.deadlineMs = this.#deadlines.deadlineAfter(this.#outbound.route.responseTimeoutMs);
  }

  informational({ status, headers }: ResponseHead): void {
    this.#isResponding = true;
    this.#sink.informational(status, headers);
  }

  begin({ status, headers }: ResponseHead): void {
    this.#isResponding = true;
    this.#result = status;
    this.#target?.health.responded();
    this.#expectMore();
    this.#sink.begin(status, headers);
  }

  data(chunk: Buffer, keep?: Keep): void {
    if (this.#sink.data(chunk, keep)) this.#expectMore();
    else this.pause();
  }

  received(): void {
    this.#sink.received();
  }

  end(trailers: ResponseHeaders): void {
    this.#settle();
    this.#sink.end(trailers);
  }

  switched({ headers }: ResponseHead, socket: Socket, early: Buffer): void {
    this.#target?.health.responded();
    this.#result = 101;
    this.#settle();
    this.#sink.tunnel(this.#outbound.offersBearer ? withBearer(headers) : headers, socket, early);
  }

  failed(error: Error, heard: boolean): void {
    if (error instanceof StreamRefused && error.replay && this.#replay === undefined) {
      this.#without('refused');
      this.#settle();
      this.#replay = error.replay;
      this.#again();
      return;
    }
    this.#target?.health.failed(error);
    this.#without('error');
    this.#settle();
    // An upstream that has sent a byte of a response has acted on the request (rule C28).
    if (this.#triesLeft > 0 && !heard && isConnectionError(error)) {
      this.#triesLeft--;
      this.#again();
      return;
    }
    this.#sink.fail(upstreamFailure(error));
  }

  /** A stream of gRPC may send a small message now and then. Looked at here, so that no request pays for it. */
  #hasSentMessage(): boolean {
    const isGrpc = grpcTypeOf(this.#outbound.headers) !== undefined;
    return isGrpc && this.#isUploading && !this.#isPaused && this.#uploadedBytes > 0;
  }

  /** A connection is awaited within the time that the first try had, and for a short while at an address in doubt. */
  #limitConnecting({ isDoubtful }: Target): void {
    if (this.#connectByMs === 0) this.#connectByMs = this.deadlineMs;
    const briefMs = isDoubtful ? this.#deadlines.deadlineAfter(ATTEMPT_DELAY_MS) : Infinity;
    this.deadlineMs = Math.min(this.#connectByMs, briefMs);
  }

  /** Deadlines has forgotten this request, since its time at this address is over. */
  #waitedEnough(): void {
    this.#target?.suspect();
    if (this.#mayDetour()) {
      this.#target?.pool.leave(this);
      this.#detour('timeout');
      return;
    }
    this.deadlineMs = this.#connectByMs;
    this.#deadlines.begin(this);
  }

  #mayDetour(): boolean {
    return this.#target?.hasOther === true && this.#detoursLeft-- > 0;
  }

  /** Nothing was sent: any request may go to another address, whatever its method. */
  #detour(result: NoResponse | undefined): void {
    this.#result = result;
    if (this.#connectByMs === 0) this.#connectByMs = this.deadlineMs;
    this.#settle();
    this.send();
  }

  /** Unless the head of a response has come before. */
  #without(why: NoResponse): void {
    if (typeof this.#result !== 'number') this.#result = why;
  }

  #again(): void {
    this.#connectByMs = 0;
    this.#upstream.countRetry();
    this.send();
  }

  #expectMore(): void {
    this.deadlineMs = this.#deadlines.deadlineAfter(this.#outbound.route.idleTimeoutMs);
  }

  /** Nothing waits for the response any more: closing the connection tells the upstream. */
  #letGo(): void {
    const link = this.#link;
    this.#target?.pool.leave(this);
    this.#settle();
    link?.abandon();
  }

  /** This try is over. */
  #settle(): void {
    if (!this.#trying) return;
    this.#trying = false;
    this.#deadlines.end(this);
    this.#link = undefined;
    if (!this.#target) return;
    this.#target.inFlight--;
    if (this.#result !== undefined) this.#target.tries.ended(this.#result);
  }
}
