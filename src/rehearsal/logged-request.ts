/**
 * What one line of a log tells of a request (docs/reference.md, "Log"). The log is a file that others can write to: every member is
 * read by its type, and what is not understood is no fact. Pure.
 */

/** Which scopes and rules a token has and holds, as `log.facts` writes it. */
export interface LoggedFacts {
  /** False: the request brought nothing that any route could read as credentials. */
  readonly credentials: boolean | undefined;
  readonly scopes: readonly string[];
  readonly lacks: readonly string[];
  /** Keys of rules (token/rule-key.ts). */
  readonly holds: readonly string[];
  readonly fails: readonly string[];
}

export interface LoggedAuth {
  readonly decision: string;
  readonly reason: string;
  readonly issuer: string | undefined;
  readonly clientId: string | undefined;
  /** Is the token known to be authentic? Only then the line has a hash of it. */
  readonly isVerified: boolean;
  readonly binding: string | undefined;
  /** Scopes that the token surely lacks. */
  readonly missingScopes: readonly string[];
  /** Are these all that it lacks of those that the route asked for? */
  readonly namesAllMissing: boolean;
}

export interface LoggedRequest {
  /** Name of the route; `unmatched`. */
  readonly route: string;
  readonly method: string;
  readonly status: number;
  /** Undefined where the head could not be read. */
  readonly target:
    { readonly scheme: 'http' | 'https'; readonly host: string; readonly path: string } | undefined;
  readonly upstream: string | undefined;
  /** The code of the error. */
  readonly error: string | undefined;
  readonly auth: LoggedAuth | undefined;
  readonly facts: LoggedFacts | undefined;
  /** For how many requests the line stands. */
  readonly standsFor: number;
}

export type LogLine =
  | { readonly kind: 'request'; readonly request: LoggedRequest }
  /** Requests that have no line: refusals beyond `log.refusals`, and lines that were dropped. */
  | { readonly kind: 'left_out'; readonly requests: number }
  /** About anything else. */
  | { readonly kind: 'other' }
  | { readonly kind: 'broken'; readonly why: string };

type Members = Readonly<Record<string, unknown>>;

const OTHER: LogLine = { kind: 'other' };
const CUT = '...';

/** What made-up lines may hold in memory, a thousand groups of them. */
const MOST_CHARACTERS = 128 * 1024;
const LEAST_SAMPLE = 1e-6;

/**
 * Reads a line as the gateway writes it, also behind what a collector puts in front of it (Kubernetes, journald), and within the
 * object that Docker keeps it in.
 */
export function readLogLine(line: string): LogLine {
  if (line.length > MOST_CHARACTERS) return broken('it is longer than a line of the gateway');
  const text = line.trim();
  if (text === '') return OTHER;
  const begin = text.indexOf('{');
  if (begin < 0) return broken('it holds no JSON');
  const members = objectOf(text.slice(begin));
  if (!members) return broken('it is no JSON, or not a whole line');
  const { log } = members;
  return typeof log === 'string' && members['msg'] === undefined ? readLogLine(log) : lineOf(members);
}

function lineOf(members: Members): LogLine {
  const { left_out: leftOut, reason, dropped, msg } = members;
  if (msg !== 'request') {
    // Of an upstream's targets some may be left out, too.
    if (isCount(leftOut) && typeof reason === 'string') return { kind: 'left_out', requests: leftOut };
    return isCount(dropped) ? { kind: 'left_out', requests: dropped } : OTHER;
  }
  const route = stringOf(members['route']);
  const method = stringOf(members['method']);
  const { status } = members;
  if (route === undefined || method === undefined || typeof status !== 'number')
    return broken('it is the line of a request, but lacks route, method or status');
  const { sample } = members;
  const request: LoggedRequest = {
    ...{ route, method, status },
    target: targetOf(members),
    upstream: stringOf(members['upstream']),
    error: stringOf(members['error']),
    auth: authOf(members['auth']),
    facts: factsOf(members['facts']),
    standsFor: typeof sample === 'number' && sample >= LEAST_SAMPLE && sample < 1 ? 1 / sample : 1,
  };
  return { kind: 'request', request };
}

function targetOf({ scheme, host, path }: Members): LoggedRequest['target'] {
  if ((scheme !== 'http' && scheme !== 'https') || typeof host !== 'string' || typeof path !== 'string')
    return undefined;
  return { scheme, host, path };
}

function authOf(value: unknown): LoggedAuth | undefined {
  if (!isObject(value)) return undefined;
  const decision = stringOf(value['decision']);
  const reason = stringOf(value['reason']);
  if (decision === undefined || reason === undefined) return undefined;
  const missing = stringOf(value['missing_scope']) ?? '';
  const names = missing.split(' ').filter((name) => name !== '');
  return {
    decision,
    reason,
    issuer: stringOf(value['issuer']),
    clientId: stringOf(value['client_id']),
    isVerified: typeof value['jti_hash'] === 'string',
    binding: stringOf(value['binding']),
    missingScopes: names.filter((name) => !name.endsWith(CUT)),
    namesAllMissing: names.length > 0 && !missing.endsWith(CUT),
  };
}

function factsOf(value: unknown): LoggedFacts | undefined {
  if (!isObject(value)) return undefined;
  const { credentials } = value;
  return {
    credentials: typeof credentials === 'boolean' ? credentials : undefined,
    scopes: stringsOf(value['scopes']),
    lacks: stringsOf(value['lacks']),
    holds: stringsOf(value['holds']),
    fails: stringsOf(value['fails']),
  };
}

function broken(why: string): LogLine {
  return { kind: 'broken', why };
}

function objectOf(text: string): Members | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0;
}

function stringOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function stringsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : [];
}
