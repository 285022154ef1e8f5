/** How the servers of an issuer are reached, as its configuration asks for it. */
import { resolve } from 'node:path';
import { calledOrigins } from '../config/issuer-http-problems.ts';
import type { ProxySetting } from '../config/issuer-http-schema.ts';
import type { IssuerConfiguration } from '../config/schema.ts';
import { tlsClientOptions } from '../config/tls-schema.ts';
import type { Proxy } from '../token/proxy-tunnel.ts';
import type { ServerAccess } from '../token/server-access.ts';

/**
 * Undefined where they are reached like all others.
 *
 * @param folder of the configuration, for relative paths
 */
export function serverAccess(
  issuer: Pick<IssuerConfiguration, 'http'>,
  folder: string,
): ServerAccess | undefined {
  const { http } = issuer;
  if (!http) return undefined;
  const { tls = {}, proxy, bearer_token_file: file } = http;
  return {
    tls: tlsClientOptions(tls),
    proxy: proxy && proxyOf(proxy),
    bearerTokenFile: file === undefined ? undefined : resolve(folder, file),
    origins: calledOrigins(issuer),
  };
}

function proxyOf({ url, noProxy }: ProxySetting): Proxy | undefined {
  if (url === undefined) return undefined;
  const { hostname, port, username, password } = new URL(url);
  const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return {
    hostname,
    port: Number(port) || 80,
    authorization:
      credentials === ':' ? undefined : `Basic ${Buffer.from(credentials, 'utf8').toString('base64')}`,
    noProxy,
  };
}
