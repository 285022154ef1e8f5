/**
 * Loaded into each test process: ends it where its exit listeners have run, before Node takes its environment apart. There
 * Node 24 now and then waits for ever, at full load, for a request of a socket that has been closed.
 */
import { resolve } from 'node:path';

process.once('beforeExit', () => {
  process.on('exit', () => process.exit());
});

// .taprc names it from this folder; what a test starts in another folder is to find it as well.
const { NODE_COMPILE_CACHE } = process.env;
if (NODE_COMPILE_CACHE !== undefined) process.env['NODE_COMPILE_CACHE'] = resolve(NODE_COMPILE_CACHE);
