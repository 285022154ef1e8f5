/**
 * A connection to a server through an HTTP proxy, by CONNECT (RFC 9110 section 9.3.6): the proxy sees the name of the
 * server and encrypted bytes.
 */
import { request } from 'node:http';
import { isIPv6, type Socket } from 'node:net';

export interface Proxy {
  readonly hostname: string;
  readonly port: number;
  /** For Proxy-Authorization; undefined: none. A secret: no error and no log has it. */
  readonly authorization: string | undefined;
  /** Servers that are reached without it, as NO_PROXY lists them. */
  readonly noProxy: string;
}

/** A proxy that has not said anything by then is given up. */
const TUNNEL_TIMEOUT_MS = 5_000;

/** @throws Error that names the proxy and what it responded; never a secret */
export async function openTunnel(proxy: Proxy, hostname: string, port: number): Promise<Socket> {
  const authority = `${isIPv6(hostname) ? `[${hostname}]` : hostname}:${port}`;
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const failed = (what: string, cause?: Error): void =>
    reject(new Error(`the proxy ${proxy.hostname}:${proxy.port} ${what}`, { cause }));
  const asking = request({
    method: 'CONNECT',
    host: proxy.hostname.replace(/^\[|\]$/g, ''),
    port: proxy.port,
    path: authority,
    headers: {
      host: authority,
      ...(proxy.authorization !== undefined && { 'proxy-authorization': proxy.authorization }),
    },
    agent: false,
    signal: AbortSignal.timeout(TUNNEL_TIMEOUT_MS),
  });
  asking.once('connect', ({ statusCode }, socket: Socket, head) => {
    if (statusCode === 200 && head.length === 0) {
      resolve(socket);
      return;
    }
    socket.destroy();
    // Bytes of a server before our first ones: not TLS.
    failed(statusCode === 200 ? 'sent bytes of its own' : `responded ${statusCode} to CONNECT`);
  });
  asking.once('response', (response) => {
    response.destroy();
    failed(`responded ${response.statusCode} to CONNECT`);
  });
  asking.on('error', (error) => failed('cannot be reached', error));
  asking.end();
  return promise;
}
