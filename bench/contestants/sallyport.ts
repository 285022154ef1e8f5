/** Sallyport, and the floor below it. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { NAMES } from '../goals.ts';
import { KINDS, type KindName } from '../kinds.ts';
import { sallyportVersion } from '../programs.ts';
import { sumOf, textOf, type Contestant, type Lookups, type Place } from './contestant.ts';

export const MAIN = new URL('../../src/main.ts', import.meta.url).pathname;
const FLOOR = new URL('../peers/floor.ts', import.meta.url).pathname;

export interface SallyportOptions {
  readonly kinds: readonly KindName[];
  readonly plays?: KindName;
  readonly accessLog?: boolean;
  /** Top-level keys of the configuration over those that all have. */
  readonly more?: (place: Place) => object;
}

export function sallyport(name: string, options: SallyportOptions): Contestant {
  const { kinds, plays } = options;
  return {
    name,
    version: sallyportVersion,
    kinds,
    ...(plays !== undefined && { plays }),
    blindTo: [],
    warmsUp: true,
    start(place) {
      const { folder, credentials } = place;
      const file = join(folder, 'sallyport.json');
      writeFileSync(join(folder, 'jwks.json'), JSON.stringify(credentials.jwks));
      writeFileSync(file, JSON.stringify(configurationOf(place, options)));
      return { command: [process.execPath, MAIN, 'run', '-c', file] };
    },
    lookups,
  };
}

function configurationOf(place: Place, { accessLog = false, more }: SallyportOptions): object {
  const { port, adminPort, upstreamPort, credentials } = place;
  const { issuer, audience } = credentials;
  return {
    realm: 'bench',
    access_log: accessLog,
    listeners: [{ host: '127.0.0.1', port }],
    admin: { port: adminPort },
    issuers: { bench: { issuer, jwks_file: 'jwks.json', audiences: [audience] } },
    routes: [
      { name: 'orders', match: { path_prefix: '/' }, upstream: 'orders', auth: { scopes: ['orders:read'] } },
    ],
    upstreams: { orders: { targets: [`http://127.0.0.1:${upstreamPort}`] } },
    ...more?.(place),
  };
}

async function lookups(adminPort: number): Promise<Lookups> {
  const text = await textOf(adminPort, '/metrics');
  const sum = (result: string): number =>
    sumOf(
      text,
      new RegExp(`^sallyport_cache_lookups_total\\{cache="(?:tokens|negatives)",result="${result}"`),
    );
  // A token that is in neither is missed twice.
  return { hits: sum('hit'), misses: sum('miss') / 2 };
}

/** What no gateway on Node with this client can go below; for refusals, without the client. */
export const floor: Contestant = {
  name: NAMES.floor,
  version: () => process.versions.node,
  kinds: Object.keys(KINDS) as KindName[],
  blindTo: undefined,
  warmsUp: true,
  start: ({ port, upstreamPort, kind }) => ({
    command: [process.execPath, FLOOR, String(port), String(upstreamPort), String(KINDS[kind].status)],
  }),
};
