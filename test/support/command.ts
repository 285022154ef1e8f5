/** The commands of the command line within the test's process: for what they say and do, where a process adds nothing. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { main } from '../../src/cli/main.ts';

/** What a command printed, and its exit code. */
export interface Result {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

type Output = 'stdout' | 'stderr';

/** The command that runs now; undefined: the test itself. Commands may run at the same time. */
const running = new AsyncLocalStorage<Record<Output, string>>();

for (const output of ['stdout', 'stderr'] as const) {
  const stream = process[output];
  const write = stream.write.bind(stream) as (...args: unknown[]) => boolean;
  stream.write = (chunk: string | Uint8Array, ...rest: unknown[]): boolean => {
    const printed = running.getStore();
    if (!printed) return write(chunk, ...rest);
    printed[output] += Buffer.from(chunk as string).toString();
    return true;
  };
  // Each command listens for an output that cannot be written.
  stream.setMaxListeners(0);
}

/** Runs a command. One that reads standard input, changes to a folder or stays needs a process: sallyportProcess. */
export async function sallyport(args: readonly string[]): Promise<Result> {
  const printed = { stdout: '', stderr: '' };
  const code = await running.run(printed, () => main(args));
  return { code, out: printed.stdout, err: printed.stderr };
}
