/** The units of deploy/systemd: by systemd's own tools, and by what they start. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { parseConfiguration } from '../../src/config/load.ts';
import { configurationWarnings } from '../../src/config/warnings.ts';
import { until } from '../support/gateway.ts';
import { MAIN, temporaryFolder } from '../support/process.ts';
import { freePort } from '../support/redis.ts';

const FOLDER = fileURLToPath(new URL('../../deploy/systemd/', import.meta.url));
const read = (name: string): string => readFileSync(join(FOLDER, name), 'utf8');
const UNITS = ['sallyport.service', 'sallyport@.service'];
const PROGRAM = '/opt/sallyport/node_modules/.bin/sallyport';

/** The last value of a key; those that may be given several times are joined. */
function valueOf(unit: string, key: string): string {
  return [...unit.matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map(([, value]) => value).join(' ');
}

const noSystemd =
  spawnSync('systemd-analyze', ['--version']).status !== 0 && 'systemd-analyze is not installed';

/** A root folder with the units and the program that they start. */
function rootWithUnits(t: Test): string {
  const root = temporaryFolder(t);
  for (const [file, text] of [
    ...UNITS.map((name) => [`etc/systemd/system/${name}`, read(name)] as const),
    [PROGRAM, '#!/bin/sh\n'] as const,
    ['bin/kill', '#!/bin/sh\n'] as const,
  ]) {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), text);
    if (text.startsWith('#!')) chmodSync(join(root, file), 0o755);
  }
  // The targets and slices that each unit depends on.
  cpSync('/lib/systemd/system', join(root, 'usr/lib/systemd/system'), {
    recursive: true,
    verbatimSymlinks: true,
  });
  return root;
}

t.test('systemd takes the units, and finds little that they may do', { skip: noSystemd }, async (t) => {
  const root = rootWithUnits(t);
  const analyze = (...args: string[]) =>
    spawnSync('systemd-analyze', [...args, `--root=${root}`], { encoding: 'utf8' });
  for (const unit of ['sallyport.service', 'sallyport@8080.service']) {
    const { status, stdout, stderr } = analyze('verify', '--man=no', unit);
    t.equal(status, 0, stderr);
    t.equal(`${stdout}${stderr}`, '', `${unit}: nothing to say`);
    const security = analyze('security', '--offline=true', '--no-pager', '--threshold=20', unit);
    if (security.status !== 0) t.comment(security.stdout);
    t.equal(security.status, 0, `${unit} is exposed by less than 2.0`);
  }
  t.not(analyze('security', '--offline=true', '--threshold=1', 'sallyport.service').status, 0, 'it looks');
});

