/** The latest refusals, found by request id, route or reason: from /v1/refusals. */
import { wordsOf } from './api.js';
import { byId, element, gatewaysText, timeElement } from './dom.js';
import { REASONS, reasonText } from './reasons.js';

const SHOWN = 20;

/**
 * @typedef {{
 *   time: number, gateway: string, request_id: string, route: string, status: number, reason: string | null, code: string,
 *   issuer: string | null, client_id: string | null, sub_hash: string | null, missing_scope: string | null, client_ip: string,
 * }} Refusal
 */

export class Refusals {
  /** @type {import('./api.js').Api} */
  #api;
  /** What was shown last, so that a list that has not changed stays as it is. */
  #shown = '';

  /** @param {import('./api.js').Api} api */
  constructor(api) {
    this.#api = api;
  }

  /** @param {import('./health.js').Status} status */
  begin(status) {
    const options = (/** @type {string} */ id, /** @type {string[]} */ names) =>
      byId(id).replaceChildren(
        element('option', { value: '' }, 'all'),
        ...names.map((name) => element('option', { value: name }, name)),
      );
    options('refusal-route', [...status.routes.map(({ name }) => name), 'unmatched']);
    options('refusal-reason', Object.keys(REASONS));
    byId('refusals-form').onsubmit = (/** @type {Event} */ event) => {
      event.preventDefault();
      void this.#find();
    };
  }

  /** What is new comes by itself, unless the operator looks for something, or at one of them. */
  async look() {
    const isSearching = [...byId('refusals-form').elements].some(({ value }) => value !== '');
    if (isSearching || byId('refusals').matches(':hover, :focus-within')) return;
    await this.#show();
  }

  async #find() {
    try {
      await this.#show();
    } catch (error) {
      byId('refusals-status').textContent = wordsOf(error);
    }
  }

  async #show() {
    const query = new URLSearchParams({ limit: String(SHOWN) });
    const [id, route, reason] = ['refusal-id', 'refusal-route', 'refusal-reason'].map((field) =>
      byId(field).value.trim(),
    );
    if (id) query.set('request_id', id);
    if (route) query.set('route', route);
    if (reason) query.set('reason', reason);
    const found = await this.#api.optional(`/v1/refusals?${query}`);
    byId('refusals-part').hidden = found === undefined;
    if (found === undefined) return;
    const { gateways, refusals } = found;
    const where = gatewaysText(gateways);
    const isSearch = Boolean(id || route || reason);
    byId('refusals-status').textContent =
      refusals.length === 0
        ? `${isSearch ? 'No such refusal is' : 'Nothing was refused'}${isSearch ? ' among the latest' : ''} (${where}).`
        : `${refusals.length} ${refusals.length === SHOWN ? 'latest' : 'found'} (${where})`;
    const content = JSON.stringify(refusals);
    if (content === this.#shown) return;
    this.#shown = content;
    byId('refusals').replaceChildren(...refusals.map(item));
  }
}

/** @param {Refusal} refusal */
function item(refusal) {
  const { time, gateway, request_id, route, status, reason, code } = refusal;
  const who = [
    ['issuer', refusal.issuer],
    ['client', refusal.client_id],
    ['subject hash', refusal.sub_hash],
    ['from', refusal.client_ip],
  ].flatMap(([name, value]) => (value ? [`${name} ${value}`] : []));
  return element(
    'li',
    {},
    element('p', {}, element('b', {}, `${status} ${reason ?? code}`), ` on ${route}`),
    element(
      'p',
      {},
      reasonText(reason, code),
      refusal.missing_scope ? ` It lacks: ${refusal.missing_scope}.` : '',
    ),
    element('p', { class: 'quiet' }, who.join(', ')),
    element(
      'p',
      { class: 'quiet' },
      timeElement(time),
      ` at ${gateway}, request `,
      element('code', {}, request_id),
    ),
  );
}
