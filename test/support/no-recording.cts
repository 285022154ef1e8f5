/**
 * Loaded into each test process before tap's own modules: keeps tap from recording every file that is loaded, in each test
 * process and in each process that a test starts. That is for coverage, --changed and mocks, which are not used here, and
 * costs a quarter of the start of a gateway. exit.ts gives the function back.
 */
{
  const module = process.getBuiltinModule('node:module');
  const original = module.registerHooks;
  module.registerHooks = Object.assign(() => ({ deregister: () => undefined }), { original });
}
