/**
 * Reads a log line by line and finds what is wrong with its audit lines: lines that are missing, changed, swapped or repeated,
 * and checkpoints that are not signed, or say something else. Lines of several gateways may be mixed. Pure.
 */
import { isJsonObject, type JsonObject, type JsonValue } from '../token/claims.ts';
import { parseStrictJson } from '../token/strict-json.ts';
import type { VerificationKey } from '../token/verification-key.ts';
import { hashOf, type ChainLink } from './audit-chain.ts';
import { ChainOrder } from './chain-order.ts';
import { MAX_UNSIGNED_LINES, readCheckpoint, type Checkpoint } from './checkpoint.ts';
import type { KeptCheckpoints } from './kept-checkpoints.ts';
import type { ChainReport, Fault, FaultKind, LogReport } from './log-report.ts';

interface Options {
  /** That checkpoints are verified with; undefined: they are not. */
  readonly keys?: readonly VerificationKey[] | undefined;
  /** Each chain must begin and end in this file. */
  readonly whole?: boolean;
  /** Checkpoints that were kept elsewhere: the file must have what they cover. */
  readonly kept?: KeptCheckpoints | undefined;
}

interface Chain {
  readonly id: string;
  readonly order: ChainOrder;
  readonly firstLine: number;
  readonly firstTime: string | null;
  lines: number;
  lastTime: string | null;
  lastLine: number;
  checkpoints: number;
  /** The time of the first line after the last checkpoint. */
  tailTime: string | null;
  /** The line of the last good checkpoint, and what it says. */
  last: { readonly seq: number; readonly says: Checkpoint } | undefined;
  closedAtSeq: number | undefined;
}

/** As RFC 3339 has it; longer texts are not of the gateway. */
const MAX_TIME_CHARACTERS = 40;
/** A machine that was busy or asleep signs later. */
const PAUSE_MS = 60_000;
/** A damaged file has no end of faults: more are counted. */
const MAX_FAULTS = 1_000;

/** Also where its name is escaped. */
const MAY_BE_AUDIT = /"audit"|"chain"|\\u00/;

export class LogVerifier {
  readonly #keys: readonly VerificationKey[] | undefined;
  readonly #whole: boolean;
  readonly #kept: KeptCheckpoints | undefined;
  readonly #chains = new Map<string, Chain>();
  readonly #faults: Fault[] = [];
  #moreFaults = 0;
  #lines = 0;
  #auditLines = 0;

  constructor({ keys, whole = false, kept }: Options = {}) {
    this.#kept = kept;
    this.#keys = keys;
    this.#whole = whole;
  }

