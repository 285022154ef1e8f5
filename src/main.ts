#!/usr/bin/env node
/**
 * The command line's entry. Says what to do on an unsupported Node before anything that such a Node could not
 * load is loaded.
 */
import module from 'node:module';
import { fileURLToPath } from 'node:url';

const SUPPORTED = [
  { major: 24, minor: 11 },
  { major: 26, minor: 0 },
];
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);

// What process lists show.
process.title = 'sallyport';
if (SUPPORTED.some((version) => version.major === major && minor >= version.minor)) {
  // Ends the process where its exit listeners have run, before Node takes its environment apart: there Node 24 now and then
  // waits for ever, at full load, for a request of a socket that has been closed.
  process.on('exit', () => process.exit());
  keepCompiled();
  // A service manager may send SIGHUP as soon as the process exists. Until `run` answers it, nothing was read that could be old.
  // SIGUSR1 would open Node's debugger, in which every user of the machine can run code; SIGUSR2 would end the process.
  if (['run', 'worker'].includes(process.argv[2] ?? ''))
    for (const signal of ['SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const) process.on(signal, () => undefined);
  try {
    const { main } = await import('./cli/main.ts');
    process.exitCode = await main(process.argv.slice(2));
  } catch (error) {
    // The listener above ends the process before Node would print it.
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    process.exitCode = 1;
  }
} else {
  process.stderr.write(
    `sallyport: Node ${process.versions.node} is not supported; install Node 24 (24.11 or later) or Node 26\n`,
  );
  process.exitCode = 1;
}

/**
 * Keeps what Node has compiled for the next start: beside the installed program, where only those can write who can change the
 * program. Where the folder cannot be written, there is no cache, and no word of it. What NODE_COMPILE_CACHE and
 * NODE_DISABLE_COMPILE_CACHE say counts first.
 */
function keepCompiled(): void {
  const isInstalled = import.meta.url.endsWith('.js');
  if (isInstalled) module.enableCompileCache(fileURLToPath(new URL('../.compiled', import.meta.url)));
}
