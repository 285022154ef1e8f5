/** What a release is checked for: each check fails where what it looks for is wrong. RELEASING.md. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { contentsProblems, linkProblems } from '../../deploy/release/contents-problems.ts';
import { owned, OWNED_FILES, type Owner } from '../../deploy/release/owner.ts';
import { ownerProblems } from '../../deploy/release/owner-problems.ts';
import {
  readRelease,
  ROOT,
  type Lock,
  type LockedPackage,
  type Manifest,
  type Release,
} from '../../deploy/release/release.ts';
import { withoutDevelopment } from '../../deploy/release/sbom.ts';
import { sbomProblems } from '../../deploy/release/sbom-problems.ts';
import { output, startProblems, treeProblems } from '../../deploy/release/trials.ts';
import { lockProblems, versionProblems } from '../../deploy/release/version-problems.ts';
import { temporaryFolder } from '../support/process.ts';

const HASH = 'a'.repeat(128);
const manifest: Manifest = {
  name: 'gate',
  version: '1.2.0',
  author: 'An Author',
  repository: { url: 'git+https://git.test/o/gate.git' },
  bugs: { url: 'https://git.test/o/gate/issues' },
  dependencies: { a: '1.0.0' },
  devDependencies: { b: '2.0.0' },
};
const identity: Manifest = { ...manifest, name: 'gate-identity', dependencies: {}, devDependencies: {} };
const lock: Lock = {
  name: 'gate',
  version: '1.2.0',
  packages: {
    '': manifest,
    'node_modules/a': { version: '1.0.0', integrity: 'sha512-x' },
    'node_modules/b': { version: '2.0.0', integrity: 'sha512-x', dev: true },
    'node_modules/gate-identity': { resolved: 'packages/identity', link: true },
    'packages/identity': { name: 'gate-identity', version: '1.2.0' },
  },
};
const release: Release = {
  manifest,
  identity,
  lock,
  changelog: '# Changelog\n\n## 1.2.0 - 2026-12-01\n\n### Added\n- a thing\n\n## 1.1.0 - 2026-11-01\n',
  chartVersion: undefined,
};
const component = (name: string, version: string) => ({
  'bom-ref': `${name}@${version}`,
  type: 'library',
  name,
  version,
  purl: `pkg:npm/${name}@${version}`,
  hashes: [{ alg: 'SHA-512', content: HASH }],
});
const A = component('a', '1.0.0');
const OWN = component('gate-identity', '1.2.0');
const sbom = {
  bomFormat: 'CycloneDX',
  specVersion: '1.5',
  serialNumber: 'urn:uuid:9e4b3a5c-1111-4111-8111-111111111111',
  version: 1,
  metadata: { timestamp: '2026-12-01T00:00:00.000Z', component: component('gate', '1.2.0') },
  components: [A, OWN],
  dependencies: [{ ref: 'gate@1.2.0', dependsOn: ['a@1.0.0'] }],
};

/** Each of these releases has one problem, which is told by these words. */
function refuses(
  t: Test,
  problemsOf: (release: Release) => readonly string[],
  cases: Record<string, Partial<Release>>,
): void {
  t.strictSame(problemsOf(release), [], 'the release without a fault');
  for (const [words, fault] of Object.entries(cases))
    t.match(problemsOf({ ...release, ...fault }).join('\n'), new RegExp(words), words);
}

t.test('the version is that of the top section of the changelog, and of every part', async (t) => {
  const changelog = (heading: string, rest = '\n- a thing\n'): Partial<Release> => ({
    changelog: `# Changelog\n\n${heading}\n${rest}`,
  });
  refuses(t, versionProblems, {
    'still "Unreleased"': changelog('## Unreleased'),
    'still "\\[Unreleased\\]"': changelog('## [Unreleased]'),
    'section is "1\\.2\\.0"; call it': changelog('## 1.2.0'),
    'section is ""': changelog('# Only a title'),
    'that of 1\\.1\\.0, and package\\.json has 1\\.2\\.0': changelog('## 1.1.0 - 2026-11-01'),
    'lists no change': changelog('## 1.2.0 - 2026-12-01', '\nSoon.\n\n## 1.1.0 - 2026-11-01\n- a thing\n'),
    'identity/package\\.json is 1\\.1\\.0': { identity: { ...identity, version: '1.1.0' } },
    'the name must be gate-identity': { identity: { ...identity, name: 'identity' } },
    'appVersion is 1\\.1\\.0': { chartVersion: '1.1.0' },
  });
  t.strictSame(
    versionProblems({ ...release, chartVersion: '1.2.0', ...changelog('## [1.2.0] - 2026-12-01') }),
    [],
  );
});

