import { holdsKey } from '../api-keys/key-text.ts';
import { hash, X509Certificate } from 'node:crypto';
import type { ImaginedRequest } from '../explain/dry-run.ts';
import { explain as dryRun } from '../explain/explain.ts';
import { onTheWire, requestPlace } from '../explain/request-place.ts';
import type { Explanation } from '../explain/explanation.ts';
import { isAddress } from '../http/client-address.ts';
import { hasField } from '../http/field-list.ts';
import { ADMIN_OPTIONS, ADMIN_USAGE } from './admin-client.ts';
import {
  CommandFailed,
  configurationOf,
  flag,
  JSON_OPTION,
  print,
  printJson,
  readFile,
  readText,
  readToken,
  text,
  timeOf,
  UsageError,
  type Arguments,
  type Command,
} from './command.ts';
import { withRunningLimits } from './running-limits.ts';

const EXIT_CODES: Readonly<Record<Explanation['decision'], number>> = {
  allow: 0,
  report: 0,
  fail_open: 0,
  deny: 3,
  error: 3,
  unknown: 1,
};

export const explain: Command = {
  name: 'explain',
  summary: 'tells what would happen to a request, stage by stage, without sending it',
  usage: `METHOD URL [-c FILE] [--token-file F] [--dpop-file F] [--client-cert-file F]
         [-H 'K: V']... [--now TIME] [--peer ADDRESS] [--online] [--json]

  -c, --config FILE   the configuration (default: sallyport.yaml)
      --token-file F  file that holds the token; - is standard input
      --dpop-file F   file that holds the DPoP proof; - is standard input. The token is then sent as DPoP. The proof is not
                      used up, and whether it was used before is not asked
      --client-cert-file F
                      certificate (PEM) that the client shows, for tokens that are bound to one
  -H, --header 'K: V' a header of the request; may be repeated. The token never stands on the command line
      --now TIME      another time than now, for the proof too: 2026-01-31T12:00:00Z, or seconds since 1970
      --peer ADDRESS  where the request comes from (default: 127.0.0.1)
      --online        also fetches keys and the status list of the token, asks about opaque tokens, reads the revocation
                      list, and asks the gateway that runs what is left of the limits (by its admin API, which needs an
                      admin token)
      --json          prints { decision, reason, status, code, route, issuer, stages, limits, nearest_routes, answer, upstream }
${ADMIN_USAGE.split('\n').slice(0, -1).join('\n')}

Exit code: 0 it passes, 3 it is refused, 1 it cannot be told without --online.`,
  options: {
    ...ADMIN_OPTIONS,
    ...JSON_OPTION,
    'token-file': { type: 'string' },
    'dpop-file': { type: 'string' },
    'client-cert-file': { type: 'string' },
    header: { type: 'string', short: 'H', multiple: true },
    now: { type: 'string' },
    peer: { type: 'string' },
    online: { type: 'boolean' },
  },
  positionals: { min: 2, max: 2 },
  async run(args) {
    const loaded = configurationOf(args);
    const now = text(args, 'now');
    const request = imaginedRequest(args);
    const online = flag(args, 'online');
    const nowMs = now === undefined ? undefined : timeOf(now) * 1000;
    const imagined = await dryRun(loaded, request, { online, nowMs });
    const explanation = online ? await withRunningLimits(imagined, request, args) : imagined;
    if (flag(args, 'json')) printJson(explanation);
    else print(story(explanation));
    return EXIT_CODES[explanation.decision];
  },
};

/** @throws UsageError */
function imaginedRequest(args: Arguments): ImaginedRequest {
  const [method = '', url = ''] = args.positionals;
  const place = requestPlace(url);
  if (place === undefined)
    throw new UsageError(`"${url}" is no URL of a request; write http://HOST/PATH, or https://`);
  const { scheme, authority, target } = place;
  const headers = headersOf(args);
  const hasHost = hasField(headers, 'host');
  return {
    method,
    scheme,
    target,
    headers: hasHost ? headers : ['Host', authority, ...headers],
    token: readToken({ ...args, positionals: [] }),
    dpop: readProof(args),
    certificateThumbprint: readCertificate(args),
    peer: peerOf(args),
  };
}

