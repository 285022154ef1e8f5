/**
 * What was read from texts that come again and again: hosts, names of headers, certificates, headers of proofs. Bounded, whatever
 * a client or an upstream sends. Two tables take turns: where the young one is full, it becomes the old one, whose place is given
 * up. A text that comes again moves to the young one. So what is in use stays, and a flood of odd texts costs one more reading of
 * each now and then; a table that takes nothing more once it is full would read each later text again every time. Pure.
 */

/** In each of the two tables. */
const MOST = 1_000;
/** A longer text is hardly one that comes again, and thousands of them would be much memory. */
const MOST_CHARACTERS = 256;

export class RecentReadings<R> {
  readonly #most: number;
  readonly #mostCharacters: number;
  #young = new Map<string, R>();
  #old = new Map<string, R>();

  /** @param most texts in each of the two tables; longer texts than `mostCharacters` are not remembered */
  constructor({ most = MOST, mostCharacters = MOST_CHARACTERS } = {}) {
    this.#most = most;
    this.#mostCharacters = mostCharacters;
  }

  /** @returns undefined where it must be read */
  get(text: string): R | undefined {
    const reading = this.#young.get(text);
    if (reading !== undefined) return reading;
    const older = this.#old.get(text);
    if (older !== undefined) this.add(text, older);
    return older;
  }

  add(text: string, reading: R): void {
    if (text.length > this.#mostCharacters) return;
    if (this.#young.size >= this.#most) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(text, reading);
  }
}
