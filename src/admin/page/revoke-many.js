/** Revoking many at once: first all are checked, then revoked, and each line shows its result. */
import { wordsOf } from './api.js';
import { chunksOf, sendChunk } from './bulk.js';
import { csvText, parseCsv, saveFile } from './csv.js';
import { confirm } from './confirm.js';
import { confirmedWords } from './confirmed.js';
import { byId, element } from './dom.js';

const MOST = 1_000;
const FIELDS = ['session', 'subject', 'client', 'token_id', 'token'];
const COLUMNS = ['issuer', 'reason', ...FIELDS];

/**
 * @typedef {{ line: number, command: Record<string, unknown>, text: string, outcome: string, isGood: boolean }} Line
 * @typedef {{ field: string, claim?: string, issuer: string }} Chosen
 */

/**
 * @param {string} text
 * @param {Chosen} chosen kind and issuer of lines that do not say theirs
 * @param {string} reason of lines that do not say theirs
 * @returns {Line[]}
 * @throws Error where it is too long, or its first line names columns that cannot be
 */
export function linesOf(text, chosen, reason) {
  const isTable = /^\s*"?(?:issuer|reason|session|subject|client|token_id|token)"?\s*(?:,|\r?\n)/.test(text);
  const lines = isTable ? tableLines(text, chosen, reason) : listLines(text, chosen, reason);
  if (lines.length > MOST) throw new Error(`These are ${lines.length} lines; at most ${MOST} go at once.`);
  if (lines.length === 0) throw new Error('There is nothing in the list.');
  return lines;
}

/**
 * @param {string} text
 * @param {Chosen} chosen
 * @param {string} reason
 * @returns {Line[]}
 */
function listLines(text, { field, claim, issuer }, reason) {
  return text.split(/\r\n|\r|\n/).flatMap((raw, index) => {
    const value = raw.trim();
    if (value === '') return [];
    const command = {
      ...(field === 'token' ? {} : { issuer }),
      [field]: field === 'claim' ? { [claim ?? '']: value } : value,
      ...(reason === '' ? {} : { reason }),
    };
    return [lineOf(index + 1, command, field, value)];
  });
}

/**
 * @param {string} text
 * @param {Chosen} chosen
 * @param {string} reason
 * @returns {Line[]}
 */
function tableLines(text, { issuer }, reason) {
  const [header, ...rows] = parseCsv(text);
  const columns = (header?.fields ?? []).map((name) => name.trim());
  const unknown = columns.filter((name) => !COLUMNS.includes(name));
  if (unknown.length > 0)
    throw new Error(`The first line has columns that mean nothing here: ${unknown.join(', ')}.`);
  return rows.map(({ line, fields }) => {
    const given = Object.fromEntries(
      columns.map((name, index) => [name, fields[index] ?? '']).filter(([, value]) => value !== ''),
    );
    const why = given['reason'] ?? reason;
    const command = {
      ...given,
      ...(given['token'] !== undefined || given['issuer'] !== undefined ? {} : { issuer }),
      ...(why === '' ? {} : { reason: why }),
    };
    const field = FIELDS.find((name) => given[name] !== undefined) ?? 'nothing';
    return lineOf(line, command, field, given[field] ?? '');
  });
}

/**
 * @param {number} line
 * @param {Record<string, unknown>} command
 * @param {string} field
 * @param {string} value
 * @returns {Line}
 */
function lineOf(line, command, field, value) {
  // The text of a token is shown nowhere.
  const text = field === 'token' ? 'a token' : `${field} ${value}`;
  return { line, command, text, outcome: '', isGood: false };
}

export class RevokeMany {
  /** @type {import('./api.js').Api} */
  #api;
  #chosen;
  #done;
  /** @type {Line[]} */
  #lines = [];
  #isStopped = false;

  /**
   * @param {import('./api.js').Api} api
   * @param {() => Chosen} chosen kind and issuer, as the form above has them
   * @param {() => Promise<void>} done the list has changed
   */
  constructor(api, chosen, done) {
    this.#api = api;
    this.#chosen = chosen;
    this.#done = done;
  }

  begin() {
    byId('many-file').onchange = async () => {
      const [file] = byId('many-file').files;
      if (file) byId('many-text').value = await file.text();
      byId('many-file').value = '';
    };
    byId('many-form').onsubmit = (/** @type {Event} */ event) => {
      event.preventDefault();
      void this.#preview();
    };
    byId('many-stop').onclick = () => {
      this.#isStopped = true;
    };
    byId('many-go').onclick = () => void this.#ask();
    byId('many-export').onclick = () => this.#save();
  }

