/**
 * The end of the current turn of the event loop, where the tokens that came in it are verified one behind the other. Between
 * two signatures a whole request would push what OpenSSL needs out of the processor's caches: together they cost less
 * (docs/decisions/signatures.md).
 *
 * Who waits goes on in the order of the calls, each in a call of its own: what one throws is its own matter. A token that is
 * alone waits for nothing but the callbacks that are due already.
 */

/** So many at most wait for each other, so that the first of a full turn is not held up by hundreds. */
export const MOST_TOGETHER = 32;

let current: PromiseWithResolvers<void> | undefined;
let waiting = 0;

export function turnEnd(): Promise<void> {
  const turn = (current ??= newTurn());
  if (++waiting === MOST_TOGETHER) end(turn);
  return turn.promise;
}

function newTurn(): PromiseWithResolvers<void> {
  const turn = Promise.withResolvers<void>();
  waiting = 0;
  // After the reads of this turn: each request arrives in a callback of its own.
  setImmediate(end, turn);
  return turn;
}

function end(turn: PromiseWithResolvers<void>): void {
  if (current === turn) current = undefined;
  turn.resolve();
}
