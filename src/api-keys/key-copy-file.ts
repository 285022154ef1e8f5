/**
 * The copy of an issuer's stored keys that one gateway has on disk, for a start while the store is away, or has lost everything. It
 * holds what the store holds: digests and HMACs. Tombstones in it hold, too. Rule X1.
 */
import type { Clock } from '../clock.ts';
import { PrivateFile, Unsafe } from '../token/private-file.ts';
import type { NamedText } from './api-key-store.ts';
import { issuerOf } from './key-book.ts';
import type { KeyCopy } from './stored-keys.ts';

/** Some hundred thousand keys. */
const MAX_FILE_BYTES = 128 * 1024 * 1024;
const FIRST_LINE = 'sallyport api keys 1';
/** Changes that come together are written together. */
const WRITE_AFTER_MS = 500;

export interface KeyCopyParts {
  readonly clock: Clock;
  /** Told of each failure: what is wrong, and with which file. */
  readonly failed: (file: string, problem: string) => void;
}

/** One file for each issuer that has a folder for it. */
export class KeyCopyFiles implements KeyCopy {
  readonly #parts: KeyCopyParts;
  #files = new Map<string, PrivateFile>();
  #isWaiting = false;

  constructor(parts: KeyCopyParts) {
    this.#parts = parts;
  }

  /** @param folders by the name of the issuer */
  use(folders: ReadonlyMap<string, string>): void {
    this.#files = new Map(
      [...folders].map(([issuer, folder]) => {
        const name = `${issuer}-api-keys.txt`;
        return [issuer, new PrivateFile({ ...this.#parts, folder, name, maxBytes: MAX_FILE_BYTES })];
      }),
    );
  }

  async load(): Promise<readonly NamedText[]> {
    const loaded = [...this.#files.values()].map((file) => file.load(textsIn));
    return (await Promise.all(loaded)).flatMap((texts) => texts ?? []);
  }

  save(texts: () => Iterable<NamedText>): void {
    if (this.#isWaiting || this.#files.size === 0) return;
    this.#isWaiting = true;
    this.#parts.clock.after(WRITE_AFTER_MS, () => {
      this.#isWaiting = false;
      for (const [issuer, file] of this.#files) file.save(() => contentOf(issuer, texts()));
    });
  }
}

/** Neither a name nor a text has a line end. */
function contentOf(issuer: string, texts: Iterable<NamedText>): string {
  const lines = [FIRST_LINE];
  for (const { name, text } of texts) if (issuerOf(name) === issuer) lines.push(`${name} ${text}`);
  return `${lines.join('\n')}\n`;
}

function textsIn(bytes: Buffer): readonly NamedText[] {
  const [first, ...lines] = bytes.toString('utf8').split('\n');
  if (first !== FIRST_LINE) throw new Unsafe('it is not a copy of API keys that this version has saved');
  return lines.flatMap((line) => {
    const space = line.indexOf(' ');
    return space < 0 ? [] : [{ name: line.slice(0, space), text: line.slice(space + 1) }];
  });
}
