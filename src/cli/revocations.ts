import { ADMIN_OPTIONS, ADMIN_USAGE, AdminClient, kindText, timeText } from './admin-client.ts';
import type { EntryJson } from '../admin/entry-json.ts';
import {
  flag,
  JSON_OPTION,
  print,
  printJson,
  table,
  text,
  UsageError,
  type Arguments,
  type Command,
} from './command.ts';

export const revocations: Command = {
  name: 'revocations',
  summary: 'lists what is revoked, by whom, why, until when',
  usage: `[list] [--subject S]
sallyport revocations show ID

      --subject S              only entries of this subject
      --json                   prints JSON${ADMIN_USAGE}`,
  options: { ...ADMIN_OPTIONS, ...JSON_OPTION, subject: { type: 'string' } },
  positionals: { min: 0, max: 2 },
  async run(args) {
    const [action = 'list', id] = args.positionals;
    const client = new AdminClient(args);
    if (action === 'show') {
      if (id === undefined) throw new UsageError('which one? show ID');
      const { body } = await client.call('GET', `/v1/revocations/${encodeURIComponent(id)}`);
      show(args, [body as EntryJson]);
      return 0;
    }
    if (action !== 'list' || id !== undefined)
      throw new UsageError(`"${args.positionals.join(' ')}" is neither list nor show ID`);
    show(args, await allEntries(client, text(args, 'subject')));
    return 0;
  },
};

async function allEntries(client: AdminClient, subject: string | undefined): Promise<EntryJson[]> {
  const entries: EntryJson[] = [];
  let cursor: string | null = '';
  while (cursor !== null) {
    const query = new URLSearchParams({
      limit: '1000',
      ...(cursor === '' ? {} : { cursor }),
      ...(subject === undefined ? {} : { subject }),
    });
    const { body } = await client.call('GET', `/v1/revocations?${query.toString()}`);
    const page = body as { revocations: EntryJson[]; cursor: string | null };
    entries.push(...page.revocations);
    cursor = page.cursor;
  }
  return entries;
}

function show(args: Arguments, entries: readonly EntryJson[]): void {
  if (flag(args, 'json')) {
    printJson(entries);
    return;
  }
  if (entries.length === 0) {
    print('nothing is revoked');
    return;
  }
  print(
    table([
      ['ID', 'TARGET', 'ISSUER', 'ISSUED UP TO', 'UNTIL', 'BY', 'REASON'],
      ...entries.map((entry) => [
        entry.id,
        kindText(entry.target),
        entry.issuer ?? '-',
        timeText(entry.issued_before),
        timeText(entry.expires_at),
        entry.created_by,
        entry.reason ?? '-',
      ]),
    ]),
  );
}
