/**
 * Reads a file of API keys: either all of it holds, or each problem is reported as `file:line:column: what is wrong; what to do`.
 *
 * An entry takes some 0.3 ms in YAML and 0.05 ms in JSON, during which no request is served. So a list is read some entries at a
 * time, and the caller may let requests pass in between.
 */
import { parseDocument } from 'yaml';
import type { ApiKeyEntry } from '../api-keys/api-key.ts';
import { apiKeyEntry } from './api-key-entry.ts';
import { visible } from './escape-control.ts';
import { offsetOf, pathText } from './load.ts';
import { ConfigurationError, type Problem } from './problem.ts';
import { problemsOf } from './schema-problems.ts';
import { nearest } from './suggest.ts';
import { withinForm } from './union-issues.ts';

/** One entry: a list that it is in, where that begins in the file, and which of the list it is. */
interface Item {
  readonly text: string;
  readonly offset: number;
  readonly index: number;
}

/** So many entries are read at a time: some 15 ms in YAML. */
const AT_A_TIME = 50;
/** More problems than these are most likely one. */
const MAX_PROBLEMS = 20;
const KNOWN_KEYS = ['id', 'sha256', 'subject', 'client', 'scopes', 'claims', 'expires', 'created', 'note'];
const START = '[{ "id": "...", "sha256": "...", "subject": "..." }]';

/**
 * Reads the text of a file, a part at each step.
 *
 * @param file what problems are reported under
 * @param nowSeconds by which an entry may not have been created later
 * @throws ConfigurationError with every problem
 */
export function* readingKeys(
  text: string,
  file: string,
  nowSeconds: number,
): Generator<undefined, ApiKeyEntry[]> {
  // Editors on Windows begin a file with a byte order mark.
  const source = text.replace(/^\uFEFF/, '');
  const reading = new KeyReading(source, file, nowSeconds);
  const values = jsonList(source);
  if (values) {
    // Where an entry stands in the file is only looked for if it has a problem.
    let items: readonly Item[] | undefined;
    for (const [index, value] of values.entries()) {
      reading.take(value, () => (items ??= jsonItems(source))[index] ?? { text: '', offset: 0, index: 0 });
      if (index % AT_A_TIME === AT_A_TIME - 1) yield undefined;
    }
    return reading.finished();
  }
  const items = yamlItems(source);
  if (items === undefined) {
    reading.takeWhole();
    return reading.finished();
  }
  for (const [index, item] of items.entries()) {
    reading.takeText(item);
    if (index % AT_A_TIME === AT_A_TIME - 1) yield undefined;
  }
  return reading.finished();
}

/** The same at once. */
export function readKeys(source: string, file: string, nowSeconds: number): ApiKeyEntry[] {
  const reading = readingKeys(source, file, nowSeconds);
  let step = reading.next();
  while (step.done !== true) step = reading.next();
  return step.value;
}

class KeyReading {
  readonly #source: string;
  readonly #file: string;
  readonly #nowSeconds: number;
  readonly #entries: ApiKeyEntry[] = [];
  readonly #problems: string[] = [];
  /** Where each was first. */
  readonly #ids = new Map<string, () => Item>();
  readonly #digests = new Map<string, () => Item>();

  constructor(source: string, file: string, nowSeconds: number) {
    this.#source = source;
    this.#file = file;
    this.#nowSeconds = nowSeconds;
  }

