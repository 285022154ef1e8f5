/** Which events end tokens, when they happened, and what is said of them. */
import t from 'tap';
import { eventTime } from '../../src/signals/event-time.ts';
import {
  endedBy,
  ENDING_EVENTS,
  EVENT_NAMES,
  eventName,
  type About,
} from '../../src/signals/signal-events.ts';
import { reasonOf } from '../../src/signals/signal-reason.ts';
import type { JsonObject } from '../../src/token/claims.ts';
import { CAEP, RISC, SSF } from '../support/transmitter.ts';

t.test(
  'session-revoked, account-disabled, account-purged, three kinds of change, and no other event ends tokens',
  async (t) => {
    const events: [uri: string, payload: JsonObject, about: About | undefined][] = [
      [`${CAEP}session-revoked`, {}, 'session'],
      [`${RISC}sessions-revoked`, {}, 'user'],
      [`${RISC}account-disabled`, { reason: 'hijacking' }, 'user'],
      [`${RISC}account-purged`, {}, 'user'],
      [`${CAEP}credential-change`, { change_type: 'revoke' }, 'user'],
      [`${CAEP}credential-change`, { change_type: 'update' }, 'user'],
      [`${CAEP}credential-change`, { change_type: 'delete' }, 'user'],
      [`${CAEP}credential-change`, { change_type: 'create' }, undefined],
      [`${CAEP}credential-change`, { change_type: 'Delete' }, undefined],
      [`${CAEP}credential-change`, { change_type: ['delete'] }, undefined],
      [`${CAEP}credential-change`, {}, undefined],
      [`${CAEP}assurance-level-change`, { change_direction: 'decrease' }, 'user'],
      [`${CAEP}assurance-level-change`, { change_direction: 'increase' }, undefined],
      [`${CAEP}assurance-level-change`, { current_level: 'nist-aal1' }, undefined],
      [`${CAEP}device-compliance-change`, { current_status: 'not-compliant' }, 'device'],
      [`${CAEP}device-compliance-change`, { current_status: 'compliant' }, undefined],
      [`${CAEP}token-claims-change`, { claims: { role: 'ro-admin' } }, undefined],
      [`${CAEP}session-established`, {}, undefined],
      [`${CAEP}session-presented`, {}, undefined],
      [`${RISC}identifier-changed`, { 'new-value': 'a@b' }, undefined],
      [`${RISC}account-enabled`, {}, undefined],
      [`${RISC}credential-compromise`, { credential_type: 'password' }, undefined],
      [`${SSF}verification`, { state: 'x' }, undefined],
      [`${SSF}stream-updated`, {}, undefined],
    ];
    for (const [uri, payload, about] of events) {
      const name = eventName(uri);
      t.equal(name, uri.slice(uri.lastIndexOf('/') + 1));
      t.equal(endedBy(name, payload), about, `${name} ${JSON.stringify(payload)}`);
    }
    const unknown = [
      '',
      'constructor',
      'session-revoked',
      `${RISC}session-revoked`,
      `${CAEP}session-revoked/`,
      'https://example.com/session-revoked',
    ];
    for (const uri of unknown) t.equal(endedBy(eventName(uri), {}), undefined, uri);
    t.ok(unknown.every((uri) => eventName(uri) === 'other'));
    t.equal(new Set(EVENT_NAMES).size, EVENT_NAMES.length);
    t.ok(ENDING_EVENTS.every((name) => EVENT_NAMES.includes(name)));
  },
);

t.test(
  'V4 an event has happened when it says so, at most the clock skew after its token was made',
  async (t) => {
    const [HAPPENED, MADE, SKEW] = [1_615_304_991, 1_615_305_159, 30];
    const timeOf = (event_timestamp: number | undefined, toe?: number): number =>
      eventTime(
        event_timestamp === undefined ? {} : { event_timestamp },
        { issuedAt: MADE, timeOfEvent: toe },
        SKEW,
      );
    t.equal(timeOf(HAPPENED), HAPPENED);
    t.equal(timeOf(HAPPENED + 0.5), HAPPENED + 0.5);
    t.equal(timeOf(HAPPENED * 1_000), HAPPENED, 'in milliseconds');
    t.equal(timeOf(undefined, HAPPENED), HAPPENED, 'toe');
    t.equal(timeOf(HAPPENED, MADE - 5), HAPPENED, 'the event goes before toe');
    t.equal(timeOf(undefined), MADE, 'iat');
    for (const none of [0, -1, 946_684_799, 16_153])
      t.equal(timeOf(none), MADE, `${none} is no time of an event`);
    t.equal(timeOf(MADE + 10), MADE + 10, 'another clock');
    for (const ahead of [MADE + 86_400, 1e10, (MADE + 86_400) * 1_000, 1e15, 1e300])
      t.ok(timeOf(ahead) <= MADE + SKEW, `${ahead}`);
    t.equal(eventTime({ event_timestamp: 'soon' }, { issuedAt: MADE, timeOfEvent: undefined }, SKEW), MADE);
  },
);

t.test('a reason begins with the name of the event, and is one line of bounded length', async (t) => {
  const of = (payload: JsonObject): string => reasonOf('session-revoked', payload);
  t.equal(of({}), 'session-revoked');
  t.equal(of({ reason_admin: { en: 'Policy: C076' } }), 'session-revoked: Policy: C076');
  t.equal(of({ reason_admin: { de: 'Richtlinie', en: 'Policy' } }), 'session-revoked: Policy');
  t.equal(of({ reason_admin: { de: 'Richtlinie' } }), 'session-revoked: Richtlinie');
  t.equal(of({ reason_admin: 'of an older draft' }), 'session-revoked: of an older draft');
  t.equal(reasonOf('account-disabled', { reason: 'hijacking' }), 'account-disabled: hijacking');
  for (const nothing of [
    { reason_admin: {} },
    { reason_admin: ' ' },
    { reason_admin: 1 },
    { reason: { a: 1 } },
  ])
    t.equal(of(nothing), 'session-revoked');
  t.equal(
    of({ reason_admin: 'a\r\nb\u0000\u001b[31m\u2028c\ud800\u202e' }),
    'session-revoked: a b [31m c\ufffd',
  );
  const long = of({ reason_admin: `${'x'.repeat(199)}\u{1f600}${'y'.repeat(100_000)}` });
  t.ok(long.length < 230 && long.endsWith('...') && long.isWellFormed());
});
