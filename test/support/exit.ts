/**
 * Loaded into each test process: ends it where its exit listeners have run, before Node takes its environment apart. There
 * Node 24 now and then waits for ever, at full load, for a request of a socket that has been closed.
 */
process.once('beforeExit', () => {
  process.on('exit', () => process.exit());
});
