/**
 * How the command line talks to the admin API.
 */
import { Agent, fetch, type Response } from 'undici';
import type { EntryJson } from '../admin/entry-json.ts';
import { describeError } from '../telemetry/logger.ts';
import { CommandFailed, CONFIG_OPTION, configurationOf, readFile, text, type Arguments } from './command.ts';

export const ADMIN_OPTIONS = {
  ...CONFIG_OPTION,
  admin: { type: 'string' },
  'admin-token-file': { type: 'string' },
  'admin-ca-file': { type: 'string' },
  'admin-cert-file': { type: 'string' },
  'admin-key-file': { type: 'string' },
} as const;

export const ADMIN_USAGE = `
      --admin URL              the admin listener (default: that of the configuration)
      --admin-token-file F     file that holds the admin token (default: that of the configuration)
      --admin-ca-file F        authorities that the admin listener's certificate is of (default: the usual ones)
      --admin-cert-file F, --admin-key-file F
                               client certificate and key, where the admin listener asks for one
  -c, --config FILE            the configuration (default: sallyport.yaml)`;

export interface AdminReply {
  readonly status: number;
  readonly body: unknown;
}

export class AdminClient {
  readonly #base: string;
  readonly #token: string;
  readonly #dispatcher: Agent;

  constructor(args: Arguments) {
    const url = text(args, 'admin');
    const file = text(args, 'admin-token-file');
    const admin =
      url === undefined || file === undefined ? configurationOf(args).configuration.admin : undefined;
    this.#base =
      url ??
      `${admin?.tls ? 'https' : 'http'}://${hostText(admin?.host ?? '127.0.0.1')}:${admin?.port ?? 9090}`;
    const token = file === undefined ? (admin?.token ?? admin?.tokens?.[0]?.token) : readFile(file);
    if (token === undefined)
      throw new CommandFailed('there is no admin token; set admin.token_file, or give --admin-token-file F');
    this.#token = token;
    const pem = (name: string, key: string): object => {
      const pemFile = text(args, name);
      return pemFile === undefined ? {} : { [key]: readFile(pemFile) };
    };
    this.#dispatcher = new Agent({
      connect: {
        ...pem('admin-ca-file', 'ca'),
        ...pem('admin-cert-file', 'cert'),
        ...pem('admin-key-file', 'key'),
      },
    });
  }

  /** @throws CommandFailed with what the API says was wrong */
  async call(method: string, path: string, body?: object): Promise<AdminReply> {
    let response: Response;
    try {
      response = await fetch(new URL(path, this.#base), {
        method,
        dispatcher: this.#dispatcher,
        headers: {
          authorization: `Bearer ${this.#token}`,
          ...(body ? { 'content-type': 'application/json' } : {}),
        },
        ...(body ? { body: JSON.stringify(body) } : {}),
      });
    } catch (error) {
      throw new CommandFailed(
        `the admin listener at ${this.#base} cannot be reached (${describeError(error)}); is the gateway running? (--admin URL names another)`,
      );
    }
    const text = await response.text();
    const parsed: unknown = text === '' ? undefined : JSON.parse(text);
    if (!response.ok) {
      const { title } = (parsed ?? {}) as { title?: string };
      throw new CommandFailed(`${title ?? 'the admin API refused'} (${response.status})`);
    }
    return { status: response.status, body: parsed };
  }
}

function hostText(host: string): string {
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1';
  return host.includes(':') ? `[${host}]` : host;
}

export function timeText(seconds: number | null): string {
  return seconds === null ? '-' : new Date(seconds * 1000).toISOString().replace('.000', '');
}

/** What is revoked, and of which issuer. Of an entry that a gateway has put back, only the id is known. */
export function targetText({ id, issuer, target }: Pick<EntryJson, 'id' | 'issuer' | 'target'>): string {
  return target === null || issuer === null
    ? `a restored entry (${id}), of which only its id is known`
    : `${kindText(target)} of ${issuer}`;
}

/** What is revoked. */
export function kindText(target: EntryJson['target']): string {
  if (target === null) return 'restored';
  return Object.entries(target)
    .map(([kind, value]) => `${kind} ${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(', ');
}
