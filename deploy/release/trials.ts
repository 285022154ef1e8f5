/** What a release is tried with: git, npm, and the package in an empty folder. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from './release.ts';

/** Returns what a program prints. @throws Error where it fails */
export function output(command: string, args: readonly string[], cwd: string = ROOT): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (status === 0) return stdout;
  const why = error?.message ?? `${stdout}${stderr}`.trim().slice(-2_000);
  throw new Error(`${command} ${args.join(' ')} failed: ${why}`);
}

/** npm packs what is in the folder, committed or not. */
export function treeProblems(root: string = ROOT): string[] {
  const changed = output('git', ['status', '--porcelain'], root).trim();
  return changed === ''
    ? []
    : [`there are changes that are not committed; commit or remove them:\n${changed}`];
}

/** The files of the package as npm would pack them now. */
export function packedFiles(root: string = ROOT): string[] {
  const printed = output('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], root);
  const [packed] = Object.values(JSON.parse(printed) as Record<string, { files: { path: string }[] }>);
  return (packed?.files ?? []).map(({ path }) => path);
}

/** Installs the tarball into an empty folder, and starts it there. */
export function startProblems(root: string = ROOT): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-release-'));
  try {
    output('bash', ['.ci/package-smoke', folder], root);
    return [];
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
