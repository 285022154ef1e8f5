/** Request heads for table tests of pure files, read by the gateway's own reader. */
import { GatewayError } from '../../src/errors.ts';
import { HeaderTable } from '../../src/http/header-names.ts';
import { readHead, type HeadLimits, type RequestHead } from '../../src/http/request-head.ts';

export interface HeadInput {
  readonly method?: string;
  readonly target?: string;
  readonly httpVersion?: string;
  readonly scheme?: 'http' | 'https';
  /** The Host; null for none. */
  readonly host?: string | null;
  /** Field lines, such as `X-A: 1`. */
  readonly fields?: readonly string[];
  readonly bodyFollows?: boolean;
  readonly wantsTunnel?: boolean;
  /** Names of identity headers of the configuration. */
  readonly identity?: readonly string[];
  readonly limits?: Partial<HeadLimits>;
}

const NO_LIMITS: HeadLimits = { uriBytes: 8192, headerBytes: 65_536, headerCount: 1_000, bodyBytes: 0 };

/** Names and values in turn, of field lines. */
export function fieldList(lines: readonly string[]): string[] {
  return lines.flatMap((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, '')];
  });
}

/** The values of the fields of a name (lower-case), from names and values in turn. */
export function fieldValues(list: readonly string[], name: string): string[] {
  return list.filter((_, index) => index % 2 === 1 && list[index - 1]?.toLowerCase() === name);
}

/** A GET of / from a.example, with changes. */
export function headOf(input: HeadInput = {}): RequestHead {
  const { host = 'a.example', fields = [], limits = {}, identity = [] } = input;
  return readHead(
    {
      method: input.method ?? 'GET',
      target: input.target ?? '/',
      httpVersion: input.httpVersion ?? '1.1',
      rawHeaders: [...(host === null ? [] : ['Host', host]), ...fieldList(fields)],
      scheme: input.scheme ?? 'http',
      bodyFollows: input.bodyFollows ?? false,
      wantsTunnel: input.wantsTunnel ?? false,
    },
    new HeaderTable(identity),
    { ...NO_LIMITS, ...limits },
  );
}

/**
 * What a call returns, or its refusal as one text: status, code, reason, and whether the connection closes.
 * `401 missing_token (missing)`, `400 bad_host, close`. An error of another kind passes through.
 */
export function outcome<T>(call: () => T): T | string {
  try {
    return call();
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    const { status, code, reason, close } = error;
    return `${status} ${code}${reason === undefined ? '' : ` (${reason})`}${close ? ', close' : ''}`;
  }
}
