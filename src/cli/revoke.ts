import { ADMIN_OPTIONS, ADMIN_USAGE, AdminClient, targetText, timeText } from './admin-client.ts';
import { PROOF_OPTIONS, PROOF_USAGE, tellProofs, waitQuery } from './answer-proofs.ts';
import { programText, quoted } from './program-text.ts';
import type { PreviewJson, RevokedJson } from '../admin/entry-json.ts';
import {
  flag,
  JSON_OPTION,
  print,
  printJson,
  readToken,
  text,
  timeOf,
  UsageError,
  type Arguments,
  type Command,
} from './command.ts';

export const revoke: Command = {
  name: 'revoke',
  summary:
    'revokes a token, a session for good, or what a subject, client or claim has been issued up to now',
  usage: `--token-file F [--issuer I]
sallyport revoke --issuer I (--token-id J | --subject S | --session S | --client C | --claim NAME=VALUE)

      --token-file F           file that holds the token; - is standard input
      --issuer I               the exact iss, or the configured name of the issuer
      --subject S              also ends the tokens with which it acts for others (act)
      --client C               also ends the tokens through it, such as an agent that acts for users (act)
      --issued-before TIME     the cutoff of a subject, client or claim (default: now): 2026-01-31T12:00:00Z, or
                               seconds since 1970
      --allow-unknown-issuer   takes an iss that is not configured, as an issuer of opaque tokens may give them any
      --reason TEXT            why; shown with the entry and in the audit line
      --dry-run                says what would be revoked, and revokes nothing
      --json                   prints the entry as JSON${PROOF_USAGE}${ADMIN_USAGE}`,
  options: {
    ...ADMIN_OPTIONS,
    ...JSON_OPTION,
    ...PROOF_OPTIONS,
    'token-file': { type: 'string' },
    issuer: { type: 'string' },
    'token-id': { type: 'string' },
    subject: { type: 'string' },
    session: { type: 'string' },
    client: { type: 'string' },
    claim: { type: 'string' },
    'issued-before': { type: 'string' },
    'allow-unknown-issuer': { type: 'boolean' },
    reason: { type: 'string' },
    'dry-run': { type: 'boolean' },
  },
  positionals: { min: 0, max: 1 },
  async run(args) {
    const request = requestBody(args);
    const path = `/v1/revocations${waitQuery(args)}`;
    const { status, body } = await new AdminClient(args).call('POST', path, request);
    const reply = body as RevokedJson | PreviewJson;
    if (flag(args, 'json')) {
      printJson(reply);
      return 'dry_run' in reply || reply.expired === true ? 0 : tellProofs(args, reply, 'refuse it');
    }
    if ('dry_run' in reply) print(`would revoke ${targetText(reply)} as ${reply.id}; nothing was changed`);
    else if (reply.expired === true) {
      print('the token has expired already: nothing to revoke');
      return 0;
    } else {
      print(`${status === 201 ? 'revoked' : 'was revoked already'}: ${targetText(reply)}`);
      if (reply.issued_before !== null) print(`issued up to ${timeText(reply.issued_before)}`);
      print(`until ${timeText(reply.expires_at)}; undo with: ${undoText(args, reply.id)}`);
    }
    print(`ends: ${reply.ends}\nend also: ${reply.also_end}`);
    return 'dry_run' in reply ? 0 : tellProofs(args, reply, 'refuse it');
  },
};

/** The command that takes it back, to paste: with the options that reached the admin listener. */
function undoText(args: Arguments, id: string): string {
  const options = Object.keys(ADMIN_OPTIONS).flatMap((name) => {
    const value = text(args, name);
    return value === undefined ? [] : [`--${name}`, quoted(value)];
  });
  return [programText(), 'unrevoke', id, ...options].join(' ');
}

const TARGET_OPTIONS = {
  'token-id': 'token_id',
  subject: 'subject',
  session: 'session',
  client: 'client',
} as const;

function requestBody(args: Arguments): object {
  const token = readToken(args);
  const targets = Object.entries(TARGET_OPTIONS).flatMap(([option, field]): [string, unknown][] => {
    const value = text(args, option);
    return value === undefined ? [] : [[field, value]];
  });
  const claim = text(args, 'claim');
  if (claim !== undefined) targets.push(['claim', claimOf(claim)]);
  if (token !== undefined) targets.push(['token', token]);
  if (targets.length !== 1)
    throw new UsageError(
      'give exactly one of --token-file, --token-id, --subject, --session, --client, --claim',
    );
  const issuer = text(args, 'issuer');
  if (token === undefined && issuer === undefined) throw new UsageError('--issuer is missing');
  const issuedBefore = text(args, 'issued-before');
  if (issuedBefore !== undefined && text(args, 'session') !== undefined)
    throw new UsageError('--issued-before has no meaning with --session: a session ends for good');
  const reason = text(args, 'reason');
  return {
    ...Object.fromEntries(targets),
    ...(issuer === undefined ? {} : { issuer }),
    ...(issuedBefore === undefined ? {} : { issued_before: timeOf(issuedBefore) }),
    ...(reason === undefined ? {} : { reason }),
    ...(flag(args, 'allow-unknown-issuer') ? { allow_unknown_issuer: true } : {}),
    ...(flag(args, 'dry-run') ? { dry_run: true } : {}),
  };
}

function claimOf(text: string): Record<string, string> {
  const equals = text.indexOf('=');
  if (equals < 1) throw new UsageError('--claim must be NAME=VALUE');
  return { [text.slice(0, equals)]: text.slice(equals + 1) };
}
