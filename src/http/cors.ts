/**
 * Cross-origin requests of browsers, answered by the gateway (Fetch Standard, section 3.2). Pure.
 *
 * What an upstream says of it itself is replaced: two opinions in one answer are none to a browser.
 */
import { singleHeader, type RequestHead } from './request-head.ts';

export interface CorsPolicy {
  /** Exact origins, or `*` alone. */
  readonly origins: ReadonlySet<string>;
  readonly credentials: boolean;
  /** Of preflight answers: names and values in turn. */
  readonly preflight: readonly string[];
}

export interface CorsSettings {
  readonly origins: readonly string[];
  readonly methods: readonly string[];
  readonly headers: readonly string[];
  readonly credentials: boolean;
  readonly maxAgeSeconds: number;
}

/** What scripts may read of an answer besides the usual: why they were refused, and what to quote to support. */
const EXPOSED = 'WWW-Authenticate, DPoP-Nonce, Retry-After, X-Request-Id';

export function corsPolicy({
  origins,
  methods,
  headers,
  credentials,
  maxAgeSeconds,
}: CorsSettings): CorsPolicy {
  return {
    origins: new Set(origins),
    credentials,
    preflight: [
      ...['access-control-allow-methods', methods.join(', ')],
      ...(headers.length > 0 ? ['access-control-allow-headers', headers.join(', ')] : []),
      ...['access-control-max-age', String(maxAgeSeconds)],
    ],
  };
}

/** The method that a preflight request asks about; undefined for any other request. */
export function preflightMethod(head: RequestHead): string | undefined {
  return head.method === 'OPTIONS' && singleHeader(head, 'origin') !== undefined
    ? singleHeader(head, 'access-control-request-method')
    : undefined;
}

/** What a preflight is answered with. An origin that is not allowed gets nothing that a browser could go by. */
export function preflightHeaders(policy: CorsPolicy, head: RequestHead): readonly string[] {
  const allowed = allowOrigin(policy, head);
  return [...allowed, ...(allowed.length > 0 ? policy.preflight : []), ...vary(policy)];
}

/** What goes with every answer of a route, the gateway's own refusals too. */
export function corsHeaders(policy: CorsPolicy, head: RequestHead): readonly string[] {
  const allowed = allowOrigin(policy, head);
  return [
    ...allowed,
    ...(allowed.length > 0 ? ['access-control-expose-headers', EXPOSED] : []),
    ...vary(policy),
  ];
}

/** An upstream's answer with ours instead of its own. */
export function withCors(
  answer: readonly string[],
  policy: CorsPolicy,
  head: RequestHead,
): readonly string[] {
  const kept = answer.filter((_, index) => {
    const name = answer[index - (index % 2)] ?? '';
    return !/^access-control-(?:allow|expose|max-age)/i.test(name);
  });
  return [...kept, ...corsHeaders(policy, head)];
}

function allowOrigin({ origins, credentials }: CorsPolicy, head: RequestHead): readonly string[] {
  const origin = singleHeader(head, 'origin');
  if (origin === undefined) return [];
  if (origins.has('*')) return ['access-control-allow-origin', '*'];
  if (!origins.has(origin)) return [];
  return [
    ...['access-control-allow-origin', origin],
    ...(credentials ? ['access-control-allow-credentials', 'true'] : []),
  ];
}

/** A cache must not give one origin's answer to another. */
function vary({ origins }: CorsPolicy): readonly string[] {
  return origins.has('*') ? [] : ['vary', 'Origin'];
}
