/** Protected resources in the configuration: what is refused, what `check` warns of. Rules P1, P2. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { parse as parseYaml } from 'yaml';
import { ConfigurationError, parseConfiguration } from '../../src/config/load.ts';
import { protectedResources } from '../../src/config/protected-resources.ts';
import { resourceMetadata } from '../../src/config/resource-metadata.ts';
import type { Configuration } from '../../src/config/schema.ts';
import { configurationWarnings } from '../../src/config/warnings.ts';

const IDENTIFIER = 'https://api.example.com/mcp';
const login = { issuer: 'https://login.example.com', discovery: true };
const route = (more: Record<string, unknown> = {}): Record<string, unknown> => ({
  name: 'mcp',
  match: { path_prefix: '/mcp' },
  upstream: 'u',
  public_url: IDENTIFIER,
  resource: true,
  ...more,
});
const parse = (routes: readonly object[], more: Record<string, unknown> = {}): Configuration =>
  parseConfiguration(
    JSON.stringify({ issuers: { login }, routes, upstreams: { u: { targets: ['http://u:1'] } }, ...more }),
    'f',
    '/tmp',
    {},
  );

function problemsOf(...[routes, more]: Parameters<typeof parse>): string[] {
  try {
    parse(routes, more);
    return [];
  } catch (error) {
    if (error instanceof ConfigurationError)
      return error.problems.map((text) => text.replace(/^f:\d+:\d+: /, ''));
    throw error;
  }
}

const warningsOf = (...[routes, more]: Parameters<typeof parse>): string[] =>
  configurationWarnings({ configuration: parse(routes, more), folder: '/tmp', file: 'f' });

t.test('P1 a resource needs one identifier: of the route, else of all listeners alike', async (t) => {
  const own = route({ public_url: undefined });
  const listener = (public_url?: string, more = {}): object => ({ port: 0, public_url, ...more });
  t.match(problemsOf([own]), [/^routes\[0\]\.resource: has no identifier; add public_url to the route/]);
  t.match(problemsOf([own], { listeners: [listener()] }), [/has no identifier/]);
  const redirect = listener(undefined, { serve: 'redirect' });
  t.match(problemsOf([own], { listeners: [redirect] }), [/has no identifier/], 'nothing is served there');
  const two = [listener('https://a.example'), listener('https://b.example')];
  t.match(problemsOf([own], { listeners: two }), [
    /has no clear identifier.*https:\/\/a\.example, https:\/\/b\.example\); add public_url to the route/,
  ]);
  for (const listeners of [
    [listener('https://a.example')],
    [listener('https://a.example'), listener('https://A.example/')],
    [listener('https://a.example'), listener()],
    [redirect, listener('https://a.example')],
  ]) {
    t.strictSame(problemsOf([own], { listeners }), [], JSON.stringify(listeners));
    const [resource] = protectedResources(parse([own], { listeners }));
    t.equal(resource?.url.href, 'https://a.example');
  }
  t.strictSame(problemsOf([route()], { listeners: two }), []);
});

t.test('an identifier is https, or loopback', async (t) => {
  const plain = route({ public_url: 'http://api.example.com/mcp' });
  t.match(problemsOf([plain, { ...plain, name: 'b', match: { path: '/mcp/b' } }]), [
    /^routes\[0\]\.public_url: .*must be https:\/\/ or loopback/,
    /^routes\[1\]\.public_url: /,
  ]);
  const listeners = [{ port: 0, public_url: 'http://api.example.com' }];
  const unnamed = route({ public_url: undefined });
  t.match(problemsOf([unnamed, { ...unnamed, name: 'b', match: { path: '/b' } }], { listeners }), [
    /^listeners\[0\]\.public_url: /,
  ]);
  for (const public_url of ['http://127.0.0.1:8080/mcp', 'http://localhost:1/mcp', 'http://[::1]/mcp'])
    t.strictSame(problemsOf([route({ public_url })]), [], public_url);
});

t.test('an identifier has no variables', async (t) => {
  const match = { path: '/tenants/{tenant}/mcp' };
  const at = (path: string): string[] =>
    problemsOf([route({ match, public_url: `https://a.example${path}` })]);
  t.match(at('/tenants/{tenant}/mcp'), [/^routes\[0\]\.public_url: .*without variables; write the part/]);
  t.strictSame(at('/tenants'), []);
});

t.test('routes of one resource complete each other, and do not contradict', async (t) => {
  const second = (resource: unknown): object => route({ name: 'b', match: { path: '/mcp/b' }, resource });
  const first = { name: 'Tools', authorization_servers: ['https://a.example', 'https://b.example'] };
  for (const resource of [
    true,
    { name: 'Tools', documentation: 'https://d.example' },
    { authorization_servers: ['https://b.example', 'https://a.example'] },
  ])
    t.strictSame(problemsOf([route({ resource: first }), second(resource)]), [], JSON.stringify(resource));
  for (const [key, value] of Object.entries({
    name: 'Other',
    authorization_servers: ['https://a.example'],
  }))
    t.match(
      problemsOf([route({ resource: first }), second({ [key]: value })]),
      [
        new RegExp(
          `^routes\\[1\\]\\.resource\\.${key}: differs from that of the route "mcp".*keep it in one`,
        ),
      ],
      key,
    );
  const document = 'https://d.example';
  const configuration = parse([route({ resource: first }), second({ documentation: document })]);
  const [resource, another] = protectedResources(configuration);
  t.equal(another, undefined);
  if (!resource) throw new Error('there is one');
  t.match(resourceMetadata(resource, configuration), {
    resource_name: 'Tools',
    resource_documentation: document,
    authorization_servers: first.authorization_servers,
  });
  const elsewhere = route({
    name: 'b',
    match: { path: '/b' },
    public_url: 'https://b.example',
    resource: { name: 'B' },
  });
  t.strictSame(problemsOf([route({ resource: first }), elsewhere]), []);
});

t.test('two identifiers have two places', async (t) => {
  const root = (public_url: string): object => route({ public_url });
  const b = (public_url: string): object =>
    route({ name: 'b', match: { path_prefix: '/mcp/b' }, public_url });
  t.match(problemsOf([root(IDENTIFIER), b(`${IDENTIFIER}/`)]), [
    /^routes\[1\]\.public_url: is another identifier than that of the route "mcp".*same place; write both alike/,
  ]);
  t.match(problemsOf([root('https://localhost/mcp'), b('http://localhost/mcp')]), [/same place/]);
  t.strictSame(problemsOf([root('https://a.example/mcp'), b('https://a.example:8443/mcp')]), []);
  t.strictSame(problemsOf([root('https://a.example'), b('https://a.example/')]), [], 'the same one');
});

t.test('clients must learn where tokens come from', async (t) => {
  const message = /^routes\[0\]\.resource: names no authorization server.*add authorization_servers/;
  const introspection = { url: 'https://as.example/i', client_id: 'g', client_secret: 's' };
  const template = {
    issuer: 'https://sso.example/{tenant}',
    claim_names: { tenant: 'tid' },
    discovery: true,
  };
  const unknown: Record<string, Record<string, unknown>> = {
    'no URL': { issuer: 'login', jwks_url: 'https://as.example/jwks' },
    'no iss': { no_iss: true, jwks_url: 'https://as.example/jwks' },
    opaque: { introspection },
    'every tenant': { ...template, tenants: 'any', claims: { roles: ['x'] }, audiences: ['x'] },
  };
  const auth = { issuers: ['as'] };
  for (const [what, as] of Object.entries(unknown)) {
    t.match(problemsOf([route({ auth })], { issuers: { as } }), [message], what);
    const resource = { authorization_servers: ['https://as.example'] };
    t.strictSame(problemsOf([route({ auth, resource })], { issuers: { as } }), [], what);
  }
  for (const as of [
    { introspection, issuer: 'https://as.example' },
    { ...template, tenants: ['one'] },
  ])
    t.strictSame(problemsOf([route({ auth })], { issuers: { as } }), []);
});

t.test('a resource asks for tokens, and a signature needs a key', async (t) => {
  t.match(problemsOf([route({ auth: { mode: 'none' } })], { issuers: {} }), [
    /^routes\[0\]\.resource: has no meaning with auth\.mode: none/,
    /names no authorization server/,
  ]);
  const signed = route({ resource: { signed_metadata: true } });
  t.match(problemsOf([signed]), [/^routes\[0\]\.resource\.signed_metadata: needs the key of assertions/]);
  t.strictSame(problemsOf([signed], { identity: { assertion: { key_file: 'k' } } }), []);
});

t.test('P2 a route, or a place, that the well-known path would hide is an error', async (t) => {
  const WELL_KNOWN = '/.well-known/oauth-protected-resource';
  const hidden = (match: object): object => ({ name: 'mine', match, upstream: 'u' });
  for (const match of [
    { path: WELL_KNOWN },
    { path_prefix: WELL_KNOWN },
    { path_prefix: `${WELL_KNOWN}/` },
    { path: `${WELL_KNOWN}/mcp`, hosts: ['other.example'] },
    { path: `${WELL_KNOWN}/{x}` },
    { path: '/.well-known/oauth%2Dprotected-resource' },
  ]) {
    t.match(
      problemsOf([route(), hidden(match)]),
      [
        /^routes\[1\]\.match\.path(?:_prefix)?: is where the gateway serves the metadata.*choose another path/,
      ],
      JSON.stringify(match),
    );
    t.strictSame(problemsOf([hidden(match)]), [], 'without a resource it is a path like any other');
  }
  for (const match of [
    { path_prefix: '/' },
    { path_prefix: '/.well-known' },
    { path: '/.well-known/oauth-authorization-server' },
    { path: `${WELL_KNOWN}s` },
    { path: `/x${WELL_KNOWN}` },
  ])
    t.strictSame(problemsOf([route(), hidden(match)]), [], JSON.stringify(match));
  const publish = { host: 'api.example.com', path: `${WELL_KNOWN}/keys` };
  t.match(problemsOf([route()], { identity: { assertion: { key_file: 'k', publish } } }), [
    /^identity\.assertion\.publish\.path: is where the gateway serves the metadata/,
  ]);
  const backchannel_logout = { host: 'api.example.com', path: `${WELL_KNOWN}/logout`, client_ids: ['x'] };
  t.match(problemsOf([route()], { issuers: { login: { ...login, backchannel_logout } } }), [
    /^issuers\.login\.backchannel_logout\.path: is where/,
  ]);
});

t.test('the example in docs/reference.md is one', async (t) => {
  const text = readFileSync(new URL('../../docs/reference.md', import.meta.url), 'utf8');
  const [, example = ''] = /\n## Protected resources\n[^]*?```yaml\n([^]*?)```/.exec(text) ?? [];
  const { routes } = parseYaml(example) as { routes: object[] };
  const upstreams = { tools: { targets: ['http://u:1'] } };
  t.match(
    protectedResources(parse(routes, { upstreams })).map(({ url }) => url.href),
    [IDENTIFIER],
  );
});

t.test('check warns of audiences that nothing compares, and asks for none there', async (t) => {
  const named = { login: { ...login, audiences: ['https://api.example.com'] } };
  const about = (lines: readonly string[]): string[] => lines.filter((line) => line.includes('audiences'));
  const plain = { name: 'plain', match: { path: '/plain' }, upstream: 'u' };
  t.match(about(warningsOf([route()], { issuers: named })), [
    /^issuers\.login\.audiences: no route compares it.*remove it$/,
  ]);
  t.strictSame(about(warningsOf([route()])), []);
  t.strictSame(about(warningsOf([route(), plain], { issuers: named })), []);
  t.match(about(warningsOf([route(), plain])), [/^issuers\.login: no audiences/]);
  t.match(about(warningsOf([{ ...plain, auth: { mode: 'none' } }])), [/^issuers\.login: no audiences/]);
  const keycloak = { login: { ...named.login, provider: 'keycloak' } };
  t.strictSame(about(warningsOf([route()], { issuers: keycloak })), [], 'a provider needs them');
});

t.test('check warns of hosts that are not that of the identifier', async (t) => {
  const on = (...hosts: string[]): string[] =>
    warningsOf([route({ match: { path_prefix: '/mcp', hosts } })]).filter((line) =>
      line.startsWith('routes: '),
    );
  t.match(on('other.example.com'), [
    /^routes: mcp serves other\.example\.com.*identifier.*correct public_url/,
  ]);
  for (const host of ['api.example.com', '*.example.com']) t.strictSame(on(host), [], host);
});

t.test('clients learn that tokens may be bound to their certificates', async (t) => {
  const configuration = parse([route({ auth: { sender_constrained: 'required' } })]);
  const [resource] = protectedResources(configuration);
  const [listener] = configuration.listeners;
  if (!resource || !listener) throw new Error('there are both');
  const TLS = { tls_client_certificate_bound_access_tokens: true };
  t.match(resourceMetadata(resource, configuration), { dpop_bound_access_tokens_required: true });
  for (const more of [{ tls: { client_ca: 'x' } }, { client_cert_header: { peers: ['10.0.0.1'] } }]) {
    const listeners = [{ ...listener, ...more } as typeof listener];
    const metadata = resourceMetadata(resource, { ...configuration, listeners });
    t.match(metadata, { ...TLS, dpop_bound_access_tokens_required: undefined }, JSON.stringify(more));
  }
});
