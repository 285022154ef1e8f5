/** Cuts a stream of bytes into blocks of whole lines. What has no line end waits for it, up to a size. */

/** Longer than any line that a gateway writes. */
const MAX_BYTES = 1024 * 1024;
const LINE_END = 0x0a;
const NOTHING = Buffer.alloc(0);

export class LineSplitter {
  readonly #take: (bytes: Buffer) => void;
  #rest: Buffer = NOTHING;

  /** @param take gets whole lines, each with its line end */
  constructor(take: (bytes: Buffer) => void) {
    this.#take = take;
  }

  add(bytes: Buffer): void {
    const end = bytes.lastIndexOf(LINE_END) + 1;
    if (end > 0) {
      const whole = bytes.subarray(0, end);
      this.#take(this.#rest.length > 0 ? Buffer.concat([this.#rest, whole]) : whole);
      this.#rest = NOTHING;
    }
    if (end < bytes.length) this.#rest = Buffer.concat([this.#rest, bytes.subarray(end)]);
    if (this.#rest.length > MAX_BYTES) this.end();
  }

  /** Nothing more comes: what has no line end gets one. */
  end(): void {
    if (this.#rest.length > 0) this.#take(Buffer.concat([this.#rest, Buffer.of(LINE_END)]));
    this.#rest = NOTHING;
  }
}

export function countLines(bytes: Buffer): number {
  let lines = 0;
  for (let at = bytes.indexOf(LINE_END); at >= 0; at = bytes.indexOf(LINE_END, at + 1)) lines++;
  return lines;
}
