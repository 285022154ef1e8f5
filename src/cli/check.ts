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
  text,
  UsageError,
  type Arguments,
  type Command,
} from './command.ts';
import { probe } from './probe.ts';
import { replay, replayJson, replayText, type Replayed } from './replay.ts';

/** The log holds requests that would get something else. */
const WOULD_CHANGE = 3;

export const check: Command = {
  name: 'check',
  summary: 'checks the configuration: every problem with its place and its remedy, and what is risky',
  usage: `[-c FILE] [--online] [--strict] [--expand] [--replay LOG [--before FILE] [FILE]] [--json]

  -c, --config FILE   the configuration (default: sallyport.yaml); with --replay it may stand without -c
      --online        also tries key sets, introspection, validation, status lists with an exact URI, upstreams
                      and the revocation store
      --strict        warnings fail too, and with --replay requests that are not decidable
      --expand        prints the configuration with what each provider stands for, and nothing else on standard
                      output; secrets are left out
      --replay LOG    decides each request of a gateway's log again under the configuration, and prints what would change;
                      - is standard input. Nothing is asked, and no token is needed
      --before FILE   the configuration that the log was written under: more is decidable with it
      --json          prints { ok, problems, warnings, notes, online }, expanded with --expand, replay with --replay

Exit code: 0 it is valid, 1 it is not, or the log cannot be read; with --replay also 3: something would change, or with
--strict is not decidable.`,
  options: {
    ...CONFIG_OPTION,
    ...JSON_OPTION,
    online: { type: 'boolean' },
    strict: { type: 'boolean' },
    expand: { type: 'boolean' },
    replay: { type: 'string' },
    before: { type: 'string' },
  },
  positionals: { min: 0, max: 1 },
  async run(given) {
    const args = withFile(given);
    let findings: Findings;
    try {
      findings = await examine(args);
    } catch (error) {
      if (!flag(args, 'json') || !(error instanceof ConfigurationError)) throw error;
      findings = { ok: false, problems: error.problems, warnings: [], notes: [], online: [] };
    }
    const replayed = findings.ok ? await replayOf(args) : undefined;
    if (flag(args, 'json'))
      printJson({
        ...findings,
        expanded: findings.expanded?.document,
        replay: replayed && replayJson(replayed),
      });
    else tell(findings, configurationFile(args));
    if (!findings.ok) return 1;
    if (!replayed) return 0;
    if (!flag(args, 'json')) print(replayText(replayed));
    const { changes } = replayed;
    return changes.hasChanges || (flag(args, 'strict') && changes.undecided.size > 0) ? WOULD_CHANGE : 0;
  },
};

/**
 * With --replay the file that stands without a flag is that of -c: `check --replay access.log new.yaml`.
 *
 * @throws UsageError
 */
function withFile(args: Arguments): Arguments {
  const [file] = args.positionals;
  if (text(args, 'before') !== undefined && text(args, 'replay') === undefined)
    throw new UsageError(
      '--before says which configuration a log was written under; give the log with --replay',
    );
  if (flag(args, 'expand') && text(args, 'replay') !== undefined)
    throw new UsageError('--expand prints a configuration and nothing else; leave it or --replay out');
  if (file === undefined) return args;
  if (text(args, 'replay') === undefined)
    throw new UsageError(`"${file}" is one argument too many; name the configuration with -c`);
  if (text(args, 'config') !== undefined)
    throw new UsageError('the configuration is named twice; leave -c or the other name out');
  return { ...args, values: { ...args.values, config: file } };
}

/** @throws ConfigurationError, CommandFailed */
async function replayOf(args: Arguments): Promise<Replayed | undefined> {
  const log = text(args, 'replay');
  return log === undefined ? undefined : replay(configurationOf(args), log, text(args, 'before'));
}

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
          leftOut.push(`${sectionOf(name)}: ${skippedText(key)}; remove it, or correct it`);
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
  const online = flag(args, 'online') ? await probe(loaded, client, issuers.statusLists) : [];
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

/** The key of the configuration that the name of a key set stands for. */
function sectionOf(name: string): string {
  return name.startsWith('signal:') ? name.replace('signal:', 'signals.') : `issuers.${name}`;
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