  /** Takes the next line of the file. */
  add(written: string): void {
    this.#lines++;
    const text = written.trim();
    const isCut = text.startsWith('{') && !text.endsWith('}');
    if (!isCut && !MAY_BE_AUDIT.test(text)) return;
    let line: JsonValue;
    try {
      line = parseStrictJson(Buffer.from(text, 'utf8'));
    } catch {
      return this.#tell('not_json', null, 'this line is no strict JSON: it was cut, or changed');
    }
    if (!isJsonObject(line)) return;
    const link = linkOf(line['chain']);
    const isAudit = line['msg'] === 'audit' && isJsonObject(line['audit']);
    if (!link && !isAudit) return;
    this.#auditLines++;
    if (link) this.#addLink(line, link);
    else
      this.#tell(
        'no_chain',
        null,
        'this audit line has no chain: an older version wrote it, or someone else',
      );
  }

  /** No more lines come. */
  end(): LogReport {
    const chains = [...this.#chains.values()];
    for (const chain of chains) this.#endChain(chain);
    // A gateway that signs begins its log with a checkpoint.
    if (this.#keys && chains.length === 0) this.#tell('not_proven', null, 'there is no chain', 0);
    const spans = new Map(chains.map(({ id, order }) => [id, [order.firstSeq, order.lastSeq] as const]));
    this.#kept?.end(spans, (chain, message) => this.#tell('missing', chain, message, 0));
    return {
      ok: this.#faults.length === 0,
      lines: this.#lines,
      audit_lines: this.#auditLines,
      signatures: this.#keys !== undefined,
      chains: chains.map(reportOf),
      faults: this.#faults.toSorted((a, b) => a.line - b.line),
      more_faults: this.#moreFaults,
    };
  }

  #addLink(line: JsonObject, stated: ChainLink): void {
    const ownHash = hashOf(line, stated);
    const isChanged = ownHash !== stated.hash;
    const known = this.#chains.get(stated.id);
    // What a changed line says of its place counts only where it stands.
    const link =
      isChanged && known?.order.isNext(stated.prev) ? { ...stated, seq: known.order.lastSeq + 1 } : stated;
    if (isChanged)
      this.#tell('changed', link.id, `seq ${link.seq} was changed: its hash is that of another line`);
    if (isChanged && (!known || link.seq !== known.order.lastSeq + 1)) return;
    const chain = known ?? this.#begin(line, link);
    const number = this.#lines;
    chain.order.add(link, [link.hash, ownHash], number, !known);
    chain.lines++;
    if (link.seq === chain.order.lastSeq) {
      chain.lastTime = timeOf(line);
      if (link.seq - 1 === chain.last?.seq) chain.tailTime = chain.lastTime;
      chain.lastLine = number;
    }
    if (chain.closedAtSeq !== undefined && link.seq > chain.closedAtSeq)
      this.#tell(
        'after_end',
        link.id,
        `seq ${link.seq} stands after the end of its chain: the gateway had stopped`,
      );
    const audit = line['audit'];
    if (isChanged) return;
    this.#kept?.compare(link, ownHash, (message) => this.#tell('contradicts', link.id, message));
    if (isJsonObject(audit) && audit['action'] === 'checkpoint')
      this.#addCheckpoint(chain, link, audit['jws']);
  }

  #begin(line: JsonObject, { id }: ChainLink): Chain {
    const chain: Chain = {
      id,
      order: new ChainOrder(id, (kind, at, message) => this.#tell(kind, id, message, at)),
      firstLine: this.#lines,
      firstTime: timeOf(line),
      lines: 0,
      lastTime: null,
      lastLine: this.#lines,
      checkpoints: 0,
      tailTime: null,
      last: undefined,
      closedAtSeq: undefined,
    };
    this.#chains.set(id, chain);
    return chain;
  }

  #addCheckpoint(chain: Chain, { id, seq, prev }: ChainLink, jws: JsonValue | undefined): void {
    const tell = (kind: FaultKind, what: string): void =>
      this.#tell(kind, id, `the checkpoint at seq ${seq} ${what}`);
    const says = readCheckpoint(jws, this.#keys);
    if ('kind' in says) return tell(says.kind, says.what);
    if (says.id !== id || says.seq !== seq - 1 || says.hash !== prev)
      return tell('contradicts', 'says something else: lines before it were removed, added or replaced');
    chain.checkpoints++;
    if (!chain.last || chain.last.seq < seq) chain.last = { seq, says };
    if (says.closed) chain.closedAtSeq = seq;
  }

  #endChain(chain: Chain): void {
    const { id, order, firstLine, lastLine, last, closedAtSeq } = chain;
    order.end();
    if (isOverdue(chain)) {
      const what = `seq ${(last?.seq ?? 0) + 1} to ${order.lastSeq} have no checkpoint, though one was due`;
      this.#tell(
        'overdue',
        id,
        `${what}: it was removed, these lines are not the gateway's, or it signs no more`,
        lastLine,
      );
    }
    if (this.#keys && !last)
      this.#tell('not_proven', id, 'this chain has no checkpoint: nothing proves its lines', firstLine);
    if (!this.#whole) return;
    if (order.firstSeq > 1)
      this.#tell(
        'no_beginning',
        id,
        `seq 1 to ${order.firstSeq - 1} are missing before this line`,
        firstLine,
      );
    if (closedAtSeq === undefined)
      this.#tell(
        'no_end',
        id,
        'the chain has no end: its last lines are missing, or the process crashed',
        lastLine,
      );
  }

  #tell(kind: FaultKind, chain: string | null, message: string, line = this.#lines): void {
    if (this.#faults.length < MAX_FAULTS) this.#faults.push({ line, kind, chain, message });
    else this.#moreFaults++;
  }
}

function reportOf({
  id,
  order,
  lines,
  firstTime,
  lastTime,
  checkpoints,
  last,
  closedAtSeq,
}: Chain): ChainReport {
  return {
    chain: id,
    gateway: last?.says.gateway ?? null,
    version: last?.says.version ?? null,
    lines,
    first_seq: order.firstSeq,
    last_seq: order.lastSeq,
    first_time: firstTime,
    last_time: lastTime,
    checkpoints,
    covered_seq: last?.says.seq ?? 0,
    uncovered_lines: order.lastSeq - (last?.seq ?? order.firstSeq - 1),
    closed: closedAtSeq !== undefined,
  };
}

/** Are there more lines after the last checkpoint, or over a longer time, than the gateway lets pass without the next one? */
function isOverdue({ order, last, tailTime, lastTime }: Chain): boolean {
  if (!last || order.lastSeq === last.seq) return false;
  const spanMs = Date.parse(lastTime ?? '') - Date.parse(tailTime ?? '');
  const isLong = !(spanMs <= 2 * last.says.every * 1000 + PAUSE_MS);
  return isLong || order.lastSeq - last.seq > MAX_UNSIGNED_LINES;
}

function linkOf(value: JsonValue | undefined): ChainLink | undefined {
  if (!isJsonObject(value)) return undefined;
  const { id, seq, prev, hash } = value;
  const fits =
    [id, prev, hash].every((text) => typeof text === 'string' && text.length > 0 && text.length <= 64) &&
    Number.isSafeInteger(seq) &&
    (seq as number) > 0;
  return fits ? ({ id, seq, prev, hash } as unknown as ChainLink) : undefined;
}

function timeOf({ time }: JsonObject): string | null {
  return typeof time === 'string' && time.length <= MAX_TIME_CHARACTERS ? time : null;
}
