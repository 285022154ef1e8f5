import type {
  ApiKeyJson,
  ApiKeyListJson,
  KnownJson,
  NewApiKeyJson,
  RevokedApiKeyJson,
  RotatedApiKeyJson,
} from '../admin/api-key-json.ts';
import { ADMIN_OPTIONS, ADMIN_USAGE, AdminClient, timeText } from './admin-client.ts';
import { systemClock } from '../clock.ts';
import { claimsOf, expiryOf, secondsOf, texts } from './api-key-options.ts';
import { newEntry } from './api-key-offline.ts';
import {
  CommandFailed,
  flag,
  JSON_OPTION,
  print,
  printError,
  printJson,
  table,
  text,
  UsageError,
  type Arguments,
  type Command,
} from './command.ts';

type Action = (args: Arguments, id: string | undefined) => Promise<void>;

const ACTIONS: Readonly<Record<string, Action>> = { create, list, revoke, rotate };
/** Which options each action has, beside those of all. */
const OPTIONS_OF: Readonly<Record<string, readonly string[]>> = {
  create: ['id', 'subject', 'client', 'scope', 'claim', 'expires', 'note', 'offline'],
  list: ['subject', 'client', 'state'],
  revoke: ['reason'],
  rotate: ['overlap', 'expires'],
};

export const apiKeys: Command = {
  name: 'api-keys',
  summary: 'creates, lists, rotates and revokes API keys of clients',
  usage: `create (--subject S | --client C) [--scope S]… [--claim NAME=VALUE]… [--expires T] [--note TEXT] [--id ID]
sallyport api-keys list [--subject S] [--client C] [--state active|expired|revoked]
sallyport api-keys revoke ID [--reason TEXT]
sallyport api-keys rotate ID [--overlap T] [--expires T]

      --issuer I               the configured name of the issuer (default: the only one whose keys are in the store)
      --subject S, --client C  whose key it is; one of them, or both
      --scope S                what it may; more than once, or several separated by spaces
      --claim NAME=VALUE       a further claim, as a text; NAME:=JSON for anything else; may come more than once
      --expires T              90d, 24h, 30m, or 2027-01-31T00:00:00Z (default: create, never; rotate, as long as
                               the key before it)
      --note TEXT              for people; shown in lists
      --id ID                  what the key is called in lists and logs (default: made up)
      --offline                asks no gateway: prints the key, and on standard error the entry for api_keys.file
      --state S                lists only keys that are active, expired or revoked
      --reason TEXT            why; shown with the key and in the audit line
      --overlap T              how long the key before it still works (default: 24h)
      --json                   prints JSON${ADMIN_USAGE}

The key itself is printed once, alone on standard output. No command, file or log shows it again.`,
  options: {
    ...ADMIN_OPTIONS,
    ...JSON_OPTION,
    issuer: { type: 'string' },
    id: { type: 'string' },
    subject: { type: 'string' },
    client: { type: 'string' },
    scope: { type: 'string', multiple: true },
    claim: { type: 'string', multiple: true },
    expires: { type: 'string' },
    note: { type: 'string' },
    offline: { type: 'boolean' },
    state: { type: 'string' },
    reason: { type: 'string' },
    overlap: { type: 'string' },
  },
  positionals: { min: 1, max: 2 },
  async run(args) {
    const [name = '', id] = args.positionals;
    const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
    if (!action) throw new UsageError(`"${name}" is none of ${Object.keys(ACTIONS).join(', ')}`);
    refuseMisplaced(args, name, id);
    await action(args, id);
    return 0;
  },
};

function refuseMisplaced(args: Arguments, action: string, id: string | undefined): void {
  const takesId = action === 'revoke' || action === 'rotate';
  if (takesId && id === undefined) throw new UsageError(`which one? ${action} ID`);
  if (!takesId && id !== undefined) throw new UsageError(`"${id}" is one argument too many`);
  const own = OPTIONS_OF[action] ?? [];
  const foreign = Object.values(OPTIONS_OF)
    .flat()
    .find((option) => args.values[option] !== undefined && !own.includes(option));
  if (foreign !== undefined) throw new UsageError(`--${foreign} has no meaning with ${action}`);
}

async function create(args: Arguments): Promise<void> {
  const given = (name: string): string | undefined => text(args, name);
  const expires = given('expires');
  const scopes = texts(args, 'scope').flatMap((scope) => scope.split(' ').filter((each) => each !== ''));
  const rights = {
    id: given('id'),
    subject: given('subject'),
    client: given('client'),
    scopes,
    claims: claimsOf(texts(args, 'claim')),
    expires: expires === undefined ? undefined : expiryOf(expires, systemClock.nowMs() / 1000),
    note: given('note'),
  };
  if (rights.subject === undefined && rights.client === undefined)
    throw new UsageError('whose key is it? give --subject or --client');
  if (flag(args, 'offline')) {
    const { key, entry } = newEntry(rights);
    if (flag(args, 'json')) return printJson({ key, entry });
    printError('add this entry to the file of api_keys.file; the key is shown once, keep it now:');
    printError(`- ${JSON.stringify(entry)}`);
    return print(key);
  }
  const client = new AdminClient(args);
  const body = { ...rights, issuer: await issuerOf(client, args) };
  const made = (await client.call('POST', '/v1/api-keys', body)).body as NewApiKeyJson;
  if (flag(args, 'json')) return printJson(made);
  printError(`created: ${made.id} of ${made.issuer}; ${expiryText(made)}; ${knownText(made.confirmed)}`);
  printError('the key is shown once, keep it now:');
  print(made.key);
}

