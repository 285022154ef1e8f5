/** A gateway that npm or npx started ends with it; one that has another parent does not. */
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { systemClock } from '../../src/clock.ts';
import { isNpm, isWaitingShell, npmParentEnded } from '../../src/cli/npm-parent.ts';
import { ADMIN_TOKEN, until } from '../support/gateway.ts';
import { MAIN, temporaryFolder } from '../support/process.ts';
import { freePort } from '../support/redis.ts';

// They wait for npm more than they work.
t.jobs = 4;

const noNpx = spawnSync('npx', ['--version']).status !== 0 && 'npx is not installed';

/** A project with the gateway installed. */
async function project(t: Test) {
  const folder = temporaryFolder(t);
  const [log, pidFile] = [join(folder, 'log'), join(folder, 'pid')];
  const bin = join(folder, 'node_modules', '.bin');
  mkdirSync(bin, { recursive: true });
  // As npm makes it, but that the process id is noted; exec keeps it and the parent.
  writeFileSync(
    join(bin, 'sallyport'),
    `#!/bin/sh\necho $$ > '${pidFile}'\nexec '${process.execPath}' '${MAIN}' "$@" >> '${log}' 2>&1\n`,
  );
  chmodSync(join(bin, 'sallyport'), 0o755);
  const adminPort = await freePort();
  writeFileSync(
    join(folder, 'sallyport.json'),
    JSON.stringify({
      listeners: [{ host: '127.0.0.1', port: 0 }],
      admin: { port: adminPort, token: ADMIN_TOKEN },
      routes: [{ name: 'all', match: {}, upstream: 'u', auth: { mode: 'none' } }],
      upstreams: { u: { targets: ['http://127.0.0.1:1'] } },
    }),
  );
  writeFileSync(
    join(folder, 'package.json'),
    JSON.stringify({ scripts: { start: 'sallyport run -c sallyport.json' } }),
  );
  const isServing = async (): Promise<boolean> =>
    (await fetch(`http://127.0.0.1:${adminPort}/readyz`).catch(() => undefined))?.ok === true;
  const isRunning = (): boolean => {
    const pid = Number(readFileSync(pidFile, 'utf8'));
    try {
      return /^State:\s+[^Z]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
    } catch {
      return false;
    }
  };
  t.teardown(() => {
    if (isRunning()) process.kill(Number(readFileSync(pidFile, 'utf8')), 'SIGKILL');
  });
  const start = async (command: string, ...args: readonly string[]) => {
    const child = spawn(command, args, { cwd: folder, stdio: 'ignore', detached: true });
    await until(isServing);
    return child;
  };
  return { start, isRunning, log: () => readFileSync(log, 'utf8') };
}

for (const [name, command] of Object.entries({
  npx: ['npx', 'sallyport', 'run', '-c', 'sallyport.json'],
  'npm start': ['npm', 'start'],
})) {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    t.test(
      `${signal} to ${name}: the gateway drains and ends`,
      { skip: noNpx, buffered: true },
      async (t) => {
        const { start, isRunning, log } = await project(t);
        const npm = await start(command[0] ?? '', ...command.slice(1));
        npm.kill(signal);
        await until(() => !isRunning());
        t.match(log(), '"msg":"draining"');
        t.match(log(), '"msg":"stopped"');
      },
    );
  }
}

t.test('a process with npm in its environment and another parent watches nothing', async (t) => {
  let timers = 0;
  const clock = { ...systemClock, after: () => (timers++, () => undefined) };
  // The parent of a test is tap.
  void npmParentEnded(clock, { npm_command: 'exec', npm_execpath: '/usr/bin/npm' });
  void npmParentEnded(clock, {});
  t.equal(timers, 0);
});

t.test('what is npm, and what is not', async (t) => {
  const npm_execpath = '/opt/npm/cli.js';
  for (const line of [
    'npm exec sallyport run',
    'npm start',
    'npx sallyport',
    'node\0/usr/bin/npx\0sallyport',
    '/usr/bin/node\0/usr/lib/node_modules/npm/bin/npm-cli.js\0start',
    'node\0/opt/npm/cli.js\0start',
  ])
    t.ok(isNpm(line, { npm_execpath }), line);
  for (const line of [
    '',
    'sh\0-c\0npm start',
    'node\0server.js\0npm',
    '/lib/systemd/systemd',
    'npmx start',
    'pm2 npm',
  ])
    t.notOk(isNpm(line, { npm_execpath }), line);
});

t.test('which shells wait, and which put the gateway in the background', async (t) => {
  for (const line of [
    "sh\0-c\0'sallyport' run -c a",
    '/bin/bash\0-c\0a && sallyport run 2>&1',
    'sh -c x &> log',
  ])
    t.ok(isWaitingShell(line), line);
  for (const line of ['sh\0-c\0sallyport run & wait', 'sh\0-c\0nohup sallyport run', 'bash', 'sh\0a.sh', ''])
    t.notOk(isWaitingShell(line), line);
});
