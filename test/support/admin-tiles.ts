/** What the admin page says of a gateway: the page's own functions, with what the API says. They need no browser. */
import type { TestGateway } from './gateway.ts';

export interface Tile {
  readonly title: string;
  readonly level: 'good' | 'warn' | 'bad' | 'none';
  readonly state: string;
}
/** As /v1/history has it. */
export interface History {
  readonly step_seconds: number;
  readonly routes: readonly Readonly<Record<string, unknown>>[];
}
interface Share {
  readonly route: string;
  readonly level: Tile['level'];
  readonly words: string;
}

const page = new URL('../../src/admin/page/', import.meta.url).href;
export const { tilesOf } = (await import(`${page}health.js`)) as {
  readonly tilesOf: (status: unknown) => Tile[];
};
export const { canaryTile } = (await import(`${page}canary.js`)) as {
  readonly canaryTile: (
    report: object,
    nowSeconds: number,
  ) => { readonly tile: Tile & { readonly more: string }; readonly asOf?: string } | undefined;
};
export const { sharesOf } = (await import(`${page}history.js`)) as {
  readonly sharesOf: (history: History) => Share[];
};

/**
 * The tiles of the gateway's parts and of its routes.
 *
 * @param steps how many steps of five seconds the routes are judged by, up to now; the page takes those of five minutes
 */
export async function tilesNow(gateway: TestGateway, steps: number): Promise<Tile[]> {
  const [status, { step_seconds, routes }] = (await Promise.all(
    ['/v1/status', '/v1/history'].map(async (path) => (await gateway.admin('GET', path)).json()),
  )) as [object, History];
  const latest = (list: unknown): unknown => (Array.isArray(list) ? list.slice(-steps) : list);
  const shares = sharesOf({
    step_seconds,
    routes: routes.map((route) =>
      Object.fromEntries(Object.entries(route).map(([name, list]) => [name, latest(list)])),
    ),
  });
  return [
    ...tilesOf(status),
    ...shares.map(({ route, level, words }) => ({ title: `Route ${route}`, level, state: words })),
  ];
}
