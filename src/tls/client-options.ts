/** How the gateway speaks TLS with a server, as Node takes it: PEM; Node's own defaults where a part is absent. */
export interface TlsClient {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly servername?: string;
}
