/**
 * Who is calling, as headers: the contract with service authors. Split on `,`, `decodeURIComponent` each,
 * and you have the claim's text. Pure. Rules C1, C2, J15.
 */
import type { ClaimPath, JsonValue } from '../token/claims.ts';
import { claimAt } from '../token/claims.ts';
import { RawNumber, toJson } from '../token/strict-json.ts';
import { headerAlias } from './header-names.ts';

/** One configured identity header. */
export interface IdentityHeader {
  readonly name: string;
  readonly claim: ClaimPath;
}

const RESERVED = new Set([
  'host',
  'cache-control',
  'transfer-encoding',
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authorization',
  'proxy-authenticate',
  'te',
  'trailer',
  'upgrade',
  'expect',
  'via',
  'dpop',
  'authorization',
  'cookie',
  'traceparent',
  'tracestate',
  'forwarded',
  'x-request-id',
  'x-real-ip',
]);

/** Names that HTTP or the gateway itself uses: no claim may take them, in any spelling. */
export function isReservedHeader(name: string): boolean {
  const alias = headerAlias(name);
  return RESERVED.has(alias) || /^(?:x-forwarded-|x-original-|content-|sec-)/.test(alias);
}

/**
 * The identity headers of a token, names and values in turn; a claim that is absent, null or `[]` gives none.
 *
 * @returns undefined where all of them together are larger than `maxBytes`
 */
export function identityHeaders(
  headers: readonly IdentityHeader[],
  claims: JsonValue,
  maxBytes: number,
): readonly string[] | undefined {
  const rendered: string[] = [];
  let bytes = 0;
  for (const { name, claim } of headers) {
    const value = identityValue(claimAt(claims, claim));
    if (value === undefined) continue;
    bytes += name.length + value.length + 4;
    if (bytes > maxBytes) return undefined;
    rendered.push(name, value);
  }
  return rendered;
}

/** A claim as header text, or undefined for "no header". */
export function identityValue(claim: JsonValue | undefined): string | undefined {
  if (claim === undefined || claim === null) return undefined;
  if (!Array.isArray(claim)) return scalar(claim) ?? base64urlJson(claim);
  if (claim.length === 0) return undefined;
  const texts = claim.map(scalar);
  return texts.every((text) => text !== undefined) ? texts.join(',') : base64urlJson(claim);
}

/** The text of anything but an object or an array, encoded; null within an array reads as empty. */
function scalar(value: JsonValue): string | undefined {
  if (value === null) return '';
  if (value instanceof RawNumber) return value.source;
  if (typeof value === 'object') return undefined;
  return encodeText(String(value));
}

/**
 * Percent-encodes, as UTF-8, everything that a header cannot carry or a reader would take for structure: `%`,
 * `,`, spaces at the edges (parsers trim them) and every byte outside printable ASCII.
 */
function encodeText(text: string): string {
  if (/^[!-$&-+\--~](?:[ -$&-+\--~]*[!-$&-+\--~])?$/.test(text)) return text;
  return text.replace(/^ +| +$|[^ -$&-+\--~]/gu, (part) =>
    [...Buffer.from(part, 'utf8')]
      .map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`)
      .join(''),
  );
}

function base64urlJson(value: JsonValue): string {
  return Buffer.from(toJson(value), 'utf8').toString('base64url');
}
