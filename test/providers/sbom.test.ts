/** The list of materials that a release writes, before the validator of CycloneDX itself. RELEASING.md. */
import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { writeFileSync } from 'node:fs';
import t from 'tap';
import { readRelease, ROOT } from '../../deploy/release/release.ts';
import { releasedSbom } from '../../deploy/release/sbom.ts';
import { sbomProblems } from '../../deploy/release/sbom-problems.ts';
import { installed, notInstalled, run } from './support/installed.ts';

/** Pinned: the schemas are in it. It reads a document from standard input, and prints what is wrong. */
const PACKAGES = [
  '@cyclonedx/cyclonedx-library@10.3.0',
  ...['ajv@8.17.1', 'ajv-formats@3.0.1', 'ajv-formats-draft2019@1.6.1'],
];
const PROGRAM = `
import { readFileSync } from 'node:fs';
import { Validation } from '@cyclonedx/cyclonedx-library';
const text = readFileSync(0, 'utf8');
const validator = new Validation.JsonStrictValidator(JSON.parse(text).specVersion);
console.log(JSON.stringify(await validator.validate(text)));
`;

function validator(): string {
  const folder = installed('cyclonedx', [], (folder) => {
    writeFileSync(join(folder, 'package.json'), '{ "private": true }');
    run('npm', ['install', '--no-fund', '--no-audit', '--ignore-scripts', ...PACKAGES], folder);
  });
  writeFileSync(join(folder, 'validate.mjs'), PROGRAM);
  return join(folder, 'validate.mjs');
}

const skip = notInstalled('the validator of CycloneDX', validator);

t.test(
  'npm writes a list of materials that CycloneDX accepts, and so does the check',
  { skip },
  async (t) => {
    const text = JSON.stringify(releasedSbom(readRelease()));
    const problems = (document: string): string =>
      execFileSync(process.execPath, [validator()], { input: document, encoding: 'utf8' }).trim();
    t.equal(problems(text), 'null');
    t.strictSame(sbomProblems(JSON.parse(text), readRelease()), []);
    const broken = text.replace('"bomFormat":"CycloneDX"', '"bomFormat":"Another"');
    t.not(problems(broken), 'null', 'the validator validates');
    t.not(sbomProblems(JSON.parse(broken), readRelease()).length, 0);
    t.equal(
      spawnSync('git', ['check-ignore', '.release/x.json'], { cwd: ROOT }).status,
      0,
      'it is not committed',
    );
  },
);
