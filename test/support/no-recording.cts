/**
 * Loaded into each test process before tap's own modules: keeps tap from recording every file that is loaded, in each test
 * process and in each process that a test starts. That is for coverage, --changed and mocks, which are not used here, and
 * costs a quarter of the start of a gateway. exit.ts gives the function back. Source maps, which tap turns on, stay off: the
 * lines of TypeScript are its own where Node runs it, and reading the maps of tap's modules costs a fifth of an empty file.
 */
{
  const module = process.getBuiltinModule('node:module');
  const original = module.registerHooks;
  module.registerHooks = Object.assign(() => ({ deregister: () => undefined }), { original });

  process.setSourceMapsEnabled(false);
  process.setSourceMapsEnabled = () => undefined;
}
