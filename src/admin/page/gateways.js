/** The gateways that share the revocation store, from /v1/gateways: a tile for all of them, and one for each. Pure. */
import { durationText } from './dom.js';

/**
 * @typedef {{
 *   name: string, id: string, configured_name: string, this: boolean, live: boolean, ready: boolean, version: string,
 *   workers: number, started_at: number, heartbeat_age_seconds: number, view_age_seconds: number | null, config_hash: string,
 * }} Gateway name: its label, such as `edge@host-a`
 * @typedef {{
 *   store: 'memory' | 'sqlite' | 'redis', complete: boolean, gateways: Gateway[],
 *   canary?: { every_seconds: number | null, last: import('../canary-json.ts').CanaryJson | null },
 * }} FleetReport this one first
 * @typedef {{
 *   nowSeconds: number, maxViewAgeSeconds: number, differsSince: (gateway: Gateway) => number | undefined,
 * }} Moment differsSince: when a configuration other than this gateway's was first seen
 * @typedef {import('./health.js').Tile} Tile
 */

/** Longer than a rollout has both versions beside each other. */
export const LONG_SECONDS = 300;
const HASH_SHOWN = 8;
const NAMED = 3;

const STORE_ALONE = {
  memory: 'its store is its own memory, which no other gateway shares',
  sqlite: 'no other gateway uses its store',
  redis: 'no other gateway uses its store',
};

/**
 * All of them, as one tile.
 *
 * @param {FleetReport} report
 * @param {Tile[]} tiles one for each gateway
 * @returns {Tile}
 */
export function fleetTile({ store, complete, gateways }, tiles) {
  const title = 'Gateways';
  if (!complete)
    return {
      title,
      level: 'bad',
      state: 'Others not known',
      more: 'the revocation store is unavailable: this gateway sees no other',
    };
  if (gateways.length === 1)
    return { title, level: tiles[0]?.level ?? 'good', state: 'This one alone', more: STORE_ALONE[store] };
  const wrong = tiles.filter(({ level }) => level !== 'good');
  if (wrong.length === 0)
    return { title, level: 'good', state: `All ${gateways.length} ready`, more: versionsText(gateways) };
  const names = wrong.slice(0, NAMED).map(({ title }) => title);
  return {
    title,
    level: wrong.some(({ level }) => level === 'bad') ? 'bad' : 'warn',
    state: `${wrong.length} of ${gateways.length} to look at`,
    more: `${names.join(', ')}${wrong.length > NAMED ? `, and ${wrong.length - NAMED} more` : ''}`,
  };
}

/** @param {Gateway[]} gateways */
function versionsText(gateways) {
  const versions = [...new Set(gateways.map(({ version }) => version))];
  return `${versions.length === 1 ? 'version' : 'versions'} ${versions.join(', ')}`;
}

/**
 * @param {FleetReport} report
 * @param {Moment} moment
 * @returns {Tile[]} one for each, in the same order
 */
export function gatewayTiles({ gateways }, moment) {
  const isServed = gateways.some(({ live, ready }) => live && ready);
  const [own] = gateways;
  if (own === undefined) return [];
  return gateways.map((gateway) => ({
    title: `${gateway.name}${gateway.this ? ' (this one)' : ''}`,
    ...stateOf(gateway, own, isServed, moment),
    more: moreOf(gateway, own, moment),
  }));
}

/**
 * @param {Gateway} gateway
 * @param {Gateway} own
 * @param {boolean} isServed another gateway is ready
 * @param {Moment} moment
 * @returns {Pick<Tile, 'level' | 'state'>}
 */
function stateOf(gateway, own, isServed, { nowSeconds, maxViewAgeSeconds, differsSince }) {
  const { live, ready, view_age_seconds: age } = gateway;
  if (!live) return { level: 'warn', state: 'No heartbeat' };
  if (!ready) return { level: isServed ? 'warn' : 'bad', state: 'Not ready' };
  if (age === null || age > maxViewAgeSeconds) return { level: 'warn', state: 'Revocation list stale' };
  // What runs can change at a start alone.
  const sinceStart = Math.max(gateway.started_at, own.started_at);
  if (gateway.version !== own.version && nowSeconds - sinceStart >= LONG_SECONDS)
    return { level: 'warn', state: 'Another version' };
  const since = differsSince(gateway);
  if (since !== undefined && nowSeconds - since >= LONG_SECONDS)
    return { level: 'warn', state: 'Another configuration' };
  return { level: 'good', state: 'Ready' };
}

/**
 * Gateways of another name have another configuration on purpose.
 *
 * @param {Gateway} gateway
 * @param {Gateway} own
 */
export function hasOtherConfiguration(gateway, own) {
  return gateway.configured_name === own.configured_name && gateway.config_hash !== own.config_hash;
}

/**
 * @param {Gateway} gateway
 * @param {Gateway} own
 * @param {Moment} moment
 */
function moreOf(gateway, own, { nowSeconds }) {
  const { version, workers, started_at, view_age_seconds: age, heartbeat_age_seconds } = gateway;
  const hash = (/** @type {Gateway} */ { config_hash }) => config_hash.slice(0, HASH_SHOWN);
  return [
    `version ${version}${version === own.version ? '' : `, here ${own.version}`}`,
    ...(workers > 1 ? [`${workers} workers`] : []),
    `up for ${durationText(Math.max(0, nowSeconds - started_at))}`,
    age === null ? 'list never loaded' : `list seen ${durationText(age)} ago`,
    ...(gateway.this ? [] : [`heartbeat ${durationText(heartbeat_age_seconds)} ago`]),
    ...(hasOtherConfiguration(gateway, own) ? [`configuration ${hash(gateway)}, here ${hash(own)}`] : []),
  ].join(', ');
}
