/** What a comment, a test or a document cites is in the repository: rule ids and documents. */
import t from 'tap';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { citedIds, ruleIds } from './support/rules.ts';

const root = new URL('..', import.meta.url).pathname;

function filesIn(folder: string, type: RegExp): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8', withFileTypes: true })
    .filter((entry) => entry.isFile() && type.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length));
}

const code = ['src', 'packages', 'test', 'bench', 'demo', 'deploy'].flatMap((folder) =>
  filesIn(folder, /\.(?:ts|js)$/),
);
const documents = [
  ...filesIn('docs', /\.md$/),
  'README.md',
  'packages/identity/README.md',
  'CONTRIBUTING.md',
  'RELEASING.md',
  'SECURITY.md',
  'CHANGELOG.md',
];
const read = (file: string): string => readFileSync(join(root, file), 'utf8');

t.test('every rule id that code or tests cite is in docs/security-rules.md', async (t) => {
  const known = new Set(ruleIds());
  t.ok(known.size > 80, 'the rule book is there');
  const unknown = code.flatMap((file) =>
    citedIds(read(file))
      .filter((id) => !known.has(id))
      .map((id) => `${file}: ${id}`),
  );
  t.strictSame(unknown, []);
});

t.test('every document that code or tests name exists', async (t) => {
  const missing = code.flatMap((file) =>
    [...read(file).matchAll(/(?<![\w/${}.-])((?:docs\/)?[\w/-]+\.md)\b/g)]
      .map(([, path = '']) => path)
      .filter((path) => ![root, join(root, 'docs')].some((base) => existsSync(join(base, path))))
      .map((path) => `${file}: ${path}`),
  );
  t.strictSame(missing, []);
});

t.test('every link and every source file that a document names exists', async (t) => {
  const missing = documents.flatMap((file) => {
    const text = read(file).replace(/^```[\s\S]*?^```/gm, '');
    const links = [...text.matchAll(/\]\(([^)#\s]+)[^)]*\)/g)]
      .map(([, path = '']) => path)
      .filter((path) => !/^[a-z]+:/.test(path))
      .filter((path) => !existsSync(join(root, dirname(file), path)));
    const sources = [...text.matchAll(/`((?:src|test|bench|deploy|demo|docs|config)\/[\w./-]+)`/g)]
      .map(([, path = '']) => path)
      .filter((path) => !existsSync(join(root, path)));
    return [...links, ...sources].map((path) => `${file}: ${path}`);
  });
  t.strictSame(missing, []);
});
