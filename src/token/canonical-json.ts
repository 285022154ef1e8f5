/**
 * One spelling of a JSON value, whatever order, escapes and white space it was written with: the JSON Canonicalization Scheme
 * (RFC 8785). What is hashed in this form may be encoded again on its way, by a log shipper for example. Pure.
 */
import { RawNumber, type JsonObject, type JsonValue } from './strict-json.ts';

/** @param value well-formed, as parseStrictJson returns it */
export function canonicalJson(value: JsonValue): string {
  // A number beyond the range of a double has no form in RFC 8785: its digits are kept, so that it equals no other.
  if (value instanceof RawNumber)
    return Number.isFinite(value.value) ? JSON.stringify(value.value) : value.source;
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = value as JsonObject;
  // By UTF-16 code units, as RFC 8785 section 3.2.3 has it.
  const names = Object.keys(members).toSorted();
  const texts = names.map((name) => `${JSON.stringify(name)}:${canonicalJson(members[name] ?? null)}`);
  return `{${texts.join(',')}}`;
}
