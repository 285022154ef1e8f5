/**
 * One line a request (docs/reference.md, "Log"). Subjects and token ids appear as HMACs with the
 * fleet's key: one person has the same hash on every gateway, and the hash does not tell who it is.
 *
 * The line is written here, in pino's format and to the same destination: pino's own way through a nested object with
 * redaction costs as much CPU as all the rest of a request. Rules A5, A6.
 */
import { createHmac } from 'node:crypto';
import type { Clock } from '../clock.ts';
import type { Exchange } from './exchange.ts';
import { TokenMemo } from '../token/token-memo.ts';
import type { AuthenticToken } from '../token/token-verifier.ts';

const HASH_CHARACTERS = 16;

export class AccessLog {
  readonly #write: (line: string) => void;
  readonly #key: string;
  readonly #clock: Clock;
  readonly #tokenTexts = new TokenMemo((token) => this.#aboutToken(token));
  #timeMs = 0;
  #timeText = '';

  /** @param key of the HMACs */
  constructor(write: (line: string) => void, key: string, clock: Clock) {
    this.#write = write;
    this.#key = key;
    this.#clock = clock;
  }

  write(exchange: Exchange): void {
    const { head, decision, token, trace } = exchange;
    // Quoted: what clients wrote. The rest is ours and needs no escape.
    let line = `{"level":"info","time":"${this.#time()}","request_id":"${exchange.requestId}"`;
    if (trace) line += `,"trace_id":"${trace.traceId}"`;
    line += `,"route":"${exchange.routeName}","method":${quoted(exchange.method)}`;
    if (head) line += `,"path":${quoted(head.path)}`;
    line += `,"status":${exchange.status},"duration_ms":${rounded(exchange.durationMs)}`;
    if (isChosen(exchange)) line += `,"upstream_name":"${exchange.upstream}"`;
    if (exchange.target !== undefined) line += `,"upstream":${quoted(exchange.target)}`;
    if (exchange.upstreamMs !== undefined) line += `,"upstream_ms":${rounded(exchange.upstreamMs)}`;
    line += `,"bytes_in":${exchange.bytesIn},"bytes_out":${exchange.bytesOut},"client_ip":${quoted(exchange.clientIp)}`;
    if (decision) {
      line += `,"auth":{"decision":"${decision.decision}","reason":"${decision.reason}"`;
      if (exchange.issuerName !== undefined) line += `,"issuer":"${exchange.issuerName}"`;
      if (token) line += this.#tokenTexts.of(token);
      if (exchange.cache !== undefined) line += `,"cache":"${exchange.cache}"`;
      line += '}';
    }
    if (exchange.failure !== undefined) line += `,"error":"${exchange.failure}"`;
    if (exchange.failureCause !== undefined) line += `,"cause":${quoted(exchange.failureCause)}`;
    this.#write(`${line},"msg":"request"}\n`);
  }

  #time(): string {
    const nowMs = this.#clock.nowMs();
    if (nowMs !== this.#timeMs) {
      this.#timeMs = nowMs;
      this.#timeText = new Date(nowMs).toISOString();
    }
    return this.#timeText;
  }

  #aboutToken({ clientId, subject, revocable }: AuthenticToken): string {
    let text = '';
    if (clientId !== undefined) text += `,"client_id":${quoted(clientId)}`;
    if (subject !== undefined) text += `,"sub_hash":"${this.#hash(subject)}"`;
    text += `,"jti_hash":"${this.#hash(revocable.target.value)}"`;
    return text;
  }

  #hash(text: string): string {
    return createHmac('sha256', this.#key).update(text).digest('base64url').slice(0, HASH_CHARACTERS);
  }
}

/** Where the route has one upstream, its name says no more than the route's. */
function isChosen({ route, upstream }: Exchange): boolean {
  return upstream !== undefined && typeof route?.upstream === 'object';
}

/**
 * JSON leaves the C1 controls, DEL and the Unicode line ends as they are; terminals and log shippers do not, so
 * they are escaped too.
 */
function quoted(text: string): string {
  return JSON.stringify(text).replace(
    /[\u007f-\u009f\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function rounded(milliseconds: number): number {
  return Math.round(milliseconds * 1000) / 1000;
}
