/**
 * The chain of the audit lines of one process. Each line has the hash of the line before it, so that a line that is missing,
 * changed, moved or repeated shows. A start begins a new chain: the gateway never reads its log. Pure.
 *
 * An attacker who can write to the log can make all hashes again, but not the signed checkpoints (assembly/checkpoints.ts).
 */
import { hash, randomBytes } from 'node:crypto';
import { canonicalJson } from '../token/canonical-json.ts';
import type { JsonObject, JsonValue } from '../token/claims.ts';
import { parseStrictJson } from '../token/strict-json.ts';
import { asciiJson } from './log-text.ts';

/** Where a chain ends at this moment. */
export interface ChainHead {
  readonly id: string;
  /** Of the last line; 0: there is none. */
  readonly seq: number;
  /** Of the last line; the id of the chain where there is none. */
  readonly hash: string;
}

/** `chain` of a line. */
export interface ChainLink {
  readonly id: string;
  /** From 1. */
  readonly seq: number;
  /** The hash of the line before it; in the first line the id of the chain. */
  readonly prev: string;
  readonly hash: string;
}

/** What the gateway writes into an audit line. Others may be added on its way: they do not count. */
const COVERED = ['level', 'time', 'msg', 'audit'] as const;
const ID_BYTES = 16;

export class AuditChain {
  /** Told after each line. */
  linked: (() => void) | undefined;
  #head: ChainHead = newChain();

  get head(): ChainHead {
    return this.#head;
  }

  /**
   * Adds its link to a line, which is the next one from then on.
   *
   * @param line an object of JSON with its line end, ASCII
   */
  link(line: string): string {
    const { text, content } = readLine(line);
    const { id, seq, hash: prev } = this.#head;
    const link = { id, seq: seq + 1, prev };
    const ownHash = hashOf(content, link);
    this.#head = { id, seq: link.seq, hash: ownHash };
    return `${text.slice(0, -2)},"chain":${JSON.stringify({ ...link, hash: ownHash })}}\n`;
  }

  /** The next line is the first one of another chain. */
  end(): void {
    this.#head = newChain();
  }
}

function newChain(): ChainHead {
  const id = randomBytes(ID_BYTES).toString('base64url');
  return { id, seq: 0, hash: id };
}

/** A text that is no Unicode has no canonical form: what cannot be in it is replaced, in the line itself. */
function readLine(line: string): { readonly text: string; readonly content: JsonObject } {
  try {
    return { text: line, content: parseStrictJson(Buffer.from(line, 'latin1')) as JsonObject };
  } catch {
    const wellFormed = (_: string, value: unknown): unknown =>
      typeof value === 'string' ? value.toWellFormed() : value;
    const content = JSON.parse(line, wellFormed) as JsonObject;
    return { text: `${asciiJson(JSON.stringify(content))}\n`, content };
  }
}

/**
 * The hash of an audit line: SHA-256, in base64url, of the canonical JSON (RFC 8785) of an object with its `level`, `time`,
 * `msg`, `audit`, and `chain` without `hash`.
 */
export function hashOf(line: JsonObject, { id, seq, prev }: Omit<ChainLink, 'hash'>): string {
  const covered = COVERED.flatMap((name): [string, JsonValue][] => {
    const value = line[name];
    return value === undefined ? [] : [[name, value]];
  });
  return hash(
    'sha256',
    canonicalJson({ ...Object.fromEntries(covered), chain: { id, seq, prev } }),
    'base64url',
  );
}
