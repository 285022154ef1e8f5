/**
 * Picks the command, and turns what it throws into a line and an exit code.
 */
import { ConfigurationError } from '../config/load.ts';
import { VERSION } from '../version.ts';
import { check } from './check.ts';
import { CommandFailed, parseArguments, print, printError, UsageError, type Command } from './command.ts';
import { decode } from './decode.ts';
import { demo } from './demo.ts';
import { explain } from './explain.ts';
import { hash } from './hash.ts';
import { healthcheck } from './healthcheck.ts';
import { init } from './init.ts';
import { keys } from './keys.ts';
import { revocations } from './revocations.ts';
import { revoke } from './revoke.ts';
import { routes } from './routes.ts';
import { run } from './run.ts';
import { tellStartFailure } from './start-failure.ts';
import { schema } from './schema.ts';
import { unrevoke } from './unrevoke.ts';
import { worker } from './worker.ts';

const COMMANDS: readonly Command[] = [
  run,
  check,
  explain,
  decode,
  revoke,
  revocations,
  unrevoke,
  keys,
  routes,
  hash,
  healthcheck,
  schema,
  init,
  demo,
];

/** Runs the command line. Resolves to the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    print(overview());
    return name === undefined ? 2 : 0;
  }
  if (name === '--version' || name === '-v') {
    print(VERSION);
    return 0;
  }
  const command = [...COMMANDS, worker].find((candidate) => candidate.name === name);
  if (!command) {
    printError(`sallyport: there is no command "${name}"; see "sallyport --help"`);
    return 2;
  }
  if (rest.includes('--help') || rest.includes('-h')) {
    print(`sallyport ${command.name} ${command.usage}\n\n${command.summary}`);
    return 0;
  }
  keepOnWithoutReader(command);
  try {
    return await command.run(parseArguments(command, rest));
  } catch (error) {
    const failure = failureOf(error, command);
    if (!failure) throw error;
    const tell = command === run ? tellStartFailure : printError;
    for (const problem of failure.problems) tell(problem);
    return failure.code;
  }
}

/** What to say and to exit with; undefined for a bug. */
function failureOf(
  error: unknown,
  { name }: Command,
): { code: number; problems: readonly string[] } | undefined {
  if (error instanceof UsageError)
    return { code: 2, problems: [`sallyport ${name}: ${error.message}; see "sallyport ${name} --help"`] };
  if (error instanceof ConfigurationError) return { code: 1, problems: error.problems };
  if (error instanceof CommandFailed) return { code: 1, problems: [`sallyport ${name}: ${error.message}`] };
  return undefined;
}

/**
 * A reader that leaves, as in `| head -1`, ends no command. An output that cannot be written otherwise (a full disk) fails
 * every command but `run`, which serves on.
 */
function keepOnWithoutReader(command: Command): void {
  const failed = (error: NodeJS.ErrnoException): void => {
    if (command !== run && command !== worker && error.code !== 'EPIPE') process.exit(1);
  };
  for (const stream of [process.stdout, process.stderr]) stream.on('error', failed);
}

function overview(): string {
  const width = Math.max(...COMMANDS.map(({ name }) => name.length));
  const lines = COMMANDS.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary.split('\n')[0]}`);
  return `sallyport ${VERSION}: a bearer-auth gateway\n\nsallyport COMMAND [options]\n\n${lines.join('\n')}\n\nEvery command has --help.`;
}
