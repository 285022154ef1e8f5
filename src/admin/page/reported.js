/** Whom routes with report_only would have refused, by route, client and reason: from /v1/report-only. */
import { byId, element, timeElement } from './dom.js';
import { reasonText } from './reasons.js';

const SHOWN = 10;

/**
 * @typedef {{
 *   route: string, reason: string, issuer: string | null, client_id: string | null, lack: string | null, requests: number,
 *   last_seen: number,
 * }} Reported
 */

/** @param {import('./api.js').Api} api */
export async function showReported(api) {
  const found = await api.optional(`/v1/report-only?limit=${SHOWN}`);
  byId('reported-part').hidden = found === undefined || found.reported.length === 0;
  if (found === undefined) return;
  const { gateways, reported } = found;
  const { silent } = gateways;
  byId('reported-status').textContent =
    `At this gateway, in the last day or two: what enforcing would refuse.${silent.length > 0 ? ` No reply: ${silent.join(', ')}.` : ''}`;
  byId('reported').replaceChildren(...reported.map(item));
}

/** @param {Reported} reported */
function item({ route, reason, issuer, client_id, lack, requests, last_seen }) {
  const who = [
    ['issuer', issuer],
    ['client', client_id],
    ['lacks', reason === 'insufficient_scope' ? lack : null],
    ['detail', reason === 'insufficient_scope' ? null : lack],
  ].flatMap(([name, value]) => (value ? [`${name} ${value}`] : []));
  return element(
    'li',
    {},
    element('p', {}, element('b', {}, `${requests} passed`), ` on ${route}: ${reason}`),
    element('p', { class: 'quiet' }, [reasonText(reason, ''), who.join(', ')].join(' ')),
    element('p', { class: 'quiet' }, timeElement(last_seen)),
  );
}
