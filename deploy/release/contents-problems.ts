/** Is in the package what its documents name, and nothing that is not for its users? Pure. */
import { dirname, join, normalize } from 'node:path/posix';

/** Without these it does not start, or is not what it says. */
const NEEDED = [
  'package.json',
  'README.md',
  'LICENSE',
  'CHANGELOG.md',
  'SECURITY.md',
  'config/sallyport.yaml',
  'config/schema.json',
  'dist/main.js',
  'dist/LICENSES.txt',
  'dist/admin/page/index.html',
  'packages/identity/dist/index.js',
  'packages/identity/dist/index.d.ts',
];

const UNWANTED: readonly (readonly [what: string, pattern: RegExp])[] = [
  ['a source file', /(?<!\.d)\.[cm]?ts$/],
  ['a source map', /\.map$/],
  ['a test', /^test\/|\.test\.\w+$/],
  ['a file for development', /(?:^|\/)(?:node_modules|\.git|\.tap|\.ci|\.release)(?:\/|$)|\.tgz$|\.log$/],
  [
    'a secret',
    /(?:^|\/)(?:\.env\b|\.npmrc$|id_\w+$|[\w-]*(?:token|secret|password|log-key)$)|\.(?:pem|key|p12|pfx|jwk)$/,
  ],
  ['a data base', /\.(?:sqlite|db|rdb|aof)(?:-\w+)?$/],
];

/** @param files of the tarball, relative to its root */
export function contentsProblems(files: readonly string[]): string[] {
  return [
    ...NEEDED.filter((file) => !files.includes(file)).map(
      (file) => `the package lacks ${file}; see "files" in package.json`,
    ),
    ...files.flatMap((file) =>
      UNWANTED.filter(([, pattern]) => pattern.test(file)).map(
        ([what]) => `the package has ${file}, ${what}; exclude it in "files" of package.json`,
      ),
    ),
  ];
}

/** Documents of the package that are read by its users: their links must lead somewhere. */
export function isUserDocument(file: string): boolean {
  return file === 'README.md' || (file.startsWith('docs/') && file.endsWith('.md'));
}

/**
 * What a document names and the package lacks.
 *
 * @param file its path in the package
 * @param text Markdown
 */
export function linkProblems(file: string, text: string, files: readonly string[]): string[] {
  const folders = new Set(files.flatMap(foldersOf));
  const isThere = (path: string): boolean => files.includes(path) || folders.has(path);
  return [...new Set([...linksOf(file, text), ...pathsOf(text)])]
    .filter((path) => !isThere(path.replace(/\/$/, '')))
    .map((path) => `${file} names ${path}, which the package lacks; add it to "files" in package.json`);
}

/** Relative links and pictures, as paths in the package. */
function linksOf(file: string, text: string): string[] {
  const prose = text.replace(/^```[^]*?^```/gm, '').replace(/`[^`\n]*`/g, '');
  const links = [
    ...prose.matchAll(/\]\(<?([^)#\s>]+)[^)]*\)/g),
    ...prose.matchAll(/\b(?:src|href|srcset)="([^"#]+)[^"]*"/g),
  ].map(([, link = '']) => link);
  return links
    .filter((link) => !/^(?:[a-z]+:|\/)/.test(link))
    .map((link) => normalize(join(dirname(file), link)));
}

/**
 * Files to deploy with, in backquotes or commands, but for those that a command makes. Sources are for those who have the
 * repository, and so is the demo.
 */
function pathsOf(text: string): string[] {
  const made = [...text.matchAll(/^[$ ]*(?:cp|mv|mkdir)\b.* ((?:deploy|config)\/\S+)$/gm)].map(
    ([, path]) => path,
  );
  return [...text.matchAll(/(?<![\w./@-])((?:deploy|config)\/[\w./@-]*\w)/g)]
    .map(([, path = '']) => path)
    .filter((path) => !path.endsWith('.ts') && !path.endsWith('.test.yml') && !path.startsWith('deploy/demo'))
    .filter((path) => !made.some((folder) => folder !== undefined && `${path}/`.startsWith(`${folder}/`)));
}

function foldersOf(file: string): string[] {
  const folder = dirname(file);
  return folder === '.' ? [] : [folder, ...foldersOf(folder)];
}
