import { AuthorityClient } from '../token/authority-fetch.ts';
import { systemClock } from '../clock.ts';
import { configurationWarnings } from '../config/warnings.ts';
import { Issuers } from '../issuers.ts';
import { TokenCaches } from '../token/token-caches.ts';
import {
  CONFIG_OPTION,
  configurationOf,
  flag,
  JSON_OPTION,
  print,
  printError,
  printJson,
  type Command,
} from './command.ts';
import { probe } from './probe.ts';

export const check: Command = {
  name: 'check',
  summary: 'checks the configuration: every problem with its place and its remedy, and what is risky',
  usage: `[-c FILE] [--online] [--strict] [--json]

  -c, --config FILE   the configuration (default: sallyport.yaml)
      --online        also tries key sets, introspection, validation, upstreams and the revocation store
      --strict        warnings fail too
      --json          prints { ok, warnings, online }`,
  options: { ...CONFIG_OPTION, ...JSON_OPTION, online: { type: 'boolean' }, strict: { type: 'boolean' } },
  async run(args) {
    const loaded = configurationOf(args);
    const client = new AuthorityClient();
    // Key files and secrets are read by whoever uses them: the issuers are built as `run` builds them.
    const issuers = new Issuers(loaded, {
      client,
      caches: new TokenCaches(loaded.configuration.caches),
      clock: systemClock,
      observer: { keysRefreshed: () => undefined, keysFailed: () => undefined, asked: () => undefined },
    });
    const warnings = configurationWarnings(loaded);
    const online = flag(args, 'online') ? await probe(loaded, client) : [];
    issuers.stop();
    await client.close();
    const failures = online.filter(({ ok }) => !ok);
    const ok =
      failures.length === 0 &&
      !(flag(args, 'strict') && (warnings.length > 0 || online.some(({ warning }) => warning !== undefined)));
    if (flag(args, 'json')) {
      printJson({ ok, warnings, online });
      return ok ? 0 : 1;
    }
    for (const warning of warnings) printError(`warning: ${warning}`);
    for (const { what, ok: reached, detail, warning } of online) {
      print(`${reached ? 'ok  ' : 'FAIL'}  ${what}: ${detail}`);
      if (warning !== undefined) printError(`warning: ${warning}`);
    }
    print(
      `${loaded.file}: ${ok ? 'valid' : failures.length > 0 ? 'valid, but not all of it can be reached' : 'valid, but --strict allows no warnings'}`,
    );
    return ok ? 0 : 1;
  },
};
