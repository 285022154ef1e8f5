/** TLS options for connections to a server, in Node's form: PEM. Node's defaults apply to absent parts. */
export interface TlsClient {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly servername?: string;
}
