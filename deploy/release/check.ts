/**
 * May this be released? `npm run release:check`, and npm asks it before `npm publish`. It changes nothing that is committed, and
 * leaves the list of materials in .release/. RELEASING.md says how to release.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { releaseProblem } from '../prometheus/write.ts';
import { contentsProblems, isUserDocument, linkProblems } from './contents-problems.ts';
import { ownerProblems } from './owner-problems.ts';
import { readRelease, ROOT, type Release } from './release.ts';
import { releasedSbom } from './sbom.ts';
import { sbomProblems } from './sbom-problems.ts';
import { output, packedFiles, startProblems, treeProblems } from './trials.ts';
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
  ['the work tree', () => treeProblems()],
  ['the list of materials (SBOM)', writtenSbomProblems],
  ['what is in the package', packageProblems],
  ['the package, installed into an empty folder, starts', () => startProblems()],
];

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

/** A check that cannot be made is not passed. */
async function outcome(problemsOf: Check[1], release: Release): Promise<readonly string[]> {
  try {
    return await problemsOf(release);
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)];
  }
}

async function checkAll(): Promise<boolean> {
  const release = readRelease();
  let isFit = true;
  for (const [what, problemsOf] of CHECKS) {
    const problems = await outcome(problemsOf, release);
    console.log(`${problems.length === 0 ? 'ok  ' : 'FAIL'}  ${what}`);
    for (const problem of problems) console.error(`      ${problem}`);
    isFit &&= problems.length === 0;
  }
  return isFit;
}

if (import.meta.main) process.exitCode = (await checkAll()) ? 0 : 1;