/** @throws UsageError */
function peerOf(args: Arguments): string {
  const peer = text(args, 'peer') ?? '127.0.0.1';
  if (!isAddress(peer)) throw new UsageError(`--peer: "${peer}" is no IP address; write one, without a port`);
  return peer;
}

/** @throws UsageError, CommandFailed */
function readProof(args: Arguments): string | undefined {
  const file = text(args, 'dpop-file');
  if (file === undefined) return undefined;
  if (file === '-' && text(args, 'token-file') === '-')
    throw new UsageError('standard input holds one of the two; give --token-file or --dpop-file a file');
  return readText(file, 'proof');
}

/** @throws CommandFailed */
function readCertificate(args: Arguments): string | undefined {
  const file = text(args, 'client-cert-file');
  if (file === undefined) return undefined;
  try {
    return hash('sha256', new X509Certificate(readFile(file)).raw, 'base64url');
  } catch (error) {
    if (error instanceof CommandFailed) throw error;
    throw new CommandFailed(`${file} holds no certificate; it must begin with -----BEGIN CERTIFICATE-----`);
  }
}

function headersOf({ values }: Arguments): string[] {
  const given = Array.isArray(values['header']) ? values['header'] : [];
  return given.flatMap((line) => {
    const [, name, value] = /^([^:]+):[ \t]*(.*?)[ \t]*$/s.exec(String(line)) ?? [];
    if (name === undefined || value === undefined)
      throw new UsageError(`"${String(line)}" is no header; write -H 'Name: value'`);
    if (name.trim().toLowerCase() === 'authorization' || holdsKey(value))
      throw new UsageError('a token does not belong on the command line; give it by --token-file F, or -');
    if (name.trim().toLowerCase() === 'dpop')
      throw new UsageError('a proof does not belong on the command line; give it by --dpop-file F, or -');
    return [name, onTheWire(value)];
  });
}

const MARKS: Readonly<Record<Explanation['stages'][number]['outcome'], string>> = {
  passed: 'ok     ',
  assumed: 'assumed',
  refused: 'REFUSED',
  reported: 'REPORT ',
  unknown: 'unknown',
  not_reached: '-      ',
};

function story(explanation: Explanation): string {
  const { stages, nearest_routes, answer: response, upstream } = explanation;
  const width = Math.max(...stages.map(({ stage }) => stage.length));
  return [
    ...stages.map(({ stage, outcome, detail }) =>
      `${MARKS[outcome]}  ${stage.padEnd(width)}  ${detail}`.trimEnd(),
    ),
    ...nearest_routes.map(({ route, why }) => `           nearest: ${route}: ${why.join('; ')}`),
    '',
    verdict(explanation),
    ...(response?.headers ?? []).map(([name, value]) => `  ${name}: ${value}`),
    ...(response ? ['', `  ${response.body.trimEnd()}`] : []),
    ...(upstream
      ? [
          `  ${upstream.method} ${upstream.target}`,
          `  host: ${upstream.host ?? "(the target's own)"}`,
          ...upstream.headers.map(([name, value]) => `  ${name}: ${value}`),
          ...(upstream.targets ?? []).map((text) => `  to ${text}`),
        ]
      : []),
  ].join('\n');
}

function verdict({
  decision,
  reason,
  status,
  code,
  upstream,
  stages,
  answer: response,
}: Explanation): string {
  if (decision === 'unknown')
    return 'It cannot be told without asking the authorization server: add --online.';
  if (!upstream && code === null) return `The gateway responds to it itself${response ? ':' : '.'}`;
  if (!upstream) return `The client gets ${status} ${code}${reason === null ? '' : ` (reason ${reason})`}:`;
  const passes: Partial<Record<Explanation['decision'], string>> = {
    report: `It passes, and is reported as ${reason}`,
    fail_open: 'It passes unchecked, since the revocation list is too old and the route says to allow that',
  };
  const condition = stages.some(({ outcome }) => outcome === 'assumed') ? ', if the signature is good' : '';
  return `${passes[decision] ?? 'It passes'}${condition}. ${receiverText(upstream)} gets:`;
}

/** Where chance decides, all that may get the request: they get it alike. */
function receiverText({ name, chosen_by, shares }: NonNullable<Explanation['upstream']>): string {
  return chosen_by === 'weight' && shares.length > 1
    ? `One of the upstreams ${shares.map((each) => each.name).join(', ')}`
    : `The upstream ${name}`;
}
