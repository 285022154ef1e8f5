/**
 * Last stage: the upstream's answer to the client, as it comes, at the client's pace. Rules B11, H9, H11, H15.
 */
import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { GatewayError } from '../errors.ts';
import { answerHeaders, type AnswerHeaders } from '../http/answer-headers.ts';
import type { Forwarding, UpgradeSink } from '../upstream/forwarder.ts';
import type { Exchange } from './observe.ts';

/** What the gateway does where the answer is not the upstream's. */
export interface ResponderHooks {
  /** The upstream's answer has ended, or there will be none. */
  answered(exchange: Exchange): void;
  reject(exchange: Exchange, response: ServerResponse, error: GatewayError): void;
  /** Both ends have switched protocols; `client` is the client's socket. */
  tunnel(exchange: Exchange, headers: AnswerHeaders, upstream: Duplex, early: Buffer): void;
}

export class Responder implements UpgradeSink {
  readonly #exchange: Exchange;
  readonly #response: ServerResponse;
  readonly #hooks: ResponderHooks;
  #forwarding: Forwarding | undefined;
  #begun = false;
  #flowing = false;

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
    this.#exchange.status = status;
    this.#response.writeHead(status, answerHeaders(headers, this.#exchange.requestId));
    // A head without a body in the same packet, as of an event stream, must not wait for the first event.
    queueMicrotask(() => this.#flush());
  }

  data(chunk: Buffer): boolean {
    this.#flowing = true;
    this.#exchange.bytesOut += chunk.length;
    const more = this.#response.write(chunk);
    if (!more) this.#response.once('drain', () => this.#forwarding?.resume());
    return more;
  }

  end(trailers: AnswerHeaders): void {
    this.#hooks.answered(this.#exchange);
    if (Object.keys(trailers).length > 0) this.#response.addTrailers(trailers as NodeJS.Dict<string>);
    this.#response.end();
  }

  fail(error: GatewayError): void {
    this.#hooks.answered(this.#exchange);
    if (!this.#begun) {
      this.#hooks.reject(this.#exchange, this.#response, error);
      return;
    }
    // A clean end would pass a part for the whole: the client must see a broken message (rule H15).
    this.#exchange.failure = error.code;
    this.#response.destroy();
  }

  tunnel(headers: AnswerHeaders, upstream: Duplex, early: Buffer): void {
    this.#hooks.answered(this.#exchange);
    this.#hooks.tunnel(this.#exchange, headers, upstream, early);
  }

  #flush(): void {
    if (!this.#flowing && !this.#response.destroyed && !this.#response.writableEnded)
      this.#response.flushHeaders();
  }
}
