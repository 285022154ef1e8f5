/** Which entries an event asks for: by what it is about, the members of its subject, and the names that the configuration gives. */
import t from 'tap';
import type { RevocableIssuer } from '../../src/revocation/entry-life.ts';
import { claimTargetValue, type TargetKind } from '../../src/revocation/revocation-target.ts';
import type { About } from '../../src/signals/signal-events.ts';
import { targetsOf, type TargetRules } from '../../src/signals/signal-targets.ts';
import { readSubject } from '../../src/signals/subject-identifier.ts';
import { IssuerTemplate } from '../../src/token/issuer-template.ts';
import type { JsonValue } from '../../src/token/claims.ts';

const LOGIN = 'https://login.example.com';
const issuer = (name: string, iss: string, unnamed: TargetKind[] = []): RevocableIssuer => ({
  name,
  issuer: iss,
  maxLifetimeSeconds: 3_600,
  clockSkewSeconds: 30,
  unnamed: new Set(unnamed),
});
const login = issuer('login', LOGIN);
const other = issuer('other', 'https://other.example.com', ['session']);
const many: RevocableIssuer = {
  ...issuer('many', 'https://many.example.com/{tenant}/v2.0'),
  template: new IssuerTemplate('https://many.example.com/{tenant}/v2.0', undefined),
};

const NAMES = { iss_sub: ['subject'], session: ['session'] };
const ALL_NAMES = {
  ...NAMES,
  email: ['email'],
  phone_number: ['phone_number'],
  account: ['acct'],
  opaque: ['session', 'subject'],
  uri: ['profile'],
  did: ['did'],
  device: ['device_id'],
  application: ['client'],
  tenant: ['tenant'],
  group: ['groups'],
};
const rulesOf = (changes: Partial<TargetRules> = {}): TargetRules => ({
  issuers: [login],
  issuerNames: {},
  names: NAMES,
  ends: 'session',
  ...changes,
});

/** As `issuer kind value`. */
const ended = (about: About, subject: JsonValue, rules: TargetRules): string[] =>
  targetsOf(about, readSubject(subject), rules).map(
    ({ issuer, kind, value }) => `${issuer} ${kind} ${value}`,
  );
const claim = (path: string, text: string, iss = LOGIN): string =>
  `${iss} claim ${claimTargetValue(path, text)}`;

const user = { format: 'iss_sub', iss: LOGIN, sub: 'alice' };
const session = { format: 'opaque', id: 's1' };
const device = { format: 'iss_sub', iss: LOGIN, sub: 'd1' };
const tenant = { format: 'opaque', id: 't1' };

t.test('each format of RFC 9493 names what the configuration says, and nothing without it', async (t) => {
  const formats: [subject: JsonValue, named: string[]][] = [
    [{ format: 'email', email: 'alice@example.com' }, [claim('email', 'alice@example.com')]],
    [{ format: 'phone_number', phone_number: '+1 206' }, [claim('phone_number', '+1 206')]],
    [{ format: 'account', uri: 'acct:alice@example.com' }, [claim('acct', 'acct:alice@example.com')]],
    [{ format: 'opaque', id: 'x1' }, [`${LOGIN} session x1`, `${LOGIN} subject x1`]],
    [{ format: 'uri', uri: 'https://example.com/alice' }, [claim('profile', 'https://example.com/alice')]],
    [{ format: 'did', url: 'did:example:123456' }, [claim('did', 'did:example:123456')]],
  ];
  for (const [subject, named] of formats) {
    t.strictSame(ended('user', subject, rulesOf({ names: ALL_NAMES })), named, JSON.stringify(subject));
    t.strictSame(ended('user', subject, rulesOf()), [], 'no guess');
  }
  t.strictSame(ended('user', user, rulesOf()), [`${LOGIN} subject alice`]);
  t.strictSame(ended('user', { format: 'jwt_id', iss: LOGIN, jti: 'j1' }, rulesOf()), [
    `${LOGIN} token_id j1`,
  ]);
  const aliases = {
    format: 'aliases',
    identifiers: [user, formats[0]?.[0] ?? null, { format: 'aliases', identifiers: [] }, user],
  };
  t.strictSame(
    ended('user', aliases, rulesOf({ names: ALL_NAMES })),
    [`${LOGIN} subject alice`, claim('email', 'alice@example.com')],
    'of aliases each, once',
  );
});

t.test('V16 what cannot be read, or is empty, names nothing', async (t) => {
  const nothing: JsonValue[] = [
    null,
    'alice',
    [],
    {},
    { format: 'iss_sub' },
    { format: 'iss_sub', iss: LOGIN },
    { format: 'iss_sub', iss: LOGIN, sub: '' },
    { format: 'iss_sub', iss: '', sub: 'alice' },
    { format: 'iss_sub', iss: LOGIN, sub: { a: 1 } },
    { format: 'opaque', id: '' },
    { format: 'email' },
    { format: 'catalog_item', catalog_id: 'c0384' },
    { format: 'saml_assertion_id', issuer: LOGIN, assertion_id: '_8e8' },
    { format: 'ip-addresses', 'ip-addresses': ['10.29.37.75'] },
    { format: 'aliases', identifiers: 'alice' },
    { format: 'aliases', identifiers: [null, 1] },
    { format: 'complex' },
    { format: 'complex', user: null },
    { format: 'complex', printer: session },
    { format: 1, iss: LOGIN, sub: 'alice' },
  ];
  for (const about of ['session', 'user', 'device'] as const)
    for (const subject of nothing)
      t.strictSame(
        ended(about, subject, rulesOf({ names: ALL_NAMES })),
        [],
        `${about} ${JSON.stringify(subject)}`,
      );
});

