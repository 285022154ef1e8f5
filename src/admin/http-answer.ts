/**
 * Answers and bodies of the admin listener.
 */
import type { IncomingMessage } from 'node:http';

export interface AdminAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** An object is sent as JSON. */
  readonly body?: string | object;
}

/** A refusal of the admin API (RFC 9457). Operators read it: `detail` says what to do. */
export function adminProblem(
  status: number,
  code: string,
  detail: string,
  headers: Readonly<Record<string, string>> = {},
): AdminAnswer {
  return {
    status,
    headers: { ...headers, 'content-type': 'application/problem+json' },
    body: JSON.stringify({ type: `urn:sallyport:problem:${code}`, title: detail, status, code }),
  };
}

const MAX_BODY_BYTES = 64 * 1024;

/** The whole body, or undefined where it is larger than any honest one. */
export async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