t.test('the lock file is in step, names no registry, and has a hash of each package', async (t) => {
  const locked = (changes: Partial<Lock>): Partial<Release> => ({ lock: { ...lock, ...changes } });
  const packages = (more: Record<string, LockedPackage>): Partial<Release> =>
    locked({ packages: { ...lock.packages, ...more } });
  refuses(t, lockProblems, {
    'not in step': locked({ version: '1.1.0' }),
    'in step with': packages({ '': { ...manifest, dependencies: { a: '1.0.1' } } }),
    'step with package': packages({ '': { ...manifest, devDependencies: {} } }),
    'is not in step': packages({ 'packages/identity': { version: '1.1.0' } }),
    'names npm\\.internal': packages({
      'node_modules/a': { version: '1.0.0', integrity: 'x', resolved: 'https://npm.internal/a.tgz' },
    }),
    'node_modules/a has no integrity': packages({ 'node_modules/a': { version: '1.0.0' } }),
  });
});

t.test('it says whose it is, and that is not made up', async (t) => {
  const { author: _author, ...anonymous } = manifest;
  const { repository: _repository, ...homeless } = manifest;
  refuses(t, ownerProblems, {
    'package\\.json: author is not set': { manifest: anonymous },
    'package\\.json: repository is not set': { manifest: homeless },
    'repository is not set': { manifest: { ...manifest, repository: 'https://repository.invalid/x' } },
    'bugs is not set': { manifest: { ...manifest, bugs: { url: 'http://git.test/o' } } },
    'identity/package\\.json: repository is not set': {
      identity: { ...homeless, name: 'gate-identity' },
    },
    'another one than': { identity: { ...identity, repository: 'https://git.test/o/other' } },
  });
});

t.test('the package has what it needs, and nothing that is not for its users', async (t) => {
  const whole = [
    ...['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md', 'SECURITY.md', 'config/sallyport.yaml'],
    ...['config/schema.json', 'dist/main.js', 'dist/LICENSES.txt', 'dist/admin/page/index.html'],
    ...['packages/identity/dist/index.js', 'packages/identity/dist/index.d.ts'],
  ];
  t.strictSame(contentsProblems(whole), []);
  for (const file of whole)
    t.match(contentsProblems(whole.filter((other) => other !== file)), [`the package lacks ${file}`]);
  for (const [file, what] of Object.entries({
    'dist/main.js.map': 'a source map',
    'deploy/prometheus/write.ts': 'a source file',
    'deploy/prometheus/alerts.test.yml': 'a test',
    'test/docs.js': 'a test',
    'config/admin-token': 'a secret',
    'deploy/tls/server.key': 'a secret',
    '.env': 'a secret',
    'docs/.npmrc': 'a secret',
    'revocations.sqlite-wal': 'a data base',
    '.ci/run': 'a file for development',
    'sallyport-0.2.0.tgz': 'a file for development',
  }))
    t.match(contentsProblems([...whole, file]), [new RegExp(`${what}; exclude it`)], file);
});

t.test('what a document of the package names is in it', async (t) => {
  const files = [
    'README.md',
    'docs/identity.md',
    'docs/images/b.png',
    'deploy/systemd/gate.service',
    'deploy/systemd/gate@.service',
  ];
  const problems = (text: string): string[] => linkProblems('docs/identity.md', text, files);
  const fine = [
    '[b](../README.md#x) [c](#here) [d](https://a.test/x) ![e](images/b.png) [f](images/)',
    '<img alt="" src="images/b.png" />',
    '`deploy/systemd/gate.service`, `deploy/systemd`, `deploy/prometheus/rules.ts`',
    '```yaml\nx: [y](no-such-file)\n```',
    '```sh\ncp -r deploy/systemd deploy/mine\ncat deploy/mine/gate.service deploy/systemd/gate@.service\n```',
  ];
  t.strictSame(problems(fine.join('\n')), []);
  for (const [text, path] of Object.entries({
    '[b](c.txt)': 'docs/c.txt',
    '![b](images/c.png)': 'docs/images/c.png',
    '<source srcset="images/c.png" />': 'docs/images/c.png',
    '`deploy/helm/gate`': 'deploy/helm/gate',
    '```sh\nkubectl apply -k deploy/kubernetes/base\n```': 'deploy/kubernetes/base',
  }))
    t.match(problems(text), [`names ${path}, which the package lacks`], text);
});

t.test('the list of materials is CycloneDX, and lists what is installed', async (t) => {
  t.strictSame(sbomProblems(sbom, release), []);
  const faults: Record<string, unknown> = {
    'no CycloneDX: bomFormat': { ...sbom, bomFormat: 'SPDX' },
    'no CycloneDX: components': { ...sbom, components: undefined },
    'no CycloneDX: serialNumber': { ...sbom, serialNumber: 'x' },
    'no CycloneDX: ': [],
    'is that of gate 1\\.1\\.0': {
      ...sbom,
      metadata: { ...sbom.metadata, component: component('gate', '1.1.0') },
    },
    'lacks a 1\\.0\\.0': { ...sbom, components: [OWN], dependencies: [] },
    'lists b 2\\.0\\.0, which is not installed': { ...sbom, components: [A, OWN, component('b', '2.0.0')] },
    'no hash of a': { ...sbom, components: [{ ...A, hashes: [] }, OWN] },
    'bom-ref twice': { ...sbom, components: [A, A, OWN] },
    'names c@1 and does not list it': { ...sbom, dependencies: [{ ref: 'gate@1.2.0', dependsOn: ['c@1'] }] },
  };
  for (const [words, document] of Object.entries(faults))
    t.match(sbomProblems(document, release).join('\n'), new RegExp(words), words);
});

