/**
 * Reads Sallyport's identity headers in a Node service: `import { readIdentity, identityText } from 'sallyport/identity'`, or
 * from this package alone, which has no dependency. Runs on Node 20, 22, 24 and later.
 *
 * Trusts that only the gateway can reach the service; the service's network has to ensure that. A claim of another type
 * than the service reads is a refusal, and must not end the service: read within `readIdentity`. Pure, and imports
 * nothing. The contract is in docs/identity.md.
 *
 * @example
 * const caller = readIdentity(() => ({ user: identityText(request.headers['x-user-id']) }));
 * if (!caller?.user) return response.writeHead(401).end();
 */

/** A header as Node has it: `request.headers['x-user-id']`, or `headers.get('X-User-Id')`. */
export type HeaderValue = string | readonly string[] | null | undefined;

/**
 * The header does not hold what the service reads: a claim of another type, or nothing that the gateway writes. Refuse
 * the request. Express, Koa and Fastify do so by themselves for an error with a status.
 */
export class IdentityRefused extends TypeError {
  override readonly name = 'IdentityRefused';
  readonly status = 403;
  readonly statusCode = 403;
}

/**
 * What `read` returns.
 *
 * @param read reads one or more identity headers; it is called once, at once
 * @returns undefined where one of them is refused: respond with 401 or 403, as for a request without a caller
 * @throws what `read` throws, other than IdentityRefused
 */
export function readIdentity<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof IdentityRefused) return undefined;
    throw error;
  }
}

/**
 * The texts of a claim: one of a string, a number or a boolean, one for each member of a list.
 *
 * @returns undefined where there is no header: no caller, or a token without the claim
 * @throws IdentityRefused where the header is none that the gateway writes, such as one that came twice
 */
export function identityTexts(header: HeaderValue): string[] | undefined {
  const value = single(header);
  return value?.split(',').map((part) => {
    // The gateway encodes spaces at the edges: these are from two headers that were joined.
    if (part !== part.trim()) throw refused();
    return decoded(part);
  });
}

/**
 * The text of a claim that has one: a user, a client, a tenant.
 *
 * @returns undefined where there is no header
 * @throws IdentityRefused where the claim is a list, or the header none that the gateway writes
 */
export function identityText(header: HeaderValue): string | undefined {
  const texts = identityTexts(header);
  if (texts === undefined) return undefined;
  const [text, second] = texts;
  if (text === undefined || second !== undefined)
    throw new IdentityRefused('the claim is a list; read it with identityTexts');
  return text;
}

/**
 * The scopes of the token: `X-Scopes`, or another header that is configured as `$scopes`.
 *
 * @returns an empty list where there is no header
 * @throws IdentityRefused where the header is none that the gateway writes, such as one that came twice
 */
export function identityScopes(header: HeaderValue): string[] {
  const value = single(header);
  if (value === undefined || value === '') return [];
  return value.split(' ').map((scope) => {
    // The gateway encodes commas, and writes one space between two scopes: all else is from headers that were joined.
    if (scope === '' || scope.includes(',')) throw refused();
    return decoded(scope);
  });
}

/**
 * A claim that is an object, or a list with objects in it: it travels as base64url of its JSON.
 *
 * @returns undefined where there is no header, or an empty one (of a decision listener)
 * @throws IdentityRefused where the header holds no such thing: a text, a number, a list of texts
 */
export function identityJson(header: HeaderValue): object | undefined {
  const value = single(header);
  if (value === undefined || value === '') return undefined;
  const json = /^[A-Za-z0-9_-]+$/.test(value) ? parsed(value) : undefined;
  // Nothing else travels in this form: what reads as such is a text that happens to look like it.
  if (!isObject(json) || (Array.isArray(json) && !json.some(isObject))) throw refused();
  return json;
}

/**
 * A claim that is an object.
 *
 * @returns undefined where there is no header, or an empty one (of a decision listener)
 * @throws IdentityRefused where the header holds anything else, a list too
 */
export function identityObject(header: HeaderValue): Readonly<Record<string, unknown>> | undefined {
  const json = identityJson(header);
  if (Array.isArray(json)) throw new IdentityRefused('the claim is a list; read it with identityJson');
  return json as Readonly<Record<string, unknown>> | undefined;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw refused();
  }
}

function parsed(base64url: string): unknown {
  try {
    return JSON.parse(Buffer.from(base64url, 'base64url').toString('utf8'));
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function single(header: HeaderValue): string | undefined {
  if (header === undefined || header === null) return undefined;
  if (typeof header === 'string') return header;
  const [value, second] = header;
  if (second !== undefined) throw refused();
  return value;
}

function refused(): IdentityRefused {
  return new IdentityRefused('the identity header holds no claim of this type');
}
