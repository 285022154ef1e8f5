import { logHash } from '../telemetry/log-hash.ts';
import {
  CommandFailed,
  CONFIG_OPTION,
  configurationOf,
  flag,
  JSON_OPTION,
  print,
  printJson,
  text,
  UsageError,
  type Command,
} from './command.ts';

/** Which member of a log line has the hash of what an option names. */
const MEMBERS = { subject: 'sub_hash', 'token-id': 'jti_hash' } as const;

export const hash: Command = {
  name: 'hash',
  summary: 'prints the hash that the log shows for a subject or a token id',
  usage: `(--subject S | --token-id J) [-c FILE] [--json]

      --subject S         the subject of tokens; the log has its hash as sub_hash
      --token-id J        the jti of a token; the log has its hash as jti_hash
      --json              prints the name of the member, too
  -c, --config FILE       the configuration, which names the key (log_key_file)`,
  options: {
    ...CONFIG_OPTION,
    ...JSON_OPTION,
    subject: { type: 'string' },
    'token-id': { type: 'string' },
  },
  async run(args) {
    const [named, second] = Object.entries(MEMBERS).flatMap(([option, member]) => {
      const value = text(args, option);
      return value === undefined ? [] : [{ member, value }];
    });
    if (!named || second) throw new UsageError('give one of --subject and --token-id');
    const { log_key: key } = configurationOf(args).configuration;
    if (key === undefined)
      throw new CommandFailed(
        'no log_key_file is set: each start of the gateway takes a random key, and nothing else can compute its hashes; create a key (openssl rand -base64 32 > FILE; chmod 600 FILE), set log_key_file: FILE, and look at later lines',
      );
    const hashed = logHash(key, named.value);
    if (flag(args, 'json')) printJson({ [named.member]: hashed });
    else print(hashed);
    return 0;
  },
};
