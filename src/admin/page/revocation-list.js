/** What is revoked: searched, saved as CSV, undone. Through /v1/revocations, and its .csv. */
import { wordsOf } from './api.js';
import { confirm } from './confirm.js';
import { saveFile } from './csv.js';
import { byId, element, timeElement } from './dom.js';
import { targetText } from './revocation-labels.js';

/** Entries that are shown at a time. */
const PAGE = 20;

/** @typedef {import('./revocation-labels.js').Entry} Entry */

export class RevocationList {
  /** @type {import('./api.js').Api} */
  #api;
  #mayUndo;
  /** @type {string | null} */
  #cursor = null;
  /** What is looked for, in words, and as a query. */
  #search = { words: '', query: /** @type {[string, string][]} */ ([]) };
  #count = 0;

  /**
   * @param {import('./api.js').Api} api
   * @param {boolean} mayUndo
   */
  constructor(api, mayUndo) {
    this.#api = api;
    this.#mayUndo = mayUndo;
  }

  begin() {
    byId('search-form').onsubmit = (/** @type {Event} */ event) => {
      event.preventDefault();
      this.#find();
    };
    byId('more').onclick = () => void this.show(undefined, this.#cursor);
    byId('export').onclick = () => void this.#save();
    void this.show();
  }

  #find() {
    const field = byId('search-field');
    const value = byId('search-value').value.trim();
    this.#search =
      value === ''
        ? { words: '', query: [] }
        : {
            words: ` for ${field.selectedOptions[0].textContent.toLowerCase()} “${value}”`,
            query: [[field.value, value]],
          };
    void this.show();
  }

  /**
   * @param {Entry} [latest] is shown first, also where it was revoked before
   * @param {string | null} [cursor] of the next page; none: from the start
   */
  async show(latest, cursor) {
    const query = new URLSearchParams([['limit', String(PAGE)], ...this.#search.query]);
    if (cursor) query.set('cursor', cursor);
    const status = byId('list-status');
    try {
      const page = await this.#api.call('GET', `/v1/revocations?${query}`);
      const entries = [...(latest ? [latest] : []), ...page.revocations].filter(
        (entry, index) => index === 0 || entry.id !== latest?.id,
      );
      this.#count = entries.length + (cursor ? this.#count : 0);
      const items = entries.map((entry) => this.#item(entry));
      if (cursor) byId('entries').append(...items);
      else byId('entries').replaceChildren(...items);
      this.#cursor = page.cursor;
      byId('more').hidden = page.cursor === null;
      status.textContent = this.#statusText();
    } catch (error) {
      status.textContent = wordsOf(error);
    }
  }

  #statusText() {
    const count = this.#count;
    const { words } = this.#search;
    if (this.#cursor !== null && count === 0)
      return `Nothing yet${words}; there are more entries to look at.`;
    if (count === 0) return `Nothing is revoked${words}.`;
    return `${count} ${count === 1 ? 'entry' : 'entries'}${this.#cursor === null ? '' : ', and more'}`;
  }

  /** All that match what was looked for, also what is not shown yet. */
  async #save() {
    const button = byId('export');
    button.disabled = true;
    try {
      const query = new URLSearchParams(this.#search.query);
      saveFile('revocations.csv', await this.#api.download(`/v1/revocations.csv?${query}`));
    } catch (error) {
      byId('list-status').textContent = wordsOf(error);
    } finally {
      button.disabled = false;
    }
  }

  /** @param {Entry} entry */
  #item(entry) {
    const undo = element(
      'button',
      { type: 'button', class: 'plain', 'aria-label': `Undo: ${targetText(entry)}` },
      'Undo',
    );
    undo.onclick = () => void this.#undo(entry);
    return element(
      'li',
      {},
      element(
        'p',
        {},
        element('b', {}, targetText(entry)),
        entry.issuer === null ? '' : ` of ${entry.issuer}`,
      ),
      ...(this.#mayUndo ? [undo] : []),
      element(
        'p',
        { class: 'quiet' },
        ...(entry.issued_before === null ? [] : ['issued until ', timeElement(entry.issued_before), '; ']),
        'kept until ',
        timeElement(entry.expires_at),
      ),
      element(
        'p',
        { class: 'quiet' },
        `by ${entry.created_by} `,
        timeElement(entry.created_at),
        entry.reason === null ? '' : `: ${entry.reason}`,
      ),
    );
  }

  /** @param {Entry} entry */
  async #undo(entry) {
    await confirm({
      title: 'Undo this revocation?',
      content: [
        element('p', {}, element('b', {}, targetText(entry))),
        element('p', {}, 'Its tokens are accepted again by the whole fleet, as long as they are valid.'),
      ],
      yes: 'Undo',
      asksWhy: true,
      act: async (reason) => {
        await this.#api.call('DELETE', `/v1/revocations/${entry.id}`, { reason });
        const result = byId('revoke-result');
        result.hidden = false;
        result.className = 'notice good';
        result.textContent = 'Undone. Its tokens are accepted again.';
        await this.show();
      },
    });
  }
}
