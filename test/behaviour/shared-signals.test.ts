/** OpenID Shared Signals by push (RFC 8935): security events become revocations. Rules V4, V13, V14, V17. */
import t, { type Test } from 'tap';
import { send } from '../support/client.ts';
import {
  advance,
  loginIssuer,
  startGateway,
  type GatewayOptions,
  type TestGateway,
} from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { claimsOf, createKey, ISSUER, mint, nowSeconds } from '../support/tokens.ts';
import {
  CAEP,
  mintSet,
  opaque,
  push,
  PUSH_PATH,
  RECEIVER,
  RISC,
  setClaims,
  SSF,
  TRANSMITTER,
  transmitterKey,
  transmitterOf,
  userSubject,
} from '../support/transmitter.ts';
import { startUpstream } from '../support/upstream.ts';

const upstream = await startUpstream(t);
const key = createKey('ES256');

const configuration = (
  transmitter: Record<string, unknown> = {},
  more: Record<string, unknown> = {},
): Record<string, unknown> => ({
  issuers: { login: loginIssuer(key) },
  signals: { 'login-events': transmitterOf(transmitter) },
  routes: [{ name: 'all', match: { path_prefix: '/' }, upstream: 'u' }],
  upstreams: { u: { targets: [upstream.url] } },
  ...more,
});

interface Play extends TestGateway {
  /** The status of a push. */
  push(claims: Record<string, unknown>): Promise<number>;
  /** The status of a request with a token of these claims. */
  status(claims: Record<string, unknown>): Promise<number>;
  entries(): Promise<Record<string, unknown>[]>;
  counted(event: string, result: string): Promise<number>;
}

async function start(
  t: Test,
  transmitter: Record<string, unknown> = {},
  more: Record<string, unknown> = {},
  options: GatewayOptions = {},
): Promise<Play> {
  const gateway = await startGateway(t, configuration(transmitter, more), options);
  return {
    ...gateway,
    push: async (claims) => (await push(gateway.url, mintSet(claims))).status,
    status: async (claims) => (await send(gateway.url, '/', { token: mint(key, claimsOf(claims)) })).status,
    entries: async () =>
      (
        (await (await gateway.admin('GET', '/v1/revocations')).json()) as {
          revocations: Record<string, unknown>[];
        }
      ).revocations,
    counted: (event, result) =>
      gateway.metric(
        `sallyport_signals_total{transmitter="login-events",event="${event}",result="${result}"}`,
      ),
  };
}

t.test('a session that is revoked by a signal stays out, and its user’s other sessions go on', async (t) => {
  const gateway = await start(t);
  const [first, second] = [{ sid: 's1' }, { sid: 's2' }];
  t.strictSame([await gateway.status(first), await gateway.status(second)], [200, 200]);
  const seen = upstream.seen.length;
  t.equal(await gateway.metric('sallyport_signal_last_timestamp_seconds{transmitter="login-events"}'), 0);
  const subject = {
    format: 'complex',
    session: opaque('s1'),
    user: userSubject('alice'),
    tenant: opaque('t1'),
  };
  const payload = {
    reason_admin: { en: 'Landspeed Policy Violation: C076E82F' },
    event_timestamp: nowSeconds(),
  };
  const response = await push(gateway.url, mintSet(setClaims(`${CAEP}session-revoked`, subject, payload)));
  t.equal(response.status, 202);
  t.equal(await response.text(), '');
  t.equal(response.headers.get('cache-control'), 'no-store');

  t.strictSame([await gateway.status(first), await gateway.status(second)], [401, 200]);
  t.equal(
    await gateway.status({ ...first, iat: nowSeconds() + 3 }),
    401,
    'V14 a refresh brings nothing back',
  );
  t.equal(upstream.seen.length, seen + 1, 'no signal and no revoked token reaches the upstream');
  t.match(await gateway.entries(), [
    {
      issuer: ISSUER,
      target: { session: 's1' },
      created_by: 'signal:login-events',
      reason: 'session-revoked: Landspeed Policy Violation: C076E82F',
    },
  ]);
  const audit = gateway.log.filter(({ msg }) => msg === 'audit');
  t.match(audit, [
    { audit: { action: 'revoke', by: 'signal:login-events', kind: 'session', from: '127.0.0.1' } },
  ]);
  t.equal(await gateway.counted('session-revoked', 'ended'), 1);
  t.equal(await gateway.counted('account-disabled', 'ended'), 0);
  const lastSeconds = await gateway.metric(
    'sallyport_signal_last_timestamp_seconds{transmitter="login-events"}',
  );
  t.ok(Math.abs(lastSeconds - nowSeconds()) < 60);
});

