/**
 * One line a request (docs/reference.md, "Log"): of refused requests the first few of a kind, of successful ones a share,
 * where the configuration says so. Subjects and token ids appear as hashes (log-hash.ts).
 *
 * The line is put together here, in pino's format and for the same destination: pino's own way through a nested object with
 * redaction costs as much CPU as all the rest of a request. Rules A5, A6.
 */
import { withoutKeys } from '../api-keys/key-elsewhere.ts';
import type { Clock } from '../clock.ts';
import { fieldValue } from '../http/field-list.ts';
import type { RequestHead } from '../http/request-head.ts';
import type { Cause } from '../revocation/cause.ts';
import type { Causes } from '../revocation/causes.ts';
import type { TokenBinding } from '../token/token-binding.ts';
import { TokenMemo } from '../token/token-memo.ts';
import type { AuthenticToken } from '../token/token-verifier.ts';
import type { AuthDecision, Exchange } from './exchange.ts';
import { logHash } from './log-hash.ts';
import { millisecondsText, quoted, quotedUpTo } from './log-text.ts';
import { missingScope } from './missing-scope.ts';
import { namedByToken } from './named-by-token.ts';
import type { Refusal, RefusalLines } from './refusal-lines.ts';
import { refusingEntryText } from './refusing-entry.ts';
import type { RuleFacts } from './rule-facts.ts';

/** Longest parts of a line that clients choose, in characters; the path is bounded by `limits.uri_bytes`. */
const MAX_METHOD = 32;
const MAX_AGENT = 256;
const MAX_NAME = 256;

const PROTOCOLS: Readonly<Record<string, string>> = { '1.0': 'HTTP/1.0', '1.1': 'HTTP/1.1', '2.0': 'HTTP/2' };

export interface AccessLogOptions {
  /** Takes one line with its line end, ASCII. */
  readonly write: (line: string) => void;
  /** Of the hashes. */
  readonly key: string;
  readonly clock: Clock;
  /** Bounds the lines of refusals. */
  readonly refusals: RefusalLines;
  /** How many refusals of a reason and route are written in a second; 0: all. */
  readonly refusalsASecond: number;
  /** Which share of the successful requests is written: 0 to 1. */
  readonly sample: number;
  /** Says why a token is revoked. */
  readonly causes?: RefusalCauses;
  /** What each line says about rules; undefined: nothing. */
  readonly facts?: RuleFacts | undefined;
  /** From 0 to 1, as Math.random. */
  readonly random?: () => number;
}

/** What the log asks of Causes (revocation/causes.ts). */
export type RefusalCauses = Pick<Causes, 'refusingId' | 'soon'>;

export class AccessLog {
  readonly #write: (line: string) => void;
  readonly #key: string;
  readonly #clock: Clock;
  readonly #refusals: RefusalLines;
  readonly #refusalsASecond: number;
  readonly #sample: number;
  readonly #facts: RuleFacts | undefined;
  readonly #random: () => number;
  readonly #causes: RefusalCauses | undefined;
  /** Says that a line stands for others as well; empty where every request has its own. */
  readonly #sampleText: string;
  readonly #tokenTexts = new TokenMemo((token) => this.#aboutToken(token));
  #timeMs = 0;
  #timeText = '';

  constructor(options: AccessLogOptions) {
    const { write, key, clock, refusals, refusalsASecond, sample } = options;
    const { causes, facts, random = Math.random } = options;
    this.#write = write;
    this.#key = key;
    this.#clock = clock;
    this.#refusals = refusals;
    this.#refusalsASecond = refusalsASecond;
    this.#sample = sample;
    this.#facts = facts;
    this.#random = random;
    this.#causes = causes;
    this.#sampleText = sample < 1 ? `,"sample":${sample}` : '';
  }

