/** An HTTP proxy that knows CONNECT, and where names lead that no DNS has. */
import { createServer } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { once } from 'node:events';
import type { Test } from 'tap';

export interface ConnectProxy {
  readonly port: number;
  /** What it was asked for, in order: `host:port` of a CONNECT, the URL of any other request. */
  readonly asked: string[];
  /** The Proxy-Authorization of each. */
  readonly authorizations: (string | undefined)[];
  /** The bytes that clients sent through it, as latin1. */
  passed: string;
  /** Its response to CONNECT, if it is not 200. */
  refusal: number | undefined;
}

/** @param portOf where on loopback a name leads */
export async function startConnectProxy(
  t: Test,
  portOf: (authority: string) => number,
): Promise<ConnectProxy> {
  const sockets = new Set<Socket>();
  const server = createServer((request, response) => {
    proxy.asked.push(request.url ?? '');
    response.writeHead(405).end();
  });
  server.on('connect', (request, client: Socket) => {
    proxy.asked.push(request.url ?? '');
    proxy.authorizations.push(request.headers['proxy-authorization']);
    client.on('error', () => undefined);
    if (proxy.refusal !== undefined) {
      client.end(`HTTP/1.1 ${proxy.refusal} No\r\ncontent-length: 0\r\n\r\n`);
      return;
    }
    const target = connect(portOf(request.url ?? ''), '127.0.0.1');
    sockets.add(client).add(target);
    target.on('error', () => client.destroy());
    target.once('connect', () => {
      client.write('HTTP/1.1 200 OK\r\n\r\n');
      client.on('data', (chunk: Buffer) => (proxy.passed += chunk.toString('latin1')));
      client.pipe(target).pipe(client);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.closeAllConnections();
    server.close();
  });
  const proxy: ConnectProxy = {
    port: (server.address() as AddressInfo).port,
    asked: [],
    authorizations: [],
    passed: '',
    refusal: undefined,
  };
  return proxy;
}
