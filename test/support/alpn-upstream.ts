/** An upstream over TLS that speaks HTTP/2 and HTTP/1.1, and chooses by ALPN as the test says. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import {
  createSecureServer,
  type Http2SecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import type { Test } from 'tap';
import { WebSocketServer } from 'ws';

export interface AlpnUpstream {
  readonly url: string;
  /** What it chooses from now on; undefined: nothing, which ends the handshake. */
  choice: () => string | undefined;
  /** What each connection was offered. */
  readonly offers: string[][];
  /** `VERSION METHOD BODY` of each request. */
  readonly seen: string[];
  /** Those that are open. */
  readonly sockets: Set<TLSSocket>;
}

/** Responds with the version of HTTP; to a WebSocket handshake as an echo. */
export async function startAlpnUpstream(
  t: Test,
  files: { readonly cert: string; readonly key: string },
  respond: (request: Http2ServerRequest, response: Http2ServerResponse) => void = (
    { httpVersion },
    response,
  ) => void response.end(httpVersion),
  { address = '127.0.0.1', port = 0 } = {},
): Promise<AlpnUpstream> {
  const certificate = { cert: readFileSync(files.cert), key: readFileSync(files.key) };
  const upstream = {
    url: '',
    choice: (): string | undefined => 'h2',
    offers: [] as string[][],
    seen: [] as string[],
    sockets: new Set<TLSSocket>(),
  };
  const both = createSecureServer({ ...certificate, allowHTTP1: true }, (request, response) => {
    let body = '';
    request.on('error', () => undefined);
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      upstream.seen.push(`${request.httpVersion} ${request.method} ${body}`);
      respond(request, response);
    });
  });
  echoWebSockets(both);
  const server = createTlsServer({
    ...certificate,
    ALPNCallback: ({ protocols }) => {
      upstream.offers.push(protocols);
      return upstream.choice();
    },
  });
  server.on('secureConnection', (socket) => {
    upstream.sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => upstream.sockets.delete(socket));
    both.emit('secureConnection', socket);
  });
  server.listen(port, address);
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of upstream.sockets) socket.destroy();
    server.close();
  });
  upstream.url = `https://${address}:${(server.address() as AddressInfo).port}`;
  return upstream;
}

function echoWebSockets(server: Http2SecureServer): void {
  const webSockets = new WebSocketServer({ noServer: true });
  server.on('upgrade', (request, socket, early) =>
    webSockets.handleUpgrade(request, socket, early, (webSocket) =>
      webSocket.on('message', (data) => webSocket.send(data)),
    ),
  );
}
