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
  const body = problemBody(error);
  const headers = [
    'content-type',
    'application/problem+json',
    'content-length',
    String(Buffer.byteLength(body)),
    'cache-control',
    'no-store',
    'x-request-id',
    context.requestId,
    ...error.headers,
    ...challengeFields(error, context),
  ];
  if (error.retryAfterSeconds !== undefined) headers.push('retry-after', String(error.retryAfterSeconds));
  return { status: error.status, headers, body };
}

/** Names and values in turn. */
export function challengeFields(
  error: GatewayError,
  { challenge, scheme, oneChallengeLine = false }: RefusalContext,
): string[] {
  if (!error.challenge) return [];
  const values = challengesOf(error.challenge, error.status, challenge, scheme);
  const lines = oneChallengeLine ? [values.join(', ')] : values;
  return lines.flatMap((value) => ['www-authenticate', value]);
}

function problemBody({ code, title, status }: GatewayError): string {
  return `${JSON.stringify({ type: `urn:sallyport:problem:${code}`, title, status, code })}\n`;
}
