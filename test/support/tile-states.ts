/** Every state of every tile of the admin page: what the API says, and what the tile becomes. */
import type { Page } from 'playwright-core';
import { fleetReport, gatewayOf, historyOf, NOW } from './admin-page.ts';
import { ISSUER } from './tokens.ts';

/** By which part of the page it is drawn. */
type Source = 'status' | 'history' | 'gateways';
type Level = 'good' | 'warn' | 'bad';

export interface TileState {
  readonly source: Source;
  readonly title: string;
  /** What the API says: a part of the status, a history, or reports of the fleet, one after the other. */
  readonly given: object;
  readonly level: Level;
  readonly state: string;
}

export interface DrawnTile {
  readonly looks: string;
  readonly state: string;
}

const AS_OF = '10:41:03';

/** A state, drawn as it is, and once the gateway is gone. */
export interface Drawn {
  readonly now: DrawnTile;
  readonly gone: DrawnTile;
}

type Row = readonly [given: object, level: Level, state: string];

const statesOf = (source: Source, title: string, rows: readonly Row[]): TileState[] =>
  rows.map(([given, level, state]) => ({ source, title, given, level, state }));

const share = (requests: number, refused: number, failed: number, slow = 0): object =>
  historyOf({ orders: [requests, refused, failed, slow] });

/** Of the second of three gateways; `since` seconds ago the page saw it for the first time. */
const second = (changes: object, since = 0): object => {
  const report = fleetReport(gatewayOf('host-a'), gatewayOf('host-b', changes), gatewayOf('host-c'));
  return [since, 0].map((ago) => ({ report, atSeconds: NOW - ago }));
};
const fleetWith = (changes: object): object => [
  {
    report: fleetReport(...['host-a', 'host-b', 'host-c'].map((host) => gatewayOf(host, changes))),
    atSeconds: NOW,
  },
];

const targets = (...healthy: boolean[]): object => ({
  upstreams: [{ name: 'shop', targets: healthy.map((healthy) => ({ url: 'http://127.0.0.1:1', healthy })) }],
});
const keys = (available: boolean, age: number | null): object => ({
  issuers: [{ name: 'login', issuer: ISSUER, keys_available: available, keys_age_seconds: age }],
});
const proofs = (available: boolean | null, full = false): object => ({
  used_proofs: { available, full, refusing: ['orders'], passing: ['news'] },
});
const certificate = (state: string, days: number): object => ({
  certificates: [{ key: 'listeners[0].tls', state, expires_at: '', expires_in_seconds: days * 86_400 }],
});

const OTHER_HASH = { config_hash: 'b81d5e0f7a6c9d24' };
const OTHER_VERSION = { version: '0.2.0' };

const FLEET: readonly TileState[] = [
  ...statesOf('gateways', 'Gateways', [
    [second({}), 'good', 'All 3 ready'],
    [
      [{ report: { ...fleetReport(gatewayOf('host-a')), store: 'memory' }, atSeconds: NOW }],
      'good',
      'This one alone',
    ],
    [second({ live: false, heartbeat_age_seconds: 40 }), 'warn', '1 of 3 to look at'],
    [fleetWith({ ready: false }), 'bad', '3 of 3 to look at'],
    [
      [{ report: { ...fleetReport(gatewayOf('host-a')), complete: false }, atSeconds: NOW }],
      'bad',
      'Others not known',
    ],
  ]),
  ...statesOf('gateways', 'edge@host-b', [
    [second({}), 'good', 'Ready'],
    [second({ ...OTHER_VERSION, started_at: NOW - 60 }), 'good', 'Ready'],
    [second(OTHER_HASH, 60), 'good', 'Ready'],
    [second({ live: false, heartbeat_age_seconds: 40 }), 'warn', 'No heartbeat'],
    [second({ ready: false }), 'warn', 'Not ready'],
    [second({ view_age_seconds: 45 }), 'warn', 'Revocation list stale'],
    [second({ view_age_seconds: null }), 'warn', 'Revocation list stale'],
    [second(OTHER_VERSION), 'warn', 'Another version'],
    [second(OTHER_HASH, 400), 'warn', 'Another configuration'],
    [second({ ...OTHER_HASH, configured_name: 'inner' }, 400), 'good', 'Ready'],
    [fleetWith({ ready: false }), 'bad', 'Not ready'],
  ]),
];

const PROOFS = statesOf('status', 'Used proofs', [
  [proofs(null), 'good', 'Not asked yet'],
  [proofs(true), 'good', 'Remembered'],
  [proofs(false), 'bad', 'Not available'],
  [proofs(false, true), 'bad', 'Full'],
]);

