/** Builds the images of the Dockerfile without a container engine: a folder for each stage, from a clone of the repository. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import {
  copyOf,
  isIgnored,
  lastOf,
  ROOT,
  stageNamed,
  type Copy,
  type Stage,
} from '../../support/dockerfile.ts';
import { run } from '../support/installed.ts';

export interface Image {
  readonly stage: Stage;
  /** What is at `/` in it. */
  readonly root: string;
  readonly workdir: string;
}

/** Files under version control, as a fresh clone has them. */
export function cloneInto(folder: string): void {
  const { stdout } = spawnSync('git', ['ls-files', '-z'], { cwd: ROOT, encoding: 'utf8' });
  for (const file of stdout.split('\0').filter((name) => name !== '')) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    cpSync(join(ROOT, file), join(folder, file));
  }
}

export class ImageBuilder {
  readonly #clone: string;
  readonly #folder: string;
  readonly #built = new Map<string, Image>();

  /** @param folder for the images */
  constructor(clone: string, folder: string) {
    this.#clone = clone;
    this.#folder = folder;
  }

  build(name: string): Image {
    const built = this.#built.get(name);
    if (built) return built;
    const stage = stageNamed(name);
    const root = join(this.#folder, name);
    mkdirSync(root, { recursive: true });
    let workdir = '/';
    for (const { keyword, text } of stage.instructions) {
      if (keyword === 'WORKDIR') {
        workdir = resolve(workdir, text);
        mkdirSync(join(root, workdir), { recursive: true });
      }
      if (keyword === 'COPY') this.#copy(copyOf(text), join(root, resolve(workdir, copyOf(text).target)));
      // The stages with RUN are images with npm and the Node of this project.
      if (keyword === 'RUN') run('sh', ['-c', text], join(root, workdir), { PATH: withNode() });
    }
    const image = { stage, root, workdir };
    this.#built.set(name, image);
    return image;
  }

  #copy({ from, sources, target }: Copy, to: string): void {
    const origin = from === undefined ? this.#clone : this.build(from).root;
    const isFolder = /(?:^|\/)\.?$/.test(target) || sources.length > 1;
    for (const source of sources) {
      const path = join(origin, source);
      const into = isFolder && !statSync(path).isDirectory() ? join(to, basename(source)) : to;
      // Moved, not copied: thousands of files, and no two stages take the same.
      if (from !== undefined) renameSync(path, into);
      else
        cpSync(path, into, {
          recursive: true,
          filter: (file) => !isIgnored(file.slice(origin.length + 1)),
        });
    }
  }
}

const withNode = (): string => `${dirname(process.execPath)}:${process.env['PATH']}`;

/** As HEALTHCHECK, CMD and ENTRYPOINT see it. */
export function userOf({ stage }: Image): string {
  return lastOf(stage, 'USER') ?? '0:0';
}
