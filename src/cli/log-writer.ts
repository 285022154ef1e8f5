/**
 * Writes the log to a file descriptor, many lines with one write. The memory that waiting lines use is bounded, and so
 * is the time that the end of the process waits for them: a full disk, a reader that is gone and one that does not read
 * cost lines, which are counted, and nothing else. (The writer that comes with pino waits for all three without limit.)
 *
 * Audit lines are the exception: they wait in front of all others, are written at once, and are never dropped while the
 * process lives.
 */
import { write, writeSync } from 'node:fs';
import { systemClock, type Clock } from '../clock.ts';
import type { LineKind } from '../telemetry/logger.ts';
import { countLines } from './line-splitter.ts';

/** The largest block that is written at once, unless one line is larger. Lines are ASCII: characters are bytes. */
const BLOCK_CHARACTERS = 64 * 1024;
/** What may wait, in characters: about 12 000 requests. Further lines of requests are dropped. */
const WAITING_CHARACTERS = 8 * 1024 * 1024;
/** Other lines have this much more: requests must not crowd out what explains them. */
const EVENT_CHARACTERS = 1024 * 1024;
/** A line waits no longer than this for others. */
const FLUSH_MS = 100;
/** A reader that was busy is tried again after this time. */
const RETRY_MS = 5;
/** At the end of the process: how often, and how far apart, a reader that is busy is tried. Half a second in all. */
const LAST_TRIES = 50;
const LAST_PAUSE_MS = 10;

const STANDARD_ERROR = 2;

/** Whole lines that are written together: text that grows, or bytes as another process wrote them. */
interface Block {
  text: string;
  lines: number;
  readonly bytes?: Buffer;
}

export interface LogWriterOptions {
  readonly clock?: Clock;
  /**
   * The size of a block. Where several processes write to one pipe: 4096 (PIPE_BUF), up to which a write is never mixed
   * with others.
   */
  readonly blockCharacters?: number;
  /**
   * Is told once how many lines were dropped, when most of what waited has been written. Its own line may be written from
   * there.
   */
  readonly drained?: (dropped: number) => void;
}

export class LogWriter {
  readonly #fd: number;
  readonly #clock: Clock;
  readonly #blockCharacters: number;
  readonly #drained: ((dropped: number) => void) | undefined;
  /** Audit lines that no write has taken. */
  #audit = '';
  /** Oldest first; the last one grows. */
  readonly #blocks: Block[] = [];
  /** In #blocks. */
  #characters = 0;
  /** What a write has taken and the system has not: it goes on there, so that no line is cut. */
  #current: { bytes: Buffer; readonly lines: number; readonly auditText: string } | undefined;
  #isWriting = false;
  /** Is called when the write that has begun is done. */
  #whenWritten: () => void = () => undefined;
  /** When it is to flush again: the delays, in milliseconds, of the timers that run. */
  readonly #timers = new Set<number>();
  #dropped = 0;
  /** Of those, the ones that `drained` has not been told of. */
  #untold = 0;

  constructor(fd: number, options: LogWriterOptions = {}) {
    const { clock = systemClock, blockCharacters = BLOCK_CHARACTERS, drained } = options;
    this.#fd = fd;
    this.#clock = clock;
    this.#blockCharacters = blockCharacters;
    this.#drained = drained;
  }

  /** Lines that were dropped so far. */
  get dropped(): number {
    return this.#dropped;
  }

  /**
   * Takes one line with its line end, ASCII. Never throws.
   */
  write(line: string, kind: LineKind = 'event'): void {
    if (kind === 'audit') {
      this.#audit += line;
      this.flush();
      return;
    }
    const limit = kind === 'request' ? WAITING_CHARACTERS : WAITING_CHARACTERS + EVENT_CHARACTERS;
    if (!this.#hasRoom(line.length, 1, limit)) return;
    const last = this.#blocks.at(-1);
    if (last && !last.bytes && last.text.length + line.length <= this.#blockCharacters) {
      last.text += line;
      last.lines++;
    } else this.#blocks.push({ text: line, lines: 1 });
    this.#waits(line.length);
  }

  /** Takes whole lines, ASCII, as they are: nothing is made of them that the collector would have to clean up. Never throws. */
  writeBlock(bytes: Buffer): void {
    const lines = countLines(bytes);
    if (!this.#hasRoom(bytes.length, lines, WAITING_CHARACTERS + EVENT_CHARACTERS)) return;
    this.#blocks.push({ text: '', bytes, lines });
    this.#waits(bytes.length);
  }

  #hasRoom(characters: number, lines: number, limit: number): boolean {
    if (this.#characters + characters <= limit) return true;
    this.#dropped += lines;
    this.#untold += lines;
    return false;
  }

  #waits(characters: number): void {
    this.#characters += characters;
    if (this.#characters >= this.#blockCharacters && !this.#current) this.flush();
    else this.#flushAfter(FLUSH_MS);
  }

  #flushAfter(delayMs: number): void {
    if (this.#timers.has(delayMs)) return;
    this.#timers.add(delayMs);
    this.#clock.after(delayMs, () => {
      this.#timers.delete(delayMs);
      this.flush();
    });
  }

