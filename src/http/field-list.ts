/**
 * Header fields as a flat list: names and values in turn, in the order and spelling in which they came or go out. One
 * list costs one allocation, and it keeps repeated fields. Pure.
 *
 * Functions take names in lower case and find every spelling (RFC 9110 section 5.1).
 */
export type FieldList = readonly string[];

/** The place of the first field with this name at or after `from`; -1 if there is none. */
function placeOf(fields: FieldList, name: string, from: number): number {
  for (let at = from; at < fields.length; at += 2) {
    const candidate = fields[at] ?? '';
    // Most names differ in length: they need no lower-casing.
    if (candidate.length === name.length && candidate.toLowerCase() === name) return at;
  }
  return -1;
}

export function hasField(fields: FieldList, name: string): boolean {
  return placeOf(fields, name, 0) >= 0;
}

/** The value of the first field with this name; undefined if there is none. */
export function fieldValue(fields: FieldList, name: string): string | undefined {
  const at = placeOf(fields, name, 0);
  return at < 0 ? undefined : (fields[at + 1] ?? '');
}

/** The value of the only field with this name; undefined if there is none or more than one. */
export function onlyFieldValue(fields: FieldList, name: string): string | undefined {
  const at = placeOf(fields, name, 0);
  return at < 0 || placeOf(fields, name, at + 2) >= 0 ? undefined : (fields[at + 1] ?? '');
}

/** The values of all fields with this name. */
export function fieldValues(fields: FieldList, name: string): string[] {
  const values: string[] = [];
  for (let at = placeOf(fields, name, 0); at >= 0; at = placeOf(fields, name, at + 2))
    values.push(fields[at + 1] ?? '');
  return values;
}

/** The fields with other names than these. Without names it is the same list. */
export function withoutFields(fields: FieldList, names: readonly string[]): FieldList {
  if (names.length === 0) return fields;
  const kept: string[] = [];
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at] ?? '';
    if (!names.includes(name.toLowerCase())) kept.push(name, fields[at + 1] ?? '');
  }
  return kept;
}

export function fieldPairs(fields: FieldList): [name: string, value: string][] {
  const pairs: [string, string][] = [];
  for (let at = 0; at < fields.length; at += 2) pairs.push([fields[at] ?? '', fields[at + 1] ?? '']);
  return pairs;
}

/** The fields as HTTP/1.1 sends them (RFC 9112 section 5): a line for each, with its CRLF. */
export function fieldLines(fields: FieldList): string {
  let lines = '';
  for (let at = 0; at < fields.length; at += 2) lines += `${fields[at]}: ${fields[at + 1]}\r\n`;
  return lines;
}
