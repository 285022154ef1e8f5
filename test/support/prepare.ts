/**
 * Runs before the tests: checks the version of Node and installs missing programs that the tests run, if it can.
 * With SALLYPORT_NO_INSTALL=1 it installs nothing and prints the command.
 */
import { spawnSync } from 'node:child_process';

interface Program {
  readonly name: string;
  /** The Debian package. */
  readonly package: string;
  /** Without it no test runs. Tests of other missing programs are skipped, visibly. */
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

/** Installs by apt-get. The packages start their own servers; the tests start others, on other ports. */
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
