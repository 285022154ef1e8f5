/** `routes` and `explain` show the identity headers as they are in force: the maps merged over the defaults. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { loginIssuer } from '../support/gateway.ts';
import { sallyport } from '../support/command.ts';
import { temporaryFolder } from '../support/process.ts';
import { claimsOf, createKey, mint } from '../support/tokens.ts';

const key = createKey('ES256');

t.test('C24 routes and explain show the merged map of identity headers', async (t) => {
  const folder = temporaryFolder(t);
  const file = join(folder, 'c.json');
  const token = join(folder, 'token');
  const document = {
    issuers: { login: loginIssuer(key) },
    identity: { headers: { x_client_id: 'azp', 'X-Scopes': null, 'X-Roles': null } },
    routes: [
      {
        name: 'a',
        match: {},
        upstream: 'u',
        identity: { headers: { 'X-Tenant': 'tenant', 'X-Token-Issuer': null } },
      },
    ],
    upstreams: { u: { targets: ['http://127.0.0.1:1'] } },
  };
  writeFileSync(file, JSON.stringify(document), { mode: 0o600 });
  writeFileSync(token, mint(key, claimsOf({ azp: 'app', tenant: 'acme' })), { mode: 0o600 });

  const merged = { 'X-User-Id': '$subject', x_client_id: 'azp', 'X-Tenant': 'tenant' };
  const [contract] = JSON.parse((await sallyport(['routes', '-c', file, '--json'])).out) as {
    identity_headers: object;
    identity_reserved: string[];
  }[];
  t.strictSame(contract?.identity_headers, merged);
  const reserved = ['X-User-Id', 'X-Client-Id', 'X-Scopes', 'X-Token-Issuer', 'X-Roles', 'X-Tenant'];
  for (const name of reserved) t.ok(contract?.identity_reserved.includes(name), name);
  const table = (await sallyport(['routes', '-c', file])).out;
  t.ok(table.includes(Object.keys(merged).join(', ')), table);

  const explained = await sallyport([
    ...['explain', 'GET', 'http://api.example.com/', '-c', file, '--json', '--token-file', token],
    ...['-H', 'X-User-Id: root', '-H', 'X-Scopes: all', '-H', 'X_Token_Issuer: me'],
  ]);
  const { stages, upstream } = JSON.parse(explained.out) as {
    stages: { stage: string; detail: string }[];
    upstream: { headers: [string, string][] };
  };
  const sent = upstream.headers.filter(([name]) => /^x.(?:user|client|scopes|token|tenant)/i.test(name));
  t.strictSame(Object.fromEntries(sent), { 'X-User-Id': 'alice', x_client_id: 'app', 'X-Tenant': 'acme' });
  const detail = stages.at(-1)?.detail ?? '';
  for (const [name, claim] of Object.entries(merged)) t.ok(detail.includes(`${name} from ${claim}`), detail);
  t.match(detail, /headers: 3$/, 'and how many of the client were removed');
});
