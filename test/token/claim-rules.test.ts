/** Claim rules: what each form asks of a claim. Rules C9, J15. */
import t from 'tap';
import { templateOf } from '../../src/http/path-template.ts';
import {
  claimRuleText,
  compileClaimRules,
  limitsAudience,
  satisfies,
  type ClaimRuleSetting,
} from '../../src/token/claim-rules.ts';
import { parseStrictJson, type JsonObject } from '../../src/token/strict-json.ts';

const TEMPLATE = templateOf('/tenants/{tenant}/orders/{order}');

/** Do claims, as JSON text, satisfy one rule about the claim `c`? */
function holds(setting: ClaimRuleSetting, claims: string, path = ''): boolean {
  const [rule] = compileClaimRules({ c: setting }, TEMPLATE);
  return rule !== undefined && satisfies(rule, parseStrictJson(Buffer.from(claims)) as JsonObject, path);
}

const TABLE: readonly [setting: ClaimRuleSetting, holding: readonly string[], failing: readonly string[]][] =
  [
    ['a', ['"a"', '["b","a"]'], ['"A"', '"ab"', '[["a"]]', '{"a":"a"}', 'null', '[]', '7']],
    [7, ['7', '7.0', '[1,7]'], ['"7"', '70', 'true', '[[7]]']],
    [false, ['false'], ['null', '0', '""', '"false"', '[]', 'true']],
    [
      ['a', 7],
      ['"a"', '7', '["x",7]'],
      ['"7"', '"b"'],
    ],
    [{ equals: 'a' }, ['"a"', '["b","a"]'], ['"ab"', '"*"']],
    [{ equals: '*' }, ['"*"', '["*"]'], ['"a"', '""', '["a"]']],
    [{ equals: ['*', 'b*'] }, ['"*"', '"b*"'], ['"b"', '"bc"']],
    [
      { prefix: 'system:serviceaccount:prod:' },
      [
        '"system:serviceaccount:prod:api"',
        '"system:serviceaccount:prod:"',
        '["x","system:serviceaccount:prod:a"]',
      ],
      [
        '"system:serviceaccount:prod"',
        '"system:serviceaccount:prod2:api"',
        '"System:serviceaccount:prod:api"',
        '" system:serviceaccount:prod:api"',
        '"x system:serviceaccount:prod:api"',
        '[["system:serviceaccount:prod:api"]]',
        '{"system:serviceaccount:prod:":"system:serviceaccount:prod:"}',
        'null',
        '[]',
      ],
    ],
    [{ prefix: '1' }, ['"12"'], ['12', '1', '[1]', 'true']],
    [{ prefix: ['a:', 'b:'] }, ['"a:x"', '"b:x"', '["c","b:"]'], ['"c:a:"']],
    [
      { has_key: 'admin' },
      [
        '{"admin":{"org":"domain"}}',
        '{"admin":{}}',
        '{"admin":true}',
        '{"admin":""}',
        '{"admin":0}',
        '{"admin":[]}',
      ],
      [
        '{"admin":null}',
        '{"admin":false}',
        '{"Admin":true}',
        '{"user":{"admin":true}}',
        '{}',
        '["admin"]',
        '[{"admin":true}]',
        '"admin"',
        'null',
        '7.0',
      ],
    ],
    [{ has_key: ['x', 'admin'] }, ['{"admin":1}', '{"x":1}'], ['{"y":1}']],
    [{ has_key: 'constructor' }, ['{"constructor":1}'], ['{}', '{"a":1}', '[]']],
    [{ has_key: '__proto__' }, ['{"__proto__":1}'], ['{}', '{"a":1}']],
    [{ has_key: 'toString' }, [], ['{}', '"x"', '[]']],
    [{ has_key: 'value' }, [], ['1.0', '12345678901234567890']],
    [{ has_key: 'length' }, [], ['[]', '["a"]', '"abc"']],
    [{ absent: true }, ['null'], ['""', 'false', '0', '[]', '{}', '"a"', '[null]']],
  ];

t.test('C9 each form of a rule holds for the claims that it says, and for no others', async (t) => {
  for (const [setting, holding, failing] of TABLE) {
    const name = JSON.stringify(setting);
    for (const claim of holding)
      t.equal(holds(setting, `{"c":${claim}}`), true, `${name} holds for ${claim}`);
    for (const claim of failing)
      t.equal(holds(setting, `{"c":${claim}}`), false, `${name} fails for ${claim}`);
  }
});

