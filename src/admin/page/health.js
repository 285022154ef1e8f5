/** Each part of the gateway as a tile, and the routes with who may pass: from /v1/status. */
import { byId, durationText, element, numberText } from './dom.js';
import { STORES } from './revocation-labels.js';

/**
 * @typedef {{
 *   name: string, version: string, uptime_seconds: number, ready: boolean,
 *   routes: { name: string, match: string, access: string, upstream: string }[],
 *   issuers: { name: string, issuer: string | null, keys_available?: boolean, keys_age_seconds?: number | null }[],
 *   upstreams: { name: string, targets: { url: string, healthy: boolean, cause?: string }[] }[],
 *   certificates: { key: string, state: string, expires_at: string, expires_in_seconds: number }[],
 *   revocation: {
 *     entries: number, view_age_seconds: number | null, max_view_age_seconds: number,
 *     store: 'memory' | 'sqlite' | 'redis', store_connected: boolean,
 *     claims: string[],
 *   },
 *   used_proofs?: { available: boolean | null, full: boolean, refusing: string[], passing: string[] } | null,
 * }} Status
 */

/**
 * @typedef {{ title: string, level: 'good' | 'warn' | 'bad', state: string, more: string }} Tile
 * @typedef {{ level: 'warn' | 'bad', words: string }} Finding
 */

/** Keys are fetched every few minutes: after this time the alert SallyportKeysStale fires as well. */
const KEYS_OLD_SECONDS = 1_800;

export const SIGNS = { good: '✓', warn: '!', bad: '✗' };

/**
 * @param {Tile} content
 * @param {string} [asOf] when the gateway was last heard, if it is gone: nothing is claimed of now
 */
export function tile({ title, level, state, more }, asOf) {
  return element(
    'li',
    { class: `tile ${asOf === undefined ? level : 'old'}` },
    element('span', { class: 'quiet' }, title),
    element(
      'b',
      { class: 'state' },
      asOf === undefined ? `${SIGNS[level]} ${state}` : `? ${state}, as of ${asOf}`,
    ),
    element('span', {}, more),
  );
}

/**
 * @param {Status} status
 * @param {string} [asOf]
 * @returns {Finding[]} what is wrong, one for each tile
 */
export function showHealth(status, asOf) {
  byId('gateway-name').textContent = `${status.name}, ${status.version}`;
  const tiles = tilesOf(status);
  byId('tiles').replaceChildren(...tiles.map((content) => tile(content, asOf)));
  return tiles.flatMap(({ title, level, state }) =>
    level === 'good' ? [] : [{ level, words: `${lowerFirst(title)}: ${lowerFirst(state)}` }],
  );
}

/**
 * What the page says of each part. Pure.
 *
 * @param {Status} status
 * @returns {Tile[]}
 */
export function tilesOf(status) {
  return [
    gatewayTile(status),
    listTile(status.revocation),
    storeTile(status.revocation),
    ...proofsTile(status.used_proofs ?? null),
    ...status.issuers.map(issuerTile),
    ...status.upstreams.map(upstreamTile),
    ...certificatesTile(status.certificates),
  ];
}

/** @param {string} text */
export const lowerFirst = (text) => text.charAt(0).toLowerCase() + text.slice(1);

/**
 * @param {Status} status
 * @returns {Tile}
 */
function gatewayTile({ ready, uptime_seconds }) {
  return {
    title: 'Gateway',
    level: ready ? 'good' : 'bad',
    state: ready ? 'Ready' : 'Not ready',
    more: `up for ${durationText(uptime_seconds)}`,
  };
}

/**
 * @param {Status['revocation']} revocation
 * @returns {Tile}
 */
function listTile({ view_age_seconds: age, max_view_age_seconds: limit, entries }) {
  const isFresh = age !== null && age <= limit;
  const seen = age === null ? 'never loaded' : `seen ${durationText(age)} ago`;
  return {
    title: 'Revocation list',
    level: isFresh ? 'good' : 'bad',
    state: isFresh ? 'Up to date' : 'Stale',
    more: `${numberText(entries)} entries, ${seen}, at most ${durationText(limit)} allowed`,
  };
}

/**
 * @param {Status['revocation']} revocation
 * @returns {Tile}
 */
