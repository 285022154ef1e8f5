/** Values that are computed once for a token, such as its identity headers: a cached token brings them ready-made. */
import type { AuthenticToken } from './token-verifier.ts';

/** One value, kept with its token. */
interface Kept<T> {
  readonly by: TokenMemo<T>;
  readonly value: T;
}

/** The values that are kept with one token; they live as long as it does. */
export type KeptValues = Map<object, Kept<unknown>>;

/** One kind of value that is computed once for each token. */
export class TokenMemo<T> {
  readonly #make: (token: AuthenticToken) => T;

  constructor(make: (token: AuthenticToken) => T) {
    this.#make = make;
  }

  of(token: AuthenticToken): T {
    const known = token.kept.get(this);
    if (known !== undefined && isBy(this, known)) return known.value;
    const value = this.#make(token);
    token.kept.set(this, { by: this, value });
    return value;
  }
}

function isBy<T>(memo: TokenMemo<T>, kept: Kept<unknown>): kept is Kept<T> {
  return kept.by === memo;
}