  async #preview() {
    byId('many-error').textContent = '';
    for (const id of ['many-go', 'many-export', 'many-confirmed']) byId(id).hidden = true;
    try {
      this.#lines = linesOf(byId('many-text').value, this.#chosen(), byId('many-reason').value.trim());
    } catch (error) {
      byId('many-error').textContent = wordsOf(error);
      return;
    }
    await this.#send(this.#lines, 'Checked', () => ({ dry_run: true }));
    const good = this.#good;
    byId('many-go').hidden = good.length === 0;
    byId('many-go').textContent = `Revoke ${good.length}`;
  }

  get #good() {
    return this.#lines.filter(({ isGood }) => isGood);
  }

  async #ask() {
    const good = this.#good;
    const wrong = this.#lines.length - good.length;
    await confirm({
      title: `Revoke ${good.length}?`,
      content: [
        element('p', {}, `${good.length} of ${this.#lines.length} lines are revoked.`),
        ...(wrong === 0 ? [] : [element('p', { class: 'notice warn' }, `${wrong} cannot be: see the list.`)]),
      ],
      yes: `Revoke ${good.length} now`,
      act: async () => void this.#revoke(good),
    });
  }

  /** @param {Line[]} good */
  async #revoke(good) {
    byId('many-go').hidden = true;
    const confirmed = await this.#send(good, 'Revoked', (isLast) => (isLast ? { confirm: true } : {}));
    this.#showConfirmed(confirmed);
    byId('many-text').value = '';
    // Tokens among them are not kept.
    for (const line of this.#lines) line.command = {};
    byId('many-export').hidden = false;
    await this.#done();
  }

  /**
   * @param {Line[]} lines
   * @param {string} verb
   * @param {(isLast: boolean) => { dry_run?: true, confirm?: true }} options
   */
  async #send(lines, verb, options) {
    const [progress, stop] = [byId('many-progress'), byId('many-stop')];
    this.#isStopped = false;
    byId('many-fields').disabled = true;
    progress.hidden = stop.hidden = false;
    progress.max = lines.length;
    progress.value = 0;
    for (const line of lines) Object.assign(line, { outcome: 'not tried', isGood: false });
    const chunks = chunksOf(lines);
    let confirmed;
    for (const [index, chunk] of chunks.entries()) {
      if (this.#isStopped) break;
      confirmed = await sendChunk(this.#api, chunk, options(index === chunks.length - 1));
      progress.value += chunk.length;
    }
    progress.hidden = stop.hidden = true;
    byId('many-fields').disabled = false;
    const good = lines.filter(({ isGood }) => isGood).length;
    byId('many-status').textContent =
      `${verb}: ${good} of ${lines.length}${good === lines.length ? '' : `; ${lines.length - good} not, see why below`}.`;
    this.#list();
    return confirmed;
  }

  /**
   * A gateway that has the last of them has those before it, since the store keeps their order.
   *
   * @param {import('./confirmed.js').Confirmed | undefined} confirmed
   */
  #showConfirmed(confirmed) {
    const { level, words } = confirmed
      ? confirmedWords(confirmed, 'them')
      : { level: 'warn', words: 'This gateway refuses them. The others were not asked whether they do.' };
    const notice = byId('many-confirmed');
    notice.hidden = !this.#lines.some(({ isGood }) => isGood);
    notice.className = `notice ${level}`;
    notice.textContent = words;
  }

  /** What failed comes first. */
  #list() {
    const ordered = this.#lines.toSorted((a, b) => Number(a.isGood) - Number(b.isGood) || a.line - b.line);
    byId('many-results').replaceChildren(
      ...ordered.map(({ line, text, outcome, isGood }) =>
        element(
          'li',
          {},
          element('p', {}, element('b', {}, `${isGood ? '✓' : '✗'} line ${line}: ${text}`)),
          element('p', { class: isGood ? 'quiet' : 'wrong' }, outcome),
        ),
      ),
    );
  }

  #save() {
    const rows = this.#lines.map(({ line, text, outcome }) => [line, text, outcome]);
    saveFile('revoked.csv', csvText([['line', 'what', 'result'], ...rows]));
  }
}
