/** A terminal in which a test does what a page says: it saves the files and copies the commands, from top to bottom. */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import type { Test } from 'tap';
import { withReplacements, type Block } from './document.ts';
import { MAIN, temporaryFolder } from './process.ts';

export interface Terminal {
  /** Its home; below it, where it began. */
  readonly home: string;
  /** Runs commands. Resolves with what they printed; rejects where the last one fails. */
  run(commands: string): Promise<string>;
  /** Does what one block says: runs it, saves it, or compares it with what the commands before it printed. */
  follow(t: Test, block: Block): Promise<void>;
}

/** A shell that ends its jobs when it ends, which is when this process is gone, at the latest. */
const SCRIPT = `set -m; trap 'kill -9 $(jobs -p | sed s/^/-/) 2>/dev/null' EXIT; while IFS= read -r step; do . "$step" </dev/null; code=$?; echo; echo "$code $step."; done`;

/** A shell in a folder of its own, and what it has printed. */
class Shell {
  readonly home: string;
  readonly #process: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #closed: Promise<unknown>;
  #output = '';
  #heard: () => void = () => undefined;
  #steps = 0;

  constructor(home: string, environment: Readonly<Record<string, string>>) {
    const [bin, work] = [join(home, '.bin'), join(home, 'work')];
    this.home = home;
    mkdirSync(bin);
    mkdirSync(work);
    writeFileSync(join(bin, 'sallyport'), `#!/bin/sh\nexec "${process.execPath}" "${MAIN}" "$@"\n`);
    chmodSync(join(bin, 'sallyport'), 0o755);
    const path = [bin, dirname(process.execPath), process.env['PATH']].join(delimiter);
    this.#process = spawn('bash', ['--noprofile', '--norc', '-c', SCRIPT], {
      cwd: work,
      env: { ...process.env, HOME: home, NO_COLOR: '1', PATH: path, ...environment },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    for (const stream of [this.#process.stdout, this.#process.stderr])
      stream.on('data', (chunk: Buffer) => {
        this.#output += chunk.toString();
        this.#heard();
      });
    this.#closed = once(this.#process, 'close').then(() => this.#heard());
  }

  /** Resolves with what the commands printed; rejects where the last one fails. */
  async run(commands: string): Promise<string> {
    const step = join(this.home, `.step-${++this.#steps}`);
    writeFileSync(step, commands);
    const from = this.#output.length;
    this.#process.stdin.write(`${step}\n`);
    const end = new RegExp(`^(\\d+) ${step}\\.\n`, 'm');
    for (;;) {
      const output = this.#output.slice(from);
      const [found, code] = end.exec(output) ?? [];
      if (found !== undefined) {
        const printed = output.replace(found, '').replace(/\n$/, '');
        if (code === '0') return printed;
        throw new Error(`exit code ${code}: ${commands}\n${printed}`);
      }
      if (this.#process.exitCode !== null) throw new Error(`the shell ended: ${commands}\n${output}`);
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#heard = resolve;
      await promise;
    }
  }

  async end(): Promise<void> {
    this.#process.stdin.end();
    await this.#closed;
  }
}

/**
 * @param replacements what the page writes, and what the test has in its place, such as ports
 * @param environment variables that the page says nothing of
 */
export function openTerminal(
  t: Test,
  replacements: Readonly<Record<string, string>> = {},
  environment: Readonly<Record<string, string>> = {},
): Terminal {
  const shell = new Shell(temporaryFolder(t), environment);
  t.teardown(() => shell.end());
  let printed = '';
  return {
    home: shell.home,
    run: (commands) => shell.run(commands),
    async follow(t, { language, text: written, file, place }) {
      const text = withReplacements(written, replacements);
      if (file !== undefined) await shell.run(`cat > ${file} <<'END OF THE FILE'\n${text}END OF THE FILE\n`);
      else if (language === 'sh') {
        printed = await shell.run(text);
        t.pass(`${place}: ${written.split('\n', 1)[0] ?? ''}`);
      } else if (language === 'text') {
        for (const line of text.trimEnd().split('\n')) t.match(printed, lineLike(line), `${place}: ${line}`);
      } else throw new Error(`${place}: what is a block of "${language}" without the name of a file?`);
    },
  };
}

/** A line as a page shows it: … stands for anything, and any white space for white space. */
function lineLike(line: string): RegExp {
  const parts = line
    .trim()
    .split('…')
    .map((part) =>
      part
        .split(/\s+/)
        .map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
        .join('[ \\t]+'),
    );
  return new RegExp(`^[ \\t]*${parts.join('.*')}[ \\t\\r]*$`, 'm');
}
