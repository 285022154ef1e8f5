/**
 * The ways in which a server may read a path. Servers decode percent-encoding once, twice or never, cut `;` parameters
 * off or keep them, merge slashes or keep them, and some split the query off after decoding. Each order of these steps
 * is a reading; the plainest ones, which no step changes, tell whose path it is. Pure.
 *
 * RFC 3986 sections 2.1, 3.3 and 3.4. Advisories: C10, C26.
 */

/** A path with more readings than this is an attack on the reader. */
const MOST_READINGS = 64;

const STEPS: readonly ((reading: string) => string)[] = [
  percentDecoded,
  withoutParameters,
  withMergedSlashes,
  withoutQuery,
];

/**
 * Every reading, the path itself first.
 *
 * @param path origin-form, without the query; raw bytes as latin1
 * @returns undefined if there are too many
 */
export function readingsOf(path: string): ReadonlySet<string> | undefined {
  const readings = new Set([path]);
  // The loop also visits what it adds.
  for (const reading of readings) {
    for (const step of STEPS) readings.add(step(reading));
    if (readings.size > MOST_READINGS) return undefined;
  }
  return readings;
}

/** Does no step change it? */
export function isPlainest(reading: string): boolean {
  return STEPS.every((step) => step(reading) === reading);
}

/** The plainest reading of a route's own path: decoded first, then without parameters. */
export function plainestOf(path: string): string {
  const decoded = percentDecoded(path);
  return decoded === path ? withMergedSlashes(withoutParameters(withoutQuery(path))) : plainestOf(decoded);
}

/** Decodes each `%XX` once, byte by byte. */
export function percentDecoded(text: string): string {
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

function withoutParameters(reading: string): string {
  return reading.replace(/;[^/]*/g, '');
}

function withMergedSlashes(reading: string): string {
  return reading.replace(/\/{2,}/g, '/');
}

/** Only a decoded reading contains `?` or `#`. */
function withoutQuery(reading: string): string {
  return reading.replace(/[?#][^]*$/, '');
}
