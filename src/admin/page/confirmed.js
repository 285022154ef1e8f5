/** Which gateways refuse by a revocation, in words: what `confirm` brings. Pure. */
import { durationText } from './dom.js';

/** @typedef {import('../entry-json.ts').ConfirmedJson} Confirmed */

/**
 * @param {Confirmed} confirmed
 * @param {'it' | 'them'} what
 * @returns {{ level: 'good' | 'warn', words: string }}
 */
export function confirmedWords({ gateways, refuse, slowest_ms, unconfirmed }, what) {
  const slowest = refuse > 1 ? `, the slowest after ${durationText(slowest_ms / 1000)}` : '';
  const count = `${refuse} of ${gateways} ${gateways === 1 ? 'gateway refuses' : 'gateways refuse'} ${what}`;
  if (unconfirmed.length === 0) return { level: 'good', words: `${count}${slowest}.` };
  return {
    level: 'warn',
    words:
      `Only ${count}${slowest}. Not confirmed by ${unconfirmed.join(', ')}: tokens may still pass there. ` +
      'See whether it runs and reaches the store, or stop it.',
  };
}
