/**
 * SIGHUP asks for the configuration to be read again. By default it ends a process: at start and while requests drain
 * that would cut off what goes on.
 */

/** From now on SIGHUP ends nothing. @returns what takes the function that answers it; one that came before counts */
export function catchHangUps(): (answer: () => void) => void {
  let isPending = false;
  let answer = (): void => {
    isPending = true;
  };
  process.on('SIGHUP', () => answer());
  return (next) => {
    answer = next;
    if (isPending) next();
    isPending = false;
  };
}