t.test(
  'each event that ends tokens ends those of its subject; each other is counted, and ends none',
  async (t) => {
    const names = { email: 'email', device: 'device_id' };
    const gateway = await start(t, { subjects: names }, { revocation: { claims: ['email', 'device_id'] } });
    const ending: [event: string, payload: Record<string, unknown>, subject: unknown][] = [
      [`${CAEP}session-revoked`, {}, userSubject('SUB')],
      [
        `${CAEP}credential-change`,
        { change_type: 'revoke', credential_type: 'fido2-roaming' },
        userSubject('SUB'),
      ],
      [
        `${CAEP}credential-change`,
        { change_type: 'update', credential_type: 'password' },
        { format: 'email', email: 'SUB@example.com' },
      ],
      [`${CAEP}credential-change`, { change_type: 'delete', credential_type: 'pin' }, userSubject('SUB')],
      [
        `${CAEP}assurance-level-change`,
        { namespace: 'NIST-AAL', current_level: 'nist-aal1', change_direction: 'decrease' },
        userSubject('SUB'),
      ],
      [
        `${CAEP}device-compliance-change`,
        { previous_status: 'compliant', current_status: 'not-compliant' },
        { format: 'complex', device: opaque('device of SUB') },
      ],
      [`${RISC}account-disabled`, { reason: 'hijacking' }, userSubject('SUB')],
      [`${RISC}account-purged`, {}, userSubject('SUB')],
      [`${RISC}sessions-revoked`, {}, { format: 'aliases', identifiers: [opaque('x'), userSubject('SUB')] }],
    ];
    const others: [event: string, payload: Record<string, unknown>][] = [
      [`${CAEP}credential-change`, { change_type: 'create', credential_type: 'app' }],
      [
        `${CAEP}assurance-level-change`,
        { namespace: 'NIST-AAL', current_level: 'nist-aal2', change_direction: 'increase' },
      ],
      [`${CAEP}device-compliance-change`, { previous_status: 'not-compliant', current_status: 'compliant' }],
      [`${CAEP}token-claims-change`, { claims: { role: 'ro-admin' } }],
      [`${CAEP}session-established`, { acr: 'AAL2' }],
      [`${CAEP}session-presented`, {}],
      [`${RISC}identifier-changed`, { 'new-value': 'john.roe@example.com' }],
      [`${RISC}account-enabled`, {}],
      [`${SSF}verification`, { state: 'x' }],
      [`${SSF}stream-updated`, { status: 'paused' }],
      ['https://example.com/events/of-our-own', { anything: [1] }],
    ];
    for (const [index, [event, payload, subject]] of ending.entries()) {
      const sub = `user-${index}`;
      const named = JSON.parse(JSON.stringify(subject).replaceAll('SUB', sub)) as unknown;
      const claims = { sub, email: `${sub}@example.com`, device_id: `device of ${sub}` };
      t.equal(await gateway.status(claims), 200);
      t.equal(await gateway.push(setClaims(event, named, payload)), 202, event);
      t.equal(await gateway.status({ ...claims, iat: nowSeconds() - 60 }), 401, event);
    }
    const before = (await gateway.entries()).length;
    for (const [event, payload] of others) {
      t.equal(await gateway.push(setClaims(event, userSubject('bob'), payload)), 202, event);
      const name = /event-type\/(.+)$/.exec(event)?.[1] ?? 'other';
      t.equal(await gateway.counted(name, 'ignored'), 1, `${event} is counted`);
    }
    t.equal(await gateway.status({ sub: 'bob', iat: nowSeconds() - 60 }), 200);
    t.equal((await gateway.entries()).length, before);
  },
);

