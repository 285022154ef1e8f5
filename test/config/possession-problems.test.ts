/** What `check` refuses of proofs of possession and public URLs. Rules D9, D10. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { parseConfiguration } from '../../src/config/load.ts';
import { temporaryFolder } from '../support/process.ts';

const folder = temporaryFolder(t);
const PUBLIC_URL = 'https://api.example.com';

/** What is wrong with a route that takes proofs, with these changes; empty where nothing is. */
function problemsOf(
  route: Record<string, unknown>,
  more: Record<string, unknown> = {},
  listener: Record<string, unknown> = {},
): string {
  const configuration = {
    listeners: [{ port: 8080, ...listener }],
    issuers: { login: { issuer: 'https://login.example.com', discovery: true } },
    routes: [
      {
        name: 'orders',
        match: { path_prefix: '/shop/orders' },
        upstream: 'u',
        auth: { sender_constrained: 'optional' },
        ...route,
      },
    ],
    upstreams: { u: { targets: ['http://127.0.0.1:3000'] } },
    ...more,
  };
  try {
    parseConfiguration(JSON.stringify(configuration), 'test.json', folder, {});
    return '';
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

t.test('D10 nonces have a secret that cannot be guessed, wherever it stands', async (t) => {
  const nonces = (nonces: unknown): string => problemsOf({ public_url: PUBLIC_URL }, { dpop: { nonces } });
  const file = (name: string, content: string): string => {
    writeFileSync(join(folder, name), content);
    return name;
  };
  const long = 'x'.repeat(32);
  for (const empty of [{}, { rotate: '1m' }]) t.match(nonces(empty), /dpop\.nonces: has no secret; add/);
  t.match(nonces(null), /dpop\.nonces: must be a mapping/);
  t.match(nonces({ secret: long.slice(1) }), /dpop\.nonces\.secret: the secret is shorter than 32/);
  t.match(nonces({ secret: '' }), /dpop\.nonces\.secret: must not be empty|is empty/);
  t.match(
    nonces({ secret_file: file('short', `${long.slice(1)}\n`) }),
    /dpop\.nonces\.secret_file: the secret is shorter than 32/,
  );
  t.match(nonces({ secret_file: file('empty', '\n') }), /dpop\.nonces\.secret_file: the file is empty/);
  t.match(nonces({ secret_file: 'absent' }), /dpop\.nonces\.secret_file: the file cannot be read/);
  t.match(nonces({ secret: long, secret_file: file('good', `${long}\n`) }), /exclude each other/);
  t.equal(nonces({ secret: long }), '');
  t.equal(nonces({ secret_file: 'good' }), '');
});

t.test('D9 a route that takes proofs says for which URL', async (t) => {
  const unknown = /auth\.sender_constrained: accepts proofs, but nothing says for which URL; add public_url/;
  const hosts = (...hosts: string[]) => ({ match: { hosts } });
  t.match(problemsOf({}), unknown);
  t.match(problemsOf(hosts('*.example.com')), unknown);
  t.match(problemsOf(hosts('api.example.com', '*.example.com')), unknown);
  const two = [{ port: 8080, public_url: PUBLIC_URL }, { port: 8081 }];
  t.match(problemsOf({}, { listeners: two }), unknown, 'one of two listeners');
  t.equal(problemsOf(hosts('api.example.com')), '');
  t.equal(problemsOf({ public_url: PUBLIC_URL }), '');
  t.equal(problemsOf({}, {}, { public_url: PUBLIC_URL }), '');
  const redirect = [
    { port: 8080, public_url: PUBLIC_URL },
    { port: 8081, serve: 'redirect' },
  ];
  t.equal(problemsOf({}, { listeners: redirect }), '', 'a redirect listener takes none');
});

t.test('D9 the path of public_url stands at or above that of the match', async (t) => {
  const at = (path: string, listener?: string): string =>
    problemsOf({ public_url: PUBLIC_URL + path }, {}, listener === undefined ? {} : { public_url: listener });
  for (const path of ['', '/', '/shop', '/shop/', '/shop/orders']) t.equal(at(path), '', path);
  for (const path of ['/orders', '/shop/orders/new', '/sho', '/Shop'])
    t.match(at(path), /public_url: has the path .*, but the route serves \/shop\/orders/, path);
  t.equal(at('/v1/shop', `${PUBLIC_URL}/v1`), '', 'behind the path that a proxy takes away');
  t.match(at('/shop', `${PUBLIC_URL}/v1`), /but the route serves \/v1\/shop\/orders/);
});

t.test('keys that nothing reads', async (t) => {
  t.match(
    problemsOf({ auth: {}, when_replay_unknown: 'allow' }),
    /routes\[0\]\.when_replay_unknown: has no meaning on a route that takes no proofs/,
  );
  t.equal(problemsOf({ public_url: PUBLIC_URL, when_replay_unknown: 'allow' }), '');
  t.match(
    problemsOf({ public_url: PUBLIC_URL }, {}, { serve: 'redirect', public_url: PUBLIC_URL }),
    /listeners\[0\]\.public_url: has no meaning with serve: redirect/,
  );
  for (const [key, value] of Object.entries({
    sender_constrained: 'optional',
    acr: ['a'],
    max_auth_age: '5m',
  }))
    t.match(
      problemsOf({ public_url: PUBLIC_URL, auth: { mode: 'none', [key]: value } }),
      new RegExp(`auth\\.${key}: has no meaning with mode: none`),
    );
});
