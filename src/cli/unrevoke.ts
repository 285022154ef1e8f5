import { ADMIN_OPTIONS, ADMIN_USAGE, AdminClient } from './admin-client.ts';
import { PROOF_OPTIONS, PROOF_USAGE, tellProofs, waitQuery } from './answer-proofs.ts';
import { print, type Command } from './command.ts';

export const unrevoke: Command = {
  name: 'unrevoke',
  summary: 'undoes a revocation: its tokens work again until they expire',
  usage: `ID\n${PROOF_USAGE}${ADMIN_USAGE}`,
  options: { ...ADMIN_OPTIONS, ...PROOF_OPTIONS },
  positionals: { min: 1, max: 1 },
  async run(args) {
    const [id = ''] = args.positionals;
    const path = `/v1/revocations/${encodeURIComponent(id)}${waitQuery(args, true)}`;
    const { body = {} } = await new AdminClient(args).call('DELETE', path);
    print(`undone: ${id}`);
    return tellProofs(args, body as object, 'let its tokens pass again');
  },
};
