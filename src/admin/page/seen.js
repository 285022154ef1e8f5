/** What the gateways have seen lately of a session, a subject or a client: through /v1/sessions/search. */
import { ApiError } from './api.js';
import { element, gatewaysText, isPartial, numberText, timeElement } from './dom.js';

const SHOWN = 10;
const SEARCHED = ['session', 'subject', 'client'];

/**
 * @typedef {{
 *   issuer: string, session?: string, session_hash: string | null, subject?: string, subject_hash: string | null,
 *   client_id: string | null, first_seen: number, last_seen: number, requests_last_hour: number, addresses?: string[],
 *   gateways: string[],
 * }} Seen
 */

/**
 * @param {import('./api.js').Api} api
 * @param {string} field what is revoked
 * @param {Record<string, unknown>} command
 * @returns {Promise<(Node | string)[]>} empty where nothing can be said
 */
export async function seenOf(api, field, command) {
  if (!SEARCHED.includes(field)) return [];
  let found;
  try {
    found = await api.call('POST', '/v1/sessions/search', {
      issuer: command['issuer'],
      [field]: command[field],
      limit: SHOWN,
    });
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return [];
    // Another failure does not stand in the way of revoking.
    const why = error instanceof Error ? error.message : String(error);
    return [element('p', { class: 'notice warn' }, `What was seen of it is not known. ${why}`)];
  }
  const { sessions, gateways } = found;
  const where = gatewaysText(gateways);
  if (sessions.length === 0)
    return [
      element('p', { class: 'notice warn' }, `No request with this ${field} has been seen (${where}).`),
    ];
  return [
    element(
      'p',
      isPartial(gateways) ? { class: 'notice warn' } : {},
      element('b', {}, `Seen lately (${where}):`),
    ),
    element(
      'ul',
      { class: 'seen' },
      ...sessions.map((/** @type {Seen} */ seen) => item(seen, gateways.asked.length > 1)),
    ),
    ...(sessions.length === SHOWN
      ? [element('p', { class: 'hint' }, `The latest ${SHOWN}; there may be more.`)]
      : []),
  ];
}

/**
 * @param {Seen} seen
 * @param {boolean} saysWhere
 */
function item(seen, saysWhere) {
  const session = seen.session ?? seen.session_hash;
  const { requests_last_hour: requests, addresses = [] } = seen;
  return element(
    'li',
    {},
    session === null
      ? 'No session'
      : `${seen.session === undefined ? 'Session with the hash' : 'Session'} ${session}`,
    seen.client_id === null ? '' : `, client ${seen.client_id}`,
    `: ${numberText(requests)} ${requests === 1 ? 'request' : 'requests'} in the last hour, last `,
    timeElement(seen.last_seen),
    addresses.length === 0 ? '' : `, from ${addresses.join(', ')}`,
    saysWhere ? `, at ${seen.gateways.join(', ')}` : '',
  );
}
