/** Upstreams that record the requests they receive: an HTTP server, and a raw TCP server. */
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net';
import { once } from 'node:events';
import type { Test } from 'tap';
import { WebSocketServer } from 'ws';
import { send } from './client.ts';

export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly rawHeaders: readonly string[];
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export interface HttpUpstream {
  readonly url: string;
  readonly seen: SeenRequest[];
}

/** Reads the body, then responds by `respond`, or with 200 and "ok". */
export async function startUpstream(t: Test, respond?: RequestListener): Promise<HttpUpstream> {
  const seen: SeenRequest[] = [];
  const url = await startServer(t, (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('error', () => undefined);
    request.on('end', () => {
      const { method = '', url = '', rawHeaders, headers } = request;
      seen.push({ method, url, rawHeaders, headers, body: Buffer.concat(chunks).toString('latin1') });
      if (respond) respond(request, response);
      else response.end('ok');
    });
  });
  return { url, seen };
}

/** A `send` of which the upstream has seen nothing where the gateway has refused the request, by the id that both get. */
export function sendBefore({ seen }: HttpUpstream): typeof send {
  return async (...request) => {
    const response = await send(...request);
    const id = response.headers['x-request-id'];
    if (response.problem.code !== undefined && seen.some(({ headers }) => headers['x-request-id'] === id))
      throw new Error(`the upstream has seen a request that was refused: ${response.problem.code}`);
    return response;
  };
}

export interface RawUpstream {
  readonly url: string;
  /** All bytes of each connection, as latin1. */
  readonly connections: string[];
  readonly sockets: Socket[];
}

/** Calls `onData` for each chunk, with all bytes of its connection so far. */
export async function startRawUpstream(
  t: Test,
  onData: (socket: Socket, received: string) => void,
): Promise<RawUpstream> {
  const connections: string[] = [];
  const sockets: Socket[] = [];
  const server = createTcpServer((socket) => {
    const index = connections.push('') - 1;
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      connections[index] += chunk.toString('latin1');
      onData(socket, connections[index] ?? '');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, connections, sockets };
}

/** An HTTP server on loopback, closed at the end of the test. Returns its URL. */
export async function startServer(t: Test, listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A WebSocket server that echoes each message. Returns its URL, as an upstream's. */
export async function startEcho(t: Test): Promise<string> {
  const echo = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(echo, 'listening');
  t.teardown(() => {
    for (const client of echo.clients) client.terminate();
    echo.close();
  });
  echo.on('connection', (socket) => {
    socket.on('message', (data: Buffer) => socket.send(data.toString()));
    socket.on('error', () => undefined);
  });
  return `http://127.0.0.1:${(echo.address() as AddressInfo).port}`;
}
