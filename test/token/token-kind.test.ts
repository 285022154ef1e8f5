/** Access tokens and what is signed beside them. Rules J1, J18. */
import t from 'tap';
import {
  isAccessJwt,
  isAccessResponse,
  isAccessValidation,
  TOKEN_TYPES,
  type TokenType,
} from '../../src/token/token-kind.ts';
import type { JsonObject } from '../../src/token/claims.ts';

const EVENT = 'http://schemas.openid.net/event/backchannel-logout';

/** Header, claims, and for which settings of token_type such a token may pass. */
const jwts: readonly [JsonObject, JsonObject, readonly TokenType[]][] = [
  [{ typ: 'at+jwt' }, {}, ['at+jwt', 'any']],
  [{ typ: 'application/AT+JWT' }, { at_hash: null }, ['at+jwt', 'any']],
  [{ typ: 'JWT' }, {}, ['any', 'id_token']],
  [{}, { typ: 'Bearer' }, ['any', 'id_token']],
  [{}, { token_use: 'access' }, ['any', 'id_token']],
  [{}, { token_type: 'access', type: 'admin' }, ['any', 'id_token']],
  [{}, { events: {} }, ['any', 'id_token']],
  // ID tokens
  [{}, { typ: 'ID' }, ['id_token']],
  [{ typ: 'JWT' }, { token_use: 'id' }, ['id_token']],
  [{}, { at_hash: 'x' }, ['id_token']],
  [{}, { c_hash: 'x' }, ['id_token']],
  [{}, { s_hash: '' }, ['id_token']],
  [{ typ: 'ID' }, {}, ['id_token']],
  [{}, { typ: 'Serialized-ID' }, ['id_token']],
  [{ typ: 'at+jwt' }, { typ: 'ID' }, []],
  // Refresh and logout tokens, and what is made for other ends
  ...[
    'Refresh',
    'refresh',
    'Offline',
    'Logout',
    'refresh_token',
    'Refresh-Token',
    'RegistrationAccessToken',
  ].map((typ): [JsonObject, JsonObject, readonly TokenType[]] => [{ typ: 'JWT' }, { typ }, []]),
  [{ typ: 'at+jwt' }, { typ: 'Refresh' }, []],
  [{ typ: 'Refresh' }, {}, []],
  [{}, { token_use: 'refresh' }, []],
  [{}, { token_type: 'refresh' }, []],
  [{}, { type: 'refresh' }, []],
  [{ typ: 'JWT' }, { events: { [EVENT]: {} } }, []],
  [{}, { events: { [EVENT]: {} } }, []],
  ...[
    'logout+jwt',
    'dpop+jwt',
    'secevent+jwt',
    'rt+jwt',
    'id+jwt',
    'kb+jwt',
    'statuslist+jwt',
    'application/statuslist+jwt',
    'dc+sd-jwt',
    'Application/Logout+JWT',
  ].map((typ): [JsonObject, JsonObject, readonly TokenType[]] => [{ typ }, {}, []]),
  [{ typ: ['at+jwt'] }, {}, []],
  [{ typ: null }, {}, []],
];

t.test('J1 J18 of JWTs', async (t) => {
  for (const [header, claims, passing] of jwts)
    for (const type of TOKEN_TYPES)
      t.equal(
        isAccessJwt(header, claims, type),
        passing.includes(type),
        `${type}: ${JSON.stringify(header)} ${JSON.stringify(claims)}`,
      );
});

t.test('J18 of introspection responses', async (t) => {
  const good: JsonObject[] = [
    {},
    { token_type: null },
    ...[
      'Bearer',
      'bearer',
      'BEARER',
      'DPoP',
      'access_token',
      'N_A',
      'urn:ietf:params:oauth:token-type:access_token',
    ].map((token_type) => ({ token_type })),
    { token_use: 'access' },
    { token_use: 'access_token' },
    { typ: 'Bearer' },
  ];
  const bad: JsonObject[] = [
    ...['refresh_token', 'Refresh', 'id_token', 'mac', '', 'Bearer ', 1, true, ['Bearer']].map(
      (token_type) => ({ token_type }),
    ),
    ...['id', 'refresh', 'none', 1].map((token_use) => ({ token_use })),
    ...['Refresh', 'Offline', 'ID', 'Logout'].map((typ) => ({ token_type: 'Bearer', typ })),
    { token_type: 'Bearer', at_hash: 'x' },
  ];
  for (const claims of good) t.ok(isAccessResponse(claims), JSON.stringify(claims));
  for (const claims of bad) t.notOk(isAccessResponse(claims), JSON.stringify(claims));
});

t.test('a validation service has words of its own, but a refresh token is one', async (t) => {
  t.ok(isAccessValidation({ token_type: 'session', token_use: 'browser' }));
  t.notOk(isAccessValidation({ token_type: 'refresh' }));
  t.notOk(isAccessValidation({ typ: 'ID' }));
});

t.test('J1 white space and parameters do not hide the type of a token', async (t) => {
  for (const typ of [
    'rt+jwt ',
    ' rt+jwt',
    'rt+jwt; a=b',
    'logout+jwt;',
    'dpop+jwt\t',
    'rt+jwt\0',
    'Refresh ; a=b',
  ])
    for (const type of ['any', 'id_token', 'at+jwt'] as const)
      t.notOk(isAccessJwt({ typ }, {}, type), `${JSON.stringify(typ)} as ${type}`);
  for (const typ of ['at+jwt ', 'at+jwt; a=b', 'application/at+jwt;a=b']) {
    t.notOk(isAccessJwt({ typ }, {}, 'at+jwt'), `${typ} is not RFC 9068's spelling`);
    t.notOk(isAccessJwt({ typ }, {}, 'id_token'), typ);
    t.ok(isAccessJwt({ typ }, {}, 'any'), typ);
  }
  for (const typ of ['at+jwt', 'AT+JWT', 'application/at+jwt']) t.ok(isAccessJwt({ typ }, {}, 'at+jwt'), typ);
});
