/**
 * The statuses of many tokens, some bits each (draft-ietf-oauth-status-list, "Status List"). Pure but for the work of zlib.
 */
import { promisify } from 'node:util';
import { inflate } from 'node:zlib';

const inflated = promisify(inflate);

/** 64 million tokens with one bit each. What unpacks to more is refused: a small response could fill the memory. */
export const MAX_LIST_BYTES = 8 * 1024 * 1024;

const WIDTHS: readonly unknown[] = [1, 2, 4, 8];

/** How many bits a status has: one never spans two bytes. */
export type StatusBits = 1 | 2 | 4 | 8;

export function isStatusBits(bits: unknown): bits is StatusBits {
  return WIDTHS.includes(bits);
}

export class StatusList {
  readonly #bits: StatusBits;
  readonly #bytes: Uint8Array;

  constructor(bits: StatusBits, bytes: Uint8Array) {
    this.#bits = bits;
    this.#bytes = bytes;
  }

  /**
   * @param compressed in the ZLIB format (RFC 1950), not that of gzip
   * @throws Error where it is something else, is not whole, or is larger than MAX_LIST_BYTES
   */
  static async inflate(bits: StatusBits, compressed: Uint8Array): Promise<StatusList> {
    return new StatusList(bits, await inflated(compressed, { maxOutputLength: MAX_LIST_BYTES }));
  }

  get bytes(): number {
    return this.#bytes.byteLength;
  }

  /** How many statuses it has. */
  get size(): number {
    return (this.#bytes.byteLength * 8) / this.#bits;
  }

  /** Within a byte the first status has the lowest bits. Undefined beyond the end. */
  at(index: number): number | undefined {
    const first = index * this.#bits;
    const byte = this.#bytes[Math.floor(first / 8)];
    return byte === undefined ? undefined : (byte >> (first % 8)) & (2 ** this.#bits - 1);
  }
}

const NAMES: ReadonlyMap<number, string> = new Map([
  [0, 'VALID'],
  [1, 'INVALID'],
  [2, 'SUSPENDED'],
]);

/** `INVALID (1)`; a status that has no name in the registry: its number. */
export function statusText(status: number): string {
  const name = NAMES.get(status);
  return name === undefined ? `${status}` : `${name} (${status})`;
}
