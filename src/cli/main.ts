/**
 * Picks the command, and turns what it throws into a line and an exit code.
 */
import { ConfigurationError } from '../config/load.ts';
import { VERSION } from '../version.ts';
import { CommandFailed, parseArguments, print, printError, UsageError, type Command } from './command.ts';
import { tellStartFailure } from './start-failure.ts';

/** In the order of the help. Each is loaded when it is called: a health check every few seconds needs little of this program. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  run: async () => (await import('./run.ts')).run,
  check: async () => (await import('./check.ts')).check,
  explain: async () => (await import('./explain.ts')).explain,
  decode: async () => (await import('./decode.ts')).decode,
  revoke: async () => (await import('./revoke.ts')).revoke,
  revocations: async () => (await import('./revocations.ts')).revocations,
  unrevoke: async () => (await import('./unrevoke.ts')).unrevoke,
  receipt: async () => (await import('./receipt.ts')).receipt,
  'api-keys': async () => (await import('./api-keys.ts')).apiKeys,
  keys: async () => (await import('./keys.ts')).keys,
  audit: async () => (await import('./audit.ts')).audit,
  routes: async () => (await import('./routes.ts')).routes,
  hash: async () => (await import('./hash.ts')).hash,
  healthcheck: async () => (await import('./healthcheck.ts')).healthcheck,
  schema: async () => (await import('./schema.ts')).schema,
  init: async () => (await import('./init.ts')).init,
  demo: async () => (await import('./demo.ts')).demo,
};

/** What the gateway calls itself. */
const INTERNAL: Readonly<Record<string, () => Promise<Command>>> = {
  worker: async () => (await import('./worker.ts')).worker,
};

async function commandNamed(name: string): Promise<Command | undefined> {
  const table = Object.hasOwn(INTERNAL, name) ? INTERNAL : COMMANDS;
  return Object.hasOwn(table, name) ? table[name]?.() : undefined;
}

/** Runs the command line. Resolves to the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    print(await overview());
    return name === undefined ? 2 : 0;
  }
  if (name === '--version' || name === '-v') {
    print(VERSION);
    return 0;
  }
  const command = await commandNamed(name);
  if (!command) {
    printError(`sallyport: there is no command "${name}"; see "sallyport --help"`);
    return 2;
  }
  keepOnWithoutReader(command);
  if (rest.includes('--help') || rest.includes('-h')) {
    print(`sallyport ${command.name} ${command.usage}\n\n${command.summary}`);
    return 0;
  }
  try {
    return await command.run(parseArguments(command, rest));
  } catch (error) {
    const failure = failureOf(error, command);
    if (!failure) throw error;
    const tell = command.name === 'run' ? tellStartFailure : printError;
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
function keepOnWithoutReader({ name }: Command): void {
  const serves = name === 'run' || name === 'worker';
  const isFatal = ({ code }: NodeJS.ErrnoException): boolean => !serves && code !== 'EPIPE';
  process.stderr.on('error', (error: NodeJS.ErrnoException) => {
    if (isFatal(error)) process.exit(1);
  });
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (!isFatal(error)) return;
    const text = `sallyport ${name}: standard output cannot be written (${error.code}); what it printed is not whole\n`;
    process.stderr.write(text, () => process.exit(1));
  });
}

async function overview(): Promise<string> {
  const commands = await Promise.all(Object.values(COMMANDS).map((load) => load()));
  const width = Math.max(...commands.map(({ name }) => name.length));
  const lines = commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary.split('\n')[0]}`);
  return `sallyport ${VERSION}: a bearer-auth gateway\n\nsallyport COMMAND [options]\n\n${lines.join('\n')}\n\nEvery command has --help.`;
}