/** @param revocation of the status as it is */
export function tileStates(revocation: object): readonly TileState[] {
  return [
    ...statesOf('history', 'Route orders', [
      [share(100, 0, 0), 'good', 'Well'],
      [share(100, 30, 0), 'warn', 'Many are refused'],
      [share(100, 0, 1), 'warn', 'Some fail'],
      [share(100, 0, 0, 5), 'warn', 'Some are slow'],
      [share(100, 95, 0), 'bad', 'Nearly all are refused'],
      [share(100, 100, 0), 'bad', 'All are refused'],
      [share(100, 0, 10), 'bad', 'Many fail'],
      [share(100, 0, 0, 20), 'bad', 'Many are slow'],
      [share(100, 0, 100), 'bad', 'All fail'],
    ]),
    ...FLEET,
    ...statesOf('status', 'Gateway', [
      [{}, 'good', 'Ready'],
      [{ ready: false }, 'bad', 'Not ready'],
    ]),
    ...statesOf('status', 'Revocation list', [
      [{}, 'good', 'Up to date'],
      [{ revocation: { ...revocation, view_age_seconds: 99 } }, 'bad', 'Stale'],
      [{ revocation: { ...revocation, view_age_seconds: null } }, 'bad', 'Stale'],
    ]),
    ...statesOf('status', 'Revocation store', [
      [{}, 'good', 'Connected'],
      [{ revocation: { ...revocation, store_connected: false } }, 'bad', 'Not connected'],
    ]),
    ...PROOFS,
    ...statesOf('status', 'Issuer login', [[{}, 'good', 'Configured']]),
    ...statesOf('status', 'Keys of login', [
      [keys(true, 10), 'good', 'There'],
      [keys(true, 2_400), 'warn', 'Old'],
      [keys(false, null), 'bad', 'Missing'],
    ]),
    ...statesOf('status', 'Upstream shop', [
      [targets(true, true), 'good', 'Serving'],
      [targets(true, false), 'warn', '1 of 2 out'],
      [targets(false, false), 'bad', 'All targets out'],
    ]),
    ...statesOf('status', 'Certificates', [
      [certificate('valid', 90), 'good', 'Valid'],
      [certificate('expiring', 3), 'warn', '1 of 1 to renew'],
      [certificate('expired', -3), 'bad', '1 of 1 expired'],
    ]),
  ];
}

export const SIGNS = { good: '✓', warn: '!', bad: '✗' };

/** What the tile is once the gateway is gone. */
export const goneText = (state: string): string => `? ${state}, as of ${AS_OF}`;

/** Draws each state by the page's own modules, and puts a copy of each tile into a part of the page: #states. */
const DRAW = `async ({ real, states, asOf }) => {
  const names = ['health', 'traffic', 'fleet'];
  const [{ showHealth }, { Traffic }, { Fleet }] = await Promise.all(
    names.map((name) => import('/page/' + name + '.js')));
  const traffic = new Traffic();
  const lists = { status: 'tiles', history: 'shares', gateways: 'gateways' };
  const draw = {
    status: (given, asOf) => showHealth({ ...real, ...given }, asOf),
    history: (given, asOf) => {
      traffic.showHistory(given);
      if (asOf !== undefined) traffic.showShares(asOf);
    },
    gateways: (reports, asOf) => {
      const fleet = new Fleet();
      for (const { report, atSeconds } of reports) fleet.show(report, 30, atSeconds);
      if (asOf !== undefined) fleet.showOld(asOf);
    },
  };
  const make = (tag, ...children) => { const made = document.createElement(tag); made.append(...children); return made; };
  const gallery = make('section');
  gallery.id = 'states';
  const groups = new Map();
  const groupOf = (title) => {
    if (!groups.has(title)) {
      const list = make('ul');
      list.className = 'tiles';
      groups.set(title, list);
      gallery.append(make('h2', title), list);
    }
    return groups.get(title);
  };
  const drawn = ({ source, given, title }, asOf) => {
    draw[source](given, asOf);
    const found = [...document.getElementById(lists[source]).children].find(
      (item) => item.querySelector('.quiet').textContent === title);
    const copy = found.cloneNode(true);
    return { copy, looks: found.className, state: found.querySelector('.state').textContent };
  };
  const all = states.map((state) => {
    const [now, gone] = [drawn(state), drawn(state, asOf)];
    const list = groupOf(state.title);
    const isNew = ![...list.querySelectorAll('.state')].some((shown) => shown.textContent === now.state);
    if (list.children.length === 0) list.append(gone.copy);
    if (isNew) list.insertBefore(now.copy, list.lastChild);
    return [now, gone].map(({ looks, state }) => ({ looks, state }));
  });
  document.getElementById('content').append(gallery);
  return all.map(([now, gone]) => ({ now, gone }));
}`;

/** @param real the status as the gateway tells it */
export async function drawStates(
  page: Page,
  real: object,
  states: readonly TileState[],
): Promise<readonly Drawn[]> {
  return page.evaluate<Drawn[]>(`(${DRAW})(${JSON.stringify({ real, states, asOf: AS_OF })})`);
}