async function list(args: Arguments): Promise<void> {
  const client = new AdminClient(args);
  const filter = ['issuer', 'subject', 'client', 'state'].flatMap((name): [string, string][] => {
    const value = text(args, name);
    return value === undefined ? [] : [[name, value]];
  });
  const keys: ApiKeyJson[] = [];
  let isCurrent = true;
  for (let cursor: string | null = ''; cursor !== null;) {
    const query = new URLSearchParams([...filter, ['limit', '1000']]);
    if (cursor !== '') query.set('cursor', cursor);
    const page = (await client.call('GET', `/v1/api-keys?${query.toString()}`)).body as ApiKeyListJson;
    keys.push(...page.api_keys);
    isCurrent &&= page.current || page.issuers.length === 0;
    ({ cursor } = page);
  }
  if (!isCurrent) printError('the store is unavailable: this is what the gateway knew before');
  if (flag(args, 'json')) return printJson(keys);
  if (keys.length === 0) return print('there are no such keys');
  print(
    table([
      ['ID', 'ISSUER', 'STATE', 'SUBJECT', 'CLIENT', 'SCOPES', 'CREATED', 'EXPIRES', 'LAST USED', 'NOTE'],
      ...keys.map((key) => [
        key.id,
        key.issuer,
        key.replaced_by === null ? key.state : `${key.state}, replaced by ${key.replaced_by}`,
        key.subject ?? '-',
        key.client ?? '-',
        key.scopes.join(' ') || '-',
        timeText(key.created_at),
        key.expires_at === null ? 'never' : timeText(key.expires_at),
        key.last_used_at === null ? '-' : timeText(key.last_used_at),
        key.note ?? '-',
      ]),
    ]),
  );
}

async function revoke(args: Arguments, id = ''): Promise<void> {
  const client = new AdminClient(args);
  const reason = text(args, 'reason');
  const path = pathOf(await issuerOf(client, args), id);
  const body = reason === undefined ? undefined : { reason };
  const key = (await client.call('DELETE', path, body)).body as RevokedApiKeyJson;
  if (flag(args, 'json')) return printJson(key);
  print(
    `revoked: ${key.id} of ${key.issuer}, by ${key.revoked_by ?? '-'}; refused since ${timeText(key.revoked_at)}, for good; ${knownText(key.confirmed)}`,
  );
}

async function rotate(args: Arguments, id = ''): Promise<void> {
  const client = new AdminClient(args);
  const overlap = text(args, 'overlap');
  const expires = text(args, 'expires');
  const made = (
    await client.call('POST', `${pathOf(await issuerOf(client, args), id)}/rotate`, {
      ...(overlap !== undefined && { overlap: secondsOf('overlap', overlap) }),
      ...(expires !== undefined && { expires: expiryOf(expires, systemClock.nowMs() / 1000) }),
    })
  ).body as RotatedApiKeyJson;
  if (flag(args, 'json')) return printJson(made);
  printError(`created: ${made.id} of ${made.issuer}; ${expiryText(made)}; ${knownText(made.confirmed)}`);
  printError(
    `${made.before.id} works until ${timeText(made.before.expires_at)}: give its client the new key before that`,
  );
  printError('the new key is shown once, keep it now:');
  print(made.key);
}

/** The one that is named, or the only one there is. */
async function issuerOf(client: AdminClient, args: Arguments): Promise<string> {
  const named = text(args, 'issuer');
  if (named !== undefined) return named;
  const { issuers } = (await client.call('GET', '/v1/api-keys?limit=1')).body as ApiKeyListJson;
  const [only, second] = issuers;
  if (only === undefined)
    throw new CommandFailed(
      'no issuer keeps its keys in the store; set api_keys.store: true for one, or use --offline',
    );
  if (second !== undefined) throw new UsageError(`--issuer is missing; it is one of ${issuers.join(', ')}`);
  return only;
}

function pathOf(issuer: string, id: string): string {
  return `/v1/api-keys/${encodeURIComponent(issuer)}/${encodeURIComponent(id)}`;
}

function expiryText({ expires_at: seconds }: ApiKeyJson): string {
  return seconds === null ? 'never expires' : `expires ${timeText(seconds)}`;
}

function knownText({ gateways, know, unconfirmed }: KnownJson): string {
  const missing = unconfirmed.length === 0 ? '' : ` (NOT confirmed by ${unconfirmed.join(', ')})`;
  return `known to ${know} of ${gateways} gateways${missing}`;
}
