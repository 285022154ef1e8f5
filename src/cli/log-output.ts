/**
 * Where the log of `run` goes: JSON lines on standard output, readable ones on a terminal. A log that cannot be written
 * never ends the gateway, never fills its memory and never delays its end.
 */
import { createLog, type Log, type LogDestination } from '../telemetry/logger.ts';
import { asciiJson } from '../telemetry/log-text.ts';
import { LogWriter } from './log-writer.ts';

/** A line waits no longer than this for others. */
const FLUSH_MS = 100;
const STANDARD_OUTPUT = 1;

export interface LogOutput {
  readonly log: Log;
  /** Lines are for people, not for a collector. */
  readonly isTerminal: boolean;
  /** Writes what waits. Never throws. */
  readonly flush: () => void;
}

export async function openLog(): Promise<LogOutput> {
  const writer = new LogWriter(STANDARD_OUTPUT, {
    drained: (dropped) =>
      log.logger.warn({ dropped }, 'log lines were dropped, since standard output did not take them'),
  });
  const flush = (): void => writer.flushSync();
  process.on('exit', flush);
  const isTerminal = process.stdout.isTTY;
  const destination = isTerminal ? await prettyDestination(writer) : writer;
  const log: Log = { ...createLog(destination), dropped: () => writer.dropped };
  setInterval(() => writer.flush(), FLUSH_MS).unref();
  return { log, isTerminal, flush };
}

async function prettyDestination(writer: LogWriter): Promise<LogDestination> {
  const { prettyFactory } = await import('pino-pretty');
  const pretty = prettyFactory({ colorize: !process.env['NO_COLOR'], singleLine: true });
  return {
    write(line, kind) {
      writer.write(asciiJson(pretty(line)), kind);
      writer.flush();
    },
  };
}
