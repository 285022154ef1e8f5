/** The latest canary of the fleet, from /v1/gateways, as a tile: how many gateways refuse what was just revoked. Pure. */
import { clockText, durationText } from './dom.js';

/**
 * @typedef {import('../canary-json.ts').CanaryJson} Canary
 * @typedef {import('./health.js').Tile} Tile
 * @typedef {{ tile: Tile, asOf?: string }} CanaryTile asOf: it is of the past, and nothing is claimed of now
 */

/** Turns that may have been missed before the last canary counts as old. */
const TURNS_MISSED = 3;
/** Where this gateway makes none: the longest that another one may wait between two. */
const LONGEST_SECONDS = 300;

/**
 * @param {{ complete: boolean, canary?: { every_seconds: number | null, last: Canary | null } }} report
 * @param {number} nowSeconds since 1970
 * @returns {CanaryTile | undefined} undefined: this gateway makes none, and has heard of none
 */
export function canaryTile({ complete, canary }, nowSeconds) {
  if (!canary || (canary.every_seconds === null && canary.last === null)) return undefined;
  const { every_seconds: every, last } = canary;
  const title = 'Canary';
  if (last === null)
    return {
      tile: {
        title,
        level: 'good',
        state: 'None yet',
        more: `every ${durationText(every ?? LONGEST_SECONDS)} a gateway revokes an entry of its own`,
      },
    };
  const age = nowSeconds - last.made_at;
  const isOld = !complete || age > TURNS_MISSED * (every ?? LONGEST_SECONDS);
  return {
    tile: { title, level: levelOf(last), state: stateOf(last), more: moreOf(last, age) },
    ...(isOld && { asOf: clockText(last.made_at) }),
  };
}

/**
 * @param {Canary} last
 * @returns {Tile['level']}
 */
function levelOf({ missed, silent, unknown }) {
  if (missed.length > 0) return 'bad';
  return silent.length + unknown.length > 0 ? 'warn' : 'good';
}

/** @param {Canary} last */
function stateOf({ refuse, gateways, waiting }) {
  const soFar = waiting.length > 0 ? ' so far' : '';
  return `${refuse} of ${gateways} ${gateways === 1 ? 'gateway refuses' : 'gateways refuse'} it${soFar}`;
}

/**
 * @param {Canary} last
 * @param {number} age in seconds
 */
function moreOf({ made_by, slowest_seconds, error_seconds, missed, silent, unknown }, age) {
  const slowest =
    slowest_seconds === null
      ? []
      : [`the slowest after ${durationText(slowest_seconds)} (± ${durationText(error_seconds ?? 0)})`];
  const of = (/** @type {string} */ words, /** @type {readonly string[]} */ names) =>
    names.length === 0 ? [] : [`${words} ${names.join(', ')}`];
  return [
    `revoked ${durationText(Math.max(0, age))} ago by ${made_by}`,
    ...slowest,
    ...of('passes at', missed),
    ...of('nothing heard from', silent),
    ...of('not known at', unknown),
  ].join(', ');
}
