/** Words that a reader in a hurry has to read twice stay out of the code, its documents and its messages. */
import t from 'tap';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = new URL('..', import.meta.url).pathname;

const AVOIDED =
  /\b(?:nobody|somebody|anybody|whoever|no one who|(?:become|becomes|became|come|comes|came) of|cannot be had|mend(?:s|ed|ing)?|as ever|under way|anew)\b/gi;

/** Where one of the words is the right one: file, and the words around it. At most five. */
const EXCEPTIONS: readonly (readonly [file: string, text: string])[] = [];

function filesIn(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8', withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length))
    .filter((file) => /\.(?:ts|js|css|html|md|json|ya?ml|svg)$/.test(file));
}

const files = [
  ...['src', 'packages', 'docs', 'config', 'test', 'bench', 'deploy', 'demo'].flatMap(filesIn),
  ...readdirSync(root).filter((file) => file.endsWith('.md')),
].filter((file) => file !== 'test/plain-english.test.ts' && !file.includes('node_modules/'));

t.test('there are files to read', async (t) => {
  t.ok(files.length > 150);
});

t.test('source, tests, documents and schema use plain English', async (t) => {
  const found = files.flatMap((file) =>
    // A phrase may be broken between two lines of a comment.
    [
      ...readFileSync(join(root, file), 'utf8')
        .replace(/\n\s*(?:\*|\/\/|#)?\s*/g, ' ')
        .matchAll(AVOIDED),
    ]
      .map(({ input, index }) => `${file}: …${input.slice(Math.max(0, index - 30), index + 40)}…`)
      .filter((place) => !EXCEPTIONS.some(([of, text]) => of === file && place.includes(text))),
  );
  t.strictSame(found, []);
});

t.test('there are at most five exceptions', async (t) => {
  t.ok(EXCEPTIONS.length <= 5);
});
