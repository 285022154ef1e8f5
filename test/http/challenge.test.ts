/** The WWW-Authenticate challenge of each refusal. RFC 6750 section 3, RFC 9449 section 7.1, RFC 9470 section 3, RFC 9110 section 11.6.1. Rules B5, D15. */
import t from 'tap';
import * as authErrors from '../../src/auth-errors.ts';
import * as errors from '../../src/errors.ts';
import {
  bearerChallenge,
  challengesOf,
  plainChallenge,
  usedScheme,
  type ChallengeRules,
  type Scheme,
} from '../../src/http/challenge.ts';

const challengeOf = ({ status, challenge }: errors.GatewayError): string =>
  `${status} ${challenge === undefined ? 'none' : bearerChallenge('api.example', challenge)}`;

const REALM = 'Bearer realm="api.example"';
const refusals: [name: string, error: errors.GatewayError, expected: string][] = [
  ['B1 B8 no credentials', authErrors.MISSING_TOKEN, `401 ${REALM}`],
  ['B2 B7 not sent as it must be', authErrors.INVALID_AUTHORIZATION, `400 ${REALM}, error="invalid_request"`],
  ['B3 malformed', authErrors.invalidToken('malformed'), `401 ${REALM}, error="invalid_token"`],
  ['B3 expired', authErrors.invalidToken('expired', 'login'), `401 ${REALM}, error="invalid_token"`],
  ['B3 V1 revoked', authErrors.invalidToken('revoked'), `401 ${REALM}, error="invalid_token"`],
  ['B3 J13 too long', authErrors.invalidToken('too_large'), `401 ${REALM}, error="invalid_token"`],
  ['B4 one scope', authErrors.insufficientScope('a'), `403 ${REALM}, error="insufficient_scope", scope="a"`],
  [
    'B4 two scopes',
    authErrors.insufficientScope('a b'),
    `403 ${REALM}, error="insufficient_scope", scope="a b"`,
  ],
  ['a claim rule', authErrors.CLAIM_RULE_FAILED, '403 none'],
  ['an identity that is too large', authErrors.IDENTITY_TOO_LARGE, '403 none'],
  ['B10 keys', authErrors.unavailable('keys_unavailable', 1), '503 none'],
  ['B10 introspection', authErrors.unavailable('introspection_unavailable', 1), '503 none'],
  ['B10 V8 the revocation list', authErrors.unavailable('revocation_unavailable', 1), '503 none'],
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

const ALGS = 'ES256 EdDSA';
const METADATA = 'https://api.example.com/.well-known/oauth-protected-resource/orders';
/** By `auth.sender_constrained`, and whether clients have certificates. */
const plain = plainChallenge('r');
const optional = { ...plain, dpopAlgorithms: ALGS };
const required = { ...optional, bearer: false };
const certificates = { ...required, bearer: true };

type Row = readonly [
  name: string,
  rules: ChallengeRules,
  error: errors.GatewayError,
  used: Scheme,
  ...expected: string[],
];
const MISSING = authErrors.MISSING_TOKEN;
const INVALID = authErrors.invalidToken('expired');
const UNPROVEN = authErrors.sentWithoutProof('login');
const PROOF = authErrors.invalidProof('x');
const LOGIN = authErrors.loginTooWeak({ acrValues: 'a b', maxAge: '300' }, 'x');
const SCOPE = authErrors.insufficientScope('c');
const LOGIN_TEXT = 'error="insufficient_user_authentication", acr_values="a b", max_age="300"';
const schemes: readonly Row[] = [
  ['B1 without credentials', plain, MISSING, 'Bearer', 'Bearer realm="r"'],
  ['B1 optional', optional, MISSING, 'Bearer', 'Bearer realm="r"', `DPoP realm="r", algs="${ALGS}"`],
  ['B1 required', required, MISSING, 'Bearer', `DPoP realm="r", algs="${ALGS}"`],
  [
    'B1 M1 required, where clients have certificates',
    certificates,
    MISSING,
    'Bearer',
    'Bearer realm="r"',
    `DPoP realm="r", algs="${ALGS}"`,
  ],
  ['B8 DPoP where it is not accepted', plain, MISSING, 'DPoP', 'Bearer realm="r"'],
  [
    'B3 Bearer, invalid',
    optional,
    INVALID,
    'Bearer',
    'Bearer realm="r", error="invalid_token"',
    `DPoP realm="r", algs="${ALGS}"`,
  ],
  [
    'B3 DPoP, invalid',
    optional,
    INVALID,
    'DPoP',
    'Bearer realm="r"',
    `DPoP realm="r", error="invalid_token", algs="${ALGS}"`,
  ],
  [
    'B3 Bearer where only DPoP is accepted',
    required,
    INVALID,
    'Bearer',
    `DPoP realm="r", error="invalid_token", algs="${ALGS}"`,
  ],
  [
    'D13 a bound token as Bearer',
    optional,
    UNPROVEN,
    'Bearer',
    'Bearer realm="r"',
    `DPoP realm="r", error="invalid_token", algs="${ALGS}"`,
  ],
  [
    'D13 a bound token where no proofs are accepted',
    plain,
    UNPROVEN,
    'Bearer',
    'Bearer realm="r", error="invalid_token"',
  ],
  ['D15 a bad proof', required, PROOF, 'DPoP', `DPoP realm="r", error="invalid_dpop_proof", algs="${ALGS}"`],
  [
    'D10 D15 a proof without its nonce',
    optional,
    authErrors.PROOF_NEEDS_NONCE,
    'DPoP',
    'Bearer realm="r"',
    `DPoP realm="r", error="use_dpop_nonce", algs="${ALGS}"`,
  ],
  ['P3 a login, as Bearer', plain, LOGIN, 'Bearer', `Bearer realm="r", ${LOGIN_TEXT}`],
  [
    'P3 D15 a login, with a bound token',
    optional,
    LOGIN,
    'DPoP',
    'Bearer realm="r"',
    `DPoP realm="r", ${LOGIN_TEXT}, algs="${ALGS}"`,
  ],
  [
    'B4 a scope, as DPoP',
    required,
    SCOPE,
    'DPoP',
    `DPoP realm="r", error="insufficient_scope", scope="c", algs="${ALGS}"`,
  ],
  [
    'B2 not sent as it must be',
    optional,
    authErrors.INVALID_AUTHORIZATION,
    'Bearer',
    'Bearer realm="r", error="invalid_request"',
    `DPoP realm="r", algs="${ALGS}"`,
  ],
];
const written = (rules: ChallengeRules, { challenge, status }: errors.GatewayError, used: Scheme): string[] =>
  challengesOf(challenge ?? {}, status, rules, used);

t.test('B5 D15 a challenge for each scheme, and the error in the one that counts', async (t) => {
  for (const [name, rules, error, used, ...expected] of schemes)
    t.strictSame(written(rules, error, used), expected, name);
});

t.test('B5 a 401 names the scopes of the route, a 403 those that are needed, a 400 none', async (t) => {
  const rules = { ...optional, scope: 'a b' };
  const scopesOf = (error: errors.GatewayError): (string | undefined)[] =>
    written(rules, error, 'Bearer').map((text) => /scope="([^"]*)"/.exec(text)?.[1]);
  for (const error of [MISSING, INVALID, UNPROVEN, LOGIN, PROOF, authErrors.PROOF_NEEDS_NONCE])
    t.strictSame(scopesOf(error), ['a b', 'a b'], error.code);
  t.strictSame(scopesOf(SCOPE), ['c', 'c']);
  t.strictSame(scopesOf(authErrors.INVALID_AUTHORIZATION), [undefined, undefined]);
});

