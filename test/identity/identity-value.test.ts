/** What the value of an identity header may be. Rule J15. */
import t from 'tap';
import { isIdentityText, parseIdentityText, type IdentityText } from '../../src/identity/identity-value.ts';
import { tokenOf } from '../support/routes.ts';

t.test('normalized claims have one form, wherever an issuer keeps them', async (t) => {
  const rows: [value: string, claims: object, names: object, expected: string | undefined][] = [
    ['$subject', { sub: 'älice' }, {}, '%C3%A4lice'],
    ['$subject', { sub: '' }, {}, undefined],
    ['$subject', { client_id: 'web' }, {}, undefined],
    ['$subject', { user: { id: 7 } }, { subject: 'user.id' }, '7'],
    ['$client', { azp: 'web' }, {}, 'web'],
    ['$client', { cid: 'a,b' }, {}, 'a%2Cb'],
    ['$session', { session_id: 's' }, {}, 's'],
    ['$tenant', { tid: 't' }, {}, undefined],
    ['$tenant', { tid: 't' }, { tenant: 'tid' }, 't'],
    ['$issuer', {}, {}, 'https://login.example'],
    ['$scopes', { scope: 'a b' }, {}, 'a b'],
    ['$scopes', { scp: ['a', 'b'] }, {}, 'a b'],
    ['$scopes', { scp: ['a b', 'c'] }, {}, 'a%20b c'],
    ['$scopes', { scope: ['a,b', 'ü%'] }, {}, 'a%2Cb %C3%BC%25'],
    ['$scopes', { scope: ' a  a ' }, {}, 'a'],
    ['$scopes', { scope: [] }, {}, undefined],
    ['$scopes', {}, {}, undefined],
  ];
  for (const [value, claims, names, expected] of rows)
    t.equal(
      parseIdentityText(value)(tokenOf(claims as Record<string, unknown>, names)),
      expected,
      `${value} of ${JSON.stringify(claims)}`,
    );
});

t.test('$keys gives the names within an object, and of anything else no header', async (t) => {
  const rows: [path: string, claims: string, expected: string | undefined][] = [
    ['roles', '{"roles":{"admin":{"1":"a"},"read,write":true}}', 'admin,read%2Cwrite'],
    ['roles', '{"roles":{"admin":null,"guest":false,"user":0}}', 'user'],
    ['urn:roles', '{"urn:roles":{"a":1}}', 'a'],
    ['a.b', '{"a":{"b":{"c":1}}}', 'c'],
    ['roles', '{"roles":{}}', undefined],
    ['roles', '{"roles":{"admin":null}}', undefined],
    ['roles', '{"roles":["admin"]}', undefined],
    ['roles', '{"roles":"admin"}', undefined],
    ['roles', '{"roles":null}', undefined],
    ['roles', '{"roles":12345678901234567890}', undefined],
    ['roles', '{}', undefined],
    ['constructor', '{}', undefined],
  ];
  for (const [path, claims, expected] of rows)
    t.equal(parseIdentityText(`$keys(${path})`)(tokenOf(claims)), expected, `${path} of ${claims}`);
});

t.test('of a list the first value that is present counts', async (t) => {
  const rows: [value: IdentityText, claims: object, expected: string | undefined][] = [
    [['a', 'b'], { a: '1', b: '2' }, '1'],
    [['a', 'b'], { b: '2' }, '2'],
    [['a', 'b'], { a: null, b: '2' }, '2'],
    [['a', 'b'], { a: '', b: '2' }, '2'],
    [['a', 'b'], { a: [], b: '2' }, '2'],
    [['a', 'b'], { a: false, b: '2' }, 'false'],
    [['a', 'b'], { a: '' }, undefined],
    [['name', '$client'], { azp: 'web' }, 'web'],
    [['$keys(roles)', 'role'], { role: 'x' }, 'x'],
    ['a', { a: '' }, ''],
  ];
  for (const [value, claims, expected] of rows)
    t.equal(
      parseIdentityText(value)(tokenOf(claims as Record<string, unknown>)),
      expected,
      `${JSON.stringify(value)} of ${JSON.stringify(claims)}`,
    );
});

t.test('a text that begins with a dollar is a normalized claim or an error', async (t) => {
  for (const text of [
    '$subject',
    '$scopes',
    '$keys(a.b)',
    '$keys(a\\.b)',
    '$keys(a(b))',
    '\\$subject',
    'a.$b',
  ])
    t.ok(isIdentityText(text), text);
  for (const text of [
    '$',
    '$sub',
    '$Subject',
    '$subject ',
    '$keys',
    '$keys()',
    '$keys(a',
    '$keys(.a)',
    '$subject.a',
    'toString(',
    '',
  ])
    t.equal(isIdentityText(text), text === 'toString(', text);
  t.notOk(isIdentityText('$constructor'));
});
