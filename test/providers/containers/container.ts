/**
 * Containers without a container engine, out of the namespaces that one is made of: a file system with nothing but the image,
 * Node and the C library; a process tree of its own, so that the program is process 1 as in a container; the user of the
 * image, without capabilities. All of them share one network, which is not that of the machine.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Test } from 'tap';
import { until } from '../../support/gateway.ts';
import { temporaryFolder } from '../../support/process.ts';
import { userOf, type Image } from './image.ts';

const NODE = '/nodejs/bin/node';
const LIBRARIES = ['/lib', '/lib64', '/usr/lib'].filter((folder) => existsSync(folder));

/** Why the tests are skipped; false if it works here. */
export const noNamespaces: string | false =
  spawnSync('unshare', ['--mount', '--pid', '--net', '--fork', 'sh', '-c', 'ip link set lo up']).status !==
    0 &&
  'starting containers without a container engine needs Linux, root, and unshare and ip (util-linux, iproute2)';

/** A network of its own, in which each name is this machine. */
export interface Network {
  readonly pid: number;
  readonly hosts: string;
}

export async function startNetwork(t: Test, names: readonly string[]): Promise<Network> {
  const script = 'ip link set lo up && echo up && exec sleep infinity';
  const holder = spawn('unshare', ['--net', 'sh', '-c', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => holder.kill('SIGKILL'));
  await once(holder.stdout, 'data');
  const lines = ['127.0.0.1 localhost', ...names.map((name) => `127.0.0.1 ${name}`)];
  return { pid: holder.pid ?? 0, hosts: `${lines.join('\n')}\n` };
}

export interface Start {
  readonly image: Image;
  readonly command: readonly string[];
  /** Files and folders of this machine, by their place in the container. */
  readonly mounts: Readonly<Record<string, string>>;
  readonly user?: string | undefined;
  readonly environment?: Readonly<Record<string, string>> | undefined;
  readonly readOnly?: boolean | undefined;
}

export interface Container {
  readonly exited: Promise<number | null>;
  readonly printed: () => string;
  /** Of the process that is number 1 in it, as this machine counts. */
  readonly pid: () => number;
  /** As `docker stop`: SIGTERM to process 1. */
  readonly stop: () => Promise<number | null>;
}

/** root, working folder, user, group, "ro" or "rw", and then the command. MOUNTS has a pair of paths in each line. */
const SCRIPT = `set -eu
root=$1 workdir=$2 user=$3 group=$4 mode=$5; shift 5
mount --make-rprivate /
mount --bind "$root" "$root"
printf '%s\\n' "$MOUNTS" | while IFS='	' read -r from to; do mount --rbind "$from" "$root$to"; done
mount -t proc proc "$root/proc"
[ "$mode" = rw ] || mount -o remount,bind,ro "$root"
unset MOUNTS NODE_OPTIONS
exec setpriv --no-new-privs unshare --root="$root" --wd="$workdir" --setgid="$group" --setuid="$user" "$@"`;

export function startContainer(t: Test, network: Network, start: Start): Container {
  const { image, command, user = userOf(image), environment = {}, readOnly = false } = start;
  const mounts = { ...start.mounts, [NODE]: process.execPath, '/dev': '/dev' };
  const all = [...Object.entries(mounts), ...LIBRARIES.map((folder) => [folder, folder] as const)];
  for (const [to, from] of all) makePlace(join(image.root, to), from);
  mkdirSync(join(image.root, 'proc'), { recursive: true });
  mkdirSync(join(image.root, 'etc'), { recursive: true });
  writeFileSync(join(image.root, 'etc/hosts'), network.hosts);
  const [uid = '', gid = uid] = user.split(':');
  const place = [image.root, image.workdir, uid, gid, readOnly ? 'ro' : 'rw'];
  const alone = ['unshare', '--mount', '--pid', '--fork', '--kill-child', 'sh', '-c', SCRIPT, 'sh'];
  const child = spawn('nsenter', [`--net=/proc/${network.pid}/ns/net`, ...alone, ...place, ...command], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'],
      ...environment,
      MOUNTS: all.map(([to, from]) => `${from}\t${to}`).join('\n'),
    },
  });
  return watch(t, child, () =>
    Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim()),
  );
}

function watch(t: Test, child: ChildProcess, pid: () => number): Container {
  let printed = '';
  for (const output of [child.stdout, child.stderr])
    output?.on('data', (chunk: Buffer) => (printed += chunk.toString()));
  const exited = once(child, 'close').then(([code]) => code as number | null);
  t.teardown(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  return {
    exited,
    printed: () => printed,
    pid,
    stop: () => {
      process.kill(pid(), 'SIGTERM');
      return exited;
    },
  };
}

/** Something to mount on. */
function makePlace(place: string, from: string): void {
  if (existsSync(place)) return;
  if (statSync(from).isDirectory()) mkdirSync(place, { recursive: true });
  else {
    mkdirSync(dirname(place), { recursive: true });
    writeFileSync(place, '');
  }
}

/** Runs a program of this machine in the network, as an image of others would. */
export function startProgram(t: Test, network: Network, command: readonly string[], cwd: string): Container {
  const hosts = join(temporaryFolder(t), 'hosts');
  writeFileSync(hosts, network.hosts);
  const script = 'mount --make-rprivate / && mount --bind "$0" /etc/hosts && exec "$@"';
  const alone = ['unshare', '--mount', 'sh', '-c', script, hosts];
  const child = spawn('nsenter', [`--net=/proc/${network.pid}/ns/net`, ...alone, ...command], {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return watch(t, child, () => child.pid ?? 0);
}

/** Asks until the check passes; throws what the container printed if it ends before. */
export async function healthy(container: Container, check: () => Container): Promise<void> {
  let ended = false;
  void container.exited.then(() => (ended = true));
  await until(async () => {
    if (ended) throw new Error(`it ended: ${container.printed()}`);
    return (await check().exited) === 0;
  });
}
