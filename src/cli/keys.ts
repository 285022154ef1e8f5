import { ADMIN_OPTIONS, ADMIN_USAGE, AdminClient } from './admin-client.ts';
import { flag, JSON_OPTION, print, printJson, UsageError, type Command } from './command.ts';

interface RefreshReply {
  readonly issuer: string;
  readonly added: readonly (string | null)[];
  readonly removed: readonly (string | null)[];
  readonly gateways: { readonly done: number };
}

export const keys: Command = {
  name: 'keys',
  summary: "fetches an issuer's keys now, on every gateway: tokens of removed keys are refused at once",
  usage: `refresh NAME

      NAME                     the configured name of the issuer
      --json                   prints { issuer, added, removed, gateways }${ADMIN_USAGE}`,
  options: { ...ADMIN_OPTIONS, ...JSON_OPTION },
  positionals: { min: 2, max: 2 },
  async run(args) {
    const [action = '', name = ''] = args.positionals;
    if (action !== 'refresh') throw new UsageError(`"${action}" is not refresh; write refresh NAME`);
    const path = `/v1/issuers/${encodeURIComponent(name)}/keys/refresh`;
    const { body } = await new AdminClient(args).call('POST', path);
    const reply = body as RefreshReply;
    if (flag(args, 'json')) {
      printJson(reply);
      return 0;
    }
    print(`fetched the keys of ${reply.issuer} on ${reply.gateways.done} gateway(s)`);
    print(`added:   ${keysText(reply.added)}`);
    print(`removed: ${keysText(reply.removed)}`);
    return 0;
  },
};

function keysText(keyIds: RefreshReply['added']): string {
  return keyIds.length === 0
    ? 'none'
    : keyIds.map((keyId) => (keyId === null ? '(without kid)' : JSON.stringify(keyId))).join(', ');
}
