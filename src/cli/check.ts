import { NOT_AT_HAND } from '../api-keys/api-key.ts';
import { readFileSync } from 'node:fs';
import { apiKeyWarnings } from '../assembly/api-key-metrics.ts';
import { assertionSigner } from '../assembly/assertion-signer.ts';
import { proofSigner } from '../assembly/proof-signer.ts';
import { AuthorizationServerClient } from '../token/authorization-server-client.ts';
import { systemClock } from '../clock.ts';
import { expandedConfiguration, type ExpandedConfiguration } from '../config/expanded-text.ts';
import { ConfigurationError } from '../config/load.ts';
import { certificateFindings, configuredCertificates } from '../config/certificates.ts';
import { clientCertificateNotes } from '../config/client-certificate-checks.ts';
import { configurationWarnings } from '../config/warnings.ts';
import { workerNotes } from '../config/worker-count.ts';
import { SILENT_OBSERVER } from '../assembly/issuer-observer.ts';
import { Issuers } from '../assembly/issuers.ts';
import { TokenCaches } from '../token/token-caches.ts';
import { skippedText } from '../token/verification-key.ts';
import {
  CONFIG_OPTION,
  configurationFile,
  configurationOf,
  flag,
  JSON_OPTION,
  print,
  printError,
  printJson,
  type Arguments,
  type Command,
} from './command.ts';
import { probe } from './probe.ts';

export const check: Command = {
  name: 'check',
  summary: 'checks the configuration: every problem with its place and its remedy, and what is risky',
  usage: `[-c FILE] [--online] [--strict] [--expand] [--json]

  -c, --config FILE   the configuration (default: sallyport.yaml)
      --online        also tries key sets, introspection, validation, upstreams and the revocation store
      --strict        warnings fail too
      --expand        prints the configuration with what each provider stands for, and nothing else on standard
                      output; secrets are left out
      --json          prints { ok, problems, warnings, notes, online }, and expanded with --expand`,
  options: {
    ...CONFIG_OPTION,
    ...JSON_OPTION,
    online: { type: 'boolean' },
    strict: { type: 'boolean' },
    expand: { type: 'boolean' },
  },
  async run(args) {
    let findings: Findings;
    try {
      findings = await examine(args);
    } catch (error) {
      if (!flag(args, 'json') || !(error instanceof ConfigurationError)) throw error;
      findings = { ok: false, problems: error.problems, warnings: [], notes: [], online: [] };
    }
    if (flag(args, 'json')) printJson({ ...findings, expanded: findings.expanded?.document });
    else tell(findings, configurationFile(args));
    return findings.ok ? 0 : 1;
  },
};

interface Findings {
  readonly ok: boolean;
  /** Lines that say what is wrong with the configuration, where, and what to do. */
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
  /** What is good to know, and is no risk. */
  readonly notes: readonly string[];
  readonly online: Awaited<ReturnType<typeof probe>>;
  /** Only where it was asked for. */
  readonly expanded?: ExpandedConfiguration;
}

/** @throws ConfigurationError */
async function examine(args: Arguments): Promise<Findings> {
  const loaded = configurationOf(args);
  const client = new AuthorizationServerClient();
  // The issuers and the signers read their key files and secrets, so they are built as `run` builds them.
  proofSigner(loaded, assertionSigner(loaded, systemClock)?.publicKeys.keys);
  const leftOut: string[] = [];
  const issuers = new Issuers(loaded, {
    client,
    caches: new TokenCaches(loaded.configuration.caches),
    clock: systemClock,
    storedKeys: () => NOT_AT_HAND,
    observer: {
      ...SILENT_OBSERVER,
      keysSkipped: (name, skipped) => {
        for (const key of skipped)
          leftOut.push(`issuers.${name}: ${skippedText(key)}; remove it, or correct it`);
      },
    },
  });
  const certificates = certificateFindings(configuredCertificates(loaded.configuration), systemClock.nowMs());
  const messages = (expired: boolean): string[] =>
    certificates.filter(({ state }) => (state === 'expired') === expired).map(({ message }) => message);
  const problems = messages(true).map((message) => `${loaded.file}: ${message}`);
  const warnings = [
    ...configurationWarnings(loaded),
    ...leftOut,
    ...apiKeyWarnings(issuers, systemClock.nowMs()),
    ...messages(false),
  ];
  const online = flag(args, 'online') ? await probe(loaded, client) : [];
  issuers.stop();
  await client.close();
  const ok =
    problems.length === 0 &&
    online.every((result) => result.ok) &&
    !(flag(args, 'strict') && (warnings.length > 0 || online.some(({ warning }) => warning !== undefined)));
  const expanded = flag(args, 'expand')
    ? expandedConfiguration(readFileSync(loaded.file, 'utf8'), loaded.file, process.env)
    : undefined;
  const notes = [...workerNotes(loaded.configuration), ...clientCertificateNotes(loaded.configuration)];
  return { ok, problems, warnings, notes, online, ...(expanded === undefined ? {} : { expanded }) };
}

function tell({ ok, problems, warnings, notes, online, expanded }: Findings, file: string): void {
  // With --expand, standard output is a configuration and nothing else.
  const say = expanded === undefined ? print : printError;
  if (expanded !== undefined) print(expanded.text.trimEnd());
  for (const problem of problems) printError(problem);
  for (const warning of warnings) printError(`warning: ${warning}`);
  for (const note of notes) say(`note: ${note}`);
  for (const { what, ok: reached, detail, warning } of online) {
    say(`${reached ? 'ok  ' : 'FAIL'}  ${what}: ${detail}`);
    if (warning !== undefined) printError(`warning: ${warning}`);
  }
  const unreached = online.some((result) => !result.ok);
  if (problems.length > 0) return;
  say(
    `${file}: ${ok ? 'valid' : unreached ? 'valid, but not all of it can be reached' : 'valid, but --strict allows no warnings'}`,
  );
}
