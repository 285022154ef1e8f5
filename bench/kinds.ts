/** The kinds of requests that are measured, and the load of each. */
import type { Algorithm } from './credentials.ts';
import type { Tokens } from './measure.ts';
import type { Wallet } from './wallet.ts';

interface Kind {
  readonly title: string;
  readonly algorithm: Algorithm;
  /** Of every response. */
  readonly status: 200 | 401;
  /** No token of the load is in a cache. */
  readonly isNew: boolean;
  /** The one token, or the file of tokens that are sent in turn. */
  readonly tokens: (wallet: Wallet) => { readonly token: string } | { readonly file: string };
}

export const KINDS = {
  known: {
    title: 'token seen before, RS256',
    algorithm: 'RS256',
    status: 200,
    isNew: false,
    tokens: ({ token }) => ({ token }),
  },
  'new-rs256': {
    title: 'every token new, RS256',
    algorithm: 'RS256',
    status: 200,
    isNew: true,
    tokens: ({ good }) => ({ file: good }),
  },
  'new-es256': {
    title: 'every token new, ES256',
    algorithm: 'ES256',
    status: 200,
    isNew: true,
    tokens: ({ good }) => ({ file: good }),
  },
  'same-bad': {
    title: 'the same bad signature again, RS256',
    algorithm: 'RS256',
    status: 401,
    isNew: false,
    tokens: ({ oneBad }) => ({ file: oneBad }),
  },
  'new-bad': {
    title: 'every bad signature new, RS256',
    algorithm: 'RS256',
    status: 401,
    isNew: true,
    tokens: ({ bad }) => ({ file: bad }),
  },
} as const satisfies Record<string, Kind>;

/** At the end of a measurement, at most: sent, and not counted. */
const IN_FLIGHT = 64;

export type KindName = keyof typeof KINDS;

export const isKindName = (name: string): name is KindName => Object.hasOwn(KINDS, name);

/** The load of one proxy: each measurement goes on with the tokens where the one before has ended. */
export class LoadOf {
  readonly #kind: Kind;
  readonly #wallet: Wallet;
  #sent = 0;

  constructor(kind: KindName, wallet: Wallet) {
    this.#kind = KINDS[kind];
    this.#wallet = wallet;
  }

  next(): Tokens {
    const tokens = this.#kind.tokens(this.#wallet);
    return 'token' in tokens ? tokens : { ...tokens, leaveOut: this.#sent, status: this.#kind.status };
  }

  sent(requests: number): void {
    this.#sent = (this.#sent + requests + IN_FLIGHT) % this.#wallet.count;
  }
}
