/** An HTTP/2 client that sends raw frames (RFC 9113), so that tests can send what no correct client sends. */
import { once } from 'node:events';
import { connect as connectPlain, type Socket } from 'node:net';
import { connect } from 'node:tls';
import type { Test } from 'tap';

export const FRAME = {
  data: 0,
  headers: 1,
  resetStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;
export const END_STREAM = 1;
export const END_HEADERS = 4;
export const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Buffer = Buffer.alloc(0),
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

/** Field lines as HPACK literals without indexing (RFC 7541 section 6.2.2). Names and values in turn. */
export function block(...fields: readonly string[]): Buffer {
  const parts: Buffer[] = [];
  fields.forEach((text, index) => {
    if (index % 2 === 0) parts.push(Buffer.from([0]));
    const bytes = Buffer.from(text, 'latin1');
    parts.push(hpackLength(bytes.length), bytes);
  });
  return Buffer.concat(parts);
}

/** A 7-bit prefix integer (RFC 7541 section 5.1). */
function hpackLength(length: number): Buffer {
  if (length < 127) return Buffer.from([length]);
  const bytes = [127];
  let rest = length - 127;
  for (; rest >= 128; rest >>>= 7) bytes.push((rest & 127) | 128);
  return Buffer.from([...bytes, rest]);
}

/** The pseudo-header fields of a request, then `fields`. */
export function requestBlock(method: string, path: string, ...fields: readonly string[]): Buffer {
  return block(
    ':method',
    method,
    ':scheme',
    'https',
    ':authority',
    'api.example.com',
    ':path',
    path,
    ...fields,
  );
}

export class RawHttp2 {
  readonly frames: Frame[] = [];
  readonly #socket: Socket;
  #rest: Buffer = Buffer.alloc(0);
  closed = false;
  /** All bytes that came, where they are no frames. */
  text = '';

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('error', () => undefined);
    socket.on('close', () => (this.closed = true));
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
  }

  /** @param settings payload of the client's SETTINGS */
  static async connect(t: Test, port: number, settings = Buffer.alloc(0)): Promise<RawHttp2> {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ALPNProtocols: ['h2'] });
    t.teardown(() => socket.destroy());
    const client = new RawHttp2(socket);
    socket.setNoDelay(true);
    await once(socket, 'secureConnect');
    client.send(Buffer.from(PREFACE), frame(FRAME.settings, 0, 0, settings));
    return client;
  }

  /** A client in plaintext that has sent nothing yet. */
  static async connectPlain(t: Test, port: number): Promise<RawHttp2> {
    const socket = connectPlain(port, '127.0.0.1');
    t.teardown(() => socket.destroy());
    const client = new RawHttp2(socket);
    socket.setNoDelay(true);
    await once(socket, 'connect');
    return client;
  }

  /** Sends nothing more. */
  end(): void {
    this.#socket.end();
  }

  send(...frames: readonly Buffer[]): void {
    if (!this.closed) this.#socket.write(Buffer.concat(frames));
  }

  /** Stops reading: what the server sends stays in its buffers. */
  pause(): void {
    this.#socket.pause();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** The frames received on a stream. */
  of(stream: number): Frame[] {
    return this.frames.filter((each) => each.stream === stream);
  }

  #read(chunk: Buffer): void {
    this.text += chunk.toString('latin1');
    this.#rest = Buffer.concat([this.#rest, chunk]);
    while (this.#rest.length >= 9) {
      const end = 9 + this.#rest.readUIntBE(0, 3);
      if (this.#rest.length < end) return;
      this.frames.push({
        type: this.#rest[3] ?? 0,
        flags: this.#rest[4] ?? 0,
        stream: this.#rest.readUInt32BE(5) & 0x7fffffff,
        payload: Buffer.from(this.#rest.subarray(9, end)),
      });
      this.#rest = this.#rest.subarray(end);
    }
  }
}
