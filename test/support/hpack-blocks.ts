/** Random header blocks in every representation of RFC 7541, in frames of every shape of RFC 9113. */
import type { SeededRandom } from './seeded-random.ts';
import { END_HEADERS, END_STREAM, FRAME, frame } from './raw-http2.ts';

const PADDED = 8;
const PRIORITY = 0x20;
/** RFC 7541 appendix B: the characters whose codes have five bits, in the order of their codes. */
const FIVE_BITS = '012aceiost';
const HUGE = 70_000;

/** An integer of RFC 7541 section 5.1, after the bits that are set in `first`. */
function integer(first: number, prefixBits: number, value: number): Buffer {
  const most = 2 ** prefixBits - 1;
  if (value < most) return Buffer.from([first | value]);
  const bytes = [first | most];
  let rest = value - most;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return Buffer.from([...bytes, rest]);
}

function huffman(text: string): Buffer {
  let bits = Array.from(text, (letter) => FIVE_BITS.indexOf(letter).toString(2).padStart(5, '0')).join('');
  while (bits.length % 8 !== 0) bits += '1';
  return Buffer.from(bits.match(/.{8}/g)?.map((byte) => parseInt(byte, 2)) ?? []);
}

/** A string literal of RFC 7541 section 5.2; as Huffman code only of the letters whose codes have five bits. */
export function string(text: string, asHuffman: boolean): Buffer {
  const bytes = asHuffman ? huffman(text) : Buffer.from(text, 'latin1');
  return Buffer.concat([integer(asHuffman ? 0x80 : 0, 7, bytes.length), bytes]);
}

const BAD_VALUES = ['a\0', 'a\rb', 'a\nb', '\x01', 'a\x7f'];
const BAD_NAMES = ['x y', 'x\0', 'x(', ''];

/** Writes the blocks of one connection. It remembers the latest entry of the dynamic table. */
export class BlockWriter {
  readonly #random: SeededRandom;
  #tableBytes = 4_096;
  /** The latest entry; undefined if the table is empty. */
  #latest: 'good' | 'bad' | undefined;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  /** Frames of one GET, the number of their fields, and how many of these a reader must not pass on. */
  request(stream: number): { bytes: Buffer; fields: number; bad: number } {
    const random = this.#random;
    // :method GET, :scheme https, :path /, and :authority as a literal.
    const parts = [
      ...this.#sizeUpdates(),
      ...[Buffer.from([0x82, 0x87, 0x84]), Buffer.concat([integer(0, 4, 1), string('cat', true)])],
    ];
    let bad = 0;
    const more = random.below(random.of([3, 12]));
    for (let count = 0; count < more; count++) {
      const field = this.#field();
      parts.push(field.bytes);
      if (!field.isGood) bad++;
    }
    return { bytes: this.#frames(stream, Buffer.concat(parts)), fields: 4 + more, bad };
  }

  #sizeUpdates(): Buffer[] {
    if (this.#random.below(6) > 0) return [];
    const sizes = [this.#random.of([0, 60, 4_096]), this.#random.of([60, 4_096])];
    for (const size of sizes) {
      this.#tableBytes = size;
      if (size < 4_096) this.#latest = undefined;
    }
    return sizes.map((size) => integer(0x20, 5, size));
  }

  #field(): { bytes: Buffer; isGood: boolean } {
    const random = this.#random;
    const kind = random.below(6);
    // accept-encoding in the static table; the latest entry of the dynamic table.
    if (kind === 0) return { bytes: integer(0x80, 7, 16), isGood: true };
    if (kind === 1 && this.#latest) return { bytes: integer(0x80, 7, 62), isGood: this.#latest === 'good' };
    const text = (most: number): string =>
      Array.from({ length: random.below(most) }, () => random.of([...FIVE_BITS])).join('');
    const isGood = random.below(8) > 0;
    const badName = !isGood && random.below(2) === 0;
    const name = badName ? random.of(BAD_NAMES) : `o${text(random.of([4, 200]))}`;
    const value = isGood || badName ? text(random.of([1, 10, 300])) : random.of(BAD_VALUES);
    const isIncremental = kind === 2 || kind === 3;
    const [first, prefix] = isIncremental ? [0x40, 6] : [random.of([0, 0x10]), 4];
    // user-agent in the static table: its index does not fit into four bits.
    const named = !badName && random.below(4) === 0;
    if (isIncremental) this.#remember((named ? 'user-agent' : name).length + value.length + 32, isGood);
    const isHuffman = random.below(2) === 0;
    return {
      isGood,
      bytes: Buffer.concat([
        ...(named
          ? [integer(first, prefix, 58)]
          : [integer(first, prefix, 0), string(name, isHuffman && !badName)]),
        string(value, isHuffman && (isGood || badName)),
      ]),
    };
  }

  #remember(bytes: number, isGood: boolean): void {
    // An entry that is larger than the table empties it.
    this.#latest = bytes > this.#tableBytes ? undefined : isGood ? 'good' : 'bad';
  }

  #frames(stream: number, block: Buffer): Buffer {
    const random = this.#random;
    const first = random.below(3) === 0 ? random.below(block.length + 1) : block.length;
    const frames = [this.#headers(stream, block.subarray(0, first), first === block.length)];
    // nghttp2 accepts at most eight CONTINUATION frames for a block.
    let left = 6;
    for (let at = first; at < block.length; left--) {
      const end = left === 0 ? block.length : Math.min(block.length, at + random.of([0, 1, 5, HUGE]));
      frames.push(
        frame(FRAME.continuation, end === block.length ? END_HEADERS : 0, stream, block.subarray(at, end)),
      );
      at = end;
    }
    // Frames between requests, whose content must not be read as one.
    if (random.below(4) === 0) frames.push(frame(FRAME.ping, 0, 0, Buffer.from([0, 0, 5, 1, 4, 0, 0, 0])));
    return Buffer.concat(frames);
  }

  #headers(stream: number, fragment: Buffer, isWhole: boolean): Buffer {
    const random = this.#random;
    let flags = END_STREAM | (isWhole ? END_HEADERS : 0);
    const parts: Buffer[] = [];
    const padding = random.below(3) === 0 ? random.of([0, 1, 255]) : undefined;
    if (padding !== undefined) {
      flags |= PADDED;
      parts.push(Buffer.from([padding]));
    }
    if (random.below(3) === 0) {
      flags |= PRIORITY;
      parts.push(Buffer.from([0, 0, 0, 0, 15]));
    }
    return frame(
      FRAME.headers,
      flags,
      stream,
      Buffer.concat([...parts, fragment, Buffer.alloc(padding ?? 0)]),
    );
  }
}
