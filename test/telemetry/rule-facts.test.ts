/** What a line says about rules: results, names of the configuration, and never the value of a claim. */
import t from 'tap';
import { compilePolicy } from '../../src/assembly/compile-policy.ts';
import { parseConfiguration } from '../../src/config/load.ts';
import type { RequestHead } from '../../src/http/request-head.ts';
import { HeaderTable } from '../../src/http/header-names.ts';
import { readHead } from '../../src/http/request-head.ts';
import { RuleFacts } from '../../src/telemetry/rule-facts.ts';
import { compileClaimRules } from '../../src/token/claim-rules.ts';
import { claimRuleKey, MAX_FACTS_BYTES, stepUpKey } from '../../src/token/rule-key.ts';
import { verifiedToken } from '../support/verified-token.ts';

const NOW = 1_800_000_000;
const LIMITS = { uriBytes: 8_192, headerBytes: 16_384, headerCount: 100, bodyBytes: 0 };

const factsFor = (...auths: readonly object[]): RuleFacts => {
  const configuration = parseConfiguration(
    JSON.stringify({
      issuers: {
        login: {
          issuer: 'https://login.example.com',
          jwks_url: 'https://login.example.com/keys',
          audiences: ['a'],
        },
      },
      routes: auths.map((auth, index) => ({
        name: `r${index}`,
        match: { path_prefix: `/r${index}/{tenant}` },
        upstream: 'u',
        auth,
      })),
      upstreams: { u: { targets: ['http://127.0.0.1:9'] } },
    }),
    'test.json',
    '.',
    {},
  );
  return new RuleFacts(compilePolicy(configuration).routes);
};
const head = (target = '/', ...rawHeaders: string[]): RequestHead =>
  readHead(
    {
      ...{ method: 'GET', target, httpVersion: '1.1', rawHeaders: ['host', 'a.example', ...rawHeaders] },
      ...{ scheme: 'https', bodyFollows: false, wantsTunnel: false },
    },
    new HeaderTable([], ['x-api-key']),
    LIMITS,
  );
const parsed = (text: string): unknown =>
  text === '' ? undefined : (JSON.parse(`{${text}}`) as { facts: unknown }).facts;
const keys = (settings: Parameters<typeof compileClaimRules>[0]): string[] =>
  compileClaimRules(settings).map(claimRuleKey);

t.test('A5 scopes that routes ask for, and the results of rules: never the value of a claim', async (t) => {
  const facts = factsFor(
    { scopes: ['read', 'write'], claims: { plan: 'gold', roles: ['admin', 'editor'] } },
    { any_of: [{ scopes: { any: ['files'] } }, { claims: { plan: { prefix: 'go-' } } }] },
  );
  const token = verifiedToken({
    scope: 'read files secret:scope',
    plan: 'gold',
    roles: ['reader'],
    sub: 'alice',
  });
  const text = facts.text(token, head(), NOW);
  t.strictSame(parsed(text), {
    scopes: ['read', 'files'],
    lacks: ['write'],
    holds: keys({ plan: 'gold' }),
    fails: keys({ roles: ['admin', 'editor'], plan: { prefix: 'go-' } }),
  });
  t.notMatch(text, /gold|reader|alice|secret|admin/);
});

t.test('rules about the path and the login are asked for each request', async (t) => {
  const facts = factsFor({ claims: { tenant: { path: 'tenant' } }, max_auth_age: '10m' });
  const token = verifiedToken({ tenant: 'acme', auth_time: NOW - 300 });
  const ofRequest = (path: string, now: number): unknown => parsed(facts.text(token, head(path), now));
  const login = stepUpKey({ acr: [], maxAuthAgeSeconds: 600 });
  const { holds } = ofRequest('/r0/acme/x', NOW) as { holds: string[] };
  t.equal(holds.length, 2);
  t.match(ofRequest('/r0/globex/x', NOW), { holds: [login], fails: holds.filter((key) => key !== login) });
  t.match(ofRequest('/r0/acme/x', NOW + 600), { fails: [login] });
});

t.test(
  'a request without a token brings no credentials only where nothing could be read as some',
  async (t) => {
    const facts = factsFor({});
    const none = { credentials: false };
    t.strictSame(parsed(facts.text(undefined, head('/x?page=2'), NOW)), none);
    for (const [target = '', ...fields] of [
      ['/', 'authorization', 'Basic OmE='],
      ['/', 'x-api-key', 'x'],
      ['/?access_token=x'],
      ['/', 'sec-websocket-protocol', 'bearer, x'],
    ])
      t.equal(facts.text(undefined, head(target, ...fields), NOW), '', target);
  },
);

t.test('what a line says is bounded', async (t) => {
  const scopes = Array.from({ length: 1_000 }, (_, index) => `scope-${index}`);
  const text = factsFor({ scopes }).text(verifiedToken({}), head(), NOW);
  t.ok(text.length < MAX_FACTS_BYTES + 100, String(text.length));
  t.ok(text.length > MAX_FACTS_BYTES / 2);
});
