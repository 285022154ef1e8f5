/** Upstreams that speak HTTP/2: Node's server over TCP or TLS, and one that sends raw frames. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import {
  createSecureServer,
  createServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
} from 'node:http2';
import { createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net';
import type { Test } from 'tap';
import { FRAME, frame, type Frame } from './raw-http2.ts';
import type { SeenRequest } from './upstream.ts';

export type Http2Listener = (request: Http2ServerRequest, response: Http2ServerResponse) => void;

export interface Http2Upstream {
  readonly url: string;
  readonly port: number;
  /** Those that are open. */
  readonly sessions: Set<ServerHttp2Session>;
  /** How many were ever opened. */
  opened: number;
  /** How many streams were ever opened. */
  requests: number;
}

/** @param files of a certificate: then it speaks TLS */
export async function startHttp2Server(
  t: Test,
  listener: Http2Listener,
  { files, settings = {} }: { files?: { cert: string; key: string }; settings?: object } = {},
): Promise<Http2Upstream> {
  const server = files
    ? createSecureServer({ cert: readFileSync(files.cert), key: readFileSync(files.key), settings }, listener)
    : createServer({ settings }, listener);
  const sessions = new Set<ServerHttp2Session>();
  server.on('session', (session: ServerHttp2Session) => {
    sessions.add(session);
    upstream.opened++;
    session.on('error', () => undefined).on('close', () => sessions.delete(session));
  });
  server.on('stream', (stream) => {
    upstream.requests++;
    stream.on('error', () => undefined);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const upstream: Http2Upstream = {
    url: `${files ? 'h2' : 'h2c'}://127.0.0.1:${port}`,
    port,
    sessions,
    opened: 0,
    requests: 0,
  };
  return upstream;
}

/** Reads the body, then responds by `respond`, or with 200 and "ok". */
export async function startHttp2Upstream(
  t: Test,
  respond?: Http2Listener,
  options: Parameters<typeof startHttp2Server>[2] = {},
): Promise<Http2Upstream & { readonly seen: SeenRequest[] }> {
  const seen: SeenRequest[] = [];
  const upstream = await startHttp2Server(
    t,
    (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('error', () => undefined);
      request.on('end', () => {
        // Node ends the body of a stream that was reset, too.
        if (request.stream.closed && request.stream.rstCode !== 0) return;
        const { method, url, rawHeaders, headers } = request;
        seen.push({ method, url, rawHeaders, headers, body: Buffer.concat(chunks).toString('latin1') });
        if (respond) respond(request, response);
        else response.end('ok');
      });
    },
    options,
  );
  return Object.assign(upstream, { seen });
}

const PREFACE_BYTES = 24;

/** One connection to an upstream that sends raw frames. */
export class RawHttp2Connection {
  readonly socket: Socket;
  readonly frames: Frame[] = [];
  /** Ids of streams whose HEADERS have come. */
  readonly streams: number[] = [];
  #rest: Buffer = Buffer.alloc(0);
  #greeted = false;
  readonly #onFrame: (connection: RawHttp2Connection, frame: Frame) => void;

  constructor(socket: Socket, onFrame: (connection: RawHttp2Connection, frame: Frame) => void) {
    this.socket = socket;
    this.#onFrame = onFrame;
    socket.setNoDelay(true);
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
  }

  send(...frames: readonly Buffer[]): void {
    if (!this.socket.destroyed) this.socket.write(Buffer.concat(frames));
  }

  #read(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    if (!this.#greeted) {
      if (this.#rest.length < PREFACE_BYTES) return;
      this.#greeted = true;
      this.#rest = this.#rest.subarray(PREFACE_BYTES);
    }
    while (this.#rest.length >= 9) {
      const end = 9 + this.#rest.readUIntBE(0, 3);
      if (this.#rest.length < end) return;
      const received = {
        type: this.#rest[3] ?? 0,
        flags: this.#rest[4] ?? 0,
        stream: this.#rest.readUInt32BE(5) & 0x7fffffff,
        payload: Buffer.from(this.#rest.subarray(9, end)),
      };
      this.#rest = this.#rest.subarray(end);
      this.frames.push(received);
      if (received.type === FRAME.headers) this.streams.push(received.stream);
      this.#onFrame(this, received);
    }
  }
}

export interface RawHttp2Upstream {
  readonly url: string;
  readonly connections: RawHttp2Connection[];
}

/**
 * Sends SETTINGS to each client, and whatever `onFrame` sends.
 *
 * @param settings null: it says nothing by itself
 */
export async function startRawHttp2Upstream(
  t: Test,
  onFrame: (connection: RawHttp2Connection, frame: Frame) => void,
  settings: Buffer | null = Buffer.alloc(0),
): Promise<RawHttp2Upstream> {
  const connections: RawHttp2Connection[] = [];
  const server = createTcpServer((socket) => {
    const connection = new RawHttp2Connection(socket, onFrame);
    connections.push(connection);
    if (settings) connection.send(frame(FRAME.settings, 0, 0, settings));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    for (const { socket } of connections) socket.destroy();
    server.close();
  });
  return { url: `h2c://127.0.0.1:${(server.address() as AddressInfo).port}`, connections };
}
