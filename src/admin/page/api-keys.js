/** API keys that are in the store: made, found, rotated, revoked. Through /v1/api-keys. A key is shown once, and forgotten by the page. */
import { wordsOf } from './api.js';
import { confirm } from './confirm.js';
import { byId, element, timeElement } from './dom.js';
import { mayAct, restrict } from './roles.js';

/** Keys that are shown at a time. */
const PAGE = 20;
const DAY_SECONDS = 86_400;

/**
 * @typedef {import('../api-key-json.ts').ApiKeyJson} Key
 * @typedef {import('../api-key-json.ts').KnownJson} Known
 * @typedef {import('../api-key-json.ts').NewApiKeyJson} NewKey
 */

export class ApiKeys {
  #api;
  #session;
  /** @type {string | null} */
  #cursor = null;
  #count = 0;
  /** @type {[string, string][]} */
  #query = [];

  /**
   * @param {import('./api.js').Api} api
   * @param {import('./roles.js').Session} session
   */
  constructor(api, session) {
    this.#api = api;
    this.#session = session;
  }

  /** Where no issuer keeps its keys in the store there is nothing to show. */
  async begin() {
    const first = await this.#api.optional('/v1/api-keys?limit=1');
    if (!first || first.issuers.length === 0) return;
    byId('keys').hidden = false;
    byId('keys-link').hidden = false;
    const issuers = first.issuers.map((/** @type {string} */ name) => element('option', {}, name));
    byId('key-issuer').replaceChildren(...issuers);
    restrict(this.#session, {
      needed: 'operate',
      fields: ['key-fields'],
      note: 'key-role',
      what: 'To create and to rotate API keys',
    });
    byId('key-form').onsubmit = (/** @type {Event} */ event) => {
      event.preventDefault();
      void this.#create();
    };
    byId('keys-form').onsubmit = (/** @type {Event} */ event) => {
      event.preventDefault();
      const [value, state] = [byId('keys-value').value.trim(), byId('keys-state').value];
      this.#query = [
        .../** @type {[string, string][]} */ (value === '' ? [] : [[byId('keys-field').value, value]]),
        .../** @type {[string, string][]} */ (state === '' ? [] : [['state', state]]),
      ];
      void this.#show(null);
    };
    byId('keys-more').onclick = () => void this.#show(this.#cursor);
    byId('new-key-copy').onclick = () => void this.#copy();
    byId('new-key-done').onclick = () => {
      byId('new-key-text').value = '';
      byId('new-key').hidden = true;
    };
    await this.#show(null);
  }

  /** @param {string | null} cursor of the next page; null: from the start */
  async #show(cursor) {
    const status = byId('keys-status');
    try {
      const query = new URLSearchParams([['limit', String(PAGE)], ...this.#query]);
      if (cursor !== null) query.set('cursor', cursor);
      const page = await this.#api.call('GET', `/v1/api-keys?${query}`);
      const items = page.api_keys.map((/** @type {Key} */ key) => this.#item(key));
      if (cursor === null) byId('key-list').replaceChildren(...items);
      else byId('key-list').append(...items);
      this.#count = items.length + (cursor === null ? 0 : this.#count);
      this.#cursor = page.cursor;
      byId('keys-more').hidden = page.cursor === null;
      const count =
        this.#count === 0 ? 'There are no such keys' : `${this.#count} ${this.#count === 1 ? 'key' : 'keys'}`;
      status.textContent = `${count}${page.cursor === null ? '' : ', and more'}.${page.current ? '' : ' The store is unavailable: this is what the gateway knew before.'}`;
    } catch (error) {
      status.textContent = wordsOf(error);
    }
  }

  async #create() {
    const error = byId('key-error');
    error.textContent = '';
    const days = byId('key-days').value;
    const text = (/** @type {string} */ id) => byId(id).value.trim() || undefined;
    const button = byId('key-create');
    button.disabled = true;
    try {
      const made = await this.#api.call('POST', '/v1/api-keys', {
        issuer: byId('key-issuer').value,
        subject: text('key-subject'),
        client: text('key-client'),
        scopes: byId('key-scopes')
          .value.split(/\s+/)
          .filter((/** @type {string} */ scope) => scope !== ''),
        expires: days === '' ? undefined : Math.floor(Date.now() / 1000) + Number(days) * DAY_SECONDS,
        note: text('key-note'),
      });
      byId('key-form').reset();
      this.#reveal(made, `Created ${made.id} of ${made.issuer}.`);
      await this.#show(null);
    } catch (failure) {
      error.textContent = wordsOf(failure);
    } finally {
      button.disabled = false;
    }
  }

  /**
   * @param {NewKey} made
   * @param {string} words
   */
  #reveal(made, words) {
    byId('new-key').hidden = false;
    byId('new-key-words').textContent = `${words} ${knownText(made.confirmed)}`;
    byId('new-key-copied').textContent = '';
    const field = byId('new-key-text');
    field.value = made.key;
    field.focus();
    field.select();
  }

  async #copy() {
    const field = byId('new-key-text');
    try {
      await navigator.clipboard.writeText(field.value);
      byId('new-key-copied').textContent = 'Copied.';
    } catch {
      // A page that came without TLS may not write to the clipboard.
      field.focus();
      field.select();
      byId('new-key-copied').textContent = 'Selected: press Ctrl+C, or ⌘C.';
    }
  }

  /** @param {Key} key */
  #item(key) {
    const isActive = key.state === 'active';
    const button = (/** @type {string} */ label, /** @type {() => void} */ act) =>
      element(
        'button',
        { type: 'button', class: 'plain', 'aria-label': `${label}: ${key.id}`, onclick: act },
        label,
      );
    const actions = [
      ...(isActive && key.replaced_by === null && mayAct(this.#session, 'operate')
        ? [button('Rotate', () => void this.#rotate(key))]
        : []),
      ...(isActive && mayAct(this.#session, 'revoke')
        ? [button('Revoke', () => void this.#revoke(key))]
        : []),
    ];
    const owner = [key.subject, key.client === null ? null : `client ${key.client}`];
    return element(
      'li',
      {},
      element(
        'p',
        {},
        element('b', {}, key.id),
        ` of ${key.issuer}, for ${owner.filter((part) => part !== null).join(', ')}`,
      ),
      element(
        'p',
        { class: 'quiet' },
        `may ${key.scopes.join(' ') || 'nothing that needs a scope'}; last used `,
        timeOrNever(key.last_used_at, 'not yet'),
        '; ',
        ...endOf(key),
      ),
      element(
        'p',
        { class: 'quiet' },
        `by ${key.created_by}${key.created_at === null ? '' : ' '}`,
        ...(key.created_at === null ? [] : [timeElement(key.created_at)]),
        `${key.note === null ? '' : `: ${key.note}`}${key.replaced_by === null ? '' : `; replaced by ${key.replaced_by}`}`,
      ),
      ...(actions.length > 0 ? [element('span', { class: 'actions' }, ...actions)] : []),
    );
  }

  /** @param {Key} key */
  async #rotate(key) {
    await confirm({
      title: 'Rotate this key?',
      content: [
        element('p', {}, element('b', {}, key.id)),
        element(
          'p',
          {},
          'You get a new key with the same rights. The one before it works for 24 hours more: move its clients by then.',
        ),
      ],
      yes: 'Rotate',
      act: async () => {
        const made = await this.#api.call('POST', `${pathOf(key)}/rotate`, {});
        this.#reveal(made, `Created ${made.id}, which takes the place of ${key.id}.`);
        await this.#show(null);
      },
    });
  }

  /** @param {Key} key */
  async #revoke(key) {
    await confirm({
      title: 'Revoke this key?',
      content: [
        element('p', {}, element('b', {}, key.id)),
        element('p', {}, 'All gateways refuse it from now on, for good, and end what it has opened.'),
      ],
      yes: 'Revoke',
      asksWhy: true,
      act: async (reason) => {
        await this.#api.call('DELETE', pathOf(key), { reason });
        await this.#show(null);
      },
    });
  }
}

/** @param {Key} key */
function endOf(key) {
  if (key.revoked_at === null)
    return [key.state === 'expired' ? 'expired ' : 'expires ', timeOrNever(key.expires_at, 'never')];
  const why = key.reason === null ? '' : `: ${key.reason}`;
  return ['revoked ', timeElement(key.revoked_at), ` by ${key.revoked_by}${why}`];
}

/** @param {Key} key */
function pathOf({ issuer, id }) {
  return `/v1/api-keys/${encodeURIComponent(issuer)}/${encodeURIComponent(id)}`;
}

/**
 * @param {number | null} seconds
 * @param {string} never
 */
function timeOrNever(seconds, never) {
  return seconds === null ? never : timeElement(seconds);
}

/** @param {Known} known */
function knownText({ gateways, know, unconfirmed }) {
  return `${know} of ${gateways} ${gateways === 1 ? 'gateway knows' : 'gateways know'} it${unconfirmed.length === 0 ? '' : `; not confirmed by ${unconfirmed.join(', ')}`}.`;
}
