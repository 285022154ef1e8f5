/**
 * Reads Sallyport's identity headers in a Node service: `import { identityText } from 'sallyport/identity'`.
 *
 * Trusts that nobody but the gateway can reach the service; that is the service's network to see to. Pure, and
 * imports nothing. The contract is in docs/identity.md.
 */

/** A header as Node has it: `request.headers['x-user-id']`, or `headers.get('X-User-Id')`. */
export type HeaderValue = string | readonly string[] | null | undefined;

/**
 * The texts of a claim: one of a string, a number or a boolean, one for each member of a list.
 *
 * @returns undefined where there is no header: nobody, or a token without the claim
 * @throws TypeError where the header is none that the gateway writes, such as one that came twice
 */
export function identityTexts(header: HeaderValue): string[] | undefined {
  const value = single(header);
  return value?.split(',').map((part) => {
    // The gateway encodes spaces at the edges: these come of two headers that were joined.
    if (part !== part.trim()) throw notOurs();
    try {
      return decodeURIComponent(part);
    } catch {
      throw notOurs();
    }
  });
}

/**
 * The text of a claim that has one: a user, a client, a tenant.
 *
 * @returns undefined where there is no header
 * @throws TypeError where the claim is a list, or the header none that the gateway writes
 */
export function identityText(header: HeaderValue): string | undefined {
  const texts = identityTexts(header);
  if (texts === undefined) return undefined;
  const [text, second] = texts;
  if (text === undefined || second !== undefined)
    throw new TypeError('the claim is a list; read it with identityTexts');
  return text;
}

/**
 * A claim that is an object, or a list with objects in it: it travels as base64url of its JSON.
 *
 * @returns undefined where there is no header
 * @throws TypeError where the header holds no such thing
 */
export function identityJson(header: HeaderValue): unknown {
  const value = single(header);
  if (value === undefined) return undefined;
  if (!/^[A-Za-z0-9_-]+$/.test(value)) throw notOurs();
  try {
    return JSON.parse(Buffer.from(value, 'base64url').toString('utf8')) as unknown;
  } catch {
    throw notOurs();
  }
}

function single(header: HeaderValue): string | undefined {
  if (header === undefined || header === null) return undefined;
  if (typeof header === 'string') return header;
  const [value, second] = header;
  if (second !== undefined) throw notOurs();
  return value;
}

function notOurs(): TypeError {
  return new TypeError('this is no identity header as the gateway writes it');
}
