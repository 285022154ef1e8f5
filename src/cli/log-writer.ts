/**
 * Writes the log to a file descriptor, many lines with one write. The memory that waiting lines use is bounded, and so
 * is the time that the end of the process waits for them: a full disk, a reader that is gone and one that does not read
 * cost lines, which are counted, and nothing else. (The writer that comes with pino waits for all three without limit.)
 */
import { write, writeSync } from 'node:fs';

/** A block is written when it has about this size, in characters. */
const BLOCK_CHARACTERS = 8 * 1024;
/** What may wait, in characters: about 20 000 requests. Lines beyond that are dropped. */
const WAITING_CHARACTERS = 8 * 1024 * 1024;
/** At the end of the process: how often, and how far apart, a reader that is busy is tried. Half a second in all. */
const LAST_TRIES = 50;
const LAST_PAUSE_MS = 10;

export class LogWriter {
  readonly #fd: number;
  /** Whole lines that no write has taken. */
  #waiting = '';
  #waitingLines = 0;
  /** What a write has taken and the system has not: it goes on there, so that no line is cut. */
  #block: Buffer | undefined;
  #blockLines = 0;
  #isWriting = false;
  #dropped = 0;

  constructor(fd: number) {
    this.#fd = fd;
  }

  /** Lines that were dropped so far. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Takes one line with its line end. Never throws. */
  write(line: string): void {
    if (this.#waiting.length + line.length > WAITING_CHARACTERS) {
      this.#dropped++;
      return;
    }
    this.#waiting += line;
    this.#waitingLines++;
    if (this.#waiting.length >= BLOCK_CHARACTERS && !this.#isWriting && !this.#block) this.flush();
  }

  /** Begins to write what waits; also what could not be written before. Never throws. */
  flush(): void {
    if (this.#isWriting) return;
    const block = this.#nextBlock();
    if (!block) return;
    this.#isWriting = true;
    write(this.#fd, block, (error, written) => {
      this.#isWriting = false;
      this.#written(error, written);
      if (!error && (this.#block ?? this.#waiting.length >= BLOCK_CHARACTERS)) this.flush();
    });
  }

  /** Writes what waits before it returns, or drops it. For the end of the process. Never throws. */
  flushSync(): void {
    // What the system is writing just now is not written a second time.
    if (this.#isWriting) this.#block = undefined;
    for (let tries = 0; tries < LAST_TRIES;) {
      const block = this.#nextBlock();
      if (!block) return;
      try {
        this.#written(null, writeSync(this.#fd, block));
      } catch (error) {
        if (!isBusy(error)) break;
        tries++;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LAST_PAUSE_MS);
      }
    }
    this.#dropped += this.#blockLines + this.#waitingLines;
    this.#block = undefined;
    this.#waiting = '';
    this.#waitingLines = this.#blockLines = 0;
  }

  #nextBlock(): Buffer | undefined {
    if (!this.#block && this.#waiting !== '') {
      this.#block = Buffer.from(this.#waiting);
      this.#blockLines = this.#waitingLines;
      this.#waiting = '';
      this.#waitingLines = 0;
    }
    return this.#block;
  }

  /** After an error the block stays, for the next flush: the disk may have room again by then. */
  #written(error: NodeJS.ErrnoException | null, written: number): void {
    if (error ?? !this.#block) return;
    if (written < this.#block.length) {
      this.#block = this.#block.subarray(written);
      return;
    }
    this.#block = undefined;
    this.#blockLines = 0;
  }
}

/** The reader of a pipe is slow. */
function isBusy(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'EAGAIN' || code === 'EBUSY' || code === 'EINTR';
}
