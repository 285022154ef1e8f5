/** Which list a token names, and whether its issuer's tokens may name it. */
import t from 'tap';
import type { JsonObject } from '../../src/token/claims.ts';
import { isCanonicalUri, statusClaim, StatusUris } from '../../src/token/status-claim.ts';

t.test('a token names an entry of a list, none, or nothing that can be read', async (t) => {
  const uri = 'https://a.example/lists/1';
  const cases: [claims: JsonObject, found: unknown][] = [
    [{ status: { status_list: { idx: 0, uri } } }, { uri, index: 0 }],
    [{ status: { status_list: { idx: 412, uri, more: 1 }, other: {} } }, { uri, index: 412 }],
    [{}, undefined],
    [{ status: {} }, undefined],
    [{ status: { other_mechanism: { uri } } }, undefined],
    ...[null, 'active', 1, true, []].map((status): [JsonObject, unknown] => [{ status }, 'malformed']),
    ...[null, 'x', 1, [], {}, { idx: 1 }, { uri }].map((list): [JsonObject, unknown] => [
      { status: { status_list: list } },
      'malformed',
    ]),
    ...[-1, 1.5, '1', null, true, 2 ** 53, []].map((idx): [JsonObject, unknown] => [
      { status: { status_list: { idx, uri } } },
      'malformed',
    ]),
    [{ status: { status_list: { idx: 1, uri: 7 } } }, 'malformed'],
    [{ status: { status_list: { idx: 1, uri: [uri] } } }, 'malformed'],
  ];
  for (const [claims, found] of cases) t.strictSame(statusClaim(claims), found, JSON.stringify(claims));
});

t.test('a URI is one that is named, or a plain path under a prefix', async (t) => {
  const uris = new StatusUris([
    'https://a.example/lists/',
    'https://b.example/list?id=1',
    'https://c.example/',
  ]);
  t.strictSame(uris.exact, ['https://b.example/list?id=1']);
  const allowed = [
    'https://a.example/lists/1',
    'https://a.example/lists/2026/11',
    'https://a.example/lists/tenant:7@x/',
    'https://b.example/list?id=1',
    'https://c.example/anything',
  ];
  const refused = [
    '',
    'lists/1',
    'https://a.example/lists',
    'https://a.example/lists/',
    'https://a.example/lists-evil/1',
    'https://a.example/other/1',
    'https://a.example/lists/../admin',
    'https://a.example/lists/./1',
    'https://a.example/lists/%2e%2e/admin',
    'https://a.example/lists/..%2fadmin',
    'https://a.example/lists/..;/admin',
    'https://a.example/lists/a;b',
    'https://a.example/lists/..\\admin',
    'https://a.example/lists//1',
    'https://a.example/lists/1?x=1',
    'https://a.example/lists/1#x',
    'https://a.example/lists/1 ',
    ' https://a.example/lists/1',
    'https://a.example/lists/1\n',
    'https://a.example/lists/\u00e4',
    'https://user@a.example/lists/1',
    'https://user:password@a.example/lists/1',
    'https://a.example@evil.example/lists/1',
    'https://a.example.evil.example/lists/1',
    'https://a.example:443/lists/1',
    'https://a.example:8443/lists/1',
    'https://A.example/lists/1',
    'HTTPS://a.example/lists/1',
    'http://a.example/lists/1',
    'file:///lists/1',
    'https://b.example/list?id=2',
    'https://b.example/list',
  ];
  t.strictSame(
    allowed.filter((uri) => !uris.has(uri)),
    [],
  );
  t.strictSame(
    refused.filter((uri) => uris.has(uri)),
    [],
  );
});

t.test('a URI has one spelling', async (t) => {
  for (const good of ['https://a.example/x', 'http://127.0.0.1:8080/x/', 'https://a.example/x?y=1'])
    t.ok(isCanonicalUri(good), good);
  for (const bad of [
    'https://a.example',
    'https://a.example/a/../b',
    'https://a.example/#',
    'ftp://a.example/',
  ])
    t.notOk(isCanonicalUri(bad), bad);
});
