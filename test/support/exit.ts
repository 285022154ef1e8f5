/**
 * Loaded into each test process: ends it where its exit listeners have run, before Node takes its environment apart. There
 * Node 24 now and then waits for ever, at full load, for a request of a socket that has been closed. What no-recording.cts
 * has taken away from tap is there for the tests.
 */
import module from 'node:module';
import { resolve } from 'node:path';

process.once('beforeExit', () => {
  process.on('exit', () => process.exit());
});

const { original } = module.registerHooks as { readonly original?: typeof module.registerHooks };
if (original) module.registerHooks = original;

// tap's recorder, for what a test starts; what else is there stays.
const { NODE_OPTIONS = '' } = process.env;
process.env['NODE_OPTIONS'] = NODE_OPTIONS.replace(/"?--import=[^\s"]*@tapjs\/processinfo[^\s"]*"?/, '');

// .taprc names it from this folder; what a test starts in another folder is to find it as well.
const { NODE_COMPILE_CACHE } = process.env;
if (NODE_COMPILE_CACHE !== undefined) process.env['NODE_COMPILE_CACHE'] = resolve(NODE_COMPILE_CACHE);