  /** @throws ConfigurationError */
  finished(): ApiKeyEntry[] {
    const more = this.#problems.length - MAX_PROBLEMS;
    if (more > 0) {
      this.#problems.length = MAX_PROBLEMS;
      this.#problems.push(`${this.#file}: there are ${more} more problems; correct these first`);
    }
    if (this.#problems.length > 0) throw new ConfigurationError(this.#problems);
    return this.#entries;
  }

  /** An entry in YAML: a list of one. */
  takeText(item: Item): void {
    const document = documentOf(item.text);
    const [error] = document.errors;
    if (error) {
      const what = (error.message.split('\n')[0] ?? '').replace(/ at line \d+.*$/, '');
      this.#report(item.offset + error.pos[0], `${what}; correct the YAML here`);
      return;
    }
    let values: unknown;
    try {
      values = document.toJS();
    } catch {
      this.#report(item.offset, 'has an alias that no other line of the entry explains; write it out');
      return;
    }
    const [value] = Array.isArray(values) ? (values as unknown[]) : [];
    this.take(value, () => item);
  }

  /** A text in another form than a list with one line or more for each entry. */
  takeWhole(): void {
    const document = documentOf(this.#source);
    const [error] = document.errors;
    let value: unknown;
    try {
      value = error ? undefined : document.toJS();
    } catch {
      this.#report(0, 'has an alias of something that is not in this file, or of too much; write it out');
      return;
    }
    if (error) this.#report(error.pos[0], `${error.message.split('\n')[0] ?? ''}; correct it, or write JSON`);
    else if (!Array.isArray(value))
      this.#report(
        0,
        value === null || value === undefined
          ? 'the file is empty; write [] where there are no keys'
          : `the file is no list of keys; write ${START}`,
      );
    else
      for (const [index, entry] of (value as unknown[]).entries())
        this.take(entry, () => ({ text: this.#source, offset: 0, index }));
  }

  /** @param itemOf says where the entry stands, if that is asked */
  take(value: unknown, itemOf: () => Item): void {
    const parsed = apiKeyEntry.safeParse(value, { reportInput: true });
    if (!parsed.success) {
      const item = itemOf();
      for (const problem of parsed.error.issues.flatMap(withinForm).flatMap(keyProblems))
        this.#report(placeIn(item, problem), problem);
      return;
    }
    const entry = parsed.data;
    this.#refuseTwice(this.#ids, 'id', entry.id, itemOf);
    this.#refuseTwice(this.#digests, 'sha256', entry.sha256, itemOf);
    if (entry.created !== undefined && entry.created > this.#nowSeconds)
      this.#report(placeIn(itemOf()), `${entry.id}: created is in the future; correct it`);
    this.#entries.push(entry);
  }

  #refuseTwice(seen: Map<string, () => Item>, key: string, value: string, itemOf: () => Item): void {
    const first = seen.get(value);
    if (first === undefined) seen.set(value, itemOf);
    else
      this.#report(
        placeIn(itemOf()),
        `has the ${key} of the entry in line ${this.#lineOf(placeIn(first()))}; each has its own, so remove one or change it`,
      );
  }

  #report(offset: number, problem: string | Problem): void {
    const { path, message } = typeof problem === 'string' ? { path: [], message: problem } : problem;
    const line = this.#lineOf(offset);
    const column = offset - this.#source.lastIndexOf('\n', offset - 1);
    const where = path.length > 0 ? `${pathText(path)}: ` : '';
    this.#problems.push(`${this.#file}:${line}:${column}: ${visible(where + message)}`);
  }

  #lineOf(offset: number): number {
    return this.#source.slice(0, offset).split('\n').length;
  }
}

/** The offset in the file of an entry, or of a problem in it. */
function placeIn({ text, offset, index }: Item, problem: Problem = { path: [], message: '' }): number {
  return offset + offsetOf(documentOf(text), { ...problem, path: [index, ...problem.path] });
}

function documentOf(text: string) {
  return parseDocument(text, { version: '1.2', uniqueKeys: true, stringKeys: true });
}

/** The keys of an entry are others than those of the configuration. */
function keyProblems(issue: Parameters<typeof problemsOf>[0]): Problem[] {
  if (issue.code !== 'unrecognized_keys') return problemsOf(issue);
  const path = issue.path.filter((part) => typeof part !== 'symbol');
  return issue.keys.map((key) => {
    const guess = nearest(key, KNOWN_KEYS);
    const remedy =
      guess === undefined ? `remove it (known here: ${KNOWN_KEYS.join(', ')})` : `did you mean ${guess}?`;
    return { path: [...path, key], atKey: true, message: `unknown key; ${remedy}` };
  });
}

/** Undefined for a text that is not JSON, or no list. */
function jsonList(source: string): unknown[] | undefined {
  if (!source.trimStart().startsWith('[')) return undefined;
  try {
    const value: unknown = JSON.parse(source);
    return Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The entries of a list in JSON, which is known to be well-formed; each as a list of one, which is YAML, too. */
function jsonItems(source: string): Item[] {
  const items: Item[] = [];
  let depth = 0;
  let begin = 0;
  for (const { index, 0: token } of source.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{},]/g)) {
    if (token === '[' || token === '{') {
      depth++;
      if (depth === 1) begin = index + 1;
    } else if (token === ']' || token === '}') depth--;
    if ((depth === 1 && token === ',') || depth === 0) {
      items.push({ text: `[${source.slice(begin, index)}]`, offset: begin - 1, index: 0 });
      begin = index + 1;
    }
  }
  return items;
}

/** The entries of a list whose dashes stand at the beginning of lines; undefined for a text in another form. */
function yamlItems(source: string): Item[] | undefined {
  const starts = [...source.matchAll(/^-(?=[ \r\n])/gm)].map(({ index }) => index);
  const [first] = starts;
  if (first === undefined) return undefined;
  const before = source.slice(0, first).split('\n');
  if (!before.every((line) => /^(?:\s*|\s*#.*|---\s*)$/.test(line))) return undefined;
  return starts.map((offset, at) => ({ offset, text: source.slice(offset, starts[at + 1]), index: 0 }));
}
