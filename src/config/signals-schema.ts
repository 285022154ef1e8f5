/** The shape of `signals`: whose security events are taken (OpenID Shared Signals), and what they may end. Pure. */
import { z } from 'zod';
import { isHmac, SIGNATURE_ALGORITHMS } from '../token/algorithms.ts';
import { hostName } from './host-scalars.ts';
import { issuerHttp } from './issuer-http-schema.ts';
import { keys } from './issuer-schema.ts';
import { duration, httpUrl, name, routePath, text } from './scalars.ts';
import { signalStreams } from './signal-streams-schema.ts';

/** How security events come; a transmitter has one of them at least. */
export const DELIVERIES = ['push', 'poll'] as const;

/** A secret that both sides know proves nothing to a third, and SSF publishes keys. */
const PUBLIC_ALGORITHMS = SIGNATURE_ALGORITHMS.filter((algorithm) => !isHmac(algorithm));

/** What of a token a subject may name, besides a claim of `revocation.claims`. */
export const SUBJECT_KINDS = ['subject', 'session', 'client'] as const;

const named = z
  .union([text, z.array(text).min(1)], 'must be subject, session, client, a claim path, or a list of them')
  .transform((value): readonly string[] => (typeof value === 'string' ? [value] : value));

const WHAT = 'subject, session, client, a claim path of revocation.claims, or a list of them: each is ended';

const subjects = z
  .strictObject({
    issuers: z
      .record(httpUrl, name)
      .prefault({})
      .describe(
        'The iss of a subject to the configured issuer that it stands for, beside the exact iss of the issuers in for. Set it where the transmitter names its users under another iss than that of the tokens, such as https://accounts.google.com/ with a slash.',
      ),
    iss_sub: named
      .prefault('subject')
      .describe(`What the sub of an iss_sub identifier of a user names: ${WHAT}.`),
    email: named
      .optional()
      .describe(
        `What the address of an email identifier names: ${WHAT}. Compared exactly. Absent: such a subject ends nothing, and is counted as unmapped; so for the keys below.`,
      ),
    phone_number: named.optional().describe('The same for the number of a phone_number identifier.'),
    account: named
      .optional()
      .describe('The same for the uri of an account identifier, such as acct:alice@example.com.'),
    opaque: named
      .optional()
      .describe(
        'The same for the id of an opaque identifier of a user, and for one that stands alone. Set it to session if the transmitter sends ids of sessions so.',
      ),
    uri: named.optional().describe('The same for the uri of a uri identifier.'),
    did: named.optional().describe('The same for the url of a did identifier.'),
    session: named
      .prefault('session')
      .describe(`What the member session of a complex subject names: ${WHAT}.`),
    device: named
      .optional()
      .describe('The same for the member device, and for the subject of device-compliance-change.'),
    application: named.optional().describe('The same for the member application, such as client.'),
    tenant: named
      .optional()
      .describe(
        'The same for the member tenant. It counts only where the subject names nothing but a tenant: then all tokens of that tenant end.',
      ),
    org_unit: named.optional().describe('The same for the member org_unit.'),
    group: named.optional().describe('The same for the member group.'),
  })
  .describe(
    'What the subjects of its events name in the tokens of the issuers in for. Nothing is guessed: what is not named here is counted as unmapped, and ends nothing.',
  );

const push = z
  .strictObject({
    host: hostName.describe('Host name of the endpoint, without port.'),
    path: routePath.describe('Exact path of the endpoint. Give each transmitter one of its own.'),
    authorization: text
      .optional()
      .describe(
        'The exact value that the Authorization header of each delivery must have. Prefer authorization_file, which keeps it out of this file.',
      ),
    authorization_file: text
      .optional()
      .describe(
        'File that contains that value, such as "Bearer" and a random text: what the stream has as authorization_header. Absent: none is asked for, and the signature alone decides.',
      ),
  })
  .describe(
    'Endpoint on the public listeners to which the transmitter pushes its security event tokens (RFC 8935).',
  );

const transmitter = z.strictObject({
  issuer: text.describe('The exact iss of its security event tokens.'),
  discovery: z
    .literal(true)
    .optional()
    .describe(
      'Finds the URL of the key set in the metadata of the transmitter (/.well-known/ssf-configuration, or risc-configuration). Set it, or one of jwks_url, jwks_file and jwks.',
    ),
  jwks_url: httpUrl.optional().describe('URL of the key set (RFC 7517).'),
  jwks_file: text.optional().describe('File that contains the key set.'),
  jwks: z
    .strictObject({ keys: z.array(z.record(z.string(), z.unknown())).describe('Public keys as JWKs.') })
    .optional()
    .describe('The key set, in this file.'),
  algorithms: z
    .array(z.enum(PUBLIC_ALGORITHMS, `must be one of ${PUBLIC_ALGORITHMS.join(', ')}`))
    .min(1)
    .optional()
    .describe('Accepted signature algorithms. Default: RS256, PS256, ES256 and EdDSA.'),
  audiences: z
    .array(text)
    .min(1)
    .describe(
      'The gateway as the transmitter knows it: aud of a security event token must contain one of them. Choose a value that no access token has as its audience.',
    ),
  for: z
    .array(name)
    .min(1)
    .describe(
      'Configured issuers whose tokens its events may end. Those of all others are out of its reach.',
    ),
  ends: z
    .enum(['session', 'subject', 'both'], 'must be session, subject or both')
    .prefault('session')
    .describe(
      'What session-revoked ends where it names a session and a user. session: that session, for good. subject: the tokens of all logins of the user up to then. both: both. Choose subject or both if access tokens carry no sid.',
    ),
  subjects: subjects.prefault({}),
  push: push.optional(),
  clock_skew: duration
    .prefault('30s')
    .describe('How far iat may be ahead of the clock of the gateway. No event is too old.'),
  keys: keys.prefault({}).describe('How the key set is fetched and stored.'),
  http: issuerHttp.optional(),
  allow_http: z
    .boolean()
    .prefault(false)
    .describe(
      'Allows http:// URLs beyond loopback for keys. Do not set it in production: anyone on the network path can forge keys, and so end all tokens.',
    ),
  ...signalStreams,
});

export const signals = z
  .record(name, transmitter)
  .prefault({})
  .describe(
    'Transmitters of security events (OpenID Shared Signals Framework, CAEP, RISC), by a name of your choice: what they report ends tokens. The log, metrics and revocations use this name.',
  );
export type TransmitterConfiguration = z.output<typeof transmitter>;
export type SubjectNames = TransmitterConfiguration['subjects'];