t.test('C9 only absent holds for a claim that is not there', async (t) => {
  for (const [setting] of TABLE) {
    const expected = typeof setting === 'object' && 'absent' in setting;
    t.equal(holds(setting, '{}'), expected, JSON.stringify(setting));
    t.equal(holds(setting, '{"C":"a","c.c":"a"}'), expected, JSON.stringify(setting));
  }
  t.equal(holds({ path: 'tenant' }, '{}', '/tenants/undefined/orders/1'), false);
  t.equal(holds({ path: 'tenant' }, '{"c":null}', '/tenants/null/orders/1'), false);
});

const SEGMENTS: readonly [claim: string, segment: string, expected: boolean][] = [
  ['"acme"', 'acme', true],
  ['["globex","acme"]', 'acme', true],
  ['"A-Z_a.z~09"', 'A-Z_a.z~09', true],
  ['42', '42', true],
  ['12345678901234567890', '12345678901234567890', true],
  ['[1,42]', '42', true],
  ['"a b"', 'a%20b', true],
  ['"ü"', '%C3%BC', true],
  ['"a@b.example"', 'a%40b.example', true],
  [`"!'()*"`, '%21%27%28%29%2A', true],
  ['"100%"', '100%25', true],
  ['"a/b"', 'a%2Fb', true],
  ['"{tenant}"', '%7Btenant%7D', true],
  // Another spelling of the same text, or another text.
  ['"acme"', 'Acme', false],
  ['"acme"', 'ACME', false],
  ['"acme"', '%61cme', false],
  ['"acme"', 'acm%65', false],
  ['"acme"', 'acme2', false],
  ['"acme"', 'acm', false],
  ['"acme"', '', false],
  ['""', '', false],
  ['"acme"', 'acme%00', false],
  ['"acme "', 'acme', false],
  ['"ü"', '%c3%bc', false],
  ['"ü"', '%FC', false],
  ['"ü"', 'u%CC%88', false],
  ['"a b"', 'a+b', false],
  ['"a b"', 'a b', false],
  ['"a%20b"', 'a%20b', false],
  ['"%61cme"', '%61cme', false],
  ['"a@b.example"', 'a@b.example', false],
  [`"!"`, '!', false],
  ['"acme,globex"', 'acme', false],
  ['[["acme"]]', 'acme', false],
  ['{"acme":"acme"}', 'acme', false],
  ['true', 'true', false],
  ['42.0', '42', false],
  ['42.0', '42.0', false],
  ['1e3', '1000', false],
  ['-1', '-1', false],
  ['42', '042', false],
  ['[]', '', false],
];
t.test(
  'C10 a variable of the path equals a claim that is percent-encoded once, and no other spelling',
  async (t) => {
    for (const [claim, segment, expected] of SEGMENTS) {
      const claims = `{"c":${claim}}`;
      t.equal(
        holds({ path: 'tenant' }, claims, `/tenants/${segment}/orders/1`),
        expected,
        `${claim} ${segment}`,
      );
      t.equal(
        holds({ path: 'order' }, claims, `/tenants/x/orders/${segment}`),
        expected,
        `last: ${claim} ${segment}`,
      );
    }
    t.equal(holds({ path: 'tenant' }, '{"c":"acme"}', '/tenants/x/orders/acme'), false, 'another variable');
    t.equal(holds({ path: 'nowhere' }, '{"c":"acme"}', '/tenants/acme/orders/1'), false, 'no such variable');
    const [rule] = compileClaimRules({ c: { path: 'tenant' } });
    t.equal(rule && satisfies(rule, { c: 'acme' }, '/tenants/acme'), false, 'no path with variables');
  },
);

t.test('a claim path reaches into objects', async (t) => {
  const [rule] = compileClaimRules({ 'realm_access.roles': 'admin' });
  t.equal(rule && satisfies(rule, { realm_access: { roles: ['admin'] } }, ''), true);
  t.equal(rule && satisfies(rule, { 'realm_access.roles': ['admin'] }, ''), false);
});

t.test('every form says in words what it asks for', async (t) => {
  const texts = new Set(TABLE.map(([setting]) => claimRuleText('c', setting)));
  for (const text of texts) t.match(text, /^c /);
  t.equal(texts.size, TABLE.length - 1, 'only a and { equals: a } say the same');
});

t.test('which rules may stand in for audiences', async (t) => {
  const cases: [Record<string, ClaimRuleSetting>, boolean][] = [
    [{}, false],
    [{ client_id: ['my-app'] }, true],
    [{ client_id: 'my-app', token_use: ['access'] }, true],
    [{ roles: { has_key: 'admin' } }, true],
    [{ sub: { prefix: 'system:serviceaccount:prod:' } }, true],
    [{ token_use: ['access'] }, false],
    [{ email_verified: true }, false],
    [{ anything: true }, false],
    [{ nonce: { absent: true } }, false],
    [{ iss: 'https://login.example' }, false],
  ];
  for (const [claims, expected] of cases) t.equal(limitsAudience(claims), expected, JSON.stringify(claims));
});
