/** Revoking, what is revoked, and undoing it: through /v1/revocations. */
import { byId, durationText, element, timeElement } from './dom.js';

const PAGE = 50;

/**
 * @typedef {{
 *   id: string, issuer: string | null, target: Record<string, unknown> | null, issued_before: number | null,
 *   expires_at: number, created_at: number, created_by: string, reason: string | null, expired?: boolean,
 * }} Entry
 * @typedef {{ field: string, title: string, label: string, hint: string, cutoff: boolean, claim?: string }} Kind
 */

/** @type {Kind[]} */
const KINDS = [
  {
    field: 'session',
    title: 'A session, such as a lost phone',
    label: 'Session id (sid)',
    hint: 'The sid of its tokens. A new login gets another one, and works.',
    cutoff: true,
  },
  {
    field: 'subject',
    title: 'Everything of a person',
    label: 'Subject (sub)',
    hint: 'All tokens of this person until now. The next login works.',
    cutoff: true,
  },
  {
    field: 'token',
    title: 'One token',
    label: 'The token',
    hint: 'It is sent to this gateway, which checks it, and to nobody else. It is not kept.',
    cutoff: false,
  },
  {
    field: 'token_id',
    title: 'One token, by its id',
    label: 'Token id (jti)',
    hint: 'Where you have the id but not the token.',
    cutoff: false,
  },
  {
    field: 'client',
    title: 'Everything of an application',
    label: 'Client id (client_id)',
    hint: 'All tokens of this application until now, whoever uses it.',
    cutoff: true,
  },
];

export class Revocations {
  /** @type {import('./api.js').Api} */
  #api;
  #kinds = KINDS;
  /** @type {string | null} */
  #cursor = null;
  #subject = '';

  /** @param {import('./api.js').Api} api */
  constructor(api) {
    this.#api = api;
  }

  /**
   * Once, when somebody has signed in.
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
        hint: `All tokens until now whose ${claim} is this.`,
        cutoff: true,
      })),
    ];
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
  #wish() {
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
      const wish = this.#wish();
      const preview = await this.#api.call('POST', '/v1/revocations', { ...wish, dry_run: true });
      const known = await this.#known(preview.id);
      await confirm({
        title: 'Revoke this?',
        content: previewOf(this.#kind, wish, preview, known),
        yes: 'Revoke',
        act: () => this.#revoke(wish),
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
      if (/** @type {any} */ (error).status === 404) return undefined;
      throw error;
    }
  }

  /** @param {Record<string, unknown>} wish */
  async #revoke(wish) {
    const sinceMs = performance.now();
    const entry = /** @type {Entry} */ (await this.#api.call('POST', '/v1/revocations', wish));
    // The answer comes when the store has it, and when this gateway refuses by it.
    const tookMs = performance.now() - sinceMs;
    const result = byId('revoke-result');
    result.hidden = false;
    result.textContent = entry.expired
      ? 'The token has expired already: there is nothing to revoke.'
      : `Revoked. This gateway refuses it since ${durationText(tookMs / 1000)} after you asked; the others hear of it from the store.`;
    byId('value').value = '';
    byId('reason').value = '';
    await this.#list(null, entry.expired ? undefined : entry);
  }

  /**
   * @param {string | null} [cursor] of the next page; none: from the start
   * @param {Entry} [latest] is shown first: the list itself is in no order of time
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

/** @param {Pick<Entry, 'target' | 'id'>} entry */
function targetText({ target, id }) {
  if (target === null) return `restored entry ${id}`;
  const [[kind = '', value] = []] = Object.entries(target);
  const names = /** @type {Record<string, string>} */ ({
    token_sha256: 'token with SHA-256',
    token_id: 'token',
    claim: 'claim',
  });
  const text =
    typeof value === 'object'
      ? Object.entries(value ?? {})
          .map((pair) => pair.join(' = '))
          .join()
      : value;
  return `${names[kind] ?? kind} ${text}`;
}

/**
 * What a revocation will match, in words.
 *
 * @param {Kind} kind
 * @param {Record<string, unknown>} wish
 * @param {Pick<Entry, 'id' | 'issuer' | 'target'>} preview
 * @param {Entry | undefined} known
 */
function previewOf({ cutoff, field }, wish, preview, known) {
  const row = (/** @type {string} */ name, /** @type {(Node | string)[]} */ ...value) => [
    element('dt', {}, name),
    element('dd', {}, ...value),
  ];
  const claims = field === 'token' ? claimsOf(String(wish['token'])) : undefined;
  const before = wish['issued_before'];
  return [
    element(
      'p',
      {},
      cutoff
        ? 'Every token that matches and was issued until then is refused. Tokens that are issued later are not.'
        : 'This one token is refused, until it expires.',
    ),
    element(
      'dl',
      {},
      ...row('Matches', targetText(preview)),
      ...row('Issued by', preview.issuer ?? 'unknown'),
      ...(claims?.['sub'] === undefined ? [] : row('Subject', String(claims['sub']))),
      ...(typeof claims?.['exp'] === 'number' ? row('Expires', timeElement(claims['exp'])) : []),
      ...(cutoff ? row('Issued until', typeof before === 'number' ? timeElement(before) : 'now') : []),
      ...row('Reason', wish['reason'] === undefined ? 'none given' : String(wish['reason'])),
    ),
    ...(known
      ? [
          element(
            'p',
            { class: 'notice good' },
            `This was revoked before, by ${known.created_by} `,
            timeElement(known.created_at),
            '.',
          ),
        ]
      : []),
  ];
}

/**
 * What a JWT says of itself; undefined for any other token.
 *
 * @param {string} token
 * @returns {Record<string, unknown> | undefined}
 */
function claimsOf(token) {
  try {
    const payload = atob((token.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/'));
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(payload, (char) => char.charCodeAt(0))));
  } catch {
    return undefined;
  }
}

/**
 * Asks, and acts on a yes. Resolves when the dialog is closed.
 *
 * @param {{ title: string, content: (Node | string)[], yes: string, act: () => Promise<void> }} question
 */
async function confirm({ title, content, yes, act }) {
  const dialog = byId('confirm');
  byId('confirm-title').textContent = title;
  byId('confirm-text').replaceChildren(...content);
  byId('confirm-error').textContent = '';
  const button = byId('confirm-yes');
  button.textContent = yes;
  button.onclick = async () => {
    button.disabled = true;
    try {
      await act();
      dialog.close();
    } catch (error) {
      byId('confirm-error').textContent = wordsOf(error);
    } finally {
      button.disabled = false;
    }
  };
  byId('confirm-no').onclick = () => dialog.close();
  const { promise, resolve } = Promise.withResolvers();
  dialog.addEventListener('close', resolve, { once: true });
  dialog.showModal();
  await promise;
}

/** @param {unknown} error */
function wordsOf(error) {
  return error instanceof Error ? error.message : String(error);
}
