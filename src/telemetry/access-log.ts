/**
 * One line a request (CONTRACT.md section 7). Subjects and token ids appear as HMACs with a key of the
 * fleet's: the same person gives the same hash on every gateway, and nobody can read who it is.
 */
import { createHmac } from 'node:crypto';
import type { AuthenticToken } from '../token/token-verifier.ts';
import type { Exchange } from '../stages/observe.ts';
import type { Logger } from './logger.ts';

const HASH_CHARACTERS = 16;

interface TokenHashes {
  readonly sub_hash: string | undefined;
  readonly jti_hash: string;
}

export class AccessLog {
  readonly #logger: Logger;
  readonly #key: string;

  /** @param key of the HMACs */
  constructor(logger: Logger, key: string) {
    this.#logger = logger;
    this.#key = key;
  }

  write(exchange: Exchange): void {
    const { head, decision, token } = exchange;
    this.#logger.info(
      {
        request_id: exchange.requestId,
        trace_id: exchange.trace?.traceId,
        route: exchange.routeName,
        method: head?.method ?? exchange.method,
        path: head?.path,
        status: exchange.status,
        duration_ms: rounded(exchange.durationMs),
        upstream: exchange.target,
        upstream_ms: exchange.upstreamMs === undefined ? undefined : rounded(exchange.upstreamMs),
        bytes_in: exchange.bytesIn,
        bytes_out: exchange.bytesOut,
        client_ip: exchange.clientIp,
        auth: decision && {
          decision: decision.decision,
          reason: decision.reason,
          issuer: token?.issuerName,
          client_id: token?.clientId,
          ...(token && this.#hashes(token)),
          cache: exchange.cache,
        },
        error: exchange.failure,
      },
      'request',
    );
  }

  /** Worked out once for a token, not once for a request. */
  #hashes(token: AuthenticToken): TokenHashes {
    const known = token.derived.get(this) as TokenHashes | undefined;
    if (known) return known;
    const hashes = {
      sub_hash: token.subject === undefined ? undefined : this.#hash(token.subject),
      jti_hash: this.#hash(token.tokenId),
    };
    token.derived.set(this, hashes);
    return hashes;
  }

  #hash(text: string): string {
    return createHmac('sha256', this.#key).update(text).digest('base64url').slice(0, HASH_CHARACTERS);
  }
}

function rounded(milliseconds: number): number {
  return Math.round(milliseconds * 1000) / 1000;
}
