/** Readers find every document: the index of docs/ has all of them, and links lead to places that are there. */
import t from 'tap';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { sallyport } from './support/command.ts';

const root = new URL('..', import.meta.url).pathname;
const read = (file: string): string => readFileSync(join(root, file), 'utf8');

const pages = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.md'))
  .map((file) => join('docs', file));
const INDEX = 'docs/README.md';

/** Targets of the links of a document, from the root, with what follows `#`. */
function linksOf(file: string): { readonly target: string; readonly anchor: string }[] {
  const text = read(file).replace(/^ *```[\s\S]*?^ *```/gm, '');
  return [...text.matchAll(/\]\(([^)#\s]*)(?:#([^)\s]+))?\)/g)]
    .map(([, path = '', anchor = '']) => ({ path, anchor }))
    .filter(({ path }) => !/^[a-z]+:/.test(path))
    .map(({ path, anchor }) => ({
      target: path === '' ? file : normalize(join(dirname(file), path)),
      anchor,
    }));
}

/** The anchors that GitHub makes of the headings of a document. */
function anchorsOf(file: string): Set<string> {
  const headings = [...read(file).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => heading);
  return new Set(
    headings.map((heading) =>
      heading
        .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\p{M} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

t.test('every page under docs/ is in docs/README.md, or in the README of its folder, which is', async (t) => {
  const inIndex = new Set(linksOf(INDEX).map(({ target }) => target));
  // Decisions are for those who look for one: the folder is their list.
  const isListed = (page: string): boolean =>
    inIndex.has(page) ||
    (page.startsWith('docs/decisions/') && inIndex.has('docs/decisions/')) ||
    [...inIndex].some(
      (list) => list.endsWith('/README.md') && linksOf(list).some(({ target }) => target === page),
    );
  t.ok(pages.length > 30);
  t.strictSame(
    pages.filter((page) => page !== INDEX && !isListed(page)),
    [],
  );
});

t.test('every link to a heading of a document leads to one that is there', async (t) => {
  const documents = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', ...pages];
  const missing = documents.flatMap((file) =>
    linksOf(file)
      .filter(
        ({ target, anchor }) => anchor !== '' && target.endsWith('.md') && !anchorsOf(target).has(anchor),
      )
      .map(({ target, anchor }) => `${file}: ${target}#${anchor}`),
  );
  t.strictSame(missing, []);
});

t.test('every command of the program is in docs/commands.md', async (t) => {
  const text = read('docs/commands.md');
  const { out } = await sallyport(['--help']);
  const commands = [...out.matchAll(/^ {2}([a-z]+) {2,}/gm)].map(([, name = '']) => name);
  t.ok(commands.length > 10);
  for (const name of commands) t.match(text, new RegExp(`^\\| [^|]*\`${name}\\b`, 'm'), name);
});
