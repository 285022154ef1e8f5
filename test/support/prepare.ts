/**
 * Runs before the tests: the right Node, and the programs that they run, which are installed where that is possible.
 * With SALLYPORT_NO_INSTALL=1 it only says what to run.
 */
import { spawnSync } from 'node:child_process';

interface Program {
  readonly name: string;
  /** Of Debian. */
  readonly package: string;
  /** Without it nothing is tested; else its tests are skipped, visibly. */
  readonly needed: boolean;
}

const PROGRAMS: readonly Program[] = [
  { name: 'redis-server', package: 'redis-server', needed: true },
  { name: 'chromium', package: 'chromium', needed: false },
  { name: 'promtool', package: 'prometheus', needed: false },
];

const [major = 0] = process.versions.node.split('.').map(Number);
if (major !== 24 && major !== 26) {
  console.error(
    `the tests need Node 24 or 26, and this is ${process.versions.node}; run them with: npm ci && npm test`,
  );
  process.exit(1);
}

const isThere = ({ name }: Program): boolean => spawnSync(name, ['--version']).status === 0;
const mayInstall =
  process.env['SALLYPORT_NO_INSTALL'] !== '1' &&
  process.getuid?.() === 0 &&
  spawnSync('apt-get', ['--version']).status === 0;

/** By apt-get. The packages start servers of their own; the tests start theirs, on ports of their own. */
function install(command: string): boolean {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  return spawnSync('sh', ['-c', command], { stdio: ['ignore', 'ignore', 'inherit'], env }).status === 0;
}

for (const program of PROGRAMS.filter((each) => !isThere(each))) {
  const { name, needed } = program;
  const command = `apt-get update && apt-get install -y ${program.package}`;
  if (mayInstall) {
    console.log(`${name} is missing: installing it with apt-get`);
    if (install(command) && isThere(program)) continue;
  }
  console.error(
    `${name} is missing${needed ? ', and the tests need it' : ': its tests are skipped'}; run: ${command}`,
  );
  if (needed) process.exit(1);
}
