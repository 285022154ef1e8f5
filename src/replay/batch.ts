/** Calls of one turn of the event loop, done together: one transaction, or one message, for all of them. */

/** What one call came to. */
export type Outcome<Result> = { readonly value: Result } | { readonly error: Error };

interface Waiting<Question, Result> {
  readonly question: Question;
  readonly resolve: (value: Result) => void;
  readonly reject: (error: Error) => void;
}

export class Batch<Question, Result> {
  readonly #run: (questions: readonly Question[]) => Promise<readonly Outcome<Result>[]>;
  #waiting: Waiting<Question, Result>[] = [];

  /** @param run gives the outcomes in the order of the questions; where it rejects, all of them do */
  constructor(run: (questions: readonly Question[]) => Promise<readonly Outcome<Result>[]>) {
    this.#run = run;
  }

  ask(question: Question): Promise<Result> {
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    // After the reads of this turn: each request arrives in a callback of its own.
    if (this.#waiting.length === 0) setImmediate(() => void this.#flush());
    this.#waiting.push({ question, resolve, reject });
    return promise;
  }

  async #flush(): Promise<void> {
    const waiting = this.#waiting;
    this.#waiting = [];
    try {
      const outcomes = await this.#run(waiting.map(({ question }) => question));
      for (const [index, { resolve, reject }] of waiting.entries()) {
        const outcome = outcomes[index] ?? { error: new Error('there is no outcome') };
        if ('error' in outcome) reject(outcome.error);
        else resolve(outcome.value);
      }
    } catch (error) {
      const cause = error instanceof Error ? error : new Error(String(error));
      for (const { reject } of waiting) reject(cause);
    }
  }
}