t.test('what is for development alone is not in the list of materials', async (t) => {
  const development = [{ name: 'cdx:npm:package:development', value: 'true' }];
  const written = {
    ...sbom,
    // As npm writes it: named after folders.
    metadata: { ...sbom.metadata, component: { ...sbom.metadata.component, name: 'my-clone' } },
    components: [A, { ...OWN, name: 'identity' }, { ...component('b', '2.0.0'), properties: development }],
    dependencies: [
      { ref: 'gate@1.2.0', dependsOn: ['a@1.0.0', 'b@2.0.0'] },
      { ref: 'b@2.0.0', dependsOn: [] },
    ],
  };
  t.strictSame(withoutDevelopment(written, release), sbom);
});

t.test('what is not committed is not released', async (t) => {
  const folder = temporaryFolder(t);
  output('git', ['init', '--quiet'], folder);
  t.strictSame(treeProblems(folder), []);
  writeFileSync(join(folder, 'left-over'), '');
  t.match(treeProblems(folder), [/not committed[^]*left-over/]);
});

t.test('a package that does not start is not released', async (t) => {
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, '.ci'));
  const smoke = join(folder, '.ci/package-smoke');
  writeFileSync(smoke, 'test -d "$1"');
  t.strictSame(startProblems(folder), []);
  writeFileSync(smoke, 'echo "the port is taken"; exit 1');
  t.match(startProblems(folder), [/package-smoke.* failed: the port is taken/]);
});

const files = new Map(OWNED_FILES.map((path) => [path, readFileSync(join(ROOT, path), 'utf8')]));
const OWNER: Owner = {
  name: '@o/gate',
  repository: 'https://git.test/o/gate.git',
  author: 'An Author',
  bugs: undefined,
};

t.test('release:owner names the owner in every file, and the name follows', async (t) => {
  const after = owned(files, OWNER);
  const json = (path: string): object => JSON.parse(after.get(path) ?? '') as object;
  const owner = {
    author: 'An Author',
    bugs: { url: 'https://git.test/o/gate/issues' },
    repository: { type: 'git', url: 'git+https://git.test/o/gate.git' },
  };
  t.match(json('package.json'), { name: '@o/gate', ...owner });
  t.match(json('packages/identity/package.json'), { name: '@o/gate-identity', ...owner });
  const before = readRelease();
  const made = {
    ...before,
    manifest: json('package.json') as Manifest,
    identity: json('packages/identity/package.json') as Manifest,
    lock: json('package-lock.json') as Lock,
  };
  t.strictSame([...ownerProblems(made), ...lockProblems(made)], []);
  t.match(made.lock.packages['node_modules/@o/gate-identity'], { link: true });
  t.match(after.get('docs/identity.md'), "from '@o/gate/identity'");
  t.match(after.get('packages/identity/README.md'), "from '@o/gate-identity'");
  t.strictSame(owned(after, OWNER), after, 'twice is once');
  const kept = owned(files, { ...OWNER, name: undefined, bugs: 'https://bugs.test/gate' });
  t.match(JSON.parse(kept.get('package.json') ?? ''), {
    name: before.manifest.name,
    bugs: { url: 'https://bugs.test/gate' },
  });
  for (const wrong of [
    { name: 'A B' },
    { repository: 'git@git.test:o/gate' },
    { author: ' ' },
    { bugs: 'x' },
  ])
    t.throws(() => owned(files, { ...OWNER, ...wrong }), RangeError, JSON.stringify(wrong));
});

t.test('release:owner without an owner says what to give, and changes nothing', async (t) => {
  const { status, stderr } = spawnSync(process.execPath, [join(ROOT, 'deploy/release/owner.ts')], {
    encoding: 'utf8',
  });
  t.equal(status, 2);
  t.match(stderr, /--repository URL --author NAME/);
  for (const [path, text] of files) t.equal(readFileSync(join(ROOT, path), 'utf8'), text, path);
});

t.test('RELEASING.md tells of each check', async (t) => {
  const text = readFileSync(join(ROOT, 'RELEASING.md'), 'utf8');
  t.match(text, 'Reserve the name first');
  const checks = readFileSync(join(ROOT, 'deploy/release/check.ts'), 'utf8');
  const [, list = ''] = /CHECKS[^=]*= \[([^]*?)\n\];/.exec(checks) ?? [];
  const rows = text.split('\n').filter((line) => line.startsWith('| ')).length;
  t.equal(list.match(/^ {2}\[$|^ {2}\['/gm)?.length, rows - 1, 'a row for each, and the head');
});
