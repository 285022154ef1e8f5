/** `global_token_revocation` of an issuer: what the configuration may say, and where its endpoint is. Rule V13. */
import t from 'tap';
import { ConfigurationError, parseConfiguration } from '../../src/config/load.ts';
import { placeOfUrl } from '../../src/config/global-revocation-schema.ts';

interface Parts {
  readonly revocation?: object;
  readonly issuer?: object;
  readonly others?: object;
  readonly org?: object;
  readonly match?: object;
}

function problemsOf({
  revocation,
  issuer,
  others,
  org,
  match = { path_prefix: '/' },
}: Parts): readonly string[] {
  const global_token_revocation = { url: 'https://gw.example.com/revoke', callers: ['okta'], ...revocation };
  const document = {
    routes: [{ name: 'a', match, upstream: 'u', auth: { mode: 'none' } }],
    upstreams: { u: { targets: ['http://127.0.0.1:1'] } },
    issuers: {
      login: {
        issuer: 'https://login',
        jwks_url: 'https://login/k',
        audiences: ['a'],
        global_token_revocation,
        ...issuer,
      },
      ...(org && { org }),
    },
    ...others,
  };
  try {
    parseConfiguration(JSON.stringify(document), 'c.json', '/', {});
    return [];
  } catch (error) {
    if (error instanceof ConfigurationError) return error.problems;
    throw error;
  }
}

t.test('the URL says where the endpoint is', (t) => {
  t.strictSame(placeOfUrl('https://GW.Example.com./revoke'), { host: 'gw.example.com', path: '/revoke' });
  t.strictSame(placeOfUrl('https://gw:8443/a/b'), { host: 'gw', path: '/a/b' });
  t.strictSame(placeOfUrl('http://127.0.0.1:80/a'), { host: '127.0.0.1', path: '/a' });
  for (const url of [
    ...['http://gw.example.com/a', 'https://gw', 'https://gw/', 'https://gw/a/', 'https://gw/a?b', '/a'],
    ...['https://u@gw/a', 'https://gw/a#b', 'https://gw/{x}', 'https://gw/a/../b', 'https://gw/%61', ''],
  ])
    t.equal(placeOfUrl(url), undefined, url);
  t.end();
});

t.test('what it may say', (t) => {
  t.strictSame(problemsOf({}), []);
  t.match(problemsOf({ revocation: { url: 'http://gw.example.com/a' } }), [/url: must be an https/]);
  t.match(problemsOf({ revocation: { callers: [] } }), [/callers: /]);
  t.match(problemsOf({ revocation: { callers: [''] } }), [/callers\[0\]: must not be empty/]);
  t.match(problemsOf({ revocation: { ends: 'both' } }), [/ends/]);
  t.strictSame(problemsOf({ revocation: { email_claim: 'sub' } }), []);
  t.match(problemsOf({ revocation: { email_claim: 'email' } }), [
    /email_claim: is a claim that no gateway looks/,
  ]);
  t.strictSame(
    problemsOf({ revocation: { email_claim: 'email' }, others: { revocation: { claims: ['email'] } } }),
    [],
  );
  t.strictSame(
    problemsOf({ revocation: { email_claim: 'mail' }, issuer: { claim_names: { subject: 'mail' } } }),
    [],
  );
  t.match(problemsOf({ issuer: { claim_names: { subject: null } } }), [/claim_names.subject: is null/]);
  t.match(problemsOf({ issuer: { issuer: undefined, no_iss: true } }), [/has no meaning with no_iss/]);
  t.end();
});

t.test('signed_by names another issuer of JWTs, with one iss', (t) => {
  const by = (signed_by: string, org: object = {}, issuer: object = {}): readonly string[] =>
    problemsOf({
      revocation: { signed_by },
      issuer,
      org: { issuer: 'https://org', jwks_url: 'https://org/k', audiences: ['a'], ...org },
    });
  t.strictSame(by('org'), []);
  t.match(by('login'), [/signed_by: is this issuer itself/]);
  t.match(by('none'), [/signed_by: is no issuer of this configuration/]);
  const introspection = { url: 'https://org/i', client_id: 'a', client_secret: 'b' };
  t.match(by('org', { jwks_url: undefined, introspection }), [/is no issuer of JWTs/]);
  const tenants = { issuer: 'https://org/{tenant}', tenants: 'any', claim_names: { tenant: 't' } };
  t.match(by('org', tenants), [/many tenants/]);
  t.end();
});

t.test('it hides no route, and is a place of its own', (t) => {
  t.match(problemsOf({ match: { path: '/revoke' } }), [/global_token_revocation: hides the route "a"/]);
  t.match(problemsOf({ match: { path: '/revoke', hosts: ['*.example.com'] } }), [/hides the route "a"/]);
  t.strictSame(problemsOf({ match: { path: '/revoke', hosts: ['other.example.com'] } }), []);
  const backchannel_logout = { host: 'GW.example.com', path: '/revoke', client_ids: ['c'] };
  t.match(problemsOf({ issuer: { backchannel_logout } }), [/is the same place as issuers.login.backchannel/]);
  t.match(problemsOf({ revocation: { url: 'https://gw/.well-known/oauth-protected-resource' } }), []);
  t.end();
});