  /** Begins to write what waits; also what could not be written before. Never throws. */
  flush(): void {
    if (this.#isWriting) return;
    const bytes = this.#nextBytes();
    if (!bytes) return;
    this.#isWriting = true;
    write(this.#fd, bytes, (error, written) => {
      this.#isWriting = false;
      this.#whenWritten();
      if (error) {
        // A slow reader: what it takes is found out by trying.
        this.#flushAfter(isBusy(error) ? RETRY_MS : FLUSH_MS);
        return;
      }
      this.#written(written);
      if (this.#current ?? (this.#audit !== '' || this.#characters >= this.#blockCharacters)) this.flush();
      else if (this.#characters > 0) this.#flushAfter(FLUSH_MS);
    });
  }

  /** Resolves once the write that has begun is done, or after a while: what flushSync writes then comes behind it. */
  async settled(): Promise<void> {
    const tooLate = AbortSignal.timeout(LAST_TRIES * LAST_PAUSE_MS);
    while (this.#isWriting && !tooLate.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#whenWritten = resolve;
      tooLate.addEventListener('abort', () => resolve(), { once: true });
      await promise;
    }
  }

  /**
   * Writes what waits before it returns, or drops it; audit lines that cannot be written go to standard error. For the end
   * of the process. Never throws.
   */
  flushSync(): void {
    // What the system is writing just now is not written a second time.
    if (this.#isWriting) this.#current = undefined;
    for (let tries = 0; tries < LAST_TRIES;) {
      const bytes = this.#nextBytes();
      if (!bytes) return;
      try {
        this.#written(writeSync(this.#fd, bytes));
      } catch (error) {
        if (!isBusy(error)) break;
        tries++;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LAST_PAUSE_MS);
      }
    }
    this.#giveUp();
  }

  #giveUp(): void {
    const audit = (this.#current?.auditText ?? '') + this.#audit;
    try {
      if (audit !== '') writeSync(STANDARD_ERROR, audit);
    } catch {
      // Neither output can be written.
    }
    this.#dropped += this.#blocks.reduce((sum, { lines }) => sum + lines, this.#current?.lines ?? 0);
    this.#current = undefined;
    this.#blocks.length = this.#characters = 0;
    this.#audit = '';
  }

  #nextBytes(): Buffer | undefined {
    if (this.#current) return this.#current.bytes;
    const auditText = this.#audit;
    this.#audit = '';
    const block: Block | undefined = auditText === '' ? this.#blocks.shift() : { text: auditText, lines: 0 };
    if (!block) return undefined;
    // Latin-1: ASCII is that, too, and it is only copied.
    const bytes = block.bytes ?? Buffer.from(block.text, 'latin1');
    if (auditText === '') this.#characters -= bytes.length;
    this.#current = { bytes, lines: block.lines, auditText };
    return this.#current.bytes;
  }

  /** After an error the bytes stay, for the next flush: the disk may have room again by then. */
  #written(written: number): void {
    if (!this.#current) return;
    if (written < this.#current.bytes.length) {
      this.#current.bytes = this.#current.bytes.subarray(written);
      return;
    }
    this.#current = undefined;
    if (this.#untold > 0 && this.#characters < WAITING_CHARACTERS / 2) {
      const dropped = this.#untold;
      this.#untold = 0;
      this.#drained?.(dropped);
    }
  }
}

/** The reader of a pipe is slow. */
function isBusy(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'EAGAIN' || code === 'EBUSY' || code === 'EINTR';
}
