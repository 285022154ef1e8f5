import { existsSync } from 'node:fs';
import { PROGRAM } from '../version.ts';
import { CommandFailed, flag, type Command } from './command.ts';

export const demo: Command = {
  name: 'demo',
  summary: 'plays the story of a token, with everything it takes in this process (from a checkout only)',
  usage: '[--script]\n\n      --script   plays the story itself, checks every response, prints a transcript',
  options: { script: { type: 'boolean' } },
  async run(args) {
    // The authorization server is a development dependency, and the package does not carry the demo.
    const story = new URL('../demo/story.ts', PROGRAM);
    if (!existsSync(story)) {
      throw new CommandFailed(
        'the demo is not part of the installed package; clone the repository and run: npm ci && npm run demo',
      );
    }
    const { playDemo } = (await import(story.href)) as { playDemo: (script: boolean) => Promise<number> };
    return playDemo(flag(args, 'script'));
  },
};
