/** Revoking, what is revoked, and undoing it: through /v1/revocations. */
import { confirm } from './confirm.js';
import { byId, durationText, element, timeElement } from './dom.js';
import { KINDS, previewOf, STORES, targetText } from './revocation-labels.js';
import { ApiError, wordsOf } from './api.js';

/** Entries that are shown at a time. */
const PAGE = 20;

/**
 * @typedef {import('./revocation-labels.js').Entry} Entry
 * @typedef {import('./revocation-labels.js').Kind} Kind
 * @typedef {import('../entry-json.ts').RevokedJson} Revoked
 */

export class Revocations {
  /** @type {import('./api.js').Api} */
  #api;
  #kinds = KINDS;
  /** What happens to a revocation beyond this gateway. */
  #others = '';
  /** @type {string | null} */
  #cursor = null;
  #subject = '';

  /** @param {import('./api.js').Api} api */
  constructor(api) {
    this.#api = api;
  }

  /**
   * Once, after sign-in.
   *
   * @param {import('./health.js').Status} status
   */
  begin(status) {
    this.#kinds = [
      ...KINDS,
      ...status.revocation.claims.map((claim) => ({
        field: 'claim',
        claim,
        title: `Everything with a ${claim}, such as a device`,
        label: `Value of ${claim}`,
        hint: `All tokens that were issued until now and whose ${claim} is this, or has it as an element.`,
        cutoff: true,
      })),
    ];
    this.#others = STORES[status.revocation.store].others;
    byId('kind').replaceChildren(
      ...this.#kinds.map(({ title }, index) => element('option', { value: String(index) }, title)),
    );
    byId('issuer').replaceChildren(
      ...status.issuers.map(({ name, issuer }) =>
        element('option', { value: issuer ?? name }, issuer === null ? name : `${name} (${issuer})`),
      ),
    );
    byId('kind').onchange = () => this.#kindChosen();
    byId('revoke-form').onsubmit = (/** @type {Event} */ event) => {
      event.preventDefault();
      void this.#preview();
    };
    byId('search-form').onsubmit = (/** @type {Event} */ event) => {
      event.preventDefault();
      this.#subject = byId('subject').value.trim();
      void this.#list();
    };
    byId('more').onclick = () => void this.#list(this.#cursor);
    this.#kindChosen();
    void this.#list();
  }

  get #kind() {
    return /** @type {Kind} */ (this.#kinds[Number(byId('kind').value)]);
  }

  #kindChosen() {
    const { label, hint, cutoff, field } = this.#kind;
    byId('value-label').textContent = label;
    byId('value-hint').textContent = hint;
    byId('before-field').hidden = !cutoff;
    // A token says itself who issued it.
    byId('issuer-field').hidden = field === 'token' || byId('issuer').options.length === 0;
  }

  /** @returns {Record<string, unknown>} the body of POST /v1/revocations */
  #command() {
    const { field, claim, cutoff } = this.#kind;
    const value = byId('value').value.trim();
    const before = byId('issued-before').value;
    const reason = byId('reason').value.trim();
    return {
      ...(field === 'token' ? {} : { issuer: byId('issuer').value }),
      [field]: field === 'claim' ? { [claim ?? '']: value } : value,
      ...(cutoff && before !== '' ? { issued_before: Math.floor(new Date(before).getTime() / 1000) } : {}),
      ...(reason === '' ? {} : { reason }),
    };
  }

  async #preview() {
    byId('revoke-error').textContent = '';
    byId('revoke-result').hidden = true;
    try {
      const command = this.#command();
      const preview = await this.#api.call('POST', '/v1/revocations', { ...command, dry_run: true });
      const known = await this.#known(preview.id);
      await confirm({
        title: 'Revoke this?',
        content: previewOf(this.#kind, command, preview, known),
        yes: 'Revoke',
        act: () => this.#revoke(command),
      });
    } catch (error) {
      byId('revoke-error').textContent = wordsOf(error);
    }
  }

  /**
   * @param {string} id
   * @returns {Promise<Entry | undefined>} the entry that is there already
   */
  async #known(id) {
    try {
      return await this.#api.call('GET', `/v1/revocations/${id}`);
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return undefined;
      throw error;
    }
  }

  /** @param {Record<string, unknown>} command */
  async #revoke(command) {
    const sinceMs = performance.now();
    const entry = /** @type {Revoked} */ (await this.#api.call('POST', '/v1/revocations', command));
    // The response comes when the store has it, and when this gateway refuses by it.
    const tookMs = performance.now() - sinceMs;
    const result = byId('revoke-result');
    result.hidden = false;
    result.textContent = entry.expired
      ? 'The token has expired already: there is nothing to revoke.'
      : `Revoked. This gateway refuses it since ${durationText(tookMs / 1000)} after you asked; ${this.#others}.`;
    byId('value').value = '';
    byId('reason').value = '';
    await this.#list(null, entry.expired ? undefined : entry);
  }

  /**
   * @param {string | null} [cursor] of the next page; none: from the start
   * @param {Entry} [latest] is shown first, also where it was revoked before
   */
  async #list(cursor, latest) {
    const query = new URLSearchParams({ limit: String(PAGE) });
    if (cursor) query.set('cursor', cursor);
    if (this.#subject !== '') query.set('subject', this.#subject);
    const status = byId('list-status');
    try {
      const page = await this.#api.call('GET', `/v1/revocations?${query}`);
      const items = [...(latest ? [latest] : []), ...page.revocations]
        .filter((entry, index) => index === 0 || entry.id !== latest?.id)
        .map((entry) => this.#item(entry));
      if (cursor) byId('entries').append(...items);
      else byId('entries').replaceChildren(...items);
      this.#cursor = page.cursor;
      byId('more').hidden = page.cursor === null;
      const shown = byId('entries').children.length;
      status.textContent =
        shown === 0
          ? this.#subject === ''
            ? 'Nothing is revoked.'
            : `Nothing is revoked for the subject “${this.#subject}”.`
          : `${shown} ${shown === 1 ? 'entry' : 'entries'}${page.cursor === null ? '' : ', and more'}`;
    } catch (error) {
      status.textContent = wordsOf(error);
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
      undo,
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
      act: async () => {
        await this.#api.call('DELETE', `/v1/revocations/${entry.id}`);
        byId('revoke-result').hidden = false;
        byId('revoke-result').textContent = 'Undone. Its tokens are accepted again.';
        await this.#list();
      },
    });
  }
}