t.test(
  'V4 an event that is late, or comes twice or in another order, spares the logins after it',
  async (t) => {
    const clock = new ManualClock();
    const gateway = await start(t, {}, {}, { clock });
    const now = nowSeconds();
    const disabled = (at: number, more: Record<string, unknown> = {}): Record<string, unknown> =>
      setClaims(`${RISC}account-disabled`, userSubject('alice'), {}, { iat: at, ...more });
    const at = (seconds: number): Promise<number> =>
      gateway.status({ iat: now + seconds, exp: now + seconds + 600 });
    const late = disabled(now - 100);
    t.equal(await gateway.push(late), 202, 'no event is too old');
    t.strictSame([await at(-101), await at(-100), await at(-99)], [401, 401, 200]);
    t.equal(await gateway.push(disabled(now - 5_000)), 202, 'an older one after it');
    t.strictSame([await at(-100), await at(-99)], [401, 200]);
    t.equal(
      await gateway.push(
        setClaims(
          `${RISC}account-disabled`,
          userSubject('alice'),
          { event_timestamp: (now - 50) * 1_000 },
          { iat: now },
        ),
      ),
      202,
    );
    t.strictSame([await at(-50), await at(-49)], [401, 200], 'a time in milliseconds is one');
    t.equal(await gateway.push(disabled(now - 10, { toe: now - 40 })), 202);
    t.strictSame([await at(-40), await at(-39)], [401, 200], 'toe');
    await advance(gateway, clock, 60_000);
    for (const again of [late, disabled(now - 100), late]) t.equal(await gateway.push(again), 202, 'again');
    t.strictSame([await at(-40), await at(-39), await at(30)], [401, 200, 200]);
    t.equal(await gateway.counted('account-disabled', 'repeated'), 2, 'by its jti');
    const ahead = setClaims(
      `${RISC}account-disabled`,
      userSubject('alice'),
      { event_timestamp: now + 86_400 },
      { iat: now + 60 },
    );
    t.equal(await gateway.push(ahead), 202);
    t.equal(
      await gateway.status({ iat: now + 62, exp: now + 600 }),
      200,
      'what is yet to happen ends no login of later',
    );
    // As if the memory of its jti were lost.
    await advance(gateway, clock, 120_000);
    t.equal(await gateway.push({ ...ahead, jti: 'another' }), 202);
    t.equal(await gateway.status({ iat: now + 100, exp: now + 600 }), 200, 'nor when it comes again');
  },
);

t.test('a token that was recorded does not end again what an operator has let pass', async (t) => {
  const gateway = await start(t);
  const set = setClaims(`${CAEP}session-revoked`, { format: 'complex', session: opaque('s1') });
  t.equal(await gateway.push(set), 202);
  t.equal(await gateway.status({ sid: 's1' }), 401);
  const [entry] = await gateway.entries();
  t.equal((await gateway.admin('DELETE', `/v1/revocations/${String(entry?.['id'])}`)).status, 204);
  t.equal(await gateway.push(set), 202);
  t.equal(await gateway.status({ sid: 's1' }), 200);
  t.equal(await gateway.counted('session-revoked', 'repeated'), 1);
});

