import { createReadStream } from 'node:fs';
import { KeptCheckpoints } from '../telemetry/kept-checkpoints.ts';
import type { ChainReport, LogReport } from '../telemetry/log-report.ts';
import { LogVerifier } from '../telemetry/log-verifier.ts';
import { describeError } from '../telemetry/logger.ts';
import type { VerificationKey } from '../token/verification-key.ts';
import {
  CommandFailed,
  flag,
  JSON_OPTION,
  print,
  printJson,
  text,
  UsageError,
  type Command,
} from './command.ts';
import { LineSplitter } from './line-splitter.ts';
import { proofKeysFrom } from './proof-key-source.ts';

export const audit: Command = {
  name: 'audit',
  summary: 'finds audit lines of a log that are missing, changed, swapped or repeated',
  usage: `verify FILE [--keys URL|FILE] [--kept FILE] [--whole] [--json]

  FILE          the log, lines of JSON as the gateway wrote them; - is standard input. Lines of several gateways may
                be mixed. Give the files of a rotated log together, oldest first: cat log.1 log | sallyport audit verify -
      --keys URL|FILE
                public keys of the checkpoints (JWK Set), such as
                http://127.0.0.1:9090/.well-known/sallyport/proof-jwks.json; without them no signature is verified
      --kept FILE
                checkpoint lines that you have kept apart from the log: what they cover must be in it
      --whole   each chain must begin and end in FILE: its gateways were started and stopped within it
      --json    prints { ok, lines, audit_lines, signatures, chains, faults, more_faults }

Exit code 1: there is a fault.`,
  options: {
    ...JSON_OPTION,
    keys: { type: 'string' },
    kept: { type: 'string' },
    whole: { type: 'boolean' },
  },
  positionals: { min: 2, max: 2 },
  async run(args) {
    const [action = '', file = ''] = args.positionals;
    if (action !== 'verify') throw new UsageError(`"${action}" is not verify; write verify FILE`);
    const [source, keptFile] = [text(args, 'keys'), text(args, 'kept')];
    const keys = source === undefined ? undefined : await proofKeysFrom(source);
    const kept = keptFile === undefined ? undefined : await keptOf(keptFile, keys);
    const verifier = new LogVerifier({ keys, kept, whole: flag(args, 'whole') });
    await eachLine(file, (line) => verifier.add(line));
    const report = verifier.end();
    if (flag(args, 'json')) printJson(report);
    else tell(report, file);
    return report.ok ? 0 : 1;
  },
};

/** The file is read once, and never held whole. */
async function eachLine(file: string, take: (line: string) => void): Promise<void> {
  const splitter = new LineSplitter((bytes) => {
    for (const line of bytes.toString('utf8').split('\n').slice(0, -1)) take(line);
  });
  try {
    const stream = file === '-' ? process.stdin : createReadStream(file);
    for await (const bytes of stream) splitter.add(bytes as Buffer);
  } catch (error) {
    if (error instanceof CommandFailed) throw error;
    throw new CommandFailed(`${file} cannot be read (${describeError(error)})`);
  }
  splitter.end();
}

async function keptOf(file: string, keys: readonly VerificationKey[] | undefined): Promise<KeptCheckpoints> {
  const kept = new KeptCheckpoints();
  let number = 0;
  await eachLine(file, (line) => {
    number++;
    const fault = kept.add(line, keys);
    if (fault) throw new CommandFailed(`${file}, line ${number}: the kept checkpoint ${fault.what}`);
  });
  if (kept.size === 0)
    throw new CommandFailed(`${file} holds no checkpoint; give the lines of the log that have one`);
  return kept;
}

function tell(report: LogReport, file: string): void {
  const { chains, faults, more_faults: more, audit_lines: lines, signatures } = report;
  for (const chain of chains) for (const line of chainLines(chain, signatures)) print(line);
  for (const { line, chain, message } of faults)
    print(`${line === 0 ? file : `line ${line}`}: ${chain === null ? '' : `chain ${chain}: `}${message}`);
  if (more > 0) print(`and ${more} more`);
  const found = `${counted(lines, 'audit line')} of ${counted(chains.length, 'chain')}`;
  const count = faults.length + more;
  print(`${file}: ${found}: ${count === 0 ? 'no fault' : counted(count, 'fault')}`);
}

function chainLines(chain: ChainReport, signatures: boolean): string[] {
  const { gateway, version, lines, first_seq: first, last_seq: last, closed } = chain;
  const name = gateway === null ? '' : ` of ${gateway} (${version})`;
  return [
    `chain ${chain.chain}${name}: ${counted(lines, 'line')}, seq ${first} to ${last}, ${chain.first_time ?? '-'} to ${chain.last_time ?? '-'}`,
    ...(first > 1
      ? [`  begins at seq ${first}: the lines before it are in an earlier file, or were removed`]
      : []),
    `  ${coverText(chain, signatures)}`,
    closed
      ? '  closed: the gateway stopped here'
      : '  not closed: the gateway still runs, crashed, or the last lines were removed',
  ];
}

function coverText(chain: ChainReport, signatures: boolean): string {
  const { checkpoints, covered_seq: covered, uncovered_lines: tail } = chain;
  if (checkpoints === 0)
    return 'no checkpoint: a program that can write the file can have made all of these lines';
  const verified = signatures ? 'signatures good' : 'signatures NOT VERIFIED (give --keys)';
  const after = tail === 0 ? 'no line' : counted(tail, 'line');
  return `${counted(checkpoints, 'checkpoint')}, ${verified}: covered up to seq ${covered}, ${after} after the last one`;
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