function storeTile({ store, store_connected }) {
  return {
    title: 'Revocation store',
    level: store_connected ? 'good' : 'bad',
    state: store_connected ? 'Connected' : 'Not connected',
    more: store_connected ? STORES[store].health : 'nothing can be revoked at the moment',
  };
}

/**
 * None where no route accepts proofs.
 *
 * @param {NonNullable<Status['used_proofs']> | null} proofs
 * @returns {Tile[]}
 */
function proofsTile(proofs) {
  if (proofs === null) return [];
  const { available, full, refusing, passing } = proofs;
  const title = 'Used proofs';
  if (available === null)
    return [{ title, level: 'good', state: 'Not asked yet', more: 'no proof (DPoP) has come' }];
  if (available) return [{ title, level: 'good', state: 'Remembered', more: 'a proof (DPoP) passes once' }];
  const effects = [
    ...(refusing.length > 0 ? [`503 on ${refusing.join(', ')}`] : []),
    ...(passing.length > 0 ? [`a used proof passes on ${passing.join(', ')}`] : []),
  ];
  return [{ title, level: 'bad', state: full ? 'Full' : 'Not available', more: effects.join('; ') }];
}

/**
 * @param {Status['issuers'][number]} issuer
 * @returns {Tile}
 */
function issuerTile({ name, keys_available, keys_age_seconds }) {
  if (keys_available === undefined)
    return {
      title: `Issuer ${name}`,
      level: 'good',
      state: 'Configured',
      more: 'no keys are fetched for it',
    };
  const age = keys_age_seconds ?? undefined;
  const isOld = age !== undefined && age > KEYS_OLD_SECONDS;
  return {
    title: `Keys of ${name}`,
    level: keys_available ? (isOld ? 'warn' : 'good') : 'bad',
    state: keys_available ? (isOld ? 'Old' : 'There') : 'Missing',
    more: age === undefined ? 'never fetched' : `fetched ${durationText(age)} ago`,
  };
}

/**
 * @param {Status['upstreams'][number]} upstream
 * @returns {Tile}
 */
function upstreamTile({ name, targets }) {
  const sick = targets.filter(({ healthy }) => !healthy);
  const isDown = targets.length > 0 && sick.length === targets.length;
  return {
    title: `Upstream ${name}`,
    level: sick.length === 0 ? 'good' : isDown ? 'bad' : 'warn',
    state:
      sick.length === 0 ? 'Serving' : isDown ? 'All targets out' : `${sick.length} of ${targets.length} out`,
    more: (sick.length > 0 ? sick : targets)
      .map(({ url, cause }) => (cause === undefined ? url : `${url} (${cause})`))
      .join(', '),
  };
}

/**
 * One tile for all of them: how many are not as they should be, and the one that ends first.
 *
 * @param {Status['certificates']} certificates
 * @returns {Tile[]}
 */
function certificatesTile(certificates) {
  const [first] = certificates.toSorted((a, b) => a.expires_in_seconds - b.expires_in_seconds);
  if (first === undefined) return [];
  const wrong = certificates.filter(({ state }) => state !== 'valid');
  const expired = wrong.filter(({ state }) => state === 'expired').length;
  const state =
    wrong.length === 0
      ? 'Valid'
      : expired > 0
        ? `${expired} of ${certificates.length} expired`
        : `${wrong.length} of ${certificates.length} to renew`;
  const { key, expires_in_seconds: left } = wrong.find(({ state }) => state !== 'expiring') ?? first;
  const when = left < 0 ? `expired ${durationText(-left)} ago` : `expires in ${durationText(left)}`;
  const level =
    wrong.length === 0 ? 'good' : wrong.some(({ state }) => state !== 'expiring') ? 'bad' : 'warn';
  return [{ title: 'Certificates', level, state, more: `${key} ${when}` }];
}

/** @param {Status} status */
export function showRoutes(status) {
  byId('route-list').replaceChildren(
    ...status.routes.map(({ name, match, access, upstream }) =>
      element(
        'li',
        {},
        element('b', {}, name),
        element('code', {}, match),
        element('span', {}, access),
        element('span', { class: 'quiet' }, `to ${upstream}`),
      ),
    ),
  );
}
