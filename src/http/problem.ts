/**
 * A refusal as a document: RFC 9457 problem details with fixed text. Pure.
 */
import type { GatewayError } from '../errors.ts';
import { bearerChallenge } from './challenge.ts';

export interface ProblemResponse {
  readonly status: number;
  /** Names and values in turn. */
  readonly headers: readonly string[];
  readonly body: string;
}

/** Writes the response to a failed request. `requestId` must be the gateway's own or a validated one. */
export function problemResponse(error: GatewayError, realm: string, requestId: string): ProblemResponse {
  const body = problemBody(error);
  const headers = [
    'content-type',
    'application/problem+json',
    'content-length',
    String(Buffer.byteLength(body)),
    'cache-control',
    'no-store',
    'x-request-id',
    requestId,
    ...error.headers,
  ];
  if (error.challenge) headers.push('www-authenticate', bearerChallenge(realm, error.challenge));
  if (error.retryAfterSeconds !== undefined) headers.push('retry-after', String(error.retryAfterSeconds));
  return { status: error.status, headers, body };
}

function problemBody({ code, title, status }: GatewayError): string {
  return `${JSON.stringify({ type: `urn:sallyport:problem:${code}`, title, status, code })}\n`;
}
