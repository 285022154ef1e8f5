/** The blocks of a document: what a reader copies out of it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const DOCS = fileURLToPath(new URL('../../docs/', import.meta.url));

export interface Block {
  /** sh, yaml, text, ... */
  readonly language: string;
  readonly text: string;
  /** The name of the page below docs/, and the line where the block begins. */
  readonly place: string;
  /** The file that its first line names in a comment, as in "# sallyport.yaml"; undefined where it names none. */
  readonly file: string | undefined;
}

/** The fenced blocks of a page, in order. @param page below docs/, such as tutorial.md */
export function blocksOf(page: string): Block[] {
  const document = readFileSync(join(DOCS, page), 'utf8');
  // A block in a list is indented.
  const blocks = document.matchAll(/^( *)```(\w*)\n([^]*?)^\1```$/gm);
  return [...blocks].map(({ index, 1: indent = '', 2: language = '', 3: indented = '' }) => {
    const text = indented.replace(new RegExp(`^${indent}`, 'gm'), '');
    return {
      language,
      text,
      place: `docs/${page}:${document.slice(0, index).split('\n').length}`,
      file: /^(?:#|\/\/) ([\w-]+\.\w+|Caddyfile)\n/.exec(text)?.[1],
    };
  });
}

/** The block that begins with the name of this file. */
export function fileIn(page: string, name: string): Block {
  const block = blocksOf(page).find(({ file }) => file === name);
  if (block === undefined) throw new Error(`docs/${page} shows no ${name}`);
  return block;
}

/** The pages of a folder, as blocksOf takes them. */
export function pagesIn(folder: string): string[] {
  return readdirSync(join(DOCS, folder))
    .filter((name) => name.endsWith('.md'))
    .sort()
    .map((name) => `${folder}/${name}`);
}

/** Each text in the place of another; all of them at once, so that none is replaced twice. */
export function withReplacements(text: string, replacements: Readonly<Record<string, string>>): string {
  const written = Object.keys(replacements);
  if (written.length === 0) return text;
  const pattern = new RegExp(
    written.map((each) => `(?<![\\w.])${each.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}(?!\\w)`).join('|'),
    'g',
  );
  return text.replace(pattern, (found) => replacements[found] ?? found);
}

/** What a test sets itself is left out of a configuration of a page, such as listeners. */
export function without(document: unknown, ...keys: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(document as Record<string, unknown>).filter(([key]) => !keys.includes(key)),
  );
}
