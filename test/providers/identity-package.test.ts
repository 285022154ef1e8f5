/** The identity reader as a package of its own, on each version of Node that it is for. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { identityName, readRelease, ROOT } from '../../deploy/release/release.ts';
import { encodeClaim } from '../../src/token/encode-claim.ts';
import { parseStrictJson } from '../../src/token/strict-json.ts';
import { temporaryFolder } from '../support/process.ts';
import { installed, notInstalled, run } from './support/installed.ts';

const name = identityName(readRelease().manifest.name);

/** Node by npm, which is kept. Its install script puts the program in its place. */
function nodeOf(major: number): string {
  const folder = installed(`node-${major}`, [], (folder) => {
    writeFileSync(join(folder, 'package.json'), '{ "private": true, "allowScripts": { "node": true } }');
    run('npm', ['install', '--no-fund', '--no-audit', `node@${major}`], folder);
    run(join(folder, 'node_modules/node/bin/node'), ['--version'], folder);
  });
  return join(folder, 'node_modules/node/bin/node');
}

type Case = readonly [reader: string, header: string | readonly string[] | null, read: unknown];

const header = (claim: unknown): string =>
  encodeClaim(parseStrictJson(Buffer.from(JSON.stringify(claim)))) ?? '';
const REFUSED = 'refused';
const CASES: readonly Case[] = [
  ['identityText', header('älice, 100 %'), 'älice, 100 %'],
  ['identityText', header(7), '7'],
  ['identityText', null, null],
  ['identityText', header(['a', 'b']), REFUSED],
  ['identityText', ['alice', 'root'], REFUSED],
  ['identityText', '%ff', REFUSED],
  ['identityTexts', header(['admin', 'read,write', '日本']), ['admin', 'read,write', '日本']],
  ['identityTexts', 'a, b', REFUSED],
  ['identityScopes', 'orders:read orders%2Cwrite', ['orders:read', 'orders,write']],
  ['identityScopes', null, []],
  ['identityScopes', 'a,b', REFUSED],
  ['identityObject', header({ id: 'acmé', deep: [1, { a: null }] }), { id: 'acmé', deep: [1, { a: null }] }],
  ['identityObject', header([{ id: 'acme' }]), REFUSED],
  ['identityJson', header([{ id: 'acme' }]), [{ id: 'acme' }]],
  ['identityJson', 'acme', REFUSED],
];

/** What a service does, in plain JavaScript: as an ES module, and as CommonJS, which imports it later. */
const PROGRAM = `
const reads = ([reader, header]) => readers.readIdentity(() => {
  const read = readers[reader](header);
  return read === undefined ? null : read;
});
console.log(JSON.stringify(JSON.parse(process.argv[2]).map((each) => {
  const read = reads(each);
  return read === undefined ? 'refused' : read;
})));
`;
const PROGRAMS: Readonly<Record<string, string>> = {
  'service.mjs': `import * as readers from '${name}';${PROGRAM}`,
  'service.cjs': `import('${name}').then((readers) => {${PROGRAM}});`,
};

/** A folder where the tarball is installed, and nothing else. */
function serviceFolder(parent: string): string {
  const folder = join(parent, 'service');
  mkdirSync(folder);
  run('npm', ['pack', '--workspace', 'packages/identity', '--pack-destination', parent], ROOT);
  const tarball = readdirSync(parent).find((file) => file.endsWith('.tgz')) ?? '';
  writeFileSync(join(folder, 'package.json'), '{ "private": true }');
  // Offline: it has no dependency.
  run('npm', ['install', '--offline', '--no-audit', '--no-fund', join(parent, tarball)], folder);
  for (const [file, text] of Object.entries(PROGRAMS)) writeFileSync(join(folder, file), text);
  return folder;
}

const folder = serviceFolder(temporaryFolder(t));

t.test('the tarball has the code, its types, README and LICENSE, and nothing else', async (t) => {
  const own = join(folder, 'node_modules', name);
  t.strictSame(readdirSync(own).sort(), ['LICENSE', 'README.md', 'dist', 'package.json']);
  t.strictSame(readdirSync(join(own, 'dist')).sort(), ['index.d.ts', 'index.js']);
  t.strictSame(
    readdirSync(join(folder, 'node_modules')).filter((file) => !file.startsWith('.')),
    [name.split('/')[0]],
  );
});

t.test('its types need no others', async (t) => {
  const text = `import { identityText, type HeaderValue } from '${name}';\nexport const user = (header: HeaderValue): string | undefined => identityText(header);\n`;
  writeFileSync(join(folder, 'service.mts'), text);
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  const compilerOptions = { noEmit: true, strict: true, module: 'nodenext', types: [], lib: ['es2022'] };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['service.mts'] }));
  t.doesNotThrow(() => run(process.execPath, [tsc, '-p', '.'], folder));
});

for (const major of [20, 22, 24]) {
  const own = Number(process.versions.node.split('.')[0]);
  const skip = major !== own && notInstalled(`Node ${major}`, () => nodeOf(major));
  t.test(
    `on Node ${major} a service reads what the gateway writes, and refuses what it does not`,
    { skip },
    async (t) => {
      const node = major === own ? process.execPath : nodeOf(major);
      t.match(execFileSync(node, ['--version'], { encoding: 'utf8' }), new RegExp(`^v${major}\\.`));
      for (const file of Object.keys(PROGRAMS)) {
        // Without what this run sets for its own version of Node.
        const env = { PATH: process.env['PATH'] };
        const printed = execFileSync(node, [file, JSON.stringify(CASES)], {
          cwd: folder,
          encoding: 'utf8',
          env,
        });
        t.strictSame(
          JSON.parse(printed),
          CASES.map(([, , read]) => read),
          file,
        );
      }
    },
  );
}
