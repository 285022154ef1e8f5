/** Health at a glance, and the routes with who may pass: from /v1/status. */
import { byId, durationText, element, numberText } from './dom.js';
import { STORES } from './revocation-labels.js';

/**
 * @typedef {{
 *   name: string, version: string, uptime_seconds: number, ready: boolean,
 *   routes: { name: string, match: string, access: string, upstream: string }[],
 *   issuers: { name: string, issuer: string | null, keys_available?: boolean, keys_age_seconds?: number | null }[],
 *   upstreams: { name: string, targets: { url: string, healthy: boolean }[] }[],
 *   certificates: { key: string, state: string, expires_at: string, expires_in_seconds: number }[],
 *   revocation: {
 *     entries: number, view_age_seconds: number | null, max_view_age_seconds: number,
 *     store: 'memory' | 'sqlite' | 'redis', store_connected: boolean,
 *     claims: string[],
 *   },
 * }} Status
 */

/**
 * @param {string} title
 * @param {boolean} isWell
 * @param {string} state
 * @param {string} more
 */
function tile(title, isWell, state, more) {
  return element(
    'li',
    { class: isWell ? 'tile' : 'tile wrong' },
    element('span', { class: 'quiet' }, title),
    element('b', { class: 'state' }, `${isWell ? '✓' : '✗'} ${state}`),
    element('span', {}, more),
  );
}

/** @param {Status} status */
export function showHealth(status) {
  const { revocation } = status;
  const age = revocation.view_age_seconds;
  const isFresh = age !== null && age <= revocation.max_view_age_seconds;
  byId('gateway-name').textContent = `${status.name}, ${status.version}`;
  byId('tiles').replaceChildren(
    tile(
      'Gateway',
      status.ready,
      status.ready ? 'Ready' : 'Not ready',
      `up for ${durationText(status.uptime_seconds)}`,
    ),
    tile(
      'Revocation list',
      isFresh,
      isFresh ? 'Up to date' : 'Stale',
      `${numberText(revocation.entries)} entries, ${age === null ? 'never loaded' : `seen ${durationText(age)} ago`}, at most ${durationText(revocation.max_view_age_seconds)} allowed`,
    ),
    tile(
      'Revocation store',
      revocation.store_connected,
      revocation.store_connected ? 'Connected' : 'Not connected',
      revocation.store_connected ? STORES[revocation.store].health : 'nothing can be revoked at the moment',
    ),
    ...status.issuers.map(issuerTile),
    ...status.upstreams.map(upstreamTile),
    ...certificatesTile(status.certificates),
  );
}

/** @param {Status['issuers'][number]} issuer */
function issuerTile({ name, keys_available, keys_age_seconds }) {
  if (keys_available === undefined)
    return tile(`Issuer ${name}`, true, 'Configured', 'no keys are fetched for it');
  return tile(
    `Keys of ${name}`,
    keys_available,
    keys_available ? 'There' : 'Missing',
    keys_age_seconds === null || keys_age_seconds === undefined
      ? 'never fetched'
      : `fetched ${durationText(keys_age_seconds)} ago`,
  );
}

/** @param {Status['upstreams'][number]} upstream */
function upstreamTile({ name, targets }) {
  const sick = targets.filter(({ healthy }) => !healthy);
  return tile(
    `Upstream ${name}`,
    sick.length === 0,
    sick.length === 0 ? 'Serving' : `${sick.length} of ${targets.length} out`,
    (sick.length > 0 ? sick : targets).map(({ url }) => url).join(', '),
  );
}

/**
 * One tile for all of them: how many are not as they should be, and the one that ends first.
 *
 * @param {Status['certificates']} certificates
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
  return [tile('Certificates', wrong.length === 0, state, `${key} ${when}`)];
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