  /** Writes the line of a request that has ended, unless there are too many of its kind. */
  write(exchange: Exchange): void {
    if (isRefused(exchange)) {
      if (this.#refusals.admits(refusalOf(exchange), this.#refusalsASecond)) this.#writeLine(exchange, '');
    } else if (this.#sample >= 1 || !isSuccess(exchange)) this.#writeLine(exchange, '');
    else if (this.#random() < this.#sample) this.#writeLine(exchange, this.#sampleText);
  }

  #writeLine(exchange: Exchange, sampleText: string): void {
    const { head, decision, trace } = exchange;
    // Quoted: what clients wrote. The rest is ours and needs no escape.
    let line = `{"level":"${levelOf(exchange)}","time":"${this.#time()}","request_id":"${exchange.requestId}"`;
    if (trace) line += `,"trace_id":"${trace.traceId}"`;
    line += `,"route":"${exchange.routeName}","method":${quotedUpTo(exchange.method, MAX_METHOD)}`;
    if (head) line += headText(head);
    line += `,"status":${exchange.status},"duration_ms":${millisecondsText(exchange.durationMs)}`;
    if (exchange.upstream !== undefined) line += upstreamText(exchange, exchange.upstream);
    line += `,"bytes_in":${exchange.bytesIn},"bytes_out":${exchange.bytesOut},"client_ip":${quoted(exchange.clientIp)}`;
    const agent = head && fieldValue(head.rawHeaders, 'user-agent');
    if (agent !== undefined) line += `,"user_agent":${quotedUpTo(withoutKeys(agent), MAX_AGENT)}`;
    if (decision) line += this.#authText(exchange, decision);
    if (this.#facts && head) line += this.#factsText(this.#facts, exchange, head);
    if (exchange.failure !== undefined) line += `,"error":"${exchange.failure}"`;
    if (exchange.limit !== undefined) line += `,"limit":"${exchange.limit}"`;
    if (exchange.overLimits.length > 0) line += `,"over_limits":${JSON.stringify(exchange.overLimits)}`;
    if (exchange.failureCause !== undefined) line += `,"cause":${quoted(exchange.failureCause)}`;
    const refusing = this.#refusingId(exchange);
    if (refusing === undefined) this.#write(`${line}${sampleText},"msg":"request"}\n`);
    else this.#writeWithCause(line, refusing);
  }

  /** The entry that refuses the token, where it is revoked; a stream that ended with its token has no decision of that kind. */
  #refusingId({ decision, failure, token }: Exchange): string | undefined {
    if (!token || (decision?.reason !== 'revoked' && failure !== 'token_revoked')) return undefined;
    return this.#causes?.refusingId(token.revocable, token.issuedAt);
  }

  /** The response has been sent: only the line waits, for a moment. */
  #writeWithCause(line: string, id: string): void {
    const write = (cause: Cause | undefined): void =>
      this.#write(`${line}${refusingEntryText(id, cause, this.#clock.nowMs())},"msg":"request"}\n`);
    const cause = this.#causes?.soon(id);
    if (cause instanceof Promise) void cause.then(write);
    else write(cause);
  }

  /** As of the time when the request came: a login grows old meanwhile. */
  #factsText(facts: RuleFacts, { token, durationMs }: Exchange, head: RequestHead): string {
    const text = facts.text(token, head, (this.#clock.nowMs() - durationMs) / 1_000);
    return text === '' ? '' : `,${text}`;
  }

  #time(): string {
    const nowMs = this.#clock.nowMs();
    if (nowMs !== this.#timeMs) {
      this.#timeMs = nowMs;
      this.#timeText = new Date(nowMs).toISOString();
    }
    return this.#timeText;
  }

  #authText(exchange: Exchange, { decision, reason }: AuthDecision): string {
    const { head, route, token, issuerName, cache } = exchange;
    let text = `,"auth":{"decision":"${decision}","reason":"${reason}"`;
    if (issuerName !== undefined) text += `,"issuer":"${issuerName}"`;
    if (token) text += this.#tokenTexts.of(token);
    if (cache !== undefined) text += `,"cache":"${cache}"`;
    if (reason === 'ok') return `${text}}`;
    if (reason === 'insufficient_scope' && token)
      text += `,"missing_scope":${quotedUpTo(missingScope(exchange.neededScope, token), MAX_NAME)}`;
    const unknown = head && route && namedByToken(head, route, reason);
    if (unknown) text += `,"${unknown.member}":${quotedUpTo(unknown.value, MAX_NAME)}`;
    return `${text}}`;
  }

  #aboutToken({ clientId, subject, revocable, binding }: AuthenticToken): string {
    let text = '';
    if (clientId !== undefined) text += `,"client_id":${quoted(clientId)}`;
    if (subject !== undefined) text += `,"sub_hash":"${logHash(this.#key, subject)}"`;
    text += `,"jti_hash":"${logHash(this.#key, revocable.target.value)}"`;
    if (binding) text += `,"binding":"${bindingText(binding)}"`;
    return text;
  }
}

/** What the token is bound to: of a closed list. */
function bindingText({ keyThumbprint, certificateThumbprint }: TokenBinding): string {
  if (keyThumbprint === undefined) return 'certificate';
  return certificateThumbprint === undefined ? 'dpop' : 'dpop_and_certificate';
}

/** The gateway refused it before it was sent anywhere. */
function isRefused({ failure, tries }: Exchange): boolean {
  return failure !== undefined && tries === 0;
}

function refusalOf(exchange: Exchange): Refusal {
  const { routeName, decision, failure = '', limit } = exchange;
  // A limit refuses callers that are permitted.
  const isOther = decision === undefined || decision.reason === 'ok' || limit !== undefined;
  const reason = isOther ? failure : decision.reason;
  return { route: routeName, reason, level: levelOf(exchange) };
}

/** The client has its whole response, nothing failed, revocation and permissions were checked and found good, and no limit was met. */
function isSuccess({ status, failure, decision, overLimits }: Exchange): boolean {
  if (failure !== undefined || status >= FIRST_ERROR || overLimits.length > 0) return false;
  return decision === undefined || decision.decision === 'allow';
}

const FIRST_ERROR = 400;
const FIRST_SERVER_ERROR = 500;

/** A warning: a 5xx that the gateway made, or a response that its upstream broke off. An upstream's own 5xx is none. */
function levelOf({ failure, status }: Exchange): Refusal['level'] {
  if (failure === undefined) return 'info';
  return status >= FIRST_SERVER_ERROR || failure.startsWith('upstream_') ? 'warn' : 'info';
}

/** readHost has let nothing into the authority that would need an escape. */
function headText({ scheme, authority, path, httpVersion }: RequestHead): string {
  const protocol = PROTOCOLS[httpVersion] ?? 'other';
  return `,"scheme":"${scheme}","host":"${authority}","path":${quoted(withoutKeys(path))},"protocol":"${protocol}"`;
}

/** The names of the configuration, and what the upstream did. */
function upstreamText({ target, tries, upstreamStatus, upstreamMs }: Exchange, upstream: string): string {
  let text = `,"upstream":"${upstream}"`;
  if (target !== undefined) text += `,"target":${quoted(target)}`;
  if (upstreamStatus !== undefined) text += `,"upstream_status":${upstreamStatus}`;
  if (upstreamMs !== undefined) text += `,"upstream_ms":${millisecondsText(upstreamMs)}`;
  if (tries > 1) text += `,"retries":${tries - 1}`;
  return text;
}
