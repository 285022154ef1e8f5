/**
 * Where the log of `run` goes: JSON lines on standard output, readable ones on a terminal. A log that cannot be written
 * never ends the gateway, never fills its memory and never delays its end.
 */
import { createLog, type LineKind, type Log, type LogDestination } from '../telemetry/logger.ts';
import { asciiJson } from '../telemetry/log-text.ts';
import { LogWriter } from './log-writer.ts';

const STANDARD_OUTPUT = 1;
/** Of a worker: its lines wake another process, which is not to happen too often. */
const RELAYED_CHARACTERS = 64 * 1024;

/** No text within a line has it: there its quotes are escaped. */
const AUDIT_MEMBER = '"audit":{';

export interface LogOutput {
  readonly log: Log;
  /** Lines are for people, not for a collector. */
  readonly isTerminal: boolean;
  /** Writes what waits. Never throws. */
  readonly flush: () => void;
  /** Resolves once lines that are being written are out: those of a flush come behind them. */
  readonly settled: () => Promise<void>;
  /** Takes whole lines of JSON, ASCII, that another process has written. */
  readonly relay: (bytes: Buffer) => void;
}

/** @param mark what each line gets before it is written: this process relays its lines to another one */
export async function openLog(mark?: (line: string) => string): Promise<LogOutput> {
  const writer = new LogWriter(STANDARD_OUTPUT, {
    ...(mark && { blockCharacters: RELAYED_CHARACTERS }),
    drained: (dropped) =>
      log.logger.warn({ dropped }, 'log lines were dropped, since standard output did not take them'),
  });
  const flush = (): void => writer.flushSync();
  process.on('exit', flush);
  const isTerminal = process.stdout.isTTY;
  const destination = await destinationOf(writer, isTerminal, mark);
  const log: Log = { ...createLog(destination), dropped: () => writer.dropped };
  const settled = (): Promise<void> => writer.settled();
  return { log, isTerminal, flush, settled, relay: (bytes) => relayTo(destination, bytes) };
}

type Destination = LogDestination & {
  write(text: string, kind?: LineKind): void;
  writeBlock(bytes: Buffer): void;
};

async function destinationOf(
  writer: LogWriter,
  isTerminal: boolean,
  mark: ((line: string) => string) | undefined,
): Promise<Destination> {
  if (isTerminal) return prettyDestination(writer);
  if (!mark) return writer;
  return {
    write: (line, kind) => writer.write(mark(line), kind),
    writeBlock: (bytes) => writer.writeBlock(bytes),
  };
}

/** An audit line among them is kept as one of this process is. */
function relayTo(destination: Destination, bytes: Buffer): void {
  if (!bytes.includes(AUDIT_MEMBER, 0, 'latin1')) {
    destination.writeBlock(bytes);
    return;
  }
  for (const line of bytes.toString('latin1').match(/.*\n/g) ?? [])
    destination.write(line, line.includes(AUDIT_MEMBER) ? 'audit' : 'event');
}

async function prettyDestination(writer: LogWriter): Promise<Destination> {
  const { prettyFactory } = await import('pino-pretty');
  const colorize = !process.env['NO_COLOR'];
  // The chain is for `audit verify`, which reads JSON.
  const pretty = prettyFactory({ colorize, singleLine: true, ignore: 'chain' });
  const write = (text: string, kind?: LineKind): void => {
    for (const line of text.match(/.*\n/g) ?? []) writer.write(asciiJson(pretty(line)), kind);
    writer.flush();
  };
  return { write, writeBlock: (bytes) => write(bytes.toString('latin1')) };
}
