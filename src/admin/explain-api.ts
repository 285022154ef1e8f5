/** POST /v1/explain: what would happen to a request. Its token and its proof are neither stored nor logged. Rule A5. */
import { z } from 'zod';
import { isAddress } from '../http/client-address.ts';
import { adminProblem, type AdminResponse } from './http-response.ts';
import { badRequest, parseBody } from './json-body.ts';

/** Undefined where the URL is none of a request. */
export type Explain = (request: {
  readonly method: string;
  readonly url: string;
  readonly token: string | undefined;
  readonly dpop: string | undefined;
  readonly peer: string | undefined;
}) => Promise<object | undefined>;

const requestSchema = z.strictObject({
  // A text that no header can carry is explained like any other: it is malformed.
  token: z.string().min(1, 'must not be empty; leave it out for a request without a token').optional(),
  dpop: z.string().min(1, 'must not be empty; leave it out for a request without a DPoP proof').optional(),
  peer: z.string().max(64, 'must be an address').refine(isAddress, 'must be an address').optional(),
  method: z.string().regex(/^[A-Z-]{1,32}$/, 'must be a method, such as GET'),
  url: z.string().max(16_384, 'must have at most 16384 characters'),
});

/** @param explain undefined where this process explains nothing */
export async function explainResponse(explain: Explain | undefined, body: Buffer): Promise<AdminResponse> {
  if (!explain) return adminProblem(404, 'not_found', 'this process explains no requests');
  const parsed = parseBody(requestSchema, body);
  if ('status' in parsed) return parsed;
  const { token, dpop, peer, method, url } = parsed.value;
  const explanation = await explain({ token, dpop, peer, method, url });
  return explanation
    ? { status: 200, body: explanation }
    : badRequest('url: must be the URL of a request: http://HOST/PATH, or https://');
}
