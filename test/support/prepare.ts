/**
 * Runs before the tests: the right Node, and a real redis-server, which is installed where that is possible.
 * With SALLYPORT_NO_INSTALL=1 it only says what to run.
 */
import { execFileSync, spawnSync } from 'node:child_process';

const [major = 0] = process.versions.node.split('.').map(Number);
if (major !== 24 && major !== 26) {
  console.error(
    `the tests need Node 24 or 26, and this is ${process.versions.node}; run them with: npm ci && npm test`,
  );
  process.exit(1);
}

if (spawnSync('redis-server', ['--version']).status !== 0) {
  const install = 'apt-get update && apt-get install -y redis-server';
  const canInstall = process.getuid?.() === 0 && spawnSync('apt-get', ['--version']).status === 0;
  if (process.env['SALLYPORT_NO_INSTALL'] === '1' || !canInstall) {
    console.error(`redis-server is missing, and the tests need it; run: ${install}`);
    process.exit(1);
  }
  console.log('redis-server is missing: installing it with apt-get');
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  // The package starts a server of its own; the tests start theirs, on ports of their own.
  execFileSync('sh', ['-c', install], { stdio: ['ignore', 'ignore', 'inherit'], env: environment });
}