t.test('spellings of older drafts are read', async (t) => {
  t.strictSame(ended('user', { subject_type: 'iss-sub', iss: LOGIN, sub: 'alice' }, rulesOf()), [
    `${LOGIN} subject alice`,
  ]);
  t.strictSame(ended('user', { subject_type: 'phone', phone_number: '+1' }, rulesOf({ names: ALL_NAMES })), [
    claim('phone_number', '+1'),
  ]);
  t.strictSame(
    ended('session', { session, user }, rulesOf()),
    [`${LOGIN} session s1`],
    'complex without a format',
  );
});

t.test(
  'a subject of an issuer that is not in for ends nothing, unless the configuration says whose it is',
  async (t) => {
    const google = { format: 'iss_sub', iss: 'https://accounts.google.com/', sub: '7' };
    t.strictSame(ended('user', google, rulesOf()), []);
    const issuerNames = { 'https://accounts.google.com/': 'login' };
    t.strictSame(ended('user', google, rulesOf({ issuerNames })), [`${LOGIN} subject 7`]);
    t.strictSame(
      ended('user', google, rulesOf({ issuerNames, issuers: [other] })),
      [],
      'not that of another',
    );
    t.strictSame(ended('user', { ...google, iss: 'toString' }, rulesOf()), []);
    const both = rulesOf({ issuers: [login, other], names: ALL_NAMES });
    t.strictSame(ended('user', user, both), [`${LOGIN} subject alice`], 'iss_sub is of one issuer');
    t.strictSame(ended('user', { format: 'email', email: 'a@b' }, both), [
      claim('email', 'a@b'),
      claim('email', 'a@b', 'https://other.example.com'),
    ]);
    t.strictSame(
      ended('user', { ...user, iss: 'https://many.example.com/t1/v2.0' }, rulesOf({ issuers: [many] })),
      ['https://many.example.com/t1/v2.0 subject alice'],
    );
    t.strictSame(
      ended('session', { format: 'complex', session }, rulesOf({ issuers: [many] })),
      ['https://many.example.com/{tenant}/v2.0 session s1'],
      'of every tenant',
    );
  },
);

t.test('of a complex subject the narrowest that can be named is ended', async (t) => {
  const all = rulesOf({ names: ALL_NAMES });
  const S = [`${LOGIN} session s1`];
  const U = [`${LOGIN} subject alice`];
  const D = [claim('device_id', 'd1')];
  const cases: [about: About, members: Record<string, JsonValue>, named: string[]][] = [
    ['session', { session, user, tenant }, S],
    ['session', { user, device, tenant }, U],
    ['session', { user }, U],
    ['session', { device, tenant }, D],
    ['session', { session: { format: 'saml' }, user }, U],
    ['session', { session }, S],
    ['user', { session, user, tenant }, U],
    ['user', { session, tenant }, S],
    ['user', { user: { format: 'email', email: 'a@b' }, tenant }, [claim('email', 'a@b')]],
    ['device', { device, tenant }, D],
    ['device', { device, user, session }, D],
    ['session', { tenant }, [claim('tenant', 't1')]],
    ['user', { application: { format: 'opaque', id: 'web' } }, [`${LOGIN} client web`]],
    ['session', { group: { format: 'opaque', id: 'g1' } }, [claim('groups', 'g1')]],
    ['session', { group: { format: 'opaque', id: 'g1' }, tenant }, []],
    ['session', { tenant, printer: session }, []],
    ['device', { device: { format: 'saml' }, tenant }, []],
    ['device', { application: { format: 'opaque', id: 'web' }, tenant }, []],
    ['device', { org_unit: tenant }, []],
  ];
  for (const [about, members, named] of cases)
    t.strictSame(
      ended(about, { format: 'complex', ...members }, all),
      named,
      `${about} ${JSON.stringify(members)}`,
    );
  // Without a claim for devices nothing tells the tokens on one from the others of its user.
  t.strictSame(ended('device', { format: 'complex', device, user }, rulesOf()), U);
  t.strictSame(ended('device', { format: 'complex', device, tenant }, rulesOf()), []);
  t.strictSame(ended('device', device, all), D, 'a lone subject of device-compliance-change is a device');
  t.strictSame(ended('device', device, rulesOf()), []);
});

t.test('V13 a session ALL stands for all sessions of the user', async (t) => {
  const every = { format: 'complex', session: { format: 'opaque', id: 'ALL' }, user };
  for (const ends of ['session', 'subject', 'both'] as const)
    t.strictSame(ended('session', every, rulesOf({ ends })), [`${LOGIN} subject alice`], ends);
  t.strictSame(ended('session', { format: 'complex', session: every.session }, rulesOf()), []);
});

t.test('where tokens name no session, or ends says so, the user is ended', async (t) => {
  const subject = { format: 'complex', session, user };
  const [S, U] = [`${LOGIN} session s1`, `${LOGIN} subject alice`];
  t.strictSame(ended('session', subject, rulesOf({ ends: 'subject' })), [U]);
  t.strictSame(ended('session', subject, rulesOf({ ends: 'both' })), [S, U]);
  t.strictSame(ended('session', { format: 'complex', session }, rulesOf({ ends: 'subject' })), [S]);
  t.strictSame(ended('session', { format: 'complex', user }, rulesOf({ ends: 'both' })), [U]);
  const sessionless = rulesOf({ issuers: [issuer('login', LOGIN, ['session'])] });
  t.strictSame(ended('session', subject, sessionless), [U], 'V13 no entry that would end nothing');
  t.strictSame(ended('session', { format: 'complex', session }, sessionless), []);
});
