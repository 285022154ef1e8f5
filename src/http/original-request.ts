/**
 * The request that another proxy asks about, put together from the one source that the dialect names. Whatever a
 * client may have written elsewhere is not looked at. Pure. CONTRACT.md section 8. Rules C3, C10.
 */
import { UNCLEAR_ORIGINAL } from '../errors.ts';
import { singleHeader, type RawHead } from './request-head.ts';

/**
 * Where the original request stands. `forwarded`: X-Forwarded-Method, -Proto, -Host and -Uri (Traefik, Caddy);
 * `original`: X-Original-Method, X-Original-URI and Host (nginx); `request`: the request itself (Envoy).
 */
export const DIALECTS = ['forwarded', 'original', 'request'] as const;
export type Dialect = (typeof DIALECTS)[number];

/** The headers that belong to each. */
const SOURCES: Readonly<Record<Dialect, readonly string[]>> = {
  forwarded: ['x-forwarded-method', 'x-forwarded-proto', 'x-forwarded-host', 'x-forwarded-uri'],
  original: ['x-original-method', 'x-original-uri'],
  request: [],
};

/** RFC 9110 section 9.1 */
const METHOD = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/;

/**
 * @param asking the request of the other proxy, as it came
 * @throws GatewayError 400 UNCLEAR_ORIGINAL where a part is missing, repeated or impossible
 */
export function originalRequest(asking: RawHead, dialect: Dialect): RawHead {
  switch (dialect) {
    case 'forwarded': {
      const scheme = part(asking, 'x-forwarded-proto');
      if (scheme !== 'http' && scheme !== 'https') throw UNCLEAR_ORIGINAL;
      return {
        ...asking,
        ...lineOf(asking, 'x-forwarded-method', 'x-forwarded-uri'),
        scheme,
        rawHeaders: withHost(asking.rawHeaders, part(asking, 'x-forwarded-host')),
      };
    }
    case 'original':
      return { ...asking, ...lineOf(asking, 'x-original-method', 'x-original-uri') };
    case 'request':
      return asking;
  }
}

/** Does the request name an original at all? */
export function namesOriginal(asking: RawHead, dialect: Dialect): boolean {
  const source = SOURCES[dialect];
  return (
    dialect === 'request' ||
    asking.rawHeaders.some((name, index) => index % 2 === 0 && source.includes(name.toLowerCase()))
  );
}

function lineOf(
  asking: RawHead,
  methodHeader: string,
  uriHeader: string,
): { method: string; target: string } {
  const method = part(asking, methodHeader);
  const target = part(asking, uriHeader);
  if (!METHOD.test(method) || !target.startsWith('/')) throw UNCLEAR_ORIGINAL;
  return { method, target };
}

function part(asking: RawHead, name: string): string {
  const value = singleHeader(asking, name);
  if (value === undefined || value === '') throw UNCLEAR_ORIGINAL;
  return value;
}

/** The Host of the asking request is our own; the client's stands elsewhere. */
function withHost(rawHeaders: readonly string[], host: string): string[] {
  const headers = ['Host', host];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? '';
    if (name.toLowerCase() !== 'host') headers.push(name, rawHeaders[index + 1] ?? '');
  }
  return headers;
}
