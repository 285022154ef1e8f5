/**
 * Where the log of `run` goes: JSON lines on standard output, readable ones on a terminal. A log that cannot be written
 * never ends the gateway, never fills its memory and never delays its end.
 */
import { createLog, type Log } from '../telemetry/logger.ts';
import { LogWriter } from './log-writer.ts';

/** A line waits no longer than this for others. */
const FLUSH_MS = 100;
const STANDARD_OUTPUT = 1;

export interface LogOutput {
  readonly log: Log;
  /** Writes what waits. Never throws. */
  readonly flush: () => void;
}

export async function openLog(): Promise<LogOutput> {
  const writer = new LogWriter(STANDARD_OUTPUT);
  const flush = (): void => writer.flushSync();
  process.on('exit', flush);
  if (process.stdout.isTTY) {
    const { prettyFactory } = await import('pino-pretty');
    const pretty = prettyFactory({ colorize: !process.env['NO_COLOR'], singleLine: true });
    const write = (line: string): void => {
      writer.write(pretty(line));
      writer.flush();
    };
    return { log: createLog({ write }), flush };
  }
  setInterval(() => writer.flush(), FLUSH_MS).unref();
  return { log: { ...createLog(writer), dropped: () => writer.dropped }, flush };
}
