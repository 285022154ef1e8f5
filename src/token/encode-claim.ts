/**
 * A claim as one line of printable ASCII: as identity headers carry it, and as revocations name it. Split on `,`,
 * `decodeURIComponent` each, and you have the claim's text. Pure. Rule J15.
 */
import type { JsonValue } from './claims.ts';
import { RawNumber, toJson } from './strict-json.ts';

/** Undefined where there is nothing to say: an absent claim, null and `[]`. */
export function encodeClaim(claim: JsonValue | undefined): string | undefined {
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
export function encodeText(text: string): string {
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
