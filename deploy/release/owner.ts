/**
 * Says whose package this is, in each file that names it: `npm run release:owner -- --repository URL --author NAME`, and with
 * `--name` the package gets another name, such as one in a scope. Run it once; nothing of it is a default.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { IDENTITY, identityName, ROOT, type Lock, type LockedPackage } from './release.ts';

export interface Owner {
  /** Undefined: it stays as it is. */
  readonly name: string | undefined;
  /** The https:// URL of the repository. */
  readonly repository: string;
  readonly author: string;
  /** Where problems are reported; undefined: the issues of the repository. */
  readonly bugs: string | undefined;
}

/** Where a service imports the reader from. */
const IMPORTS = ['docs/identity.md', `${IDENTITY}/README.md`, `${IDENTITY}/src/index.ts`];
export const OWNED_FILES = ['package.json', `${IDENTITY}/package.json`, 'package-lock.json', ...IMPORTS];

/** npm's own rule for names. */
const NAME = /^(?:@[a-z0-9-~][a-z0-9-._~]*\/)?[a-z0-9-~][a-z0-9-._~]*$/;

/**
 * The files with their owner.
 *
 * @param files OWNED_FILES, by path
 * @throws RangeError where a name or a URL is none
 */
export function owned(files: ReadonlyMap<string, string>, owner: Owner): Map<string, string> {
  const before = (JSON.parse(files.get('package.json') ?? '') as { name: string }).name;
  const { name = before } = owner;
  if (!NAME.test(name)) throw new RangeError(`"${name}" is no name of a package`);
  const fields = fieldsOf(owner);
  const change = (path: string, text: string): string => {
    if (path === 'package.json') return withFields(text, name, fields);
    if (path === `${IDENTITY}/package.json`) return withFields(text, identityName(name), fields, IDENTITY);
    if (path === 'package-lock.json') return renamedLock(text, before, name);
    return text
      .replaceAll(`${before}/identity'`, `${name}/identity'`)
      .replaceAll(`${before}/identity\``, `${name}/identity\``)
      .replaceAll(identityName(before), identityName(name));
  };
  return new Map([...files].map(([path, text]) => [path, change(path, text)]));
}

function fieldsOf({ repository, author, bugs }: Owner): { author: string; bugs: string; url: string } {
  const url = httpsUrl(repository).replace(/(?:\.git)?\/?$/, '');
  if (author.trim() === '') throw new RangeError('the author has no name');
  return { author, bugs: httpsUrl(bugs ?? `${url}/issues`), url };
}

function httpsUrl(text: string): string {
  const url = URL.parse(text);
  if (url?.protocol !== 'https:') throw new RangeError(`"${text}" is no https:// URL`);
  return url.href;
}

function withFields(
  text: string,
  name: string,
  { author, bugs, url }: { author: string; bugs: string; url: string },
  directory?: string,
): string {
  const manifest = JSON.parse(text) as Record<string, unknown>;
  const { version, description, keywords, license, ...rest } = manifest;
  const changed = {
    ...{ name, version, description, keywords },
    homepage: `${url}#readme`,
    bugs: { url: bugs },
    repository: { type: 'git', url: `git+${url}.git`, ...(directory === undefined ? {} : { directory }) },
    license,
    author,
    ...Object.fromEntries(
      Object.entries(rest).filter(
        ([key]) => !['name', 'homepage', 'bugs', 'repository', 'author'].includes(key),
      ),
    ),
  };
  return `${JSON.stringify(changed, undefined, 2)}\n`;
}

function renamedLock(text: string, before: string, name: string): string {
  const lock = JSON.parse(text) as Lock;
  const packages = Object.entries(lock.packages).map(([path, entry]): [string, LockedPackage] => {
    if (path === '') return [path, { ...entry, name }];
    if (path === IDENTITY) return [path, { ...entry, name: identityName(name) }];
    return [
      path === `node_modules/${identityName(before)}` ? `node_modules/${identityName(name)}` : path,
      entry,
    ];
  });
  packages.sort(([a], [b]) => a.localeCompare(b, 'en'));
  return `${JSON.stringify({ ...lock, name, packages: Object.fromEntries(packages) }, undefined, 2)}\n`;
}

function ownerOf(args: readonly string[]): Owner {
  const { values } = parseArgs({
    args: [...args],
    options: {
      name: { type: 'string' },
      repository: { type: 'string' },
      author: { type: 'string' },
      bugs: { type: 'string' },
    },
  });
  const { name, repository, author, bugs } = values;
  if (repository === undefined || author === undefined)
    throw new RangeError(
      'say whose it is: npm run release:owner -- --repository URL --author NAME [--bugs URL] [--name NAME]',
    );
  return { name, repository, author, bugs };
}

function main(): void {
  const files = new Map(OWNED_FILES.map((path) => [path, readFileSync(join(ROOT, path), 'utf8')]));
  for (const [path, text] of owned(files, ownerOf(process.argv.slice(2))))
    writeFileSync(join(ROOT, path), text);
  // Their links lead to the repository.
  for (const script of ['deploy/prometheus/write.ts', 'deploy/grafana/write.ts'])
    execFileSync(process.execPath, [script], { cwd: ROOT, stdio: 'inherit' });
  console.log('run npm install now: the workspace may have another name');
}

if (import.meta.main) {
  try {
    main();
  } catch (error) {
    if (!(error instanceof RangeError || error instanceof TypeError)) throw error;
    console.error(error.message);
    process.exitCode = 2;
  }
}
