/** What the configuration of a transmitter says of its polls and its stream, as the parts that call it need it. */
import type { Clock } from '../clock.ts';
import { calledOrigins } from '../config/issuer-http-problems.ts';
import type { TransmitterConfiguration } from '../config/signals-schema.ts';
import type { AuthorizationServerClient } from '../token/authorization-server-client.ts';
import { importClientKey } from '../token/client-key.ts';
import { ClientCredentialsToken, type TokenEndpoint } from '../signals/client-credentials.ts';
import type { PollPolicy } from '../signals/poller.ts';
import { ENDING_TYPES } from '../signals/signal-events.ts';
import { POLL_METHOD, PUSH_METHOD, type WantedStream } from '../signals/stream-document.ts';
import type { StreamPolicy } from '../signals/stream-keeper.ts';
import { TransmitterCalls } from '../signals/transmitter-calls.ts';
import { serverAccess } from './server-access.ts';

/** Where `quiet_after` is not set, and the transmitter is asked for a heartbeat. */
const QUIET_AFTER_MS = 600_000;

/** After how long a silence of the transmitter is one, in milliseconds; undefined: it may be silent for ever. */
export function quietAfterMs({ quiet_after: own, stream }: TransmitterConfiguration): number | undefined {
  const hasHeartbeat = stream !== undefined && stream.verify_every > 0;
  return own ?? (hasHeartbeat ? QUIET_AFTER_MS : undefined);
}

/** Does the gateway call this transmitter? */
export function isCalled({ poll, stream }: TransmitterConfiguration): boolean {
  return poll !== undefined || stream !== undefined;
}

/** @param folder of the configuration, for relative paths */
export function transmitterCalls(
  transmitter: TransmitterConfiguration,
  folder: string,
  client: AuthorizationServerClient,
  clock: Clock,
): TransmitterCalls {
  const own = client.through(serverAccess(transmitter, folder));
  const endpoint = tokenEndpoint(transmitter);
  return new TransmitterCalls({
    client: own,
    origins: calledOrigins(transmitter),
    tokens: endpoint && new ClientCredentialsToken(endpoint, own, clock),
    clock,
  });
}

function tokenEndpoint({ oauth, issuer }: TransmitterConfiguration): TokenEndpoint | undefined {
  if (!oauth) return undefined;
  const { token_url: url, issuer: server = issuer, scope } = oauth;
  return { url, issuer: server, credentials: credentialsOf(oauth), scope, timeoutMs: TOKEN_TIMEOUT_MS };
}

const TOKEN_TIMEOUT_MS = 10_000;

/** The configuration has checked that each method has what it needs, and that the key can be used. */
function credentialsOf({
  auth_method: method,
  client_id: clientId,
  client_secret: clientSecret = '',
  key = '',
}: NonNullable<TransmitterConfiguration['oauth']>): TokenEndpoint['credentials'] {
  switch (method) {
    case 'client_secret_basic':
    case 'client_secret_post':
      return { method, clientId, clientSecret };
    case 'private_key_jwt':
      return { method, clientId, key: importClientKey(key) };
    case 'tls_client_auth':
      return { method, clientId };
  }
}

export function pollPolicy({
  max_events: maxEvents,
  every,
  wait,
  timeout,
}: NonNullable<TransmitterConfiguration['poll']>): PollPolicy {
  return { maxEvents, everyMs: every, waitMs: wait, timeoutMs: timeout };
}

/** @param gateway the configured name of this gateway */
export function streamPolicy(
  name: string,
  transmitter: TransmitterConfiguration,
  stream: NonNullable<TransmitterConfiguration['stream']>,
  gateway: string,
): StreamPolicy {
  return {
    wanted: {
      issuer: transmitter.issuer,
      audiences: transmitter.audiences,
      id: stream.id,
      delivery: deliveryOf(transmitter, stream),
      events: stream.events ?? ENDING_TYPES,
      description: stream.description ?? `Sallyport ${gateway}: ${name}`,
    },
    manages: stream.manage,
    endpoints: {
      configurationEndpoint: stream.configuration_endpoint,
      statusEndpoint: stream.status_endpoint,
      verificationEndpoint: stream.verification_endpoint,
    },
    verifyEveryMs: stream.verify_every,
    timeoutMs: stream.timeout,
  };
}

function deliveryOf(
  { push }: TransmitterConfiguration,
  {
    delivery = push ? 'push' : 'poll',
    endpoint_url: endpointUrl,
  }: NonNullable<TransmitterConfiguration['stream']>,
): WantedStream['delivery'] {
  if (delivery === 'poll' || !push) return { method: POLL_METHOD };
  return {
    method: PUSH_METHOD,
    endpointUrl: endpointUrl ?? `https://${push.host}${push.path}`,
    authorization: push.authorization,
  };
}
