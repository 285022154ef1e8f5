import { copyFileSync, constants } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { CommandFailed, print, type Command } from './command.ts';

const STARTER = fileURLToPath(new URL('../../config/sallyport.yaml', import.meta.url));

export const init: Command = {
  name: 'init',
  summary: 'writes a commented starter configuration',
  usage: '[FILE]\n\n  FILE   where to (default: sallyport.yaml); an existing file is never overwritten',
  options: {},
  positionals: { min: 0, max: 1 },
  async run(args) {
    const [file = 'sallyport.yaml'] = args.positionals;
    try {
      copyFileSync(STARTER, file, constants.COPYFILE_EXCL);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      throw new CommandFailed(
        code === 'EEXIST'
          ? `${file} exists already; name another file`
          : `${file} cannot be written (${code})`,
      );
    }
    print(`wrote ${file}; edit it, then: sallyport check -c ${file} && sallyport run -c ${file}`);
    return 0;
  },
};