t.test('an instance differs from the only gateway in its name, its file and its folder', async (t) => {
  const [unit = '', template = ''] = UNITS.map(read);
  const settings = (text: string): string => text.replace(/^#.*\n/gm, '');
  t.equal(
    settings(template).replaceAll('-%i', '').replace(' (%i)', '').replace('%i.yaml', 'sallyport.yaml'),
    settings(unit),
  );
  t.match(settings(template), /^StateDirectory=sallyport-%i$/m);
});

t.test('the unit waits longer than a gateway drains, and says why one protection is off', async (t) => {
  const unit = read('sallyport.service');
  const [, stop] = /^TimeoutStopSec=(\d+)s$/m.exec(unit) ?? [];
  const { timeouts } = configurationOf(t);
  t.ok(Number(stop) * 1000 > timeouts.drain_delay + timeouts.drain + 1_000);
  t.notMatch(unit, /^MemoryDenyWriteExecute=/m);
  t.match(unit, /^# MemoryDenyWriteExecute stays off: V8/m);
});

/** The configuration of deploy/systemd with credentials and state as systemd gives them. */
function environment(folder: string): Record<string, string> {
  const credentials = join(folder, 'credentials');
  const state = join(folder, 'state');
  mkdirSync(credentials, { recursive: true });
  mkdirSync(state, { recursive: true, mode: 0o700 });
  for (const [, name = ''] of read('sallyport.service').matchAll(/^LoadCredential=([\w-]+):/gm))
    writeFileSync(join(credentials, name), 'a secret of the tests, long enough for all', { mode: 0o400 });
  return { CREDENTIALS_DIRECTORY: credentials, STATE_DIRECTORY: state };
}

function configurationOf(t: Test) {
  const folder = temporaryFolder(t);
  return parseConfiguration(read('sallyport.yaml'), 'sallyport.yaml', folder, environment(folder));
}

t.test(
  'the configuration beside the units is valid with what they load, and without a warning',
  async (t) => {
    const configuration = configurationOf(t);
    const file = join(FOLDER, 'sallyport.yaml');
    t.strictSame(configurationWarnings({ configuration, folder: FOLDER, file }), []);
  },
);

t.test('docs/how-to/systemd.md installs what the unit starts and loads', async (t) => {
  const document = readFileSync(new URL('../../docs/how-to/systemd.md', import.meta.url), 'utf8');
  const commands = [...document.matchAll(/```sh\n([^]*?)```/g)].map(([, text]) => text).join('');
  const unit = read('sallyport.service');
  const loaded = [...unit.matchAll(/^LoadCredential=[\w-]+:(.*)$/gm)].map(([, file]) => file ?? '');
  for (const file of [PROGRAM, ...loaded, '/etc/sallyport/sallyport.yaml'])
    t.ok(commands.includes(file), `${file} is there afterwards`);
  for (const [file] of commands.matchAll(/deploy\/systemd\/[\w@.]+/g))
    t.ok(existsSync(new URL(`../../${file}`, import.meta.url)), file);
  for (const [, variable = ''] of read('sallyport.yaml').matchAll(/\$\{(\w+)\}/g))
    t.ok(commands.includes(`${variable}=/`), `check knows ${variable}`);
});

t.test('what the unit starts, reloads and stops is the gateway', async (t) => {
  const unit = read('sallyport.service');
  const folder = temporaryFolder(t);
  const file = join(folder, 'sallyport.yaml');
  const write = (realm: string): void => {
    const text = read('sallyport.yaml')
      .replace('realm: api.example.com', `realm: ${realm}`)
      .replace('port: 8080', `port: ${port}`)
      .replace('port: 9090', `port: ${adminPort}`)
      .replace('https://login.example.com', 'http://127.0.0.1:1');
    writeFileSync(file, text);
  };
  const [port, adminPort] = [await freePort(), await freePort()];
  write('first');
  const start = valueOf(unit, 'ExecStart');
  t.ok(start.startsWith(`${PROGRAM} run -c /etc/sallyport/`));
  // As systemd starts it: no shell, and nothing in the environment but what the unit gives.
  const words = start.replace(PROGRAM, `${process.execPath} ${MAIN}`).split(' ');
  const [program = '', ...args] = words.map((word) => (word.startsWith('/etc/') ? file : word));
  const child = spawn(program, args, {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: '/usr/local/bin:/usr/bin', ...environment(folder) },
  });
  let printed = '';
  for (const output of [child.stdout, child.stderr])
    output.on('data', (chunk: Buffer) => (printed += chunk.toString()));
  let ended = false;
  const exited = once(child, 'exit').then(([code]) => {
    ended = true;
    return code as number | null;
  });
  t.teardown(() => child.kill('SIGKILL'));
  await until(() => ended || printed.includes('"msg":"ready"'));
  if (ended) t.comment(printed);
  t.notOk(ended, 'it is ready');
  const realm = async (): Promise<string> =>
    (await fetch(`http://127.0.0.1:${port}/orders`)).headers.get('www-authenticate') ?? '';
  t.match(await realm(), 'realm="first"');
  const [kill = '', ...how] = valueOf(unit, 'ExecReload').replace('$MAINPID', String(child.pid)).split(' ');
  t.equal(spawnSync(kill, how).status, 0);
  // A change of the file is taken without a signal, so that this ends, too, where the signal does nothing.
  write('second');
  await until(async () => (await realm()).includes('realm="second"'));
  child.kill('SIGTERM');
  t.equal(await exited, 0);
  // Now all of its log is here.
  t.match(printed, '"trigger":"SIGHUP"');
  t.match(printed, '"msg":"stopped"');
});
