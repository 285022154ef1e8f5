/**
 * The log: JSON lines on standard output by pino, readable lines on a terminal. Tokens, secrets and raw
 * subjects never enter it; pino's redaction stands behind that as a second net. Rules A5, A6.
 */
import { pino, type DestinationStream, type Logger } from 'pino';

export type { Logger } from 'pino';

/** Members that no line may show, wherever they come from. */
const REDACTED = [
  'token',
  'authorization',
  'headers',
  'client_secret',
  '*.token',
  '*.authorization',
  '*.headers',
  '*.client_secret',
];

export interface LoggerOptions {
  readonly destination: DestinationStream;
}

export function createLogger({ destination }: LoggerOptions): Logger {
  return pino(
    {
      base: null,
      messageKey: 'msg',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: REDACTED, censor: '[redacted]' },
    },
    destination,
  );
}

/** What of an error may be logged: its name, its code and fixed text; for a bug, the stack. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error';
  const { code } = error as NodeJS.ErrnoException;
  const cause = error.cause === undefined ? '' : ` (${describeError(error.cause)})`;
  if (error instanceof AggregateError) return [...new Set(error.errors.map(describeError))].join(', ');
  return `${code !== undefined && !error.message.includes(code) ? `${code}: ` : ''}${error.message}${cause}`;
}
