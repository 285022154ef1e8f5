/**
 * Who is calling, as headers: the contract with service authors. Split on `,`, `decodeURIComponent` each,
 * and you have the claim's text. Pure. Rules C1, C2, J15.
 */
import { TokenMemo } from '../token/token-memo.ts';
import type { AuthenticToken } from '../token/token-verifier.ts';
import { headerAlias } from '../http/header-names.ts';
import type { IdentityValue } from './identity-value.ts';

/** The identity headers of a route, rendered once for each token. */
export class IdentityContract {
  readonly #rendered: TokenMemo<readonly string[] | undefined>;

  /** @param maxBytes limits all headers together: `identity.max_bytes` */
  constructor(headers: readonly IdentityHeader[], maxBytes: number) {
    this.#rendered = new TokenMemo((token) => identityHeaders(headers, token, maxBytes));
  }

  /** As identityHeaders. */
  headersOf(token: AuthenticToken): readonly string[] | undefined {
    return this.#rendered.of(token);
  }
}

/** One configured identity header. */
export interface IdentityHeader {
  readonly name: string;
  readonly value: IdentityValue;
}

const RESERVED = new Set([
  'host',
  'cache-control',
  'transfer-encoding',
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authorization',
  'proxy-authenticate',
  'te',
  'trailer',
  'upgrade',
  'expect',
  'via',
  'dpop',
  'client-cert',
  'client-cert-chain',
  'authorization',
  'cookie',
  'traceparent',
  'tracestate',
  'forwarded',
  'x-request-id',
  'x-real-ip',
]);

/** Names that HTTP or the gateway itself uses: no claim may take them, in any spelling. */
export function isReservedHeader(name: string): boolean {
  const alias = headerAlias(name);
  return RESERVED.has(alias) || /^(?:x-forwarded-|x-original-|content-|sec-)/.test(alias);
}

/**
 * The identity headers of a token, names and values in turn; a claim that is absent, null or `[]` gives none.
 *
 * @returns undefined where all of them together are larger than `maxBytes`
 */
export function identityHeaders(
  headers: readonly IdentityHeader[],
  token: AuthenticToken,
  maxBytes: number,
): readonly string[] | undefined {
  const rendered: string[] = [];
  let bytes = 0;
  for (const { name, value: valueOf } of headers) {
    const value = valueOf(token);
    if (value === undefined) continue;
    bytes += name.length + value.length + 4;
    if (bytes > maxBytes) return undefined;
    rendered.push(name, value);
  }
  return rendered;
}
