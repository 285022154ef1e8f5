/**
 * The request that another proxy asks about, read from the one source that the dialect names. Anything that a client may
 * have written elsewhere is ignored. Pure. docs/forward-auth.md. Rules C3, C10.
 */
import { UNCLEAR_ORIGINAL } from '../errors.ts';
import { hasField, withoutFields, type FieldList } from './field-list.ts';
import { forwardedScheme } from './forwarded-headers.ts';
import { singleHeader, type RawHead } from './request-head.ts';

/**
 * Where the original request stands. `forwarded`: X-Forwarded-Method, -Proto, -Host and -Uri (Traefik, Caddy);
 * `original`: X-Original-Method, X-Original-URI and Host (nginx); `original_url`: X-Original-Method and X-Original-URL,
 * which is whole (ingress-nginx); `request`: the request itself (Envoy).
 */
export const HTTP_DIALECTS = ['forwarded', 'original', 'original_url', 'request'] as const;
export type HttpDialect = (typeof HTTP_DIALECTS)[number];
/** `ext_authz`: a message of gRPC (Envoy), which check-request.ts reads. */
export const DIALECTS = [...HTTP_DIALECTS, 'ext_authz'] as const;
export type Dialect = (typeof DIALECTS)[number];

/** The headers that belong to each. */
const SOURCES: Readonly<Record<HttpDialect, readonly string[]>> = {
  forwarded: ['x-forwarded-method', 'x-forwarded-proto', 'x-forwarded-host', 'x-forwarded-uri'],
  original: ['x-original-method', 'x-original-uri'],
  original_url: ['x-original-method', 'x-original-url'],
  request: [],
};

/** RFC 9110 section 9.1 */
export const METHOD = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/;
/** Scheme, authority, path and query. No userinfo, no fragment and no backslash: readers differ on where these end. */
const ORIGINAL_URL = /^([a-z]{2,5}):\/\/([^/?#\\@]+)(\/[^#\\]*)$/i;

/**
 * What a trusted proxy may say of its client's URL. Here the original request says that itself: nginx and Envoy pass on
 * what a client has written into these, and a client must not choose the URL that its proof is about (rule D9).
 */
const OF_OTHER_URLS = ['x-forwarded-proto', 'x-forwarded-host'];

/** The fields of an original request, as far as they say nothing about its URL. */
export function withoutOtherUrls(fields: FieldList): FieldList {
  return withoutFields(fields, OF_OTHER_URLS);
}

/**
 * @param asking the request of the other proxy, as it came
 * @throws GatewayError 400 UNCLEAR_ORIGINAL if a part is missing, repeated or impossible
 */
export function originalRequest(asking: RawHead, dialect: HttpDialect): RawHead {
  const original = asWritten(asking, dialect);
  return { ...original, rawHeaders: withoutOtherUrls(original.rawHeaders) };
}

function asWritten(asking: RawHead, dialect: HttpDialect): RawHead {
  switch (dialect) {
    case 'forwarded': {
      const scheme = forwardedScheme(part(asking, 'x-forwarded-proto'));
      if (!scheme) throw UNCLEAR_ORIGINAL;
      return {
        ...asking,
        ...lineOf(asking, 'x-forwarded-method', 'x-forwarded-uri'),
        scheme,
        rawHeaders: withHost(asking.rawHeaders, part(asking, 'x-forwarded-host')),
      };
    }
    case 'original':
      return { ...asking, ...lineOf(asking, 'x-original-method', 'x-original-uri') };
    case 'original_url':
      return { ...asking, ...wholeUrl(asking) };
    case 'request':
      return asking;
  }
}

/** Does the request name an original at all? */
export function namesOriginal(asking: RawHead, dialect: HttpDialect): boolean {
  return dialect === 'request' || SOURCES[dialect].some((name) => hasField(asking.rawHeaders, name));
}

/**
 * Does the request ask for a decision? Proxies write X-Forwarded-Proto and -Host into every request that they pass on, and the
 * method and the URI only where they ask about a request.
 */
export function asksForDecision(asking: RawHead, dialect: HttpDialect): boolean {
  return (
    dialect === 'request' ||
    SOURCES[dialect].some((name) => /-(?:method|ur[il])$/.test(name) && hasField(asking.rawHeaders, name))
  );
}

function lineOf(
  asking: RawHead,
  methodHeader: string,
  uriHeader: string,
): { method: string; target: string } {
  const target = part(asking, uriHeader);
  if (!target.startsWith('/')) throw UNCLEAR_ORIGINAL;
  return { method: methodOf(asking, methodHeader), target };
}

/** From X-Original-URL and X-Original-Method. Reading the head later checks the host. */
function wholeUrl(asking: RawHead): Pick<RawHead, 'method' | 'target' | 'scheme' | 'rawHeaders'> {
  const [, schemeText = '', host = '', target = ''] = ORIGINAL_URL.exec(part(asking, 'x-original-url')) ?? [];
  const scheme = forwardedScheme(schemeText);
  if (!scheme) throw UNCLEAR_ORIGINAL;
  const method = methodOf(asking, 'x-original-method');
  return { method, target, scheme, rawHeaders: withHost(asking.rawHeaders, host) };
}

function methodOf(asking: RawHead, header: string): string {
  const method = part(asking, header);
  if (!METHOD.test(method)) throw UNCLEAR_ORIGINAL;
  return method;
}

function part(asking: RawHead, name: string): string {
  const value = singleHeader(asking, name);
  if (value === undefined || value === '') throw UNCLEAR_ORIGINAL;
  return value;
}

/** The Host of the asking request is the gateway's own; this puts the client's in its place. */
function withHost(rawHeaders: readonly string[], host: string): string[] {
  return ['Host', host, ...withoutFields(rawHeaders, ['host'])];
}
