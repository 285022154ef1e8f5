/**
 * The shape of what the gateway asks of a transmitter of security events: polls, its stream, and the token for both
 * (`signals.NAME.poll`, `stream`, `oauth`, `quiet_after`). Pure.
 */
import { z } from 'zod';
import { AUTH_METHODS } from './introspection-auth-schema.ts';
import { duration, httpUrl, positiveDuration, text } from './scalars.ts';

/** Of introspection, those that authenticate a client at a token endpoint. */
export const TOKEN_AUTH_METHODS = AUTH_METHODS.filter((method) => method !== 'bearer' && method !== 'none');

const MAX_EVENTS = 1_000;
/** A transmitter that waits less than that is asked in a loop. */
const MIN_WAIT_MS = 1_000;
/** An HTTP client waits five minutes at most for the head of a response. */
const MAX_WAIT_MS = 240_000;

const poll = z
  .strictObject({
    url: httpUrl
      .optional()
      .describe('URL that is polled. Absent: what the transmitter says of the stream; that needs stream.'),
    wait: duration
      .refine((ms) => ms === 0 || (ms >= MIN_WAIT_MS && ms <= MAX_WAIT_MS), 'must be 0s, or 1s to 4m')
      .prefault('30s')
      .describe(
        'How long a poll is held open while the transmitter has nothing, so that a signal comes at once. 0s: the transmitter responds at once, and is asked every `every`.',
      ),
    every: positiveDuration
      .prefault('10s')
      .describe(
        'How often a transmitter that has nothing, and does not hold polls open, is asked. It bounds how late a signal is then.',
      ),
    timeout: positiveDuration
      .prefault('10s')
      .describe('How long a poll may take that the transmitter does not hold open.'),
    max_events: z
      .int(`must be a whole number, 1 to ${MAX_EVENTS}`)
      .min(1)
      .max(MAX_EVENTS)
      .prefault(100)
      .describe(
        'Largest number of signals in the response to one poll. A response is at most 1 MiB; the gateway asks for fewer where it is larger.',
      ),
  })
  .describe(
    'Polls the transmitter for its security event tokens (RFC 8936). One gateway of a fleet does. A signal is acknowledged only once the store has its entries; the transmitter sends again what is not.',
  );

const oauth = z
  .strictObject({
    token_url: httpUrl.describe('URL of the token endpoint.'),
    issuer: text
      .optional()
      .describe(
        'The authorization server, for which the JWT of private_key_jwt is made. Default: the issuer of the transmitter.',
      ),
    client_id: text.describe('Client id of the gateway.'),
    client_secret: text
      .optional()
      .describe('Client secret. Prefer client_secret_file, which keeps it out of this file.'),
    client_secret_file: text.optional().describe('File that contains the client secret.'),
    key: text.optional().describe('Private key for private_key_jwt, as a JWK or PEM. Prefer key_file.'),
    key_file: text
      .optional()
      .describe('File that contains the private key for private_key_jwt: a JWK, or PEM (PKCS #8).'),
    auth_method: z
      .enum(TOKEN_AUTH_METHODS, `must be one of ${TOKEN_AUTH_METHODS.join(', ')}`)
      .prefault('client_secret_basic')
      .describe('How the gateway authenticates at the token endpoint, as for introspection.'),
    scope: text
      .optional()
      .describe(
        'Scopes to ask for, separated by spaces, such as "ssf.read ssf.manage". Absent: what the server gives by default.',
      ),
  })
  .describe(
    'Where the gateway gets its access token for the transmitter (client credentials grant, RFC 6749 section 4.4). Instead of http.bearer_token_file. Only servers that this configuration names get the token.',
  );

const stream = z
  .strictObject({
    id: text
      .optional()
      .describe(
        'The stream_id. Absent: found by audience, delivery and description. Set it to take over a stream that was made otherwise.',
      ),
    manage: z
      .boolean()
      .prefault(true)
      .describe(
        'May the gateway make the stream, change what differs from this configuration, and enable it? With false it looks, tells what differs by the log, and asks for verification.',
      ),
    delivery: z
      .enum(['push', 'poll'], 'must be push or poll')
      .optional()
      .describe('How the stream delivers. Default: whichever of push and poll is configured.'),
    endpoint_url: httpUrl
      .optional()
      .describe(
        'URL that the transmitter pushes to. Default: https, with host and path of push. Set it where a port, or a proxy in front, makes it another.',
      ),
    events: z
      .array(text)
      .min(1)
      .optional()
      .describe(
        'URIs of the event types to ask for. Default: those that end tokens (session-revoked, credential-change, assurance-level-change, device-compliance-change, account-disabled, account-purged).',
      ),
    description: text
      .optional()
      .describe(
        'Description of the stream, by which the gateway finds it again. Default: "Sallyport" with the name of the gateway and of the transmitter. Give two fleets with the same audience different ones.',
      ),
    configuration_endpoint: httpUrl
      .optional()
      .describe(
        'URL of the configuration endpoint. Default, as for the two below: what the metadata of issuer says (/.well-known/ssf-configuration).',
      ),
    status_endpoint: httpUrl.optional().describe('URL of the status endpoint.'),
    verification_endpoint: httpUrl.optional().describe('URL of the verification endpoint.'),
    verify_every: duration
      .prefault('3m')
      .describe(
        'How often the gateway asks for a verification event, which is the heartbeat of the stream. The stream is looked at as often. 0s: never; then a transmitter that has gone silent cannot be told from one that has nothing to say.',
      ),
    timeout: positiveDuration.prefault('10s').describe('How long each of these calls may take.'),
  })
  .describe(
    'Manages the event stream at the transmitter (OpenID SSF 1.0). One gateway of a fleet does. A stream is never made twice.',
  );

export const signalStreams = {
  poll: poll.optional(),
  stream: stream.optional(),
  oauth: oauth.optional(),
  quiet_after: positiveDuration
    .optional()
    .describe(
      'The alert SallyportSignalsSilent fires where no gateway has heard of the transmitter for so long. Default: 10m where stream.verify_every asks for a heartbeat, else never. Set it where a transmitter has a heartbeat of its own.',
    ),
};
