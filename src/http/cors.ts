/**
 * Cross-origin requests of browsers, which the gateway decides (Fetch Standard, section 3.2). Pure.
 *
 * The gateway replaces an upstream's own CORS headers, since a browser rejects a response with two policies. It only adds
 * the names that the upstream exposes to its own.
 */
import { singleHeader, type RequestHead } from './request-head.ts';

/** Matches origins with this beginning and end, and one label or more between. */
export interface OriginPattern {
  /** `https://` */
  readonly begin: string;
  /** `.example.com`, with a port if it has one. */
  readonly end: string;
}

export interface CorsPolicy {
  /** Exact origins, or `*` alone. */
  readonly origins: ReadonlySet<string>;
  readonly patterns: readonly OriginPattern[];
  /** What scripts may read: field names, none twice. */
  readonly exposed: readonly string[];
  /** The same as a header value. */
  readonly exposedText: string;
  readonly credentials: boolean;
  readonly methods: ReadonlySet<string>;
  /** Fields of responses to a preflight: names and values in turn. */
  readonly preflight: readonly string[];
}

export interface CorsSettings {
  readonly origins: readonly string[];
  readonly methods: readonly string[];
  readonly headers: readonly string[];
  readonly exposeHeaders: readonly string[];
  readonly credentials: boolean;
  readonly maxAgeSeconds: number;
}

/** What scripts may read of a response besides the usual: why it was a refusal, and what to quote to support. */
const EXPOSED = [
  'WWW-Authenticate',
  'DPoP-Nonce',
  'Retry-After',
  'RateLimit',
  'RateLimit-Policy',
  'X-Request-Id',
];

export function corsPolicy({
  origins,
  methods,
  headers,
  exposeHeaders,
  credentials,
  maxAgeSeconds,
}: CorsSettings): CorsPolicy {
  const exposed = withoutRepeated([...EXPOSED, ...exposeHeaders]);
  return {
    origins: new Set(origins.filter((origin) => !isOriginPattern(origin))),
    patterns: origins.filter(isOriginPattern).map(originPattern),
    exposed,
    exposedText: exposed.join(', '),
    credentials,
    methods: new Set(methods),
    preflight: [
      ...['access-control-allow-methods', methods.join(', ')],
      ...(headers.length > 0 ? ['access-control-allow-headers', headers.join(', ')] : []),
      ...['access-control-max-age', String(maxAgeSeconds)],
    ],
  };
}

/** Is this an origin of the configuration such as `https://*.example.com`? */
export function isOriginPattern(origin: string): boolean {
  return origin.includes('://*.');
}

function originPattern(origin: string): OriginPattern {
  const star = origin.indexOf('*');
  return { begin: origin.slice(0, star), end: origin.slice(star + 1) };
}

/** Labels as browsers write them. Anything else would be another host, or no host. */
const LABELS = /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/;

function fits(origin: string, { begin, end }: OriginPattern): boolean {
  return (
    origin.length > begin.length + end.length &&
    origin.startsWith(begin) &&
    origin.endsWith(end) &&
    LABELS.test(origin.slice(begin.length, -end.length))
  );
}

/** Field names without repetitions, compared without case. */
function withoutRepeated(names: readonly string[]): string[] {
  const byName = new Map<string, string>();
  for (const name of names) if (!byName.has(name.toLowerCase())) byName.set(name.toLowerCase(), name);
  return [...byName.values()];
}

/** The method that a preflight request asks about; undefined for any other request. */
export function preflightMethod(head: RequestHead): string | undefined {
  return head.method === 'OPTIONS' && singleHeader(head, 'origin') !== undefined
    ? singleHeader(head, 'access-control-request-method')
    : undefined;
}

/** Does the policy allow the one origin and the one method that a preflight request names? */
export function allowsPreflight(policy: CorsPolicy, head: RequestHead): boolean {
  const method = preflightMethod(head);
  return method !== undefined && policy.methods.has(method) && allowOrigin(policy, head).length > 0;
}

/** The headers of the response to a preflight. An origin that is not allowed gets no header that allows anything. */
export function preflightHeaders(policy: CorsPolicy, head: RequestHead): readonly string[] {
  const allowed = allowOrigin(policy, head);
  return [...allowed, ...(allowed.length > 0 ? policy.preflight : []), ...vary(policy)];
}

/** The headers of every response of a route, the gateway's own refusals included. */
export function corsHeaders(policy: CorsPolicy, head: RequestHead): readonly string[] {
  return corsHeadersExposing(policy, head, policy.exposedText);
}

function corsHeadersExposing(policy: CorsPolicy, head: RequestHead, exposed: string): readonly string[] {
  const allowed = allowOrigin(policy, head);
  return [
    ...allowed,
    ...(allowed.length > 0 ? ['access-control-expose-headers', exposed] : []),
    ...vary(policy),
  ];
}

/** An upstream's response headers with the gateway's CORS headers instead of its own. */
export function withCors(
  response: readonly string[],
  policy: CorsPolicy,
  head: RequestHead,
): readonly string[] {
  const kept: string[] = [];
  let theirs = '';
  for (let index = 0; index < response.length; index += 2) {
    const name = response[index] ?? '';
    const value = response[index + 1] ?? '';
    if (!REPLACED.test(name)) kept.push(name, value);
    else if (name.length === EXPOSE.length && name.toLowerCase() === EXPOSE) theirs += `,${value}`;
  }
  return [
    ...kept,
    ...corsHeadersExposing(policy, head, theirs === '' ? policy.exposedText : exposedWith(policy, theirs)),
  ];
}

const REPLACED = /^access-control-(?:allow|expose|max-age)/i;
const EXPOSE = 'access-control-expose-headers';
/** RFC 9110 section 5.6.2 */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** @param theirs the names that the upstream exposes, separated by commas */
function exposedWith({ exposed }: CorsPolicy, theirs: string): string {
  const names = theirs.split(',').map((name) => name.trim());
  return withoutRepeated([...exposed, ...names.filter((name) => TOKEN.test(name))]).join(', ');
}

function allowOrigin({ origins, patterns, credentials }: CorsPolicy, head: RequestHead): readonly string[] {
  const origin = singleHeader(head, 'origin');
  if (origin === undefined) return [];
  if (origins.has('*')) return ['access-control-allow-origin', '*'];
  if (!origins.has(origin) && !patterns.some((pattern) => fits(origin, pattern))) return [];
  return [
    ...['access-control-allow-origin', origin],
    ...(credentials ? ['access-control-allow-credentials', 'true'] : []),
  ];
}

/** A cache must not give one origin's response to another. */
function vary({ origins }: CorsPolicy): readonly string[] {
  return origins.has('*') ? [] : ['vary', 'Origin'];
}
