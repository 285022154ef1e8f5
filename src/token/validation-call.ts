/**
 * Asks a validation service that is not RFC 7662: POST {"token": "..."}; 2xx means valid, 401, 403 and 404
 * invalid, anything else an outage.
 */
import { isJson, type AuthorityClient } from './authority-fetch.ts';
import { isJsonObject, type JsonObject, type JsonValue } from './claims.ts';
import type { OpaqueAuthority, Verdict } from './opaque-verifier.ts';
import { parseStrictJson } from './strict-json.ts';

export interface ValidationService {
  readonly url: string;
  /** RFC 6901 pointer to the claims in its answer; undefined: it tells none. */
  readonly claimsPointer: string | undefined;
  readonly timeoutMs: number;
}

const INVALID_STATUSES: ReadonlySet<number> = new Set([401, 403, 404]);
const NO_CLAIMS: JsonObject = Object.freeze(Object.create(null) as JsonObject);

export class ValidationCall implements OpaqueAuthority {
  readonly #service: ValidationService;
  readonly #client: AuthorityClient;

  constructor(service: ValidationService, client: AuthorityClient) {
    this.#service = service;
    this.#client = client;
  }

  async ask(token: string): Promise<Verdict> {
    const { url, claimsPointer, timeoutMs } = this.#service;
    const { status, contentType, body } = await this.#client.send({
      url,
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ token }),
      timeoutMs,
    });
    if (INVALID_STATUSES.has(status)) return { active: false };
    if (status < 200 || status > 299) throw new Error(`the validation service answered ${status}`);
    if (claimsPointer === undefined) return { active: true, claims: NO_CLAIMS };
    if (!isJson(contentType)) throw new Error('the validation service answered no JSON');
    const claims = resolvePointer(parseStrictJson(body), claimsPointer);
    if (!isJsonObject(claims))
      throw new Error('the answer of the validation service has no object at the claims pointer');
    return { active: true, claims };
  }
}

/** The value at a JSON pointer (RFC 6901), or undefined. */
function resolvePointer(document: JsonValue, pointer: string): JsonValue | undefined {
  let value: JsonValue | undefined = document;
  for (const part of pointer.split('/').slice(1)) {
    const name = part.replaceAll('~1', '/').replaceAll('~0', '~');
    if (Array.isArray(value))
      value = /^(?:0|[1-9][0-9]*)$/.test(name) ? (value as JsonValue[])[Number(name)] : undefined;
    else value = isJsonObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
  }
  return value;
}