t.test(
  'what is no token of this transmitter for this receiver is 400 with its code, and ends nothing',
  async (t) => {
    const gateway = await start(t);
    const [event, subject] = [`${RISC}account-disabled`, userSubject('alice')];
    const claims = (changes: Record<string, unknown> = {}): Record<string, unknown> =>
      setClaims(event, subject, {}, changes);
    const good = mintSet(claims());
    const [head = '', body = ''] = good.split('.');
    const now = nowSeconds();
    const stranger = createKey('ES256');
    const bad: Record<string, [set: string, err: string]> = {
      'an access token': [mint(key), 'invalid_request'],
      'an access token of the same key': [mint(transmitterKey, claims()), 'invalid_request'],
      'typ JWT': [mintSet(claims(), { typ: 'JWT' }), 'invalid_request'],
      'no typ': [mintSet(claims(), { typ: undefined }), 'invalid_request'],
      'a logout token': [mintSet(claims(), { typ: 'logout+jwt' }), 'invalid_request'],
      'another issuer': [mintSet(claims({ iss: ISSUER })), 'invalid_issuer'],
      'the issuer in another case': [mintSet(claims({ iss: TRANSMITTER.toUpperCase() })), 'invalid_issuer'],
      'no issuer': [mintSet(claims({ iss: undefined })), 'invalid_issuer'],
      'another audience': [mintSet(claims({ aud: 'https://api.example.com' })), 'invalid_audience'],
      'no audience': [mintSet(claims({ aud: undefined })), 'invalid_audience'],
      'an empty audience': [mintSet(claims({ aud: [] })), 'invalid_audience'],
      'an audience that is an object': [mintSet(claims({ aud: { [RECEIVER]: 1 } })), 'invalid_audience'],
      'a stranger’s key': [mintSet(claims(), {}, stranger), 'invalid_key'],
      'a stranger’s signature': [
        mintSet(claims(), {}, { ...stranger, kid: transmitterKey.kid }),
        'invalid_key',
      ],
      'the key of access tokens': [mintSet(claims(), {}, key), 'invalid_key'],
      'alg none': [
        `${mintSet(claims(), { alg: 'none' }).split('.').slice(0, 2).join('.')}.`,
        'invalid_request',
      ],
      'an algorithm that is not accepted': [mintSet(claims(), { alg: 'HS256' }), 'invalid_key'],
      'another spelling': [`${good}=`, 'invalid_request'],
      'a line end behind it': [`${good}\n`, 'invalid_request'],
      'two segments': [`${head}.${body}`, 'invalid_request'],
      'no jti': [mintSet(claims({ jti: undefined })), 'invalid_request'],
      'an empty jti': [mintSet(claims({ jti: '' })), 'invalid_request'],
      'no iat': [mintSet(claims({ iat: undefined })), 'invalid_request'],
      'iat that is text': [mintSet(claims({ iat: String(now) })), 'invalid_request'],
      'iat in the future': [mintSet(claims({ iat: now + 100 })), 'invalid_request'],
      'exp in the past': [mintSet(claims({ exp: now - 100 })), 'invalid_request'],
      'no events': [mintSet(claims({ events: undefined })), 'invalid_request'],
      'events without any': [mintSet(claims({ events: {} })), 'invalid_request'],
      'events in a list': [mintSet(claims({ events: [event] })), 'invalid_request'],
      'an event that is text': [mintSet(claims({ events: { [event]: 'now' } })), 'invalid_request'],
      'one good event and a bad one': [
        mintSet(claims({ events: { [event]: {}, [`${CAEP}session-revoked`]: null } })),
        'invalid_request',
      ],
      'too many aliases': [
        mintSet(
          claims({
            sub_id: {
              format: 'aliases',
              identifiers: Array.from({ length: 65 }, (_, n) => userSubject(`u${n}`)),
            },
          }),
        ),
        'invalid_request',
      ],
      nothing: ['', 'invalid_request'],
    };
    const counts = new Map<string, number>();
    for (const [name, [set, err]] of Object.entries(bad)) {
      const response = await push(gateway.url, set);
      t.equal(response.status, 400, name);
      t.equal(response.headers.get('content-type'), 'application/json');
      t.equal(response.headers.get('content-language'), 'en');
      const problem = (await response.json()) as Record<string, unknown>;
      t.strictSame(Object.keys(problem).sort(), ['description', 'err']);
      t.equal(problem['err'], err, name);
      counts.set(err, (counts.get(err) ?? 0) + 1);
      const line = gateway.log.findLast(({ msg }) => msg === 'a security event token was refused');
      t.match(line, { level: 'warn', transmitter: 'login-events', err, client_ip: '127.0.0.1' }, name);
    }
    for (const [err, count] of counts) t.equal(await gateway.counted('none', err), count, err);
    t.equal(await gateway.metric('sallyport_signal_last_timestamp_seconds{transmitter="login-events"}'), 0);

    const typed = (type: string): Promise<Response> => push(gateway.url, good, { 'content-type': type });
    for (const type of [
      'application/jwt',
      'application/json',
      'text/plain',
      'application/secevent+jwt, text/plain',
    ])
      t.match(await (await typed(type)).json(), { err: 'invalid_request' }, type);
    t.equal((await push(gateway.url, 'x'.repeat(70_000))).status, 413);
    const got = await fetch(`${gateway.url}${PUSH_PATH}`);
    t.strictSame([got.status, got.headers.get('allow')], [405, 'POST']);
    t.strictSame(await gateway.entries(), []);
    t.equal(await gateway.status({ iat: now - 10 }), 200);

    t.equal((await typed('Application/SecEvent+JWT; charset=us-ascii')).status, 202);
    t.equal(
      await gateway.push(claims({ aud: ['x', RECEIVER], exp: now + 60, sub: 'a claim of its own' })),
      202,
    );
    t.equal((await push(gateway.url, mintSet(claims(), { typ: 'application/SecEvent+jwt' }))).status, 202);
  },
);

