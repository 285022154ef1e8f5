import { ADMIN_OPTIONS, ADMIN_USAGE, AdminClient } from './admin-client.ts';
import { print, type Command } from './command.ts';

export const unrevoke: Command = {
  name: 'unrevoke',
  summary: 'undoes a revocation: its tokens work again until they expire',
  usage: `ID\n${ADMIN_USAGE}`,
  options: ADMIN_OPTIONS,
  positionals: { min: 1, max: 1 },
  async run(args) {
    const [id = ''] = args.positionals;
    await new AdminClient(args).call('DELETE', `/v1/revocations/${encodeURIComponent(id)}`);
    print(`undone: ${id}`);
    return 0;
  },
};
