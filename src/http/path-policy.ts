/**
 * One path, one reading: refuses request targets that a gateway and an upstream could read differently, so
 * that the bytes the decision was made on are the bytes the upstream gets. Pure.
 *
 * RFC 3986 sections 2.1, 3.3 and 5.2.4; RFC 9112 section 3.2; RFC 3629 section 10. Advisories: C10, C25, C26.
 */
import { BAD_PATH } from '../errors.ts';
import { isPlainest, percentDecoded, plainestOf, readingsOf } from './path-readings.ts';

/** Spellings that a route may allow. */
export type PathLeniency = 'encoded_slash' | 'empty_segments' | 'double_encoding';

/** A path that is not refused outright. */
export interface PathReading {
  /** What the route must allow for this path to pass. */
  readonly needs: readonly PathLeniency[];
  /**
   * Other paths that a server may take this one for: percent-decoded, without `;` parameters, slashes merged. If one
   * of them would match another route, the path is refused. Empty for the usual path.
   */
  readonly otherReadings: readonly string[];
}

/** Does every server take it for the same path? No spelling of it is then left to choose. */
export function hasOneReading(path: string): boolean {
  try {
    return readPath(path).needs.length === 0 && plainestOf(path) === path;
  } catch {
    return false;
  }
}

const ONE_READING: PathReading = { needs: [], otherReadings: [] };

/**
 * Reads the path of a request target.
 *
 * @param path origin-form, without the query; raw bytes as latin1.
 * @throws GatewayError BAD_PATH for dot segments in any spelling, encoded NUL or backslash, overlong
 *         UTF-8, malformed percent-encoding, and bytes that no path may hold.
 */
export function readPath(path: string): PathReading {
  if (path.charCodeAt(0) !== SLASH) throw BAD_PATH;
  let plain = true;
  for (let index = 0, previous = 0; index < path.length; index++) {
    const code = path.charCodeAt(index);
    if (code <= 0x20 || code >= 0x7f || code === BACKSLASH || code === HASH) throw BAD_PATH;
    if (code === PERCENT || code === SEMICOLON || (previous === SLASH && (code === SLASH || code === DOT)))
      plain = false;
    previous = code;
  }
  return plain ? ONE_READING : readClosely(path);
}

const SLASH = 0x2f;
const DOT = 0x2e;
const PERCENT = 0x25;
const SEMICOLON = 0x3b;
const BACKSLASH = 0x5c;
const HASH = 0x23;

/** UTF-8 in more bytes than it needs: some decoders make `.`, `/`, `\\` or NUL of it (RFC 3629 section 3). */
const OVERLONG =
  /[\xc0\xc1][\x80-\xbf]|\xe0[\x80-\x9f][\x80-\xbf]|\xf0[\x80-\x8f][\x80-\xbf]{2}|\xf8[\x80-\x87][\x80-\xbf]{3}|\xfc[\x80-\x83][\x80-\xbf]{4}/;

function readClosely(path: string): PathReading {
  if (/%(?![0-9A-Fa-f]{2})/.test(path)) throw BAD_PATH;
  const readings = readingsOf(path);
  if (!readings) throw BAD_PATH;
  for (const reading of readings) {
    refuseDotSegments(reading);
    if (reading.includes('\0') || reading.includes('\\') || OVERLONG.test(reading)) throw BAD_PATH;
  }
  return {
    needs: needsOf(path),
    otherReadings: [...readings].filter((reading) => reading !== path && isPlainest(reading)),
  };
}

function needsOf(path: string): PathLeniency[] {
  const needs = new Set<PathLeniency>();
  if (/%2f/i.test(path)) needs.add('encoded_slash');
  if (path.includes('//')) needs.add('empty_segments');
  for (let reading = path, next = percentDecoded(path); next !== reading; next = percentDecoded(reading)) {
    reading = next;
    if (/%2f/i.test(reading)) needs.add('double_encoding');
  }
  return [...needs];
}

/** `.`, `..`, and both with a path parameter, which some servers cut off first (`/..;/`). */
function refuseDotSegments(reading: string): void {
  if (/(?:^|\/)\.{1,2}(?:;[^/]*)?(?:\/|$)/.test(reading)) throw BAD_PATH;
}
