/**
 * Last step: sends the upstream's response to the client as it comes, at the client's pace. Rules B11, H9, H11, H15.
 */
import type { Duplex } from 'node:stream';
import type { ClientResponse } from '../server/exchange.ts';
import { collectAfterBody } from '../gc.ts';
import type { GatewayError } from '../errors.ts';
import type { ResponseHeaders } from '../http/response-head.ts';
import { fieldPairs, fieldValue, hasField, withoutFields } from '../http/field-list.ts';
import { resetWithinResponse } from '../http/reset-code.ts';
import { withCors } from '../http/cors.ts';
import type { Forwarding, Keep, ResponseSink } from '../upstream/forwarder.ts';
import type { OutboundRequest } from '../stages/rewrite-headers.ts';
import type { Exchange } from '../telemetry/exchange.ts';
import { describeError } from '../telemetry/logger.ts';

/** What happens where more is to be done than to pass the upstream's response on. */
export interface ResponseHooks {
  /** The upstream's response has ended, or there will be none. */
  upstreamEnded(): void;
  fail(error: GatewayError): void;
  /** Why the request must not wait for its response any longer; undefined where it may. */
  refusal(): GatewayError | undefined;
  /** The response goes on beyond what came with its head; `isStream`: it has no end of its own. */
  lasts(isStream: boolean): void;
  /** Both ends have switched protocols. */
  tunnel(headers: ResponseHeaders, upstream: Duplex, early: Buffer): void;
}

/** A body up to this size that came in one piece goes out in one write with its head. */
const ONE_WRITE_BYTES = 16 * 1024;

/** What the gateway adds to the response of an upstream: names and values in turn. */
export interface OwnFields {
  /** Of every response, unless the upstream sends them itself. */
  readonly common: readonly string[];
  /** The nonce for the client's next proof; empty where it need not change. */
  readonly nonce: readonly string[];
}

/** On a route whose proofs the gateway checks, a nonce is the gateway's (rule D15). */
const NONCE = ['dpop-nonce'];

export class ResponseWriter implements ResponseSink {
  readonly #request: OutboundRequest;
  readonly #response: ClientResponse;
  readonly #hooks: ResponseHooks;
  readonly #ownFields: OwnFields;
  readonly #exchange: Exchange;
  #forwarding: Forwarding | undefined;
  #begun = false;
  #ended = false;
  #headers: ResponseHeaders = [];
  /** The head is set but not yet sent: the first piece of the body, or the end, may go with it. */
  #headHeld = false;
  /** As latin1: one character a byte. */
  #firstChunk: string | undefined;

  /**
   * @param request whose response it is
   * @param exchange takes notes
   */
  constructor(
    request: OutboundRequest,
    response: ClientResponse,
    hooks: ResponseHooks,
    ownFields: OwnFields,
    exchange: Exchange,
  ) {
    this.#request = request;
    this.#response = response;
    this.#hooks = hooks;
    this.#ownFields = ownFields;
    this.#exchange = exchange;
  }

