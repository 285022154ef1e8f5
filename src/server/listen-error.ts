/** Why a listener cannot open its address, and which key of the configuration to change. Pure. */

/** The address that a listener should open, and its configuration key, such as `listeners[1]` or `admin`. */
export interface ListenAddress {
  readonly key: string;
  readonly host: string;
  readonly port: number;
}

/** An address cannot be opened. The message has one remedy. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
  /** The key to change: `listeners[1].port`, `admin.host`. */
  readonly key: string;
  /** Of the operating system: `EADDRINUSE`, `EACCES` and the like. */
  readonly code: string;

  constructor({ key, host, port }: ListenAddress, error: unknown) {
    const { code = 'unknown error' } = error as NodeJS.ErrnoException;
    const { part, text } = REASONS[code] ?? OTHER;
    super(`${key}.${part}: ${text(hostText(host), port)} (${code})`);
    this.key = `${key}.${part}`;
    this.code = code;
  }
}

interface Reason {
  /** The key that is at fault, or is the easiest to change. */
  readonly part: 'host' | 'port';
  readonly text: (host: string, port: number) => string;
}

const UNKNOWN_NAME: Reason = {
  part: 'host',
  text: (host) => `the name ${host} has no address; write an address of this machine`,
};

const REASONS: Readonly<Record<string, Reason>> = {
  EADDRINUSE: {
    part: 'port',
    text: (host, port) =>
      `${host}:${port} is in use by another process or listener; stop that, or choose another port`,
  },
  EACCES: {
    part: 'port',
    text: (host, port) =>
      `the system does not allow this process to open ${host}:${port}; choose a port of 1024 or above, or grant CAP_NET_BIND_SERVICE`,
  },
  EADDRNOTAVAIL: {
    part: 'host',
    text: (host) => `${host} is not an address of this machine; write one that is, or 0.0.0.0 for all`,
  },
  EAFNOSUPPORT: {
    part: 'host',
    text: (host) => `this machine does not speak the protocol of ${host}; write an IPv4 address`,
  },
  EINVAL: {
    part: 'host',
    text: (host) => `${host} cannot be listened on; write an address of this machine`,
  },
  ENOTFOUND: UNKNOWN_NAME,
  EAI_AGAIN: UNKNOWN_NAME,
};
const OTHER: Reason = {
  part: 'port',
  text: (host, port) => `${host}:${port} cannot be opened; choose another host or port`,
};

/** An IPv6 address stands in brackets before a port. */
function hostText(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}
