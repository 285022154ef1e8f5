/** Reads the JSON body of an API request. */
import type { z } from 'zod';
import { parseStrictJson } from '../token/strict-json.ts';
import { adminProblem, type AdminResponse } from './http-response.ts';

/** The body as the schema describes it, or the refusal. */
export function parseBody<T>(schema: z.ZodType<T>, body: Buffer): { readonly value: T } | AdminResponse {
  let json: unknown;
  try {
    json = parseStrictJson(body);
  } catch {
    return badRequest('the body is not strict JSON');
  }
  const parsed = schema.safeParse(json);
  return parsed.success ? { value: parsed.data } : badRequest(faultText(parsed.error));
}

export function badRequest(detail: string): AdminResponse {
  return adminProblem(400, 'invalid_request', detail);
}

/** What is wrong, and where. */
export function faultText({ issues }: z.ZodError): string {
  return issues
    .map(({ path, message }) => [path.join('.'), message].filter((part) => part !== '').join(': '))
    .join('; ');
}