  /** Ties the response to its request: the client's pace and its leaving reach the upstream. */
  attach(forwarding: Forwarding): void {
    this.#forwarding = forwarding;
    // The client may have gone before there was anything to abort.
    if (this.#response.destroyed) forwarding.abort();
  }

  /** The client's connection has ended before the response did. */
  clientGone(): void {
    this.#forwarding?.abort();
  }

  sentTo(target: string): void {
    this.#exchange.target = target;
    this.#exchange.tries += 1;
  }

  informational(status: number, headers: ResponseHeaders): void {
    // The client has had its go-ahead; and HTTP/1.0 has no 1xx responses (RFC 9110 section 15.2).
    if (status === 100 || this.#request.head.httpVersion === '1.0') return;
    this.#response.writeInformational(status, this.#withoutTheirNonce(headers));
  }

  begin(status: number, headers: ResponseHeaders): void {
    this.#begun = true;
    this.#headHeld = true;
    this.#exchange.responded(status);
    this.#headers = headers;
    const { route, head } = this.#request;
    const passed = this.#withoutTheirNonce(headers);
    const theirs = route.cors ? withCors(passed, route.cors, head) : passed;
    this.#response.writeHead(status, [...theirs, ...this.#ours(headers)]);
  }

  /** In whatever part of a response it stands. */
  #withoutTheirNonce(fields: ResponseHeaders): ResponseHeaders {
    return this.#request.route.senderConstrained === undefined ? fields : withoutFields(fields, NONCE);
  }

  /** What the gateway adds to the upstream's headers. */
  #ours(headers: ResponseHeaders): readonly string[] {
    const { nonce, common } = this.#ownFields;
    return ['x-request-id', this.#request.requestId, ...nonce, ...missing(common, headers)];
  }

  data(chunk: Buffer, keep?: Keep): boolean {
    this.#exchange.bytesOut += chunk.length;
    if (this.#headHeld && this.#firstChunk === undefined && chunk.length <= ONE_WRITE_BYTES) {
      this.#firstChunk = chunk.toString('latin1');
      return true;
    }
    this.#release();
    const written = this.#response.tellsWritten ? keep?.() : undefined;
    if (written) return this.#write(chunk, written);
    collectAfterBody(chunk.length);
    // A copy: the bytes are valid during this call only, and the client may be slower.
    return this.#write(Buffer.from(chunk));
  }

  /** Everything that came with the head in one packet is here; an event stream's head must not wait for an event. */
  received(): void {
    this.#release();
  }

  end(theirTrailers: ResponseHeaders): void {
    const trailers = this.#withoutTheirNonce(theirTrailers);
    this.#hooks.upstreamEnded();
    this.#ended = true;
    const hasTrailers = trailers.length > 0;
    if (hasTrailers) this.#response.addTrailers(fieldPairs(trailers));
    const chunk = this.#firstChunk;
    if (this.#headHeld && !hasTrailers) {
      this.#headHeld = false;
      // As a string it joins the head in a single write to the socket; as a buffer it would cost a writev. Without a
      // body, the head of HTTP/2 ends the stream, as gRPC needs it where there are only trailers.
      this.#response.end(chunk, 'latin1');
      return;
    }
    this.#release();
    this.#response.end();
  }

  refusal(): GatewayError | undefined {
    return this.#begun ? undefined : this.#hooks.refusal();
  }

  fail(error: GatewayError): void {
    if (!this.#begun) {
      this.#hooks.upstreamEnded();
      this.#hooks.fail(error);
      return;
    }
    this.#exchange.failure = error.code;
    if (error.cause !== undefined) this.#exchange.failureCause = describeError(error.cause);
    this.#hooks.upstreamEnded();
    // A clean end would make a part look whole: the client must see an incomplete message (rule H15).
    this.#release();
    if (error.resetCode === undefined) this.#response.destroy();
    else this.#response.reset(resetWithinResponse(error.resetCode));
  }

  tunnel(headers: ResponseHeaders, upstream: Duplex, early: Buffer): void {
    this.#exchange.upstreamStatus = 101;
    this.#hooks.upstreamEnded();
    this.#hooks.tunnel([...this.#withoutTheirNonce(headers), ...this.#ours(headers)], upstream, early);
  }

  /** Sends what was held back. */
  #release(): void {
    if (!this.#headHeld) return;
    this.#headHeld = false;
    if (this.#response.destroyed) return;
    if (!this.#ended) this.#hooks.lasts(isStream(this.#headers));
    if (this.#firstChunk === undefined) this.#response.flushHeaders();
    else if (!this.#write(this.#firstChunk)) this.#forwarding?.pause();
  }

  #write(chunk: Buffer | string, written?: () => void): boolean {
    const more = this.#response.write(chunk, 'latin1', written);
    if (!more) this.#response.once('drain', () => this.#forwarding?.resume());
    return more;
  }
}

/** The common headers, unless the upstream has sent them. */
function missing(said: readonly string[], headers: ResponseHeaders): readonly string[] {
  const [name] = said;
  return name !== undefined && hasField(headers, name) ? [] : said;
}

/** Media types whose responses go on until one side ends them (rule V10). */
const STREAM = /^(?:text\/event-stream|application\/grpc)/i;

function isStream(headers: ResponseHeaders): boolean {
  const contentType = fieldValue(headers, 'content-type');
  return contentType !== undefined && STREAM.test(contentType);
}
