/** The WWW-Authenticate challenge of each refusal. RFC 6750 section 3, RFC 9110 section 11.6.1. */
import t from 'tap';
import * as errors from '../../src/errors.ts';
import { bearerChallenge } from '../../src/http/challenge.ts';

const challengeOf = ({ status, challenge }: errors.GatewayError): string =>
  `${status} ${challenge === undefined ? 'none' : bearerChallenge('api.example', challenge)}`;

const REALM = 'Bearer realm="api.example"';
const refusals: [name: string, error: errors.GatewayError, expected: string][] = [
  ['B1 B8 no credentials', errors.MISSING_TOKEN, `401 ${REALM}`],
  ['B2 B7 not sent as it must be', errors.INVALID_AUTHORIZATION, `400 ${REALM}, error="invalid_request"`],
  ['B3 malformed', errors.invalidToken('malformed'), `401 ${REALM}, error="invalid_token"`],
  ['B3 expired', errors.invalidToken('expired', 'login'), `401 ${REALM}, error="invalid_token"`],
  ['B3 V1 revoked', errors.invalidToken('revoked'), `401 ${REALM}, error="invalid_token"`],
  ['B3 J13 too long', errors.invalidToken('too_large'), `401 ${REALM}, error="invalid_token"`],
  ['B4 one scope', errors.insufficientScope('a'), `403 ${REALM}, error="insufficient_scope", scope="a"`],
  ['B4 two scopes', errors.insufficientScope('a b'), `403 ${REALM}, error="insufficient_scope", scope="a b"`],
  ['a claim rule', errors.CLAIM_RULE_FAILED, '403 none'],
  ['an identity that is too large', errors.IDENTITY_TOO_LARGE, '403 none'],
  ['B10 keys', errors.unavailable('keys_unavailable', 1), '503 none'],
  ['B10 introspection', errors.unavailable('introspection_unavailable', 1), '503 none'],
  ['B10 V8 the revocation list', errors.unavailable('revocation_unavailable', 1), '503 none'],
  ['A8 no route', errors.NO_ROUTE, '404 none'],
  ['an upgrade', errors.UPGRADE_REFUSED, '403 none'],
];
t.test('each refusal has its challenge, and no other', async (t) => {
  for (const [name, error, expected] of refusals) t.equal(challengeOf(error), expected, name);
});

const scopes: [name: string, scope: string, written: string][] = [
  [
    'B5 every character that RFC 6749 allows',
    "!#$%&'()*+,-./09:;<=>?@AZ[]^_`az{|}~",
    "!#$%&'()*+,-./09:;<=>?@AZ[]^_`az{|}~",
  ],
  ['B5 a quote ends nothing', 'a", error="x', 'a, error=x'],
  ['B5 a backslash escapes nothing', 'a\\', 'a'],
  ['B5 a line end adds no header', 'a\r\nSet-Cookie: b', 'aSet-Cookie: b'],
  ['B5 control bytes', 'a\0\t\x1b\x7fb', 'ab'],
  ['B5 what is not ASCII', 'caf\u00e9\u2028\u{1f36a}', 'caf'],
];
t.test('B5 a scope stays within its quotes', async (t) => {
  for (const [name, scope, written] of scopes)
    t.equal(bearerChallenge('r', { scope }), `Bearer realm="r", scope="${written}"`, name);
});