t.test('J18 a security event token authenticates nothing, whatever its typ and its claims', async (t) => {
  const shared = { issuer: TRANSMITTER, jwks: { keys: [transmitterKey.jwk] }, audiences: [RECEIVER] };
  const gateway = await start(
    t,
    { for: ['plain'] },
    { issuers: { plain: { ...shared, token_type: 'any' } } },
  );
  const before = upstream.seen.length;
  const access = claimsOf({ iss: TRANSMITTER, aud: RECEIVER });
  const good = (claims: Record<string, unknown>, typ: string | undefined): Promise<number> =>
    send(gateway.url, '/', { token: mint(transmitterKey, claims, { typ }) }).then(({ status }) => status);
  t.equal(await good(access, 'at+jwt'), 200);
  const set = setClaims(`${RISC}account-enabled`, userSubject('alice'), {}, access);
  for (const typ of ['secevent+jwt', 'application/secevent+jwt', 'JWT', 'at+jwt', undefined])
    t.equal(await good({ ...set, ...access }, typ), 401, String(typ));
  t.equal(await good(access, 'secevent+jwt'), 401, 'by its type alone');
  t.equal(upstream.seen.length, before + 1);
});

t.test('where a value of Authorization is configured, no other delivers', async (t) => {
  const gateway = await start(t, {
    push: { host: '127.0.0.1', path: PUSH_PATH, authorization: 'Signal of-the-tests' },
  });
  const set = mintSet(setClaims(`${RISC}account-purged`, userSubject('alice')));
  const values = [
    undefined,
    'Signal',
    'Signal of-the-test',
    'Signal of-the-tests1',
    'signal of-the-tests',
    'Bearer of-the-tests',
  ];
  for (const authorization of values) {
    const response = await push(gateway.url, set, authorization === undefined ? {} : { authorization });
    t.equal(response.status, 401, `${authorization}`);
    t.equal(response.headers.get('www-authenticate'), 'Signal');
    t.match(await response.json(), { err: 'authentication_failed' });
  }
  t.equal(await gateway.counted('none', 'authentication_failed'), values.length);
  t.strictSame(await gateway.entries(), []);
  t.equal((await push(gateway.url, set, { authorization: 'Signal of-the-tests' })).status, 202);
  t.equal(await gateway.status({ iat: nowSeconds() - 60 }), 401);
});

