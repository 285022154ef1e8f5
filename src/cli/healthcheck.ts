/**
 * Asks the gateway of this machine, or of this container, whether it is well. It needs no shell, no curl and no token. It
 * does not verify the listener's certificate, as the probes of Kubernetes do not either: it asks its own machine, sends no
 * secret, and a certificate that is renewed, or is for another name, must not make a gateway look ill.
 */
import { request as plaintextRequest, type IncomingMessage } from 'node:http';
import { request as tlsRequest } from 'node:https';
import { isIP } from 'node:net';
import { loadAdminAddress, type AdminAddress } from '../config/admin-address.ts';
import { describeError } from '../telemetry/logger.ts';
import {
  CommandFailed,
  CONFIG_OPTION,
  configurationFile,
  flag,
  print,
  printError,
  readFile,
  text,
  type Arguments,
  type Command,
} from './command.ts';

/** A gateway that is well responds in milliseconds. Less than what HEALTHCHECK in the Dockerfile waits. */
const TIMEOUT_MS = 3_000;
const MAX_BODY_CHARACTERS = 64 * 1024;

/** How a line of the report begins that says what is wrong. */
const BAD = '[-] ';

export const healthcheck: Command = {
  name: 'healthcheck',
  summary: 'asks the running gateway whether it is ready: exit code 0 if so, else 1; for containers',
  usage: `[-c FILE] [--live] [--admin-cert-file F --admin-key-file F]

  -c, --config FILE           the configuration that the gateway runs with (default: sallyport.yaml); it says where the
                              admin listener is
      --live                  asks whether the process responds (/livez), not whether it should get requests (/readyz)
      --admin-cert-file F, --admin-key-file F
                              client certificate and key, where the admin listener asks for one`,
  options: {
    ...CONFIG_OPTION,
    live: { type: 'boolean' },
    'admin-cert-file': { type: 'string' },
    'admin-key-file': { type: 'string' },
  },
  async run(args) {
    const address = loadAdminAddress(configurationFile(args), process.env);
    if (address.port === 0)
      throw new CommandFailed('admin.port is 0, so that its number is not known; set a number');
    const live = flag(args, 'live');
    const { status, body } = await ask(
      address,
      live ? '/livez' : '/readyz?verbose',
      credentials(args, address),
    );
    const well = status === 200;
    const tell = well ? print : printError;
    tell(verdict(well, live, body, status));
    return well ? 0 : 1;
  },
};

function verdict(well: boolean, live: boolean, body: string, status: number): string {
  if (live) return well ? 'alive' : `not alive: /livez responds with ${status}`;
  const faults = body
    .split('\n')
    .filter((line) => line.startsWith(BAD))
    .map((line) => line.slice(BAD.length))
    .join(' · ');
  const [state, isWell] = well
    ? ['ready', 'ready']
    : ['not ready', `not ready: /readyz responds with ${status}`];
  return faults === '' ? isWell : `${state}: ${faults}`;
}

interface ClientCertificate {
  readonly cert?: string;
  readonly key?: string;
}

function credentials(args: Arguments, { clientsNeedOne }: AdminAddress): ClientCertificate {
  const [cert, key] = [text(args, 'admin-cert-file'), text(args, 'admin-key-file')];
  if (cert === undefined || key === undefined) {
    if (!clientsNeedOne) return {};
    throw new CommandFailed(
      'the admin listener asks its clients for a certificate (admin.tls.client_ca_file); give --admin-cert-file F and --admin-key-file F',
    );
  }
  return { cert: readFile(cert), key: readFile(key) };
}

interface Reply {
  readonly status: number;
  readonly body: string;
}

/** @throws CommandFailed where nothing responds */
async function ask(
  { host, port, tls }: AdminAddress,
  path: string,
  certificate: ClientCertificate,
): Promise<Reply> {
  const { promise, resolve, reject } = Promise.withResolvers<Reply>();
  const options = {
    host: connectable(host),
    port,
    path,
    timeout: TIMEOUT_MS,
    // A new one: the usual agent may go through a proxy of the environment.
    agent: false,
  };
  const responded = (response: IncomingMessage): void => {
    void readText(response).then((body) => resolve({ status: response.statusCode ?? 0, body }), reject);
  };
  const request = tls
    ? tlsRequest({ ...options, ...certificate, rejectUnauthorized: false }, responded)
    : plaintextRequest(options, responded);
  request.on('error', reject);
  request.on('timeout', () => request.destroy(new Error(`no response within ${TIMEOUT_MS / 1000} s`)));
  request.end();
  try {
    return await promise;
  } catch (error) {
    const url = `${tls ? 'https' : 'http'}://${isIP(options.host) === 6 ? `[${options.host}]` : options.host}:${port}`;
    throw new CommandFailed(
      `the admin listener at ${url} does not respond (${describeError(error)}); is the gateway running, with this configuration?`,
    );
  }
}

async function readText(response: IncomingMessage): Promise<string> {
  let body = '';
  for await (const chunk of response.setEncoding('utf8') as AsyncIterable<string>) {
    body += chunk;
    if (body.length > MAX_BODY_CHARACTERS) break;
  }
  return body;
}

/** An address that stands for all, 0.0.0.0 or ::, takes connections on loopback. */
function connectable(host: string): string {
  if (isIP(host) === 4 && /^[0.]+$/.test(host)) return '127.0.0.1';
  return isIP(host) === 6 && /^[0:]+$/.test(host) ? '::1' : host;
}
