/**
 * Asks a validation service that is not RFC 7662. By default: POST {"token": "..."}; 2xx means valid, 401, 403
 * and 404 invalid, anything else nothing that would make this token good or bad.
 */
import { isAnyJson } from '../http/media-type.ts';
import {
  type AuthorizationServerResponse,
  type AuthorizationServerClient,
} from './authorization-server-client.ts';
import { refuseBusy, type TokenStatusSource, type Verdict } from './authorization-server-guard.ts';
import { isJsonObject, type JsonObject, type JsonValue } from './claims.ts';
import { parseStrictJson } from './strict-json.ts';

/** Which statuses: a number, or a class such as `2xx`. */
export type StatusPattern = number | string;

export interface ValidationService {
  readonly url: string;
  readonly method: 'GET' | 'POST';
  /** Where the token goes: a member of a JSON object, a form field, or a header. */
  readonly send: {
    readonly in: 'json' | 'form' | 'header';
    readonly name: string;
    /** `{token}` stands for the token. */
    readonly value: string;
  };
  /** What else the service wants to have, such as a key of its own. */
  readonly headers: Readonly<Record<string, string>>;
  readonly validStatuses: readonly StatusPattern[];
  readonly invalidStatuses: readonly StatusPattern[];
  /** RFC 6901 pointer to a boolean that has the last word about a valid status. */
  readonly activePointer: string | undefined;
  /** RFC 6901 pointer to an object with the claims. */
  readonly claimsPointer: string | undefined;
  /** Claim name to the RFC 6901 pointer of its value; they go before what is in the object. */
  readonly claimPointers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
}

const NO_CLAIMS: JsonObject = Object.freeze(Object.create(null) as JsonObject);

export class ValidationClient implements TokenStatusSource {
  readonly #service: ValidationService;
  readonly #client: AuthorizationServerClient;

  constructor(service: ValidationService, client: AuthorizationServerClient) {
    this.#service = service;
    this.#client = client;
  }

  async ask(token: string): Promise<Verdict> {
    const { url, method, headers, validStatuses, invalidStatuses, timeoutMs } = this.#service;
    const carried = this.#carry(token);
    const response = await this.#client.send({
      url,
      method,
      headers: { ...headers, ...carried.headers },
      ...(carried.body !== undefined && { body: carried.body }),
      timeoutMs,
    });
    if (isOneOf(response.status, invalidStatuses)) return { active: false };
    if (!isOneOf(response.status, validStatuses)) {
      refuseBusy(response);
      throw new Error(`the validation service answered ${response.status}`);
    }
    return this.#readResponse(response);
  }

  #carry(token: string): { headers: Record<string, string>; body?: string } {
    const { in: place, name, value } = this.#service.send;
    // A function: in a replacement string "$&" and its like would be read as patterns.
    const text = value.replace('{token}', () => token);
    switch (place) {
      case 'header':
        return { headers: { [name]: text } };
      case 'form':
        return {
          headers: { 'content-type': 'application/x-www-form-urlencoded' },
          body: new URLSearchParams({ [name]: text }).toString(),
        };
      case 'json':
        return { headers: { 'content-type': 'application/json' }, body: JSON.stringify({ [name]: text }) };
    }
  }

  #readResponse({ contentType, body }: AuthorizationServerResponse): Verdict {
    const { activePointer, claimsPointer, claimPointers } = this.#service;
    const pointers = Object.entries(claimPointers);
    if (activePointer === undefined && claimsPointer === undefined && pointers.length === 0)
      return { active: true, claims: NO_CLAIMS };
    if (!isAnyJson(contentType)) throw new Error('the validation service answered no JSON');
    const document = parseStrictJson(body);
    if (activePointer !== undefined) {
      const active = resolvePointer(document, activePointer);
      if (typeof active !== 'boolean')
        throw new Error('the answer of the validation service has no boolean at the active pointer');
      if (!active) return { active: false };
    }
    const claims = claimsPointer === undefined ? NO_CLAIMS : resolvePointer(document, claimsPointer);
    if (!isJsonObject(claims))
      throw new Error('the answer of the validation service has no object at the claims pointer');
    const named = pointers.flatMap(([name, pointer]): [string, JsonValue][] => {
      const value = resolvePointer(document, pointer);
      return value === undefined ? [] : [[name, value]];
    });
    return {
      active: true,
      claims: named.length === 0 ? claims : { ...claims, ...Object.fromEntries(named) },
    };
  }
}

function isOneOf(status: number, patterns: readonly StatusPattern[]): boolean {
  return patterns.some((pattern) => pattern === status || pattern === `${Math.floor(status / 100)}xx`);
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
