/** The latest refusals, found by request id at all gateways, by route or reason at this one or all: from /v1/refusals. */
import { wordsOf } from './api.js';
import { byId, clockText, element, gatewaysText, isPartial, timeElement } from './dom.js';
import { REASONS, reasonText } from './reasons.js';

const SHOWN = 20;

/**
 * @typedef {{
 *   time: number, gateway: string, request_id: string, route: string, status: number, reason: string | null, code: string,
 *   issuer: string | null, client_id: string | null, sub_hash: string | null, missing_scope: string | null, detail: string | null,
 *   revocation: { id: string, cause: string | null } | null, client_ip: string,
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
    // A request id is looked for at all of them anyway.
    const where = byId('refusal-gateways').value;
    if (where && !id) query.set('gateways', where);
    const found = await this.#api.optional(`/v1/refusals?${query}`);
    byId('refusals-part').hidden = found === undefined;
    if (found === undefined) return;
    const { gateways, refusals } = found;
    const isSearch = Boolean(id || route || reason);
    const status = byId('refusals-status');
    status.className = isPartial(gateways) ? 'notice warn' : 'hint';
    status.textContent = `${countText(refusals.length, isSearch)} (${gatewaysText(gateways)})${
      // A search is not repeated by itself.
      isSearch || where ? `, as of ${clockText(Date.now() / 1000)}` : ''
    }.`;
    const content = JSON.stringify(refusals);
    if (content === this.#shown) return;
    this.#shown = content;
    byId('refusals').replaceChildren(...refusals.map(item));
  }
}

/**
 * @param {number} count
 * @param {boolean} isSearch
 */
function countText(count, isSearch) {
  if (count > 0) return `${count} ${count === SHOWN ? 'latest' : 'found'}`;
  return isSearch ? 'No such refusal is among the latest' : 'Nothing was refused';
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
      refusal.detail ? ` In detail: ${refusal.detail}.` : '',
      refusal.revocation ? ` Cause: ${causeText(refusal.revocation)}.` : '',
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

/** @param {{ id: string, cause: string | null }} revocation */
function causeText({ id, cause }) {
  return cause ?? `the entry ${id} of the list`;
}
