/** Cuts a stream of text into blocks of whole lines. What has no line end waits for it, up to a size. */

/** Longer than any line that a gateway writes. */
const MAX_CHARACTERS = 1024 * 1024;

export class LineSplitter {
  readonly #take: (text: string, lines: number) => void;
  #rest = '';

  /** @param take gets whole lines, each with its line end, and how many they are */
  constructor(take: (text: string, lines: number) => void) {
    this.#take = take;
  }

  add(text: string): void {
    const end = text.lastIndexOf('\n') + 1;
    if (end > 0) {
      const block = this.#rest + text.slice(0, end);
      let lines = 0;
      for (let at = block.indexOf('\n'); at >= 0; at = block.indexOf('\n', at + 1)) lines++;
      this.#take(block, lines);
      this.#rest = '';
    }
    this.#rest += text.slice(end);
    if (this.#rest.length > MAX_CHARACTERS) this.end();
  }

  /** Nothing more comes: what has no line end gets one. */
  end(): void {
    if (this.#rest !== '') this.#take(`${this.#rest}\n`, 1);
    this.#rest = '';
  }
}
