/**
 * Paths with variables, such as `/tenants/{tenant}/orders`. A variable stands for one whole segment that is not empty. It is
 * read from the bytes of the request's path as they came, which are the bytes that the upstream gets. Pure.
 *
 * RFC 3986 sections 2.1, 2.3 and 3.3. Rule C10.
 */
import { percentDecoded } from './path-readings.ts';

export type TemplateSegment = { readonly literal: string } | { readonly variable: string };

export interface PathTemplate {
  readonly segments: readonly TemplateSegment[];
  /** Which of the segments are variables, counted from 0. */
  readonly variables: readonly number[];
}

const VARIABLE = /^\{([A-Za-z_][A-Za-z0-9_-]{0,63})\}$/;

/**
 * What is between the slashes of a path; one empty segment for `/`.
 *
 * @param most how many are looked at, the first ones
 */
export function segmentsOf(path: string, most?: number): string[] {
  return path.slice(1).split('/', most);
}

/** The name of the variable that a segment is; undefined for a literal segment. */
export function variableIn(segment: string): string | undefined {
  return VARIABLE.exec(segment)?.[1];
}

/**
 * @param path of a route; the configuration has checked it
 * @returns undefined for a path without variables
 */
export function templateOf(path: string): PathTemplate | undefined {
  const segments = segmentsOf(path).map((literal): TemplateSegment => {
    const variable = variableIn(literal);
    return variable === undefined ? { literal } : { variable };
  });
  const variables = [...segments.keys()].filter((index) => 'variable' in (segments[index] ?? {}));
  return variables.length === 0 ? undefined : { segments, variables };
}

/** The position of a variable among the segments. */
export function variableAt({ segments }: PathTemplate, name: string): number | undefined {
  const index = segments.findIndex((segment) => 'variable' in segment && segment.variable === name);
  return index < 0 ? undefined : index;
}

/** One segment of a path as it stands, counted from 0; empty where there is none. */
export function segmentAt(path: string, index: number): string {
  let start = 1;
  for (let before = 0; before < index; before++) {
    const slash = path.indexOf('/', start);
    if (slash < 0) return '';
    start = slash + 1;
  }
  const end = path.indexOf('/', start);
  return end < 0 ? path.slice(start) : path.slice(start, end);
}

const UNRESERVED = /^[A-Za-z0-9._~-]+$/;

/**
 * Is a raw segment this text, percent-encoded once? Unreserved bytes stand for themselves, every other byte of the text's
 * UTF-8 is `%XX` with capitals: one text has one spelling.
 */
export function isSegmentOf(segment: string, text: string): boolean {
  if (segment === text) return UNRESERVED.test(text);
  return segment.includes('%') && text.isWellFormed() && segment === encodedOnce(text);
}

function encodedOnce(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/**
 * Does every reading of a path have the same variables, each decoded once? A server that decodes twice, cuts `;` parameters
 * off or splits the query off late could otherwise serve another tenant than the one that was compared.
 */
export function hasOneReading(
  { variables }: PathTemplate,
  path: string,
  otherReadings: readonly string[],
): boolean {
  if (path.includes(';')) return false;
  return otherReadings.every((reading) =>
    variables.every((index) => segmentAt(reading, index) === percentDecoded(segmentAt(path, index))),
  );
}
