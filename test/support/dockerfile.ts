/** Reads the Dockerfile, .dockerignore and docker-compose.yml of the repository: as much of each as they use. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const read = (file: string): string => readFileSync(`${ROOT}${file}`, 'utf8');

export interface Instruction {
  readonly keyword: string;
  readonly text: string;
}

export interface Stage {
  readonly name: string;
  /** An image, or the name of a stage above. */
  readonly base: string;
  readonly instructions: readonly Instruction[];
}

/** The stages of the Dockerfile in order; a stage without a name has none here either. */
export function dockerfileStages(): Stage[] {
  const lines = read('Dockerfile')
    .replace(/^\s*#.*\n/gm, '')
    .replace(/\\\n\s*/g, '')
    .split('\n')
    .filter((line) => line.trim() !== '');
  const stages: { name: string; base: string; instructions: Instruction[] }[] = [];
  for (const line of lines) {
    const [, keyword = '', text = ''] = /^(\w+)\s+(.*)$/.exec(line) ?? [];
    const [, base, name = ''] = (keyword === 'FROM' && /^(\S+)(?: AS (\S+))?$/.exec(text)) || [];
    if (base !== undefined) stages.push({ name, base, instructions: [] });
    else stages.at(-1)?.instructions.push({ keyword, text });
  }
  return stages;
}

export function stageNamed(name: string): Stage {
  const stage = dockerfileStages().find((each) => each.name === name);
  if (!stage) throw new Error(`the Dockerfile has no stage ${name}`);
  return stage;
}

/** The text of the last instruction of this kind. */
export function lastOf({ instructions }: Stage, keyword: string): string | undefined {
  return instructions.findLast((each) => each.keyword === keyword)?.text;
}

/** The command of ENTRYPOINT, CMD and HEALTHCHECK, which all have the form of JSON here. */
export function commandOf(stage: Stage, keyword: string): string[] {
  const text = lastOf(stage, keyword);
  const [json] = /\[.*\]$/.exec(text ?? '') ?? [];
  return json === undefined ? [] : (JSON.parse(json) as string[]);
}

export interface Copy {
  /** A stage; undefined: the context. */
  readonly from: string | undefined;
  readonly sources: readonly string[];
  readonly target: string;
}

export function copyOf(text: string): Copy {
  const words = text.split(/\s+/);
  const from = words.find((word) => word.startsWith('--from='))?.slice('--from='.length);
  const paths = words.filter((word) => !word.startsWith('--'));
  return { from, sources: paths.slice(0, -1), target: paths.at(-1) ?? '' };
}

/** Does .dockerignore keep this file of the repository out? It names all files, and then whole files and folders to let in. */
export function isIgnored(path: string): boolean {
  const patterns = read('.dockerignore')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  const isIn = (pattern: string): boolean =>
    pattern === '*' || path === pattern || path.startsWith(`${pattern}/`);
  const last = patterns.findLast((pattern) => isIn(pattern.replace(/^!/, '')));
  return last !== undefined && !last.startsWith('!');
}

export interface Service {
  readonly image?: string;
  readonly build?: { readonly context: string; readonly target: string };
  readonly command?: readonly string[];
  readonly user?: string;
  readonly profiles?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly read_only?: boolean;
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly stop_grace_period?: string;
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
}

export interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

/** With the default of each variable. */
export function composeFile(): Compose {
  return parse(read('docker-compose.yml').replace(/\$\{\w+:-([^}]*)\}/g, '$1'), { merge: true }) as Compose;
}