t.test(
  'a subject that no token can match is acknowledged, counted and logged, and ends nothing',
  async (t) => {
    const gateway = await start(t, {}, { log: { refusals: 2 } });
    const subjects: [subject: unknown, shape: string][] = [
      [{ format: 'email', email: 'alice@example.com' }, 'email'],
      [opaque('dMTlD|1600802906337.16|16008.16'), 'opaque'],
      [{ format: 'catalog_item', catalog_id: 'c0384' }, 'of an unknown format'],
      [undefined, 'of an unknown format'],
      [userSubject('alice', 'https://another.example.com'), 'iss_sub'],
      [
        { format: 'complex', tenant: opaque('t1'), device: { format: 'imei', imei: '1' } },
        'device of an unknown format, tenant opaque',
      ],
    ];
    for (const [subject] of subjects)
      t.equal(await gateway.push(setClaims(`${CAEP}session-revoked`, subject)), 202);
    t.equal(await gateway.counted('session-revoked', 'unmapped'), subjects.length);
    t.strictSame(await gateway.entries(), []);
    const lines = gateway.log.filter(({ msg }) => String(msg).startsWith('a signal ends nothing'));
    t.match(lines, [{ event: 'session-revoked', subject: 'email' }, { subject: 'opaque' }]);
    t.equal(lines.length, 2, 'log.refusals bounds the lines');
  },
);

t.test('a signal ends only tokens of the issuers in for', async (t) => {
  const [mine, theirs] = ['https://a.example.com', 'https://b.example.com'];
  const issuers = {
    a: { ...loginIssuer(key), issuer: mine },
    b: { ...loginIssuer(key), issuer: theirs },
  };
  const gateway = await start(
    t,
    { for: ['a'], subjects: { email: 'email' } },
    { issuers, revocation: { claims: ['email'] } },
  );
  const both = async (): Promise<number[]> => [
    await gateway.status({ iss: mine, email: 'x@y', iat: nowSeconds() - 60 }),
    await gateway.status({ iss: theirs, email: 'x@y', iat: nowSeconds() - 60 }),
  ];
  t.equal(await gateway.push(setClaims(`${RISC}account-disabled`, userSubject('alice', theirs))), 202);
  t.strictSame(await both(), [200, 200]);
  t.equal(await gateway.push(setClaims(`${RISC}account-disabled`, { format: 'email', email: 'x@y' })), 202);
  t.strictSame(await both(), [401, 200]);
});

t.test('of two transmitters with one issuer each ends the tokens of its own', async (t) => {
  const theirs = 'https://b.example.com';
  const push2 = { host: '127.0.0.1', path: `${PUSH_PATH}/b` };
  const gateway = await start(
    t,
    {},
    {
      issuers: { login: loginIssuer(key), b: { ...loginIssuer(key), issuer: theirs } },
      signals: {
        'login-events': transmitterOf({ subjects: { opaque: 'session' } }),
        'b-events': transmitterOf({ for: ['b'], subjects: { opaque: 'session' }, push: push2 }),
      },
    },
  );
  const claims = setClaims(`${CAEP}session-revoked`, opaque('s1'));
  const both = async (): Promise<number[]> => [
    await gateway.status({ sid: 's1' }),
    await gateway.status({ sid: 's1', iss: theirs }),
  ];
  t.equal(await gateway.push(claims), 202);
  t.strictSame(await both(), [401, 200]);
  const headers = { 'content-type': 'application/secevent+jwt' };
  const second = await fetch(`${gateway.url}${push2.path}`, {
    method: 'POST',
    headers,
    body: mintSet(claims),
  });
  t.equal(second.status, 202);
  t.strictSame(await both(), [401, 401], 'it has not taken this token before');
});

t.test('explain says that the token in the body decides', async (t) => {
  const gateway = await start(t);
  const asked = { method: 'POST', url: `http://127.0.0.1${PUSH_PATH}` };
  const response = await gateway.admin('POST', '/v1/explain', asked);
  t.match(await response.text(), /the endpoint for security events of transmitter login-events/);
});
