/** An authorization server over TLS, with certificates of a private authority, that records who asked for what. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Test } from 'tap';

export interface TlsRequest {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly form: Record<string, string>;
  /** CN of the client certificate; undefined: none came, or none of the authority. */
  readonly certificate: string | undefined;
  /** SNI; false: none. */
  readonly serverName: string | false | null;
}

export interface TlsAuthority {
  readonly port: number;
  readonly requests: TlsRequest[];
  /** By path: what it responds; 404 for others. */
  readonly pages: Map<string, (response: ServerResponse, request: TlsRequest) => void>;
}

export async function startTlsAuthority(
  t: Test,
  pair: { readonly cert: string; readonly key: string },
  clientCa?: string,
): Promise<TlsAuthority> {
  const requests: TlsRequest[] = [];
  const pages: TlsAuthority['pages'] = new Map();
  const server = createServer(
    {
      cert: readFileSync(pair.cert),
      key: readFileSync(pair.key),
      requestCert: true,
      rejectUnauthorized: false,
      ...(clientCa !== undefined && { ca: readFileSync(clientCa) }),
    },
    (incoming, response) => {
      let body = '';
      incoming.on('data', (chunk: Buffer) => (body += chunk.toString()));
      incoming.on('end', () => {
        const socket = incoming.socket as TLSSocket;
        const { subject } = socket.getPeerCertificate() as { subject?: { CN?: string } };
        const request: TlsRequest = {
          path: incoming.url ?? '',
          headers: incoming.headers,
          form: Object.fromEntries(new URLSearchParams(body)),
          certificate: socket.authorized ? subject?.CN : undefined,
          serverName: (socket as unknown as { servername: string | false | null }).servername,
        };
        requests.push(request);
        const page = pages.get(request.path);
        if (page) page(response, request);
        else response.writeHead(404).end();
      });
    },
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, requests, pages };
}
