/** Revoking: what, why, a preview with what was seen of it, and the result. Through /v1/revocations. */
import { ApiError, wordsOf } from './api.js';
import { choicesOf, claimsOf, offerChoices } from './chosen-token.js';
import { confirm } from './confirm.js';
import { confirmedWords } from './confirmed.js';
import { byId, durationText, element } from './dom.js';
import { kindsWith, previewOf, STORES } from './revocation-labels.js';
import { seenOf } from './seen.js';

/**
 * @typedef {import('./revocation-labels.js').Entry} Entry
 * @typedef {import('./revocation-labels.js').Kind} Kind
 * @typedef {import('../entry-json.ts').RevokedJson} Revoked
 */

export class RevokeForm {
  /** @type {import('./api.js').Api} */
  #api;
  /** @type {(entry: Entry | undefined) => Promise<void>} */
  #revoked;
  /** @type {import('./health.js').Status} */
  #status;
  /** @type {Kind[]} */
  #kinds;

  /**
   * @param {import('./api.js').Api} api
   * @param {import('./health.js').Status} status
   * @param {(entry: Entry | undefined) => Promise<void>} revoked is told of each entry; undefined: there was nothing to revoke
   */
  constructor(api, status, revoked) {
    this.#api = api;
    this.#status = status;
    this.#revoked = revoked;
    this.#kinds = kindsWith(status.revocation.claims);
  }

  begin() {
    byId('kind').replaceChildren(
      ...this.#kinds.map(({ title }, index) => element('option', { value: String(index) }, title)),
    );
    byId('issuer').replaceChildren(
      ...this.#status.issuers.map(({ name, issuer }) =>
        element('option', { value: issuer ?? name }, issuer === null ? name : `${name} (${issuer})`),
      ),
    );
    byId('kind').onchange = () => this.#kindChosen();
    byId('value').oninput = () => this.#offerToken();
    byId('revoke-form').onsubmit = (/** @type {Event} */ event) => {
      event.preventDefault();
      void this.#preview();
    };
    this.#kindChosen();
  }

  /** What is chosen, also for many at once. */
  get chosen() {
    return { ...this.#kind, issuer: byId('issuer').value };
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
    this.#offerToken();
  }

  /** A token that is pasted, whatever is chosen above, can be revoked by what it is of. */
  #offerToken() {
    const claims = claimsOf(byId('value').value.trim());
    if (claims && this.#kind.field !== 'token') {
      byId('kind').value = String(this.#kinds.findIndex(({ field }) => field === 'token'));
      this.#kindChosen();
      return;
    }
    const choices = claims ? choicesOf(claims, this.#status.revocation.claims) : [];
    offerChoices(choices, ({ field, claim, value }) => {
      const index = this.#kinds.findIndex((kind) => kind.field === field && kind.claim === claim);
      byId('kind').value = String(index);
      const issuer = claims?.['iss'];
      if (this.#status.issuers.some((known) => known.issuer === issuer)) byId('issuer').value = issuer;
      byId('value').value = value;
      this.#kindChosen();
      byId('value').focus();
    });
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
      const [known, seen] = await Promise.all([
        this.#known(preview.id),
        seenOf(this.#api, this.#kind.field, command),
      ]);
      await confirm({
        title: 'Revoke this?',
        content: [...previewOf(this.#kind, command, preview, known), ...seen],
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
    const entry = /** @type {Revoked} */ (
      await this.#api.call('POST', '/v1/revocations', { ...command, confirm: true })
    );
    const { level, words } = this.#resultOf(entry, performance.now() - sinceMs);
    const result = byId('revoke-result');
    result.hidden = false;
    result.className = `notice ${level}`;
    result.textContent = words;
    byId('value').value = '';
    byId('reason').value = '';
    this.#offerToken();
    await this.#revoked(entry.expired ? undefined : entry);
  }

  /**
   * @param {Revoked} entry
   * @param {number} tookMs the response comes when the store has it, and when this gateway refuses by it
   * @returns {{ level: string, words: string }}
   */
  #resultOf({ expired, confirmed }, tookMs) {
    if (expired)
      return { level: 'good', words: 'The token has expired already: there is nothing to revoke.' };
    if (confirmed && confirmed.gateways > 1) {
      const { level, words } = confirmedWords(confirmed, 'it');
      return { level, words: `Revoked. ${words}` };
    }
    const { others } = STORES[this.#status.revocation.store];
    return {
      level: 'good',
      words: `Revoked. This gateway refuses it since ${durationText(tookMs / 1000)} after you asked; ${others}.`,
    };
  }
}
