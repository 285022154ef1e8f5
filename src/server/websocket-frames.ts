/**
 * Follows the frames of a WebSocket from the upstream to the client (RFC 6455 section 5.2). It reads only their borders,
 * so that the gateway can close the connection between two frames.
 */
import { Transform, type TransformCallback } from 'node:stream';

/** A close frame with status 1008, policy violation (RFC 6455 sections 5.5.1 and 7.4.1); servers do not mask. */
const CLOSE_1008 = Buffer.from([0x88, 0x02, 0x03, 0xf0]);
const MASK_BYTES = 4;

export class FramePassage extends Transform {
  /** Bytes of the frame's payload that have not come yet. */
  #payloadLeft = 0;
  /** The part of a frame's head that has come. */
  #head = Buffer.alloc(0);
  #closing = false;
  #finished = false;

  /** Ends the stream with a close frame, now or after the current frame. */
  closeAtBorder(): void {
    this.#closing = true;
    if (this.#atBorder) this.#finish();
  }

  override _transform(chunk: Buffer, _encoding: string, done: TransformCallback): void {
    if (this.#finished) {
      done();
      return;
    }
    const end = this.#closing ? this.#borderWithin(chunk) : this.#skip(chunk, 0);
    if (end > 0) this.push(chunk.subarray(0, end));
    if (this.#closing && this.#atBorder) this.#finish();
    done();
  }

  get #atBorder(): boolean {
    return this.#payloadLeft === 0 && this.#head.length === 0;
  }

  #finish(): void {
    this.#finished = true;
    this.push(CLOSE_1008);
    this.push(null);
  }

  /** How many bytes of the chunk belong to the current frame. */
  #borderWithin(chunk: Buffer): number {
    let at = 0;
    while (at < chunk.length) {
      at = this.#step(chunk, at);
      if (this.#atBorder) return at;
    }
    return at;
  }

  /** Follows the frames through the whole chunk. */
  #skip(chunk: Buffer, from: number): number {
    let at = from;
    while (at < chunk.length) at = this.#step(chunk, at);
    return at;
  }

  /** Reads one payload or head, or a part of either. Returns where it ends. */
  #step(chunk: Buffer, at: number): number {
    if (this.#payloadLeft > 0) {
      const taken = Math.min(this.#payloadLeft, chunk.length - at);
      this.#payloadLeft -= taken;
      return at + taken;
    }
    const before = this.#head.length;
    const head = Buffer.concat([this.#head, chunk.subarray(at, at + MAX_HEAD_BYTES)]);
    const bytes = headBytes(head);
    if (bytes === undefined || head.length < bytes) {
      this.#head = head;
      return chunk.length;
    }
    this.#head = Buffer.alloc(0);
    this.#payloadLeft = payloadBytes(head);
    return at + bytes - before;
  }
}

/** Two bytes, eight of an extended length, four of a mask. */
const MAX_HEAD_BYTES = 14;

/** Undefined while the length has not come. */
function headBytes(head: Buffer): number | undefined {
  const second = head[1];
  if (second === undefined) return undefined;
  const length = second & 0x7f;
  return 2 + (length === 126 ? 2 : length === 127 ? 8 : 0) + ((second & 0x80) === 0 ? 0 : MASK_BYTES);
}

function payloadBytes(head: Buffer): number {
  const length = (head[1] ?? 0) & 0x7f;
  if (length < 126) return length;
  return length === 126 ? head.readUInt16BE(2) : Number(head.readBigUInt64BE(2));
}
