/** `check --expand` prints the configuration with what its presets mean, and no secret. */
import t from 'tap';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { expandedConfiguration } from '../../src/config/expanded-text.ts';
import { parseConfiguration } from '../../src/config/load.ts';
import { sallyport } from '../support/command.ts';
import { temporaryFolder } from '../support/process.ts';

const REST = `routes: [{ name: a, match: {}, upstream: u, auth: { claims: { org: { has_key: admin } } } }]
upstreams: { u: { targets: ["http://127.0.0.1:3000"] } }
`;
const SOURCE = `# a comment
issuers:
  login:
    provider: okta
    issuer: \${ISSUER}
    discovery: true
    audiences: [api]
    required_claims: [groups]
    claim_names: { tenant: org }
  other: { issuer: "https://other.test", discovery: true, audiences: [api] }
${REST}`;
const ENVIRONMENT = { ISSUER: 'https://acme.okta.com/oauth2/default' };

const expand = (source: string, environment: Record<string, string> = {}) =>
  expandedConfiguration(source, 'f.yaml', environment);

t.test('what is printed loads to the same configuration', async (t) => {
  const { text } = expand(SOURCE, ENVIRONMENT);
  const load = (source: string): unknown => parseConfiguration(source, 'f.yaml', '/tmp', ENVIRONMENT);
  t.strictSame(load(text), load(SOURCE));
  // Without the line that stands for them, too: all of the preset is written out.
  t.strictSame(
    load(text.replace(/^ *provider: okta\n/m, '')),
    load(
      SOURCE.replace('provider: okta', 'token_type: any')
        .replace('[groups]', '[groups, cid]')
        .replace(
          '{ tenant: org }',
          '{ subject: uid, client: [cid], scopes: [scp], session: null, tenant: org }',
        ),
    ),
  );
});

t.test(
  'each value of a preset says where it comes from, and variables stay as they are written',
  async (t) => {
    const { text } = expand(SOURCE, ENVIRONMENT);
    const marked = text.split('\n').filter((line) => line.includes('# provider: okta'));
    t.strictSame(marked.map((line) => line.trim().split(' #')[0]).toSorted(), [
      'client: [ cid ]',
      'required_claims: [ groups, cid ]',
      'scopes: [ scp ]',
      'session: null',
      'subject: uid',
      'token_type: any',
    ]);
    t.match(text, '${ISSUER}');
    t.notMatch(text, 'acme.okta.com');
  },
);

t.test('A5 no secret that stands in the file is printed', async (t) => {
  const secrets = `
admin: { tokens: [{ name: a, token: SECRET-1-of-the-test }] }
log_key: SECRET-2
revocation: { store: "rediss://user:SECRET-3@redis.test:6379/0", tls: { key: SECRET-4 } }
issuers:
  shared: { provider: supabase, issuer: "https://a.test", hmac_secret: "SECRET-5" }
  asked: { introspection: { url: "https://a.test", client_id: gw, client_secret: "x\${V:-SECRET-6}" } }
  proven: { introspection: { url: "https://a.test", client_id: gw, key: SECRET-13 }, http: { proxy: "http://u:SECRET-14@p.test:3128" } }
  service: { validation: { url: "https://a.test", headers: { X-Api-Key: SECRET-7 } } }
  own: { issuer: "https://a.test", jwks: { keys: [{ kty: oct, k: SECRET-8, d: SECRET-9 }] } }
listeners: [{ port: 8443, tls: { cert_file: a.crt, key: SECRET-10, certificates: [{ cert: c, key: SECRET-11 }] } }]
${REST}`;
  const { text, document } = expand(secrets, { V: 'SECRET-12' });
  t.notMatch(text, 'SECRET');
  t.notMatch(JSON.stringify(document), 'SECRET');
  t.match(text, 'has_key: admin');
  t.match(text, 'key: (not shown)');
  t.match(text, 'rediss://(not shown)@redis.test:6379/0');
  t.match(text, 'cert_file: a.crt');
  t.match(expand(`log_key: \${LOG_KEY}\n${REST}`, { LOG_KEY: 'SECRET' }).text, 'log_key: ${LOG_KEY}');
});

t.test('A5 no password of a URL is printed, however the URL is put together', async (t) => {
  for (const [written, shown] of [
    ['${P:-http://user:SECRET@proxy.test:3128}', '${P:-http://(not shown)@proxy.test:3128}'],
    ['${R:-redis://:SECRET@redis.test:6379/0}', '${R:-redis://(not shown)@redis.test:6379/0}'],
    ['${SCHEME}://user:SECRET@h.test/', '${SCHEME}://(not shown)@h.test/'],
    ['${SCHEME:-http:}//user:SECRET@h.test', '${SCHEME:-http:}//(not shown)@h.test'],
    ['http://${U:-user}:${W:-SECRET}@h.test', 'http://(not shown)@h.test'],
    ['http://${UW:-user:SECRET@}h.test', 'http://(not shown)@}h.test'],
    ['http://${U:-user:SECRET@with@signs}@h.test', 'http://(not shown)@h.test'],
    ['redis://user:\\SECRET@h.test', 'redis://(not shown)@h.test'],
    ['HTTP:user:SECRET@h.test', 'HTTP:(not shown)@h.test'],
    ['http:\\\\user:SECRET@h.test', 'http:\\\\(not shown)@h.test'],
    ['${A:-http://u:SECRET@a.test/}${B:-http://u:SECRET@b.test/}', /a\.test.*b\.test/],
    ['https://h.test/users/@all?to=a@b.test', 'https://h.test/users/@all?to=a@b.test'],
    ['team@h.test', 'team@h.test'],
  ] as const) {
    const { document } = expand(JSON.stringify({ revocation: { store: written } }));
    const { store } = (document as { revocation: { store: string } }).revocation;
    t.notMatch(store, 'SECRET', written);
    t.match(store, shown, written);
  }
});

t.test('check --expand prints the configuration and nothing else on standard output', async (t) => {
  const folder = temporaryFolder(t);
  const file = join(folder, 'c.yaml');
  writeFileSync(file, SOURCE.replace('${ISSUER}', ENVIRONMENT.ISSUER));
  const { code, out, err } = await sallyport(['check', '-c', file, '--expand']);
  t.equal(code, 0);
  t.match(parse(out), { issuers: { login: { provider: 'okta', required_claims: ['groups', 'cid'] } } });
  t.match(err, /valid/);
  const json = await sallyport(['check', '-c', file, '--expand', '--json']);
  t.match(JSON.parse(json.out), { ok: true, expanded: { issuers: { login: { token_type: 'any' } } } });
  t.notOk('expanded' in (JSON.parse((await sallyport(['check', '-c', file, '--json'])).out) as object));
  writeFileSync(file, 'routes: []\n');
  t.match(
    await sallyport(['check', '-c', file, '--expand']),
    { code: 1, out: '' },
    'nothing of a broken one',
  );
});
