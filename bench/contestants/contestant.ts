/** One of the programs that are compared, set up for the same job. */
import type { Credentials } from '../credentials.ts';
import type { KindName } from '../kinds.ts';

/** Where a contestant runs. */
export interface Place {
  /** Its own. */
  readonly folder: string;
  readonly port: number;
  /** For what it tells of itself. */
  readonly adminPort: number;
  readonly upstreamPort: number;
  readonly credentials: Credentials;
  readonly kind: KindName;
}

export interface Command {
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Why a token must not pass. */
export type Defect =
  'bad signature' | 'wrong audience' | 'wrong issuer' | 'expired' | 'alg none' | 'no token';

export interface Contestant {
  readonly name: string;
  /** @throws Error if it is not on this machine and cannot be installed */
  readonly version: () => string;
  /** What it is measured with. */
  readonly kinds: readonly KindName[];
  /** The load of another kind, for a base; undefined: that of each kind. */
  readonly plays?: KindName;
  /** What it does not see by its nature; undefined: it authenticates nothing. */
  readonly blindTo: readonly Defect[] | undefined;
  /** It speaks no HTTP/1.1: nothing can be asked of it before the load. */
  readonly onlyHttp2?: true;
  /** It compiles what it runs, and is slow at first. */
  readonly warmsUp: boolean;
  /** Writes its configuration into the folder. */
  readonly start: (place: Place) => Command;
  /** What its cache of tokens says of itself; proof that new tokens are new. */
  readonly lookups?: (adminPort: number) => Promise<Lookups>;
}

export interface Lookups {
  readonly hits: number;
  readonly misses: number;
}

/** The sum of all samples of a text for Prometheus, or of Envoy's statistics, whose name matches. */
export function sumOf(text: string, name: RegExp): number {
  return text
    .split('\n')
    .filter((line) => name.test(line))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

export async function textOf(port: number, path: string): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`);
  if (!response.ok) throw new Error(`${path} on port ${port}: ${response.status}`);
  return response.text();
}
