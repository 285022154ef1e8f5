/**
 * A refusal as a document: RFC 9457 problem details with fixed text. Pure.
 */
import type { GatewayError } from '../errors.ts';
import { challengesOf, type ChallengeRules, type Scheme } from './challenge.ts';

export interface ProblemResponse {
  readonly status: number;
  /** Names and values in turn. */
  readonly headers: readonly string[];
  readonly body: string;
  readonly bodyBytes: number;
}

/** What a refusal says besides its error. */
export interface RefusalContext {
  readonly challenge: ChallengeRules;
  /** Of the credentials that the client has sent; Bearer where it has sent none. */
  readonly scheme: Scheme;
  /** The gateway's own or a validated one. */
  readonly requestId: string;
  /** All challenges in one line, for a proxy that passes one on (RFC 9110 section 11.6.1 allows both). */
  readonly oneChallengeLine?: boolean;
}

/** Writes the response to a failed request. */
export function problemResponse(error: GatewayError, context: RefusalContext): ProblemResponse {
  const { body, bodyBytes, length } = documentOf(error);
  const headers = [
    'content-type',
    'application/problem+json',
    'content-length',
    length,
    'cache-control',
    'no-store',
    'x-request-id',
    context.requestId,
    ...error.headers,
    ...challengeFields(error, context),
  ];
  if (error.retryAfterSeconds !== undefined) headers.push('retry-after', String(error.retryAfterSeconds));
  return { status: error.status, headers, body, bodyBytes };
}

/** Names and values in turn. */
export function challengeFields(
  error: GatewayError,
  { challenge, scheme, oneChallengeLine = false }: RefusalContext,
): readonly string[] {
  if (!error.challenge) return NO_FIELDS;
  const last = lastChallenges.get(error);
  if (last?.rules === challenge && last.scheme === scheme && last.oneLine === oneChallengeLine)
    return last.fields;
  const values = challengesOf(error.challenge, error.status, challenge, scheme);
  const lines = oneChallengeLine ? [values.join(', ')] : values;
  const fields = lines.flatMap((value) => ['www-authenticate', value]);
  lastChallenges.set(error, { rules: challenge, scheme, oneLine: oneChallengeLine, fields });
  return fields;
}

const NO_FIELDS: readonly string[] = [];

/** The challenges of the last response with an error: a client that sends a bad token sends it to the same route again. */
const lastChallenges = new WeakMap<
  GatewayError,
  {
    readonly rules: ChallengeRules;
    readonly scheme: Scheme;
    readonly oneLine: boolean;
    readonly fields: readonly string[];
  }
>();

interface ProblemDocument {
  readonly body: string;
  readonly bodyBytes: number;
  readonly length: string;
}

const documents = new WeakMap<GatewayError, ProblemDocument>();

/** Refusals that come in numbers share an error, and so a document. */
function documentOf(error: GatewayError): ProblemDocument {
  const known = documents.get(error);
  if (known) return known;
  const { code, title, status } = error;
  const body = `${JSON.stringify({ type: `urn:sallyport:problem:${code}`, title, status, code })}\n`;
  const bodyBytes = Buffer.byteLength(body);
  const document = { body, bodyBytes, length: String(bodyBytes) };
  documents.set(error, document);
  return document;
}
