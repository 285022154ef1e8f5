/**
 * Last stage: the upstream's answer to the client, as it comes, at the client's pace. Rules B11, H9, H11, H15.
 */
import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { bodyBytesPassed } from '../body-memory.ts';
import type { GatewayError } from '../errors.ts';
import { answerHeaders, type AnswerHeaders } from '../http/answer-headers.ts';
import type { Forwarding, UpgradeSink } from '../upstream/forwarder.ts';
import type { Exchange } from './observe.ts';

/** What happens where the answer is not simply the upstream's. */
export interface ResponderHooks {
  /** The upstream's answer has ended, or there will be none. */
  answered(): void;
  fail(error: GatewayError): void;
  /** Both ends have switched protocols. */
  tunnel(headers: AnswerHeaders, upstream: Duplex, early: Buffer): void;
}

/** A body up to this size that came in one piece goes out in one write with its head. */
const ONE_WRITE_BYTES = 16 * 1024;

export class Responder implements UpgradeSink {
  readonly #exchange: Exchange;
  readonly #response: ServerResponse;
  readonly #hooks: ResponderHooks;
  #forwarding: Forwarding | undefined;
  #begun = false;
  /** The head is set but not yet sent: the first piece of the body, or the end, may go with it. */
  #headHeld = false;
  #firstChunk: Buffer | undefined;

  constructor(exchange: Exchange, response: ServerResponse, hooks: ResponderHooks) {
    this.#exchange = exchange;
    this.#response = response;
    this.#hooks = hooks;
  }

  /** Ties the answer to its request: the client's pace and its leaving reach the upstream. */
  attach(forwarding: Forwarding): void {
    this.#forwarding = forwarding;
    // The client may have gone before there was anything to abort.
    if (this.#response.destroyed) forwarding.abort();
  }

  /** The client's connection has ended before the answer did. */
  clientGone(): void {
    this.#forwarding?.abort();
  }

  sentTo(target: string): void {
    this.#exchange.target = target;
  }

  informational(status: number, headers: AnswerHeaders): void {
    // 103 is of use to browsers; a 102 only says "wait", which the client does anyway.
    const { link } = headers;
    if (status !== 103 || link === undefined || this.#exchange.head?.httpVersion === '1.0') return;
    this.#response.writeEarlyHints({ link: link as string | string[] });
  }

  begin(status: number, headers: AnswerHeaders): void {
    this.#begun = true;
    this.#headHeld = true;
    this.#exchange.status = status;
    this.#response.writeHead(status, answerHeaders(headers, this.#exchange.requestId));
    // What has come with the head in one packet has been seen when this runs; an event stream's head must not
    // wait for its first event.
    queueMicrotask(() => this.#release());
  }

  data(chunk: Buffer): boolean {
    this.#exchange.bytesOut += chunk.length;
    if (this.#headHeld && this.#firstChunk === undefined && chunk.length <= ONE_WRITE_BYTES) {
      this.#firstChunk = chunk;
      return true;
    }
    this.#release();
    bodyBytesPassed(chunk.length);
    return this.#write(chunk);
  }

  end(trailers: AnswerHeaders): void {
    this.#hooks.answered();
    const hasTrailers = Object.keys(trailers).length > 0;
    if (hasTrailers) this.#response.addTrailers(trailers as NodeJS.Dict<string>);
    const chunk = this.#firstChunk;
    if (this.#headHeld && chunk !== undefined && !hasTrailers) {
      this.#headHeld = false;
      // As a string it joins the head in a single write to the socket; as a buffer it would cost a writev.
      this.#response.end(chunk.toString('latin1'), 'latin1');
      return;
    }
    this.#release();
    this.#response.end();
  }

  fail(error: GatewayError): void {
    this.#hooks.answered();
    if (!this.#begun) {
      this.#hooks.fail(error);
      return;
    }
    // A clean end would pass a part for the whole: the client must see a broken message (rule H15).
    this.#release();
    this.#exchange.failure = error.code;
    this.#response.destroy();
  }

  tunnel(headers: AnswerHeaders, upstream: Duplex, early: Buffer): void {
    this.#hooks.answered();
    this.#hooks.tunnel(headers, upstream, early);
  }

  /** Sends what was held back. */
  #release(): void {
    if (!this.#headHeld) return;
    this.#headHeld = false;
    if (this.#response.destroyed) return;
    if (this.#firstChunk === undefined) this.#response.flushHeaders();
    else if (!this.#write(this.#firstChunk)) this.#forwarding?.pause();
  }

  #write(chunk: Buffer): boolean {
    const more = this.#response.write(chunk);
    if (!more) this.#response.once('drain', () => this.#forwarding?.resume());
    return more;
  }
}
