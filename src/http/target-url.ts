/** The URL of a server that requests are forwarded to: scheme, host and port; the scheme says which protocol it speaks. Pure. */

export interface TargetUrl {
  /**
   * Where it is: http: or https:, for TCP or TLS. Its host is what Host, SNI and the certificate are about, without the root
   * dot: RFC 6066 section 3 forbids it in SNI, and servers look for no such Host.
   */
  readonly origin: URL;
  /** The host as DNS is asked for it, where that has a root dot: no search domain is tried. Undefined: that of `origin`. */
  readonly rooted?: string;
  readonly isHttp2: boolean;
  /** Of https: the server chooses between HTTP/2 and HTTP/1.1 (ALPN), whatever the scheme says. */
  readonly negotiates?: boolean;
  /** Scheme, host and port, for people and metrics. */
  readonly text: string;
  /** The name of its SRV records (RFC 2782), which say where its servers are; undefined: `origin` does. */
  readonly service?: string;
}

/** `h2c`: HTTP/2 over TCP, by prior knowledge; `h2`: HTTP/2 over TLS (RFC 9113 section 3). */
const TRANSPORTS: Readonly<Record<string, string>> = {
  http: 'http',
  https: 'https',
  h2c: 'http',
  h2: 'https',
};

/** `srv://NAME` is `srv+http://NAME`. */
const SERVICE = /^srv(?:\+(https?|h2c?))?:\/\/([^:/?#@[\]]+)\/?$/i;

/** Undefined for anything but scheme, host and port. */
export function readTargetUrl(text: string): TargetUrl | undefined {
  const [, scheme = 'http', name] = SERVICE.exec(text) ?? [];
  return name === undefined ? readServerUrl(text) : readServiceUrl(scheme.toLowerCase(), name);
}

/**
 * Its servers are one service under one name: the name without the labels of RFC 2782. Host, SNI and certificate are that
 * name's, whatever DNS says (RFC 9525 section 6.1), and the port is that of SRV.
 */
function readServiceUrl(scheme: string, name: string): TargetUrl | undefined {
  const whole = readServerUrl(`${scheme}://${name}`);
  const server = readServerUrl(`${scheme}://${name.replace(/^(?:_[^.]*\.)+/, '')}`);
  if (!whole || !server || /^[0-9.]+$/.test(whole.origin.hostname) || server.origin.hostname.startsWith('_'))
    return undefined;
  const service = whole.rooted ?? whole.origin.hostname;
  return { ...server, service, text: `srv${scheme === 'http' ? '' : `+${scheme}`}://${service}` };
}

function readServerUrl(text: string): TargetUrl | undefined {
  const [, scheme = '', rest = ''] = /^([a-z0-9]+)(:\/\/.*)$/is.exec(text) ?? [];
  const name = scheme.toLowerCase();
  const transport = Object.hasOwn(TRANSPORTS, name) ? TRANSPORTS[name] : undefined;
  if (transport === undefined || !URL.canParse(transport + rest)) return undefined;
  const origin = new URL(transport + rest);
  const { username, password, pathname, search, hash } = origin;
  if (username !== '' || password !== '' || pathname !== '/' || search !== '' || hash !== '')
    return undefined;
  const target = { origin, isHttp2: name.startsWith('h2'), text: `${name}://${origin.host}` };
  const { hostname } = origin;
  if (!/[^.]\.$/.test(hostname)) return target;
  origin.hostname = hostname.slice(0, -1);
  return { ...target, rooted: hostname };
}
