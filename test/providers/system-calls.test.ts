/** SystemCallFilter and RestrictAddressFamilies of deploy/systemd leave what a gateway with workers uses: strace lists it. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { until } from '../support/gateway.ts';
import { MAIN, temporaryFolder } from '../support/process.ts';
import { freePort } from '../support/redis.ts';

const unit = readFileSync(new URL('../../deploy/systemd/sallyport.service', import.meta.url), 'utf8');
const isThere = (program: string): boolean => spawnSync(program, ['--version']).status === 0;
const skip =
  (!isThere('strace') || !isThere('systemd-analyze') || process.getuid?.() !== 0) &&
  'strace and systemd-analyze must be installed, and this must run as root';

/** Not root: SQLite changes the owner of its files for root alone. */
const USER = 65534;

/** The system calls of systemd's groups, and of groups in groups. */
function callsOf(groups: ReadonlyMap<string, readonly string[]>, name: string): string[] {
  const members = groups.get(name);
  return members ? members.flatMap((member) => callsOf(groups, member)) : [name];
}

function allowedCalls(): Set<string> {
  const { stdout } = spawnSync('systemd-analyze', ['syscall-filter', '--no-pager'], { encoding: 'utf8' });
  const groups = new Map<string, string[]>();
  let group: string[] = [];
  for (const line of stdout.split('\n')) {
    const [, name] = /^(@\S+)/.exec(line) ?? [];
    if (name !== undefined) groups.set(name, (group = []));
    else if (/^ +[@\w]/.test(line)) group.push(line.trim());
  }
  const calls = new Set<string>();
  for (const [, not, names = ''] of unit.matchAll(/^SystemCallFilter=(~?)(.*)$/gm))
    for (const call of names.split(' ').flatMap((name) => callsOf(groups, name)))
      if (not === '~') calls.delete(call);
      else calls.add(call);
  return calls;
}

/** A configuration with a store and workers, in a folder of the other user. */
function writeConfiguration(folder: string, port: number): string {
  const file = join(folder, 'sallyport.json');
  const configuration = {
    workers: 2,
    listeners: [{ host: '127.0.0.1', port }],
    admin: { port: 0 },
    revocation: { store: 'sqlite:revocations.sqlite' },
    issuers: { login: { issuer: 'https://login.example', jwks_url: 'http://localhost:1', audiences: ['a'] } },
    routes: [
      { name: 'open', match: { path: '/' }, upstream: 'u', auth: { mode: 'none' } },
      { name: 'orders', match: { path: '/orders' }, upstream: 'u' },
    ],
    upstreams: { u: { targets: ['http://localhost:1'] } },
  };
  writeFileSync(file, JSON.stringify(configuration));
  chmodSync(folder, 0o755);
  chownSync(folder, USER, USER);
  return file;
}

t.test('a gateway makes no system call that its unit denies', { skip }, async (t) => {
  const folder = temporaryFolder(t);
  const port = await freePort();
  const trace = join(temporaryFolder(t), 'traces');
  mkdirSync(trace);
  const file = writeConfiguration(folder, port);
  const identity = ['setpriv', `--reuid=${USER}`, `--regid=${USER}`, '--clear-groups'];
  // What the test runner puts there is not of the gateway.
  const bare = ['env', '-u', 'NODE_OPTIONS'];
  const strace = ['-ff', '-qq', '-e', 'signal=none', '-o', join(trace, 'of')];
  const gateway = [process.execPath, MAIN, 'run', '-c', file];
  const child = spawn('strace', [...strace, ...identity, ...bare, ...gateway], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let printed = '';
  child.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()));
  const exited = once(child, 'exit').then(([code]) => code as number | null);
  t.teardown(() => child.kill('SIGKILL'));
  let ended = false;
  void exited.then(() => (ended = true));
  await until(() => ended || printed.includes('"msg":"ready"'));
  if (ended) t.comment(printed);
  t.notOk(ended, 'it is ready');
  for (const [path, status] of [
    ['/', 502],
    ['/orders', 401],
  ] as const)
    t.equal((await fetch(`http://127.0.0.1:${port}${path}`)).status, status);
  const running = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim().split(' ');
  process.kill(Number(running[0]), 'SIGTERM');
  t.equal(await exited, 0);

  const lines = readdirSync(trace).flatMap((name) => {
    const all = readFileSync(join(trace, name), 'utf8').split('\n');
    // Before the gateway itself is executed, setpriv changes the user.
    const from = all.findIndex((line) => line.startsWith('execve(') && line.includes(process.execPath));
    return name === `of.${running[0]}` ? all.slice(from) : all;
  });
  const used = new Set(lines.flatMap((line) => /^([a-z_0-9]+)\(/.exec(line)?.[1] ?? []));
  const allowed = allowedCalls();
  t.ok(used.size > 40 && allowed.size > 150, 'there is something to compare');
  t.strictSame(
    [...used].filter((call) => !allowed.has(call)),
    [],
  );
  const [, families = ''] = /^RestrictAddressFamilies=(.*)$/m.exec(unit) ?? [];
  const opened = new Set(lines.flatMap((line) => /^socket(?:pair)?\((AF_\w+)/.exec(line)?.[1] ?? []));
  t.ok(opened.has('AF_INET') && opened.has('AF_UNIX'));
  for (const family of opened) t.ok(families.split(' ').includes(family), family);
});
