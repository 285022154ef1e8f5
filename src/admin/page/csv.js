/** Comma-separated values (RFC 4180), read and written. Pure. */

/** A field in quotes, or one without; then what ends it. */
const FIELD = /(?:[ \t]*"((?:[^"]|"")*)"[ \t]*|((?![ \t]*")[^,\r\n]*))(,|\r\n|\n|\r|$)/y;

/**
 * @param {string} text
 * @returns {{ line: number, fields: string[] }[]} rows that are not empty, with the line where each begins
 * @throws Error where a quote is not closed, or text follows it
 */
export function parseCsv(text) {
  const rows = [];
  let [line, start] = [1, 1];
  /** @type {string[]} */
  let fields = [];
  FIELD.lastIndex = 0;
  for (;;) {
    const match = FIELD.exec(text);
    if (!match)
      throw new Error(`Line ${start} of the list has a quote that is not closed, or text after it.`);
    const [, quoted, plain = '', end] = match;
    fields.push(quoted === undefined ? plain.trim() : quoted.replaceAll('""', '"'));
    line += quoted?.match(/\n/g)?.length ?? 0;
    if (end === ',') continue;
    if (fields.some((field) => field !== '')) rows.push({ line: start, fields });
    if (end === '') return rows;
    fields = [];
    start = ++line;
  }
}

/**
 * A spreadsheet takes a field that begins like a formula for one: a quote in front keeps it a text.
 *
 * @param {readonly (readonly (string | number | null)[])[]} rows
 */
export function csvText(rows) {
  const field = (/** @type {string | number | null} */ value) => {
    const text = String(value ?? '');
    const safe = typeof value === 'string' && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  return rows.map((row) => `${row.map(field).join(',')}\r\n`).join('');
}

/**
 * Saves a file on the operator's computer. Nothing is sent.
 *
 * @param {string} name
 * @param {Blob | string} content
 */
export function saveFile(name, content) {
  const url = URL.createObjectURL(new Blob([content], { type: 'text/csv' }));
  const link = document.createElement('a');
  Object.assign(link, { href: url, download: name });
  link.click();
  URL.revokeObjectURL(url);
}
