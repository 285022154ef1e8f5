/** `issuers.NAME.status_list`: which URIs can be named, and what has no meaning. */
import t from 'tap';
import { ConfigurationError, parseConfiguration } from '../../src/config/load.ts';
import { serverAccess } from '../../src/assembly/server-access.ts';

const base = {
  routes: [{ name: 'a', match: {}, upstream: 'u', auth: { issuers: ['p'] } }],
  upstreams: { u: { targets: ['http://127.0.0.1:1'] } },
};
const JWT = {
  issuer: 'https://login.example.com',
  jwks_url: 'https://login.example.com/jwks',
  audiences: ['a'],
};

const load = (issuer: object) =>
  parseConfiguration(JSON.stringify({ ...base, issuers: { p: issuer } }), 'f.json', '/tmp', {}).issuers['p'];

/** Without their places. */
function problems(issuer: object): readonly string[] {
  try {
    load(issuer);
    return [];
  } catch (error) {
    if (error instanceof ConfigurationError)
      return error.problems.map((line) => line.replace(/^[^ ]+ issuers\.p/, ''));
    throw error;
  }
}

const withList = (list: unknown, more: object = {}): object => ({ ...JWT, status_list: list, ...more });
const withUri = (...uris: unknown[]): object => withList({ uris });

t.test('a list has its defaults', async (t) => {
  t.match(load(withUri('https://login.example.com/lists/', 'http://127.0.0.1:8080/list'))?.status_list, {
    required: false,
    refresh: 60_000,
    max_age: 600_000,
    max_lists: 64,
    max_size: 64 * 1024 * 1024,
  });
});

t.test('URIs have one spelling, and travel encrypted or do not leave the machine', async (t) => {
  const cases: [uri: string, problem: RegExp][] = [
    [
      'https://login.example.com',
      /uris\[0\]: is compared as text, and would be spelt https:\/\/login\.example\.com\//,
    ],
    ['https://LOGIN.example.com/lists/', /would be spelt https:\/\/login\.example\.com\/lists\//],
    ['https://login.example.com:443/lists/', /would be spelt https:\/\/login\.example\.com\/lists\//],
    ['https://login.example.com/a/../lists/', /would be spelt https:\/\/login\.example\.com\/lists\//],
    ['https://login.example.com/lists/?a=/', /has a query; remove the query/],
    ['http://login.example.com/lists/', /must be https:\/\/ or loopback/],
    ['https://user:secret@login.example.com/lists/', /without credentials/],
    ['https://login.example.com/lists/#x', /without credentials or fragment/],
    ['ftp://login.example.com/lists/', /must be an absolute/],
    ['lists', /must be an absolute/],
  ];
  for (const [uri, problem] of cases) {
    const found = problems(withUri(uri));
    t.match(found, [problem], uri);
    t.notMatch(found.join(), /secret/);
  }
  t.strictSame(problems({ ...withUri('http://login.example.com/lists/'), allow_http: true }), []);
  t.strictSame(problems(withUri('https://login.example.com/list?id=1')), [], 'an exact URI may have a query');
});

t.test('what cannot work is said', async (t) => {
  const uris = ['https://login.example.com/lists/'];
  t.match(problems(withList({ uris: [] })), [/uris/]);
  t.match(problems(withList({})), [/uris/]);
  t.match(problems(withList({ uris, more: 1 })), [/more/]);
  t.match(problems(withList({ uris, max_lists: 0 })), [/max_lists/]);
  t.match(problems(withList({ uris, refresh: '10m' })), [
    /max_age: must be at least twice status_list\.refresh/,
  ]);
  t.match(problems(withList({ uris, refresh: '1m', max_age: '90s' })), [/max_age: must be at least twice/]);
  t.strictSame(problems(withList({ uris, refresh: '5s', max_age: '10s' })), []);
  const opaque = { introspection: { url: 'https://as.example.com/i', client_id: 'a', client_secret: 'b' } };
  t.match(problems({ ...opaque, status_list: { uris } }), [
    /status_list: is for JWTs and has no meaning beside introspection/,
  ]);
  t.match(problems({ api_keys: { file: 'keys.yaml' }, status_list: { uris } }), [/status_list/]);
});

t.test('what reaches the servers of the issuer reaches its lists', async (t) => {
  const issuer = load({
    ...withUri('https://lists.example.com/l/'),
    http: { proxy: 'http://proxy.example.com:3128' },
  });
  t.match(issuer && serverAccess(issuer, '/tmp')?.origins, [
    'https://login.example.com',
    'https://lists.example.com',
  ]);
});
