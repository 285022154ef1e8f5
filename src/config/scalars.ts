/**
 * The scalar types of the configuration: durations, sizes, names, URLs and header names.
 * Each parses to the number or the text that the code works with. Pure.
 */
import { isIP } from 'node:net';
import { z } from 'zod';

const DURATION_UNITS_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const SIZE_UNITS_BYTES = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const;

/** A duration such as `500ms`, `30s`, `5m`, `24h` or `30d`; parses to milliseconds. */
export const duration = z
  .string('must be a duration such as 500ms, 30s, 5m or 24h')
  .regex(/^\d{1,9}(ms|s|m|h|d)$/, 'must be a duration such as 500ms, 30s, 5m or 24h')
  .transform((text) => {
    const [, amount, unit] = /^(\d+)(.+)$/.exec(text) as unknown as [
      string,
      string,
      keyof typeof DURATION_UNITS_MS,
    ];
    return Number(amount) * DURATION_UNITS_MS[unit];
  });

/** A duration of at least one millisecond, for timers that must not spin. */
export const positiveDuration = duration.refine((ms) => ms > 0, 'must be longer than 0');

const SIZE_HINT = 'must be a size such as 64KiB or 8MiB (or 0 for no limit)';
/** A size such as `512B`, `64KiB` or `8MiB`; the plain number 0 stands for "no limit". Parses to bytes. */
export const size = z
  .union([z.literal(0), z.string().regex(/^\d{1,9}(B|KiB|MiB|GiB)$/, SIZE_HINT)], SIZE_HINT)
  .transform((value) => {
    if (value === 0) return 0;
    const [, amount, unit] = /^(\d+)(.+)$/.exec(value) as unknown as [
      string,
      string,
      keyof typeof SIZE_UNITS_BYTES,
    ];
    return Number(amount) * SIZE_UNITS_BYTES[unit];
  });

export const positiveSize = size.refine((bytes) => bytes > 0, 'must be larger than 0');

/** Names that end up as metric labels and in logs. */
export const name = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
    'must be 1 to 64 of A-Z a-z 0-9 . _ - and begin with a letter or digit',
  );

export const port = z.int('must be a port number, 0 to 65535').min(0).max(65_535);
export const count = z.int('must be a whole number, 0 or more').min(0);
export const positiveCount = z.int('must be a whole number, 1 or more').min(1);

/** A field name as RFC 9110 section 5.1 has it. */
export const headerName = z
  .string()
  .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/, 'must be a header name (RFC 9110 section 5.1)');

export const httpUrl = z.string().refine(isHttpUrl, {
  error: 'must be an absolute http:// or https:// URL without credentials or fragment',
  // What is asked of a URL beyond that can rely on its being one.
  abort: true,
});

function isHttpUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const url = new URL(text);
  return (
    (url.protocol === 'http:' || url.protocol === 'https:') &&
    url.username === '' &&
    url.password === '' &&
    url.hash === ''
  );
}

export const text = z.string().min(1, 'must not be empty');

const MACHINE_NAME = /^[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?\.?$/;

/** What a socket binds to: an IP address without brackets and port, or a name that the system has an address for. */
export const bindAddress = z
  .string()
  .min(1, { error: 'must not be empty', abort: true })
  .refine(
    (host) => isIP(host) !== 0 || MACHINE_NAME.test(host),
    'must be an IP address of this machine without brackets and port, such as 127.0.0.1 or "::1" (0.0.0.0 or "::" for all of them); change it',
  );

export const routePath = z
  .string()
  .regex(
    /^\/[!-"$-.0-;=@-[\]-~/]*$/,
    'must begin with / and be written as in a request line: no query, fragment, backslash or space',
  );

export const whenStale = z.enum(['deny', 'allow'], 'must be deny or allow');

/** Header name to where its value comes from; null takes a header out. */
export const identityHeaders = z.record(
  headerName,
  z.union([text, z.array(text).min(1)], 'must be a claim path, a list of them, or null').nullable(),
);
