/**
 * A client's request body on its way to the upstream. It stands between the two so that a failing upstream
 * ends this stream and not the client's connection, which still waits for a response. Rules H15, H18.
 */
import { Readable } from 'node:stream';
import type { ClientRequest } from './exchange.ts';
import { collectAfterBody } from '../gc.ts';
import { BODY_TOO_LARGE, MALFORMED_REQUEST } from '../errors.ts';

export class RequestBody extends Readable {
  readonly #body: Readable;
  #bytes = 0;

  /** @param maxBytes 0 = no limit */
  constructor(request: ClientRequest, maxBytes: number) {
    super({ highWaterMark: 64 * 1024 });
    // A client may leave while its request waits for a connection, before anything reads the body.
    this.on('error', () => undefined);
    const { body } = request;
    this.#body = body;
    body.on('data', (chunk: Buffer) => {
      if (this.destroyed) return;
      this.#bytes += chunk.length;
      collectAfterBody(chunk.length);
      if (maxBytes > 0 && this.#bytes > maxBytes) {
        this.destroy(BODY_TOO_LARGE);
        return;
      }
      // Paused, not buffered: the client can send only as fast as the upstream reads.
      if (!this.push(chunk)) body.pause();
    });
    body.on('end', () => {
      // A body that stopped short must never reach the upstream as a whole one.
      if (request.complete) this.push(null);
      else this.destroy(MALFORMED_REQUEST);
    });
    body.on('error', () => this.destroy(MALFORMED_REQUEST));
    body.on('close', () => {
      if (!request.complete) this.destroy(MALFORMED_REQUEST);
    });
    body.pause();
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Nothing reads the rest: it is discarded for as long as the client's connection stays open. */
  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#body.resume();
    callback(error);
  }

  override _read(): void {
    this.#body.resume();
  }
}
