/**
 * May this be released? `npm run release:check`, and npm asks it before `npm publish`. It changes nothing that is committed, and
 * leaves the list of materials in .release/. RELEASING.md says how to release.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { releaseProblem } from '../prometheus/write.ts';
import { contentsProblems, isUserDocument, linkProblems } from './contents-problems.ts';
import { ownerProblems } from './owner-problems.ts';
import { readRelease, ROOT, type Release } from './release.ts';
import { releasedSbom } from './sbom.ts';
import { sbomProblems } from './sbom-problems.ts';
import { lockProblems, versionProblems } from './version-problems.ts';

type Check = readonly [
  what: string,
  problems: (release: Release) => readonly string[] | Promise<readonly string[]>,
];

const CHECKS: readonly Check[] = [
  ['the version, its section of the changelog', versionProblems],
  ['the lock file', lockProblems],
  ['whose it is', ownerProblems],
  [
    'the links of the alerts',
    async () => [await releaseProblem()].filter((problem) => problem !== undefined),
  ],
  ['the work tree', treeProblems],
  ['the list of materials (SBOM)', writtenSbomProblems],
  ['what is in the package', packageProblems],
  ['the package, installed into an empty folder, starts', startProblems],
];

/** Returns what a program prints. @throws Error where it fails */
function output(command: string, args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd: ROOT,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (status !== 0)
    throw new Error(`${command} ${args.join(' ')} failed: ${error?.message ?? stderr.trim()}`);
  return stdout;
}

/** npm packs what is in the folder, committed or not. */
function treeProblems(): string[] {
  const changed = output('git', ['status', '--porcelain']).trim();
  return changed === ''
    ? []
    : [`there are changes that are not committed; commit or remove them:\n${changed}`];
}

function writtenSbomProblems(release: Release): string[] {
  const { name, version } = release.manifest;
  const sbom = releasedSbom(release);
  const folder = join(ROOT, '.release');
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    join(folder, `${name.replace(/^@/, '').replace('/', '-')}-${version}.cdx.json`),
    `${JSON.stringify(sbom, undefined, 2)}\n`,
  );
  return sbomProblems(sbom, release);
}

/** The files of the package as npm would pack them now. */
export function packedFiles(root: string = ROOT): string[] {
  const { status, stdout, stderr } = spawnSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    cwd: root,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`npm pack failed: ${stderr}`);
  const [packed] = Object.values(JSON.parse(stdout) as Record<string, { files: { path: string }[] }>);
  return (packed?.files ?? []).map(({ path }) => path);
}

function packageProblems(): string[] {
  output('npm', ['run', 'build']);
  const files = packedFiles();
  return [
    ...contentsProblems(files),
    ...files
      .filter(isUserDocument)
      .flatMap((file) => linkProblems(file, readFileSync(join(ROOT, file), 'utf8'), files)),
  ];
}

function startProblems(): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-release-'));
  try {
    output('bash', ['.ci/package-smoke', folder]);
    return [];
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function checkAll(): Promise<boolean> {
  const release = readRelease();
  let isFit = true;
  for (const [what, problemsOf] of CHECKS) {
    const problems = await problemsOf(release);
    console.log(`${problems.length === 0 ? 'ok  ' : 'FAIL'}  ${what}`);
    for (const problem of problems) console.error(`      ${problem}`);
    isFit &&= problems.length === 0;
  }
  return isFit;
}

if (import.meta.main) process.exitCode = (await checkAll()) ? 0 : 1;
