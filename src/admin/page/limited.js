/** The callers that met a limit most often lately: from /v1/limited. */
import { byId, element, timeElement } from './dom.js';

const SHOWN = 10;

/**
 * @typedef {{
 *   limit: string, mode: string, route: string, issuer: string | null, client_id: string | null, sub_hash: string | null,
 *   client_ip: string | null, requests: number, last_seen: number,
 * }} Caller
 */

/** @param {import('./api.js').Api} api */
export async function showLimited(api) {
  const found = await api.optional(`/v1/limited?limit=${SHOWN}`);
  byId('limited-part').hidden = found === undefined || found.callers.length === 0;
  if (found === undefined) return;
  const { silent, callers } = found;
  byId('limited-status').textContent =
    `At this gateway, in the last half hour to hour.${silent.length > 0 ? ` No reply: ${silent.join(', ')}.` : ''}`;
  byId('limited').replaceChildren(...callers.map(item));
}

/** @param {Caller} caller */
function item({ limit, mode, route, issuer, client_id, sub_hash, client_ip, requests, last_seen }) {
  const who = [
    ['issuer', issuer],
    ['client', client_id],
    ['subject hash', sub_hash],
    ['from', client_ip],
  ].flatMap(([name, value]) => (value ? [`${name} ${value}`] : []));
  const what = mode === 'enforced' ? 'refused' : 'reported';
  return element(
    'li',
    {},
    element('p', {}, element('b', {}, `${requests} ${what}`), ` by ${limit}, last on ${route}`),
    element('p', { class: 'quiet' }, who.join(', ')),
    element('p', { class: 'quiet' }, timeElement(last_seen)),
  );
}
