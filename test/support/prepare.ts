/**
 * Runs before the tests: the right Node, and the programs that they run, which are installed where that is possible.
 * With SALLYPORT_NO_INSTALL=1 it only says what to run.
 */
import { execFileSync, spawnSync } from 'node:child_process';

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
const missing = PROGRAMS.filter((program) => !isThere(program));
if (missing.length > 0) {
  const names = missing.map(({ name }) => name).join(', ');
  const install = `apt-get update && apt-get install -y ${missing.map((program) => program.package).join(' ')}`;
  const canInstall = process.getuid?.() === 0 && spawnSync('apt-get', ['--version']).status === 0;
  if (process.env['SALLYPORT_NO_INSTALL'] === '1' || !canInstall) {
    const isNeeded = missing.some(({ needed }) => needed);
    console.error(
      `${names} is missing${isNeeded ? ', and the tests need it' : ': its tests are skipped'}; run: ${install}`,
    );
    if (isNeeded) process.exit(1);
  } else {
    console.log(`${names} is missing: installing it with apt-get`);
    const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    // The packages start servers of their own; the tests start theirs, on ports of their own.
    execFileSync('sh', ['-c', install], { stdio: ['ignore', 'ignore', 'inherit'], env: environment });
  }
}
