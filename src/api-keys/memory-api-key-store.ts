/** API keys in the memory of this process: for trying things out. A restart forgets them, and no other gateway learns of them. */
import type { Clock } from '../clock.ts';
import { PositionLost, type Position } from '../revocation/revocation-store.ts';
import type { ApiKeyStore, Changes, KeyUse, NamedText, Replacement } from './api-key-store.ts';

export class MemoryApiKeyStore implements ApiKeyStore {
  readonly #clock: Clock;
  /** In the order of their changes. */
  readonly #texts = new Map<string, { readonly text: string; readonly number: number }>();
  readonly #uses = new Map<string, number>();
  #number = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async nowMs(): Promise<number> {
    return this.#clock.nowMs();
  }

  async changes(after: Position | undefined): Promise<Changes> {
    const from = Number(after ?? this.#number);
    if (from > this.#number) throw new PositionLost('the order ends before the position');
    const texts = [...this.#texts].flatMap(([name, { text, number }]) =>
      number > from ? [{ name, text }] : [],
    );
    return { texts, position: String(this.#number), complete: 'everything' };
  }

  async *snapshot(): AsyncGenerator<readonly NamedText[]> {
    yield [...this.#texts].map(([name, { text }]) => ({ name, text }));
  }

  async replace(replacements: readonly Replacement[]): Promise<readonly boolean[]> {
    return replacements.map(({ name, before, text }) => {
      if (this.#texts.get(name)?.text !== before) return false;
      this.#texts.delete(name);
      if (text === undefined) this.#uses.delete(name);
      else this.#texts.set(name, { text, number: ++this.#number });
      return true;
    });
  }

  async noteUses(uses: readonly KeyUse[]): Promise<void> {
    for (const { name, usedAt } of uses)
      this.#uses.set(name, Math.max(usedAt, this.#uses.get(name) ?? usedAt));
  }

  async lastUses(names: readonly string[]): Promise<readonly (number | undefined)[]> {
    return names.map((name) => this.#uses.get(name));
  }

  async close(): Promise<void> {
    // It ends with the process.
  }
}
