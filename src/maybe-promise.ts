/**
 * A value that is here, or on its way. On the hot path a step returns without a Promise where it can, so that
 * a cached token never waits a turn of the event loop.
 */
export type MaybePromise<T> = T | Promise<T>;

/** Goes on with a value now if it is here, else when it comes. */
export function whenReady<T, U>(
  value: MaybePromise<T>,
  next: (value: T) => MaybePromise<U>,
): MaybePromise<U> {
  return value instanceof Promise ? value.then(next) : next(value);
}

/** The value of `first`; where it throws or its promise is rejected, the value of `second`. */
export function orElse<T>(
  first: () => MaybePromise<T>,
  second: (error: unknown) => MaybePromise<T>,
): MaybePromise<T> {
  try {
    const value = first();
    return value instanceof Promise ? value.catch(second) : value;
  } catch (error) {
    return second(error);
  }
}

/** The value; where it is an error, it is thrown. */
export function orThrow<T>(value: T): Exclude<T, Error> {
  if (value instanceof Error) throw value;
  return value as Exclude<T, Error>;
}