t.test('B5 P1 every challenge of a resource names its metadata', async (t) => {
  const rules = { ...optional, resourceMetadata: METADATA };
  for (const error of [MISSING, INVALID, PROOF, SCOPE, LOGIN, authErrors.INVALID_AUTHORIZATION])
    for (const text of written(rules, error, 'DPoP'))
      t.ok(text.endsWith(`, resource_metadata="${METADATA}"`), text);
});

t.test('B5 each attribute stands once, within its quotes, whatever the configuration holds', async (t) => {
  const hostile = 'a", realm="evil\\\r\nSet-Cookie: x\0';
  const rules = { ...optional, scope: hostile, dpopAlgorithms: hostile, resourceMetadata: hostile };
  for (const error of [
    MISSING,
    LOGIN,
    authErrors.insufficientScope(hostile),
    authErrors.loginTooWeak({ acrValues: hostile }, ''),
  ])
    for (const used of ['Bearer', 'DPoP'] as const)
      for (const text of written(rules, error, used)) {
        t.match(
          text,
          /^(?:Bearer|DPoP) [a-z_]+="[\x20\x21\x23-\x5b\x5d-\x7e]*"(?:, [a-z_]+="[\x20\x21\x23-\x5b\x5d-\x7e]*")*$/,
        );
        const names = [...text.matchAll(/([a-z_]+)="/g)].map(([, name]) => name);
        t.equal(new Set(names).size, names.length, text);
      }
});

t.test('which scheme a client has used', async (t) => {
  const rows: [lines: string[], expected: Scheme][] = [
    [[], 'Bearer'],
    [['Bearer x'], 'Bearer'],
    [['DPoP x'], 'DPoP'],
    [['dpop x'], 'DPoP'],
    [['DPOP  x'], 'DPoP'],
    [['DPoP'], 'DPoP'],
    [['DPoPx y'], 'Bearer'],
    [['Basic DPoP'], 'Bearer'],
    [['DPoP x', 'Bearer x'], 'Bearer'],
    [['DPoP x', 'DPoP x'], 'Bearer'],
  ];
  for (const [lines, expected] of rows) t.equal(usedScheme(lines), expected, lines.join(' and '));
});
