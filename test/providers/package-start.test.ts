/** The installed package: what a start loads, where it keeps what Node has compiled, and how an error looks. */
import { execFileSync, spawnSync, type ExecFileSyncOptions } from 'node:child_process';
import { chmodSync, existsSync, cpSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { temporaryFolder } from '../support/process.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
/** Of another user than the one who has installed it. */
const STRANGER = 65_534;
/** Without what the test runner tells its processes. */
const ENVIRONMENT = { PATH: process.env.PATH };
const TALKING = { env: { ...ENVIRONMENT, NODE_DEBUG_NATIVE: 'COMPILE_CACHE' } };

/** Packed and installed as users do. @returns its folder */
function install(folder: string): string {
  const quiet: ExecFileSyncOptions = { cwd: ROOT, stdio: ['ignore', 'pipe', 'ignore'] };
  const printed = execFileSync('npm', ['pack', '--silent', '--pack-destination', folder], quiet).toString();
  const tarball = printed.trim().split('\n').at(-1) ?? '';
  writeFileSync(join(folder, 'package.json'), '{ "private": true }');
  const options = ['--no-fund', '--no-audit', '--prefer-offline'];
  execFileSync('npm', ['install', ...options, `./${tarball}`], { ...quiet, cwd: folder });
  return join(folder, 'node_modules/sallyport');
}

t.test('the package as its users get it', async (t) => {
  const folder = temporaryFolder(t);
  // Another user must get to it.
  chmodSync(folder, 0o755);
  const installed = install(folder);
  const main = join(installed, 'dist/main.js');
  const sallyport = (args: readonly string[], options: object = {}) =>
    spawnSync(process.execPath, [main, ...args], {
      encoding: 'utf8',
      cwd: folder,
      env: ENVIRONMENT,
      ...options,
    });

  t.test('another user, who cannot write there, runs it without a cache, and without a word', async (t) => {
    const options = process.getuid?.() === 0 ? { uid: STRANGER, gid: STRANGER } : undefined;
    if (!options) return void t.pass('only root can be another user');
    t.match(sallyport(['--version'], options), { status: 0, stderr: '' });
    t.notOk(existsSync(join(installed, '.compiled')));
  });

  t.test('the first start keeps what Node has compiled, and the next one has it', async (t) => {
    t.match(sallyport(['schema']), { status: 0, stderr: '' });
    const kept = (): string[] => readdirSync(join(installed, '.compiled'), { recursive: true }).map(String);
    const before = kept();
    t.ok(before.length > 1);
    t.match(sallyport(['schema'], TALKING), {
      stderr: /accepted/,
    });
    t.strictSame(kept(), before);
  });

  t.test('NODE_DISABLE_COMPILE_CACHE keeps nothing', async (t) => {
    renameSync(join(installed, '.compiled'), join(folder, 'before'));
    t.match(sallyport(['schema'], { env: { ...ENVIRONMENT, NODE_DISABLE_COMPILE_CACHE: '1' } }), {
      status: 0,
    });
    t.notOk(existsSync(join(installed, '.compiled')));
  });

  t.test('one command does not load the others, and each is there', async (t) => {
    const names = [...sallyport(['--help']).stdout.matchAll(/^ {2}(\w+) /gm)].map(([, name = '']) => name);
    t.ok(names.length > 10);
    for (const name of names) t.match(sallyport([name, '--help']), { status: 0, stderr: '' }, name);
    const { stderr } = sallyport(['decode', '--help'], {
      env: { ...process.env, NODE_DEBUG_NATIVE: 'COMPILE_CACHE' },
    });
    t.match(stderr, /dist\/decode-/);
    t.notMatch(stderr, /dist\/run-/);
  });

  t.test('problems of a configuration read as they do from a checkout', async (t) => {
    const file = join(folder, 'bad.yaml');
    writeFileSync(file, 'listeners: [{ port: abc }]\nroutes: []\n');
    const { stderr } = spawnSync(process.execPath, [join(ROOT, 'src/main.ts'), 'check', '-c', file], {
      encoding: 'utf8',
      env: ENVIRONMENT,
    });
    t.ok(stderr.includes('listeners[0].port: must be a port number'));
    t.match(sallyport(['check', '-c', file]), { status: 1, stderr });
  });

  t.test('an error that no command expects is printed, with lines of files that are there', async (t) => {
    const copy = join(folder, 'broken');
    cpSync(installed, copy, { recursive: true });
    const chunk = readdirSync(join(copy, 'dist')).find((name) => name.startsWith('decode-')) ?? '';
    writeFileSync(
      join(copy, 'dist', chunk),
      `${readFileSync(join(copy, 'dist', chunk), 'utf8')}\nthrow new Error('broken');\n`,
    );
    const broken = spawnSync(process.execPath, [join(copy, 'dist/main.js'), 'decode', '--help'], {
      encoding: 'utf8',
    });
    t.match(broken, { status: 1, stderr: /^Error: broken\n {4}at .*\/dist\/decode-\w+\.js:\d+/ });
  });

  t.test('the licences of all packages in it are told', async (t) => {
    const text = readFileSync(join(installed, 'dist/LICENSES.txt'), 'utf8');
    for (const name of ['zod', 'yaml', 'pino', '@prometheus-io/client', 'lru-cache', '@bufbuild/protobuf'])
      t.match(text, new RegExp(`^${name} \\d+\\.\\d+`, 'm'));
  });
});
