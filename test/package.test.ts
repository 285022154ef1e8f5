/** The package as its users get it: its name, and that all its documents name is in it. */
import t from 'tap';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isUserDocument, linkProblems } from '../deploy/release/contents-problems.ts';
import { identityName, readRelease, ROOT } from '../deploy/release/release.ts';
import { packedFiles } from '../deploy/release/trials.ts';

const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');
const { manifest, identity, lock, chartVersion } = readRelease();
const documents = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.md'))
  .map((file) => `docs/${file}`)
  .concat('README.md', 'packages/identity/README.md');
const escaped = (text: string): string => text.replace(/[^\w]/g, '\\$&');

t.test('package.json holds the name, and every other place has the same', async (t) => {
  const { name } = manifest;
  t.equal(identity.name, identityName(name));
  t.equal(lock.packages['']?.name, name);
  t.ok(lock.packages[`node_modules/${identityName(name)}`]?.link, 'the workspace is linked');
  t.match(read('docs/identity.md'), `from '${name}/identity'`);
  t.match(read('packages/identity/README.md'), `from '${identityName(name)}'`);
});

t.test('every part has the version of package.json', async (t) => {
  const { version } = manifest;
  t.equal(identity.version, version);
  t.equal(lock.version, version);
  t.equal(lock.packages['packages/identity']?.version, version);
  t.equal(chartVersion, version, 'appVersion of the Helm chart');
});

t.test('no document takes the package from a registry before it is published', async (t) => {
  t.ok(documents.length > 30);
  // npx finds a command of another name, too: both are the first thing that a stranger would register.
  const names = [manifest.name, identity.name, 'sallyport'].map(escaped).join('|');
  const taken = new RegExp(
    `\\b(?:npx|npm (?:exec|x|install|i|add)|(?:yarn|pnpm|bun) (?:add|dlx|x)|bunx)(?: --?[\\w=-]+)* (?:${names})(?![\\w./-])`,
  );
  for (const command of [
    'npx sallyport run',
    'npm install sallyport',
    'npm i -g sallyport',
    'npx -y sallyport',
  ])
    t.match(command, taken);
  for (const command of ['npm install ./sallyport-0.2.0.tgz', 'node_modules/.bin/sallyport run'])
    t.notMatch(command, taken);
  for (const file of documents) t.notMatch(read(file), taken, file);
});

t.test('all that README and the documents name is in the package', async (t) => {
  const files = packedFiles();
  t.ok(files.filter(isUserDocument).length >= documents.length - 1, 'the documents are');
  for (const file of files.filter(isUserDocument))
    t.strictSame(linkProblems(file, read(file), files), [], file);
  t.notOk(files.some((file) => /^(?:src|test|packages\/identity\/src)\//.test(file)));
});

t.test('the identity reader has no dependency, and is for older versions of Node, too', async (t) => {
  const own = JSON.parse(read('packages/identity/package.json')) as Record<string, unknown>;
  for (const key of Object.keys(own)) t.notMatch(key, /dependencies/i);
  t.strictSame(own['engines'], { node: '^20.0.0 || ^22.0.0 || >=24.0.0' });
  t.equal(read('packages/identity/LICENSE'), read('LICENSE'));
});

t.test('npm ci has nothing to warn of but an older Node', async (t) => {
  const { allowScripts } = JSON.parse(read('package.json')) as { allowScripts: Record<string, boolean> };
  const locked = Object.entries(lock.packages).map(([path, entry]) => ({
    name: path.replace(/^.*node_modules\//, ''),
    ...(entry as { hasInstallScript?: boolean; deprecated?: string }),
  }));
  const undecided = locked.filter(
    ({ name, hasInstallScript }) => hasInstallScript && !(name in allowScripts),
  );
  t.strictSame(undecided, [], 'allowScripts of package.json says yes or no to each');
  t.strictSame(
    locked.filter(({ deprecated }) => deprecated !== undefined),
    [],
  );
});

t.test('each folder of packages/ is a workspace', async (t) => {
  const folders = readdirSync(join(ROOT, 'packages'));
  for (const folder of folders) t.ok(existsSync(join(ROOT, 'packages', folder, 'package.json')), folder);
  t.strictSame(manifest.workspaces, ['packages/*']);
});
