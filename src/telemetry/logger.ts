/**
 * The log: JSON lines on standard output by pino, readable lines on a terminal. Tokens, secrets and raw
 * subjects never enter it; pino's redaction stands behind that as a second net. Rules A5, A6.
 */
import { pino, type Logger } from 'pino';
import { AuditChain } from './audit-chain.ts';
import { asciiJson } from './log-text.ts';

export type { Logger } from 'pino';

/**
 * What a line is about, for a destination that cannot write all of them: lines of requests are dropped first, then those of
 * events; audit lines never, and they are written at once.
 */
export type LineKind = 'request' | 'event' | 'audit';

export interface LogDestination {
  /** @param line of JSON with its line end, ASCII */
  write(line: string, kind: LineKind): void;
}

/** Where lines go, and the loggers that write them there. */
export interface Log {
  readonly logger: Logger;
  readonly audit: Logger;
  /** Of the audit lines. */
  readonly chain: AuditChain;
  /** The line of one request, with its line end. */
  readonly write: (line: string) => void;
  /** How many lines were dropped because they could not be written. Absent: no line is ever dropped. */
  readonly dropped?: () => number;
}

/** Members that no line may show, wherever they come from. */
const REDACTED = ['token', 'authorization', 'headers', 'client_secret'].flatMap((name) => [
  name,
  `*.${name}`,
]);

export function createLog(destination: LogDestination): Log {
  const chain = new AuditChain();
  return {
    logger: loggerOf((line) => destination.write(line, 'event')),
    audit: loggerOf((line) => {
      destination.write(chain.link(line), 'audit');
      chain.linked?.();
    }),
    chain,
    write: (line) => destination.write(line, 'request'),
  };
}

/** @param write takes lines of JSON with their line ends, ASCII */
function loggerOf(write: (line: string) => void): Logger {
  return pino(
    {
      base: null,
      messageKey: 'msg',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: REDACTED, censor: '[redacted]' },
    },
    { write: (line) => write(asciiJson(line)) },
  );
}

/** The part of an error that may be logged: its code and fixed text, and those of its causes. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error';
  if (error instanceof AggregateError) return [...new Set(error.errors.map(describeError))].join(', ');
  const { code } = error as NodeJS.ErrnoException;
  const cause = error.cause === undefined ? '' : ` (${describeError(error.cause)})`;
  const message = messageOf(error);
  return `${code !== undefined && !message.includes(code) ? `${code}: ` : ''}${message}${cause}`;
}

/** What Node adds where a certificate is not trusted: no remedy here, where the configuration names authorities. */
const HINT_OF_NODE = /; if the root CA is installed locally, [^;]*$/;

/** OpenSSL puts the address of a thread, a path of its source and a line end around its reason. */
function messageOf(error: Error): string {
  const { library, reason } = error as { library?: unknown; reason?: unknown };
  const isOpenSsl = typeof library === 'string' && typeof reason === 'string';
  return isOpenSsl ? reason : error.message.replace(HINT_OF_NODE, '');
}
