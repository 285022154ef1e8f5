/** Are the programs there that a real authorization server, or another peer, needs to be built and run? */
import { spawnSync } from 'node:child_process';

interface Program {
  readonly name: string;
  readonly arguments: readonly string[];
  /** Finds its version in what it prints. */
  readonly version: RegExp;
  readonly atLeast: readonly [major: number, minor: number];
}

const PROGRAMS = {
  Java: { name: 'java', arguments: ['-version'], version: /version "(\d+)(?:\.(\d+))?/, atLeast: [17, 0] },
  Maven: { name: 'mvn', arguments: ['--version'], version: /Apache Maven (\d+)\.(\d+)/, atLeast: [3, 6] },
  Python: { name: 'python3', arguments: ['--version'], version: /Python (\d+)\.(\d+)/, atLeast: [3, 9] },
  Go: { name: 'go', arguments: ['version'], version: /go version go(\d+)\.(\d+)/, atLeast: [1, 26] },
} satisfies Record<string, Program>;

/** Says what is missing, as the reason of a skipped test; false if nothing is. */
export function missing(...names: (keyof typeof PROGRAMS)[]): string | false {
  const lacking = names.filter((name) => !isThere(PROGRAMS[name]));
  if (lacking.length === 0) return false;
  const wanted = lacking.map((name) => `${name} ${PROGRAMS[name].atLeast.join('.')} or later`);
  return `${wanted.join(' and ')} must be installed for this test`;
}

function isThere(program: Program): boolean {
  const { status, stdout, stderr } = spawnSync(program.name, program.arguments, { encoding: 'utf8' });
  const [, major, minor = '0'] = (status === 0 && program.version.exec(`${stdout}${stderr}`)) || [];
  if (major === undefined) return false;
  const [wantedMajor, wantedMinor] = program.atLeast;
  return Number(major) > wantedMajor || (Number(major) === wantedMajor && Number(minor) >= wantedMinor);
}
