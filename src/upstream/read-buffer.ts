/**
 * Memory for what upstreams send over HTTP/1.1. Small responses are read into one buffer that all connections share, and what must
 * outlive the read is copied. A connection whose reads fill it gets a larger buffer of its own for the rest of the response, which goes
 * out as it is: it is read into again once the client's socket has taken all of it. docs/decisions/spent-memory.md has the figures.
 *
 * Large buffers are few, so that slow clients cannot hold much memory: when all are in use, a connection goes on with the shared one.
 */
import { collectAfterBody } from '../gc.ts';
import type { Keep } from './forwarder.ts';

const SHARED = Buffer.allocUnsafeSlow(64 * 1024);
const LARGE_BYTES = 256 * 1024;
/** In the whole process: 16 MiB. */
const MOST_LARGE = 64;
/** So many that are not in use are kept for the next response. */
const MOST_FREE = 16;

interface LargeBuffer {
  readonly bytes: Buffer;
  /** Parts of it that are still needed. */
  holds: number;
  /** A connection reads into it. */
  isRead: boolean;
}

const free: LargeBuffer[] = [];
let large = 0;
/** A part that is never released, whatever the reason, must not cost one of the few for ever. */
const vanished = new FinalizationRegistry<undefined>(() => large--);

/** What one connection reads into. */
export class ReadBuffer {
  #large: LargeBuffer | undefined;
  /** The last read filled the shared buffer, or as much of a large one. */
  #isLong = false;
  #isClosed = false;

  /** For `onread.buffer` of a socket, which asks before its first read, and after each one. */
  readonly next = (): Buffer => {
    const own = this.#large;
    if (own && this.#isLong && own.holds === 0) return own.bytes;
    this.#leave();
    if (this.#isLong && !this.#isClosed) this.#large = taken();
    return this.#large?.bytes ?? SHARED;
  };

  /** So many bytes have come. */
  read(bytes: number): void {
    this.#isLong = bytes >= SHARED.length;
  }

  /** The response is complete: the next one may be small. */
  rest(): void {
    this.#isLong = false;
  }

  readonly keep: Keep = () => {
    const own = this.#large;
    if (!own) return undefined;
    own.holds++;
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      own.holds--;
      giveBack(own);
    };
  };

  /** Nothing is read any more. */
  close(): void {
    this.#isClosed = true;
    this.#leave();
  }

  #leave(): void {
    const own = this.#large;
    if (!own) return;
    this.#large = undefined;
    own.isRead = false;
    giveBack(own);
  }
}

function taken(): LargeBuffer | undefined {
  const known = free.pop();
  if (known) {
    known.isRead = true;
    return known;
  }
  if (large >= MOST_LARGE) return undefined;
  large++;
  const buffer = { bytes: Buffer.allocUnsafeSlow(LARGE_BYTES), holds: 0, isRead: true };
  vanished.register(buffer.bytes.buffer, undefined, buffer);
  return buffer;
}

function giveBack(buffer: LargeBuffer): void {
  if (buffer.isRead || buffer.holds > 0) return;
  if (free.length < MOST_FREE) {
    free.push(buffer);
    return;
  }
  vanished.unregister(buffer);
  large--;
  collectAfterBody(LARGE_BYTES);
}
