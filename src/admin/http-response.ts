/** Responses of the admin listener. */

export interface AdminResponse {
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
): AdminResponse {
  return {
    status,
    headers: { ...headers, 'content-type': 'application/problem+json' },
    body: JSON.stringify({ type: `urn:sallyport:problem:${code}`, title: detail, status, code }),
  };
}
