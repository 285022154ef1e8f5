/**
 * The examples of the specifications: what each of them would end here. Their subjects and members, not their text. OpenID CAEP 1.0
 * section 3, RISC 1.0 section 2, SSF 1.0 sections 4 and 5.
 */
import t from 'tap';
import { claimTargetValue } from '../../src/revocation/revocation-target.ts';
import { endedBy, eventName } from '../../src/signals/signal-events.ts';
import { targetsOf } from '../../src/signals/signal-targets.ts';
import { readSubject } from '../../src/signals/subject-identifier.ts';
import type { JsonObject, JsonValue } from '../../src/token/claims.ts';
import { CAEP, opaque, RISC, SSF, userSubject } from '../support/transmitter.ts';

const IDP = 'https://idp.example.com/123456789/';
const issuers = [
  { name: 'idp', issuer: IDP, maxLifetimeSeconds: 3_600, clockSkewSeconds: 30, unnamed: new Set<never>() },
];
const subject = (value: object): JsonValue => value as JsonValue;
const session = opaque('dMTlD|1600802906337.16|16008.16');
const tenant = opaque('123456789');
const device = userSubject('e9297990-14d2-42ec-a4a9-4036db86509a', IDP);
const jane = userSubject('jane.smith@example.com', IDP);

const SESSION = `session ${session['id'] as string}`;
const DEVICE = `claim ${claimTargetValue('device_id', device['sub'] as string)}`;
const email = (address: string): string => `claim ${claimTargetValue('email', address)}`;

const EXAMPLES: Record<string, [event: string, payload: JsonObject, subject: JsonValue, ends: string[]]> = {
  'session revoked, a session alone': [`${CAEP}session-revoked`, {}, subject(session), [SESSION]],
  'session revoked, session, user and tenant': [
    `${CAEP}session-revoked`,
    { initiating_entity: 'policy' },
    subject({
      format: 'complex',
      session,
      user: userSubject('99beb27c-c1c2-4955-882a-e0dc4996fcbc', IDP),
      tenant,
    }),
    [SESSION],
  ],
  'session revoked, user, device and tenant': [
    `${CAEP}session-revoked`,
    { initiating_entity: 'policy' },
    subject({ format: 'complex', user: jane, device, tenant }),
    ['subject jane.smith@example.com'],
  ],
  'token claims change of a JWT': [
    `${CAEP}token-claims-change`,
    { claims: { role: 'ro-admin' } },
    subject({ format: 'jwt_id', iss: IDP, jti: 'f61t6e20zdo3px56gepu8rzlsp4c1dpc0fx7' }),
    [],
  ],
  'token claims change of a SAML assertion': [
    `${CAEP}token-claims-change`,
    { claims: { role: 'ro-admin' } },
    subject({ format: 'saml_assertion_id', issuer: IDP, assertion_id: '_a75adf55-01d7-dbd8372ebdfc' }),
    [],
  ],
  'a new authenticator': [
    `${CAEP}credential-change`,
    {
      credential_type: 'fido2-roaming',
      change_type: 'create',
      fido2_aaguid: 'accced6a-63f5-490a-9eea-e59bc1896cfc',
    },
    subject(jane),
    [],
  ],
  'assurance level increase': [
    `${CAEP}assurance-level-change`,
    {
      namespace: 'NIST-AAL',
      current_level: 'nist-aal2',
      previous_level: 'nist-aal1',
      change_direction: 'increase',
    },
    subject(jane),
    [],
  ],
  'an assurance level of a custom namespace': [
    `${CAEP}assurance-level-change`,
    { namespace: 'Retinal Scan', current_level: 'hi-res-scan' },
    subject(jane),
    [],
  ],
  'a device that is no longer compliant': [
    `${CAEP}device-compliance-change`,
    { current_status: 'not-compliant', previous_status: 'compliant' },
    subject({ format: 'complex', device, tenant }),
    [DEVICE],
  ],
  'session established': [
    `${CAEP}session-established`,
    { acr: 'AAL2', amr: ['otp'] },
    subject({ format: 'email', email: 'someuser@somedomain.com' }),
    [],
  ],
  'session presented': [
    `${CAEP}session-presented`,
    { ext_id: '12345' },
    subject({ format: 'email', email: 'someuser@somedomain.com' }),
    [],
  ],
  'account disabled, by phone number': [
    `${RISC}account-disabled`,
    { reason: 'hijacking' },
    subject({ format: 'phone_number', phone_number: '+1 206 555 0123' }),
    [`claim ${claimTargetValue('phone_number', '+1 206 555 0123')}`],
  ],
  'account disabled': [
    `${RISC}account-disabled`,
    { reason: 'hijacking' },
    subject(userSubject('7375626A656374', IDP)),
    ['subject 7375626A656374'],
  ],
  'credential change required': [
    `${RISC}account-credential-change-required`,
    {},
    subject(userSubject('7375626A656374', IDP)),
    [],
  ],
  'account enabled': [
    `${RISC}account-enabled`,
    {},
    subject({ format: 'email', email: 'foo@example.com' }),
    [],
  ],
  'identifier changed': [
    `${RISC}identifier-changed`,
    { 'new-value': 'john.roe@example.com' },
    subject({ format: 'email', email: 'john.doe@example.com' }),
    [],
  ],
  'identifier recycled': [
    `${RISC}identifier-recycled`,
    {},
    subject({ format: 'email', email: 'foo@example.com' }),
    [],
  ],
  'credential compromise': [
    `${RISC}credential-compromise`,
    { credential_type: 'password' },
    subject(jane),
    [],
  ],
  verification: [
    `${SSF}verification`,
    { state: 'abc' },
    subject(opaque('f67e39a0a4d34d56b3aa1bc4cff0069f')),
    [],
  ],
  'a format of its own': [
    `${CAEP}token-claims-change`,
    { claims: { role: 'ro-admin' } },
    subject({ format: 'catalog_item', catalog_id: 'c0384/winter/2354122' }),
    [],
  ],
  // None of the specifications has one of these with an e-mail address; the interoperability profile asks for it.
  'account purged, by e-mail': [
    `${RISC}account-purged`,
    {},
    subject({ format: 'email', email: 'user@example.com' }),
    [email('user@example.com')],
  ],
};

t.test('each example of the specifications ends what it says, and nothing else', async (t) => {
  const names = {
    iss_sub: ['subject'],
    session: ['session'],
    opaque: ['session'],
    email: ['email'],
    phone_number: ['phone_number'],
    device: ['device_id'],
    tenant: ['tenant'],
  };
  const rules = { issuers, issuerNames: {}, names, ends: 'session' as const };
  for (const [title, [uri, payload, value, ends]] of Object.entries(EXAMPLES)) {
    const name = eventName(uri);
    t.not(name, 'other', title);
    const about = endedBy(name, payload);
    const targets = about === undefined ? [] : targetsOf(about, readSubject(value), rules);
    t.strictSame(
      targets.map(({ kind, value }) => `${kind} ${value}`),
      ends,
      title,
    );
    t.ok(targets.every(({ issuer }) => issuer === IDP));
  }
});
