/**
 * A claim as revocations name it: by its text, or by that of one of its elements, like a claim rule of a route. Pure.
 * Rules V4, V16.
 */
import { encodeClaim } from './encode-claim.ts';
import type { JsonValue } from './claims.ts';
import { RawNumber } from './strict-json.ts';

/** A claim with more elements cannot be looked through on every request. */
const MAX_ELEMENTS = 256;

/**
 * The texts under which a claim can be revoked: a string, number or boolean its own; an array those of its elements. What
 * is empty, null or an object names nothing, and no part of a string does.
 *
 * @returns undefined where there are more than may be looked through
 */
export function claimTexts(claim: JsonValue | undefined): readonly string[] | undefined {
  if (!isArray(claim)) return textsOf(claim);
  return claim.length > MAX_ELEMENTS ? undefined : [...new Set(claim.flatMap(textsOf))];
}

/** The text of one value, as an entry has it: a number as it is usually written. Undefined where it names nothing. */
export function claimText(value: JsonValue | undefined): string | undefined {
  return textsOf(value).at(-1);
}

/** A number by its digits, and last as it is usually written: 1.0 is 1, too, and 1.50 is 1.5. */
function textsOf(value: JsonValue | undefined): readonly string[] {
  if (value instanceof RawNumber) {
    const usual = Math.abs(value.value) <= Number.MAX_SAFE_INTEGER ? [String(value.value)] : [];
    return [value.source, ...usual];
  }
  if (typeof value === 'object' || value === '') return [];
  const text = encodeClaim(value);
  return text === undefined ? [] : [text];
}

function isArray(value: JsonValue | undefined): value is readonly JsonValue[] {
  return Array.isArray(value);
}
