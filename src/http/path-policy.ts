/**
 * One path, one reading: refuses request targets that a gateway and an upstream could read differently, so
 * that the bytes the decision was made on are the bytes the upstream gets. Pure.
 *
 * RFC 3986 sections 2.1, 3.3 and 5.2.4; RFC 9112 section 3.2. Advisories: C10.
 */
import { BAD_PATH } from '../errors.ts';

/** Spellings that a route may allow. */
export type PathLeniency = 'encoded_slash' | 'empty_segments' | 'double_encoding';

/** A path that is not refused outright. */
export interface PathReading {
  /** What the route must allow for this path to pass. */
  readonly needs: readonly PathLeniency[];
  /**
   * What else the path may be taken for, percent-decoded once or more, slashes merged. Where one of these would
   * match another route, the path is refused. Empty for the usual path.
   */
  readonly otherReadings: readonly string[];
}

const ONE_READING: PathReading = { needs: [], otherReadings: [] };

/**
 * Reads the path of a request target.
 *
 * @param path origin-form, without the query; raw bytes as latin1.
 * @throws GatewayError BAD_PATH for dot segments in any spelling, encoded NUL or backslash, malformed
 *         percent-encoding, and bytes that no path may hold.
 */
export function readPath(path: string): PathReading {
  if (path.charCodeAt(0) !== SLASH) throw BAD_PATH;
  let plain = true;
  for (let index = 0, previous = 0; index < path.length; index++) {
    const code = path.charCodeAt(index);
    if (code <= 0x20 || code >= 0x7f || code === BACKSLASH || code === HASH) throw BAD_PATH;
    if (code === PERCENT || (previous === SLASH && (code === SLASH || code === DOT))) plain = false;
    previous = code;
  }
  return plain ? ONE_READING : readClosely(path);
}

const SLASH = 0x2f;
const DOT = 0x2e;
const PERCENT = 0x25;
const BACKSLASH = 0x5c;
const HASH = 0x23;

function readClosely(path: string): PathReading {
  if (/%(?![0-9A-Fa-f]{2})/.test(path)) throw BAD_PATH;
  const needs = new Set<PathLeniency>();
  const readings = [path];
  for (let reading = path, depth = 0; ; depth++) {
    refuseDotSegments(reading);
    if (/%2f/i.test(reading)) needs.add(depth === 0 ? 'encoded_slash' : 'double_encoding');
    const decoded = percentDecode(reading);
    if (decoded === reading) break;
    if (decoded.includes('\0') || decoded.includes('\\')) throw BAD_PATH;
    readings.push(decoded);
    reading = decoded;
  }
  if (path.includes('//')) needs.add('empty_segments');
  const all = new Set(readings.flatMap((reading) => [reading, reading.replace(/\/{2,}/g, '/')]));
  all.delete(path);
  return { needs: [...needs], otherReadings: [...all] };
}

/** `.`, `..`, and both with a path parameter, which some servers cut off first (`/..;/`). */
function refuseDotSegments(reading: string): void {
  if (/(?:^|\/)\.{1,2}(?:;[^/]*)?(?:\/|$)/.test(reading)) throw BAD_PATH;
}

/** Decodes each `%XX` once, byte by byte. */
function percentDecode(text: string): string {
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

/** Percent-decodes until nothing changes: the last of the readings of a path. */
export function fullyDecoded(path: string): string {
  const decoded = percentDecode(path);
  return decoded === path ? path : fullyDecoded(decoded);
}
