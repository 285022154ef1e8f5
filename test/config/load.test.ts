/** The configuration: every problem at once, each with its place and its remedy. */
import t from 'tap';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { ConfigurationError, loadConfiguration, parseConfiguration } from '../../src/config/load.ts';
import { configurationJsonSchema, type Configuration } from '../../src/config/schema.ts';
import { configurationWarnings } from '../../src/config/warnings.ts';
import { temporaryFolder } from '../support/process.ts';

const parse = (text: string, environment: Record<string, string> = {}): Configuration =>
  parseConfiguration(text, 'f.yaml', '/tmp', environment);

function problemsOf(text: string, environment: Record<string, string> = {}): readonly string[] {
  try {
    parse(text, environment);
    return [];
  } catch (error) {
    if (error instanceof ConfigurationError) return error.problems;
    throw error;
  }
}

const UPSTREAMS = 'upstreams: { u: { targets: [http://u:1] } }';
const PUBLIC = 'routes: [{ name: a, match: {}, upstream: u, auth: { mode: none } }]';
const minimal = `${PUBLIC}\n${UPSTREAMS}\n`;

t.test('only routes and upstreams are required; the rest has the documented defaults', async (t) => {
  const configuration = parse(minimal);
  t.match(configuration, {
    name: 'sallyport',
    listeners: [{ host: '0.0.0.0', port: 8080, reuse_port: false }],
    admin: { host: '127.0.0.1', port: 9090 },
    limits: {
      uri_bytes: 8192,
      header_bytes: 16384,
      header_count: 100,
      token_bytes: 8192,
      body_bytes: 0,
      in_flight: 0,
      connections: 0,
    },
    timeouts: { headers: 10_000, idle: 75_000, drain: 30_000 },
    caches: {
      tokens: { entries: 50_000, bytes: 67_108_864 },
      negatives: { entries: 10_000 },
      introspection: { entries: 50_000 },
    },
    revocation: {
      ...{ store: 'memory:', max_view_age: 30_000, when_stale: 'deny', keep: 2_592_000_000 },
      canary: { every: 60_000 },
    },
    identity: {
      headers: {
        'X-User-Id': '$subject',
        'X-Client-Id': '$client',
        'X-Scopes': '$scopes',
        'X-Token-Issuer': '$issuer',
      },
      max_bytes: 8192,
    },
    routes: [{ timeouts: { response: 30_000, idle: 60_000 }, retries: { attempts: 1 } }],
    upstreams: { u: { balance: 'round_robin', connections: 128, connect_timeout: 5_000 } },
  });
});

t.test('every problem is reported at once, with file, line, column, path and remedy', async (t) => {
  const problems = problemsOf(`realm: api
listners:
  - port: 8080
limits: { uri_bytes: 8KB, header_count: many }
issuers:
  login: { issuer: https://l.example.com, jwks_url: "http://l.example.com/jwks", audience: [x] }
  hs: { issuer: hs, hmac_secret: short }
routes:
  - name: a
    match: { path_prefix: /a }
    upstream: nope
    auth: { issuers: [logn] }
  - name: b
    match: { path_prefix: /a/ }
    upstream: u
    timeouts: { response: "\${UNSET}" }
upstreams:
  u: { targets: [http://x/path] }
`);
  t.strictSame(
    problems.map((problem) => problem.replace(/: (?:must|is |ties|unknown|"|the ).*$/, '')),
    [
      'f.yaml:2:1: listners',
      'f.yaml:4:22: limits.uri_bytes',
      'f.yaml:4:41: limits.header_count',
      'f.yaml:6:53: issuers.login.jwks_url',
      'f.yaml:6:82: issuers.login.audience',
      'f.yaml:7:34: issuers.hs.hmac_secret',
      'f.yaml:11:15: routes[0].upstream',
      'f.yaml:12:23: routes[0].auth.issuers[0]',
      'f.yaml:14:5: routes[1].match',
      'f.yaml:16:27',
      'f.yaml:18:18: upstreams.u.targets[0]',
    ],
  );
  for (const problem of problems) t.match(problem, /; \S|\?$/, 'says what to do');
  t.match(problems[0], /did you mean listeners\?$/);
});

const invalid: Record<string, [string, RegExp]> = {
  'not YAML': ['a: [', /f\.yaml:\d+:\d+: /],
  'canaries too often': [
    `revocation: { canary: { every: 9s } }\n${minimal}`,
    /f\.yaml:1:32: .*10s to 5m, or off; change it$/,
  ],
  'canaries too seldom': [
    `revocation: { canary: { every: 301s } }\n${minimal}`,
    /f\.yaml:1:32: .*10s to 5m, or off; change it$/,
  ],
  'an issuer under the name of canaries': [
    `issuers: { a: { issuer: 'sallyport:canary', hmac_secret_file: x } }\n${minimal}`,
    /f\.yaml:1:25: issuers\.a\.issuer: is reserved for canaries/,
  ],
  'a reference that nothing closes': [
    `realm: "\${REALM:-api"\n${minimal}`,
    /^f\.yaml:1:8: "\$\{REALM:-api" is no variable reference; write/,
  ],
  'an admin host that no socket can be bound to': [
    `admin: { host: '*' }\n${minimal}`,
    /^f\.yaml:1:16: admin\.host: must be an IP address of this machine without brackets and port/,
  ],
  'hosts of listeners that no socket can be bound to': [
    `listeners: [{ host: '[::1]', port: 1 }, { host: '127.0.0.1:80', port: 2 }, { host: '::1', port: 3 }]\n${minimal}`,
    /^f\.yaml:1:21: listeners\[0\]\.host: must be [^\n]*\nf\.yaml:1:\d+: listeners\[1\]\.host: must be [^\n]*$/,
  ],
  'a duplicate key': [`name: a\nname: b\n${minimal}`, /f\.yaml:2:1/],
  'no mapping': ['- a', /sallyport init/],
  'a second document': [
    `${minimal}\n---\na: 1`,
    /f\.yaml:\d+:1: a second YAML document .* keep one document/,
  ],
  'a wildcard without quotes': [
    `routes: [{ name: a, match: { hosts: [*.test] }, upstream: u, auth: { mode: none } }]\n${UPSTREAMS}`,
    /f\.yaml:1:38: .*put quotes around it: "\*\.test"$/,
  ],
  'a billion laughs': [
    [
      'a: &a [x,x,x]',
      ...[...'bcdefghijk'].map((name, at) => `${name}: &${name} [${`*${'abcdefghij'[at]},`.repeat(9)}]`),
    ].join('\n'),
    /aliases stand for too much/,
  ],
  'a listener without a port': [
    `listeners: [{ host: "::" }]\n${minimal}`,
    /1:13: listeners\[0\]\.port: is missing/,
  ],
  'a target with an impossible port': [
    `${PUBLIC}\nupstreams: { u: { targets: [http://u:99999] } }`,
    /targets\[0\]/,
  ],
  'control characters in a name': [`"a\\e[2J": 1\n${minimal}`, /^f\.yaml:1:1: a\\u001b\[2J: unknown key/],
  'a route that asks for a token without any issuer': [
    `routes: [{ name: a, match: {}, upstream: u }]\n${UPSTREAMS}`,
    /no issuer can verify/,
  ],
  'no routes': [UPSTREAMS, /routes: is missing/],
  'two routes of one name': [
    `routes: [{ name: a, match: { path: /a }, upstream: u, auth: { mode: none } }, { name: a, match: { path: /b }, upstream: u, auth: { mode: none } }]\n${UPSTREAMS}`,
    /is the name of routes\[0\] too/,
  ],
  'two routes that tie': [
    `routes: [{ name: a, match: { path: /a, methods: [GET, PUT] }, upstream: u, auth: { mode: none } }, { name: b, match: { path: /a, methods: [PUT] }, upstream: u, auth: { mode: none } }]\n${UPSTREAMS}`,
    /ties with route "a"/,
  ],
  'an issuer with two sources of keys': [
    `issuers: { i: { issuer: a, jwks_file: f, jwks_url: "https://a.example/keys" } }\n${minimal}`,
    /exclude each other/,
  ],
  'an issuer without keys': [`issuers: { i: { issuer: a } }\n${minimal}`, /no source of keys/],
  'HS256 with public keys': [
    `issuers: { i: { issuer: a, jwks_file: f, algorithms: [HS256] } }\n${minimal}`,
    /needs a shared secret/,
  ],
  'RS256 with a shared secret': [
    `issuers: { i: { issuer: a, hmac_secret: "${'x'.repeat(40)}", algorithms: [RS256] } }\n${minimal}`,
    /cannot be used with a shared secret/,
  ],
  'the secret of the JWT introduction': [
    `issuers: { i: { issuer: a, hmac_secret: your-256-bit-secret } }\n${minimal}`,
    /too short/,
  ],
  'a secret too short for HS512': [
    `issuers: { i: { issuer: a, hmac_secret: "${'x'.repeat(40)}", algorithms: [HS512] } }\n${minimal}`,
    /at least 64 bytes/,
  ],
  'algorithm none': [
    `issuers: { i: { issuer: a, jwks_file: f, algorithms: [none] } }\n${minimal}`,
    /must be one of RS256/,
  ],
  'a validation service in the clear': [
    `issuers: { i: { validation: { url: http://a.example/v } } }\n${minimal}`,
    /https/,
  ],
  'two opaque issuers without prefixes': [
    `issuers: { i: { validation: { url: https://a/v } }, j: { validation: { url: https://b/v } } }\nroutes: [{ name: a, match: {}, upstream: u, auth: { issuers: [i, j] } }]\n${UPSTREAMS}`,
    /token_prefix/,
  ],
  'the admin port on the public listener': [`listeners: [{ port: 9090 }]\n${minimal}`, /admin port/],
  "an identity header that is HTTP's own": [
    `identity: { headers: { Connection: sub } }\n${minimal}`,
    /belongs to HTTP/,
  ],
  'an identity header in disguise': [
    `identity: { headers: { Content_Length: sub } }\n${minimal}`,
    /belongs to HTTP/,
  ],
  'a route with the name of no route': [
    `routes: [{ name: unmatched, match: {}, upstream: u, auth: { mode: none } }]\n${UPSTREAMS}`,
    /routes\[0\]\.name: is how metrics/,
  ],
  'a prefix that no token has': [
    `issuers: { o: { introspection: { url: https://o/i, client_id: c, client_secret: s }, token_prefix: "Bearer x" } }\n${minimal}`,
    /issuers\.o\.token_prefix: must be/,
  ],
  'two spellings of one identity header': [
    `identity: { headers: { X-User: sub, X_User: sub } }\n${minimal}`,
    /another spelling/,
  ],
  'two spellings of one identity header in a route': [
    `routes: [{ name: a, match: {}, upstream: u, auth: { mode: none }, identity: { headers: { x-user-id: sub, X-User-Id: null } } }]\n${UPSTREAMS}`,
    /another spelling/,
  ],
  'identity headers without a map': [
    `identity: { headers: }\n${minimal}`,
    /identity\.headers: must be a mapping/,
  ],
  'an assertion in a default identity header': [
    `identity: { assertion: { key_file: k, header: x_user_id } }\n${minimal}`,
    /is the identity header X-User-Id too/,
  ],
  'an assertion in an identity header that is taken out': [
    `identity: { headers: { X-User-Id: null }, assertion: { key_file: k, header: x-user-id } }\n${minimal}`,
    /is the identity header X-User-Id too/,
  ],
  'a claim path with an empty name': [`identity: { headers: { X-User: a..b } }\n${minimal}`, /no claim path/],
  'an identity header that is the assertion too': [
    `identity: { headers: { X-Me: sub }, assertion: { key_file: k, header: x-me } }\n${minimal}`,
    /is the identity header X-Me too/,
  ],
  'an assertion in a header of HTTP': [
    `identity: { assertion: { key_file: k, header: Content-Length } }\n${minimal}`,
    /belongs to HTTP/,
  ],
  'a claim rule whose claim is no path': [
    `issuers: { i: { issuer: a, jwks_file: f } }\nroutes: [{ name: a, match: {}, upstream: u, auth: { claims: { a..b: [x] } } }]\n${UPSTREAMS}`,
    /routes\[0\]\.auth\.claims\.a\.\.b: is no claim path/,
  ],
  'a claim to revoke by that is no path': [`revocation: { claims: [.a] }\n${minimal}`, /no claim path/],
  'report_only on a public route': [
    `routes: [{ name: a, match: {}, upstream: u, auth: { mode: none, report_only: true } }]\n${UPSTREAMS}`,
    /no meaning with mode: none/,
  ],
  'websocket_protocol without WebSocket': [
    `issuers: { i: { issuer: a, jwks_file: f } }\nroutes: [{ name: a, match: {}, upstream: u, auth: { websocket_protocol: true } }]\n${UPSTREAMS}`,
    /add upgrade: \[websocket\]/,
  ],
  'a decision listener without a dialect': [
    `listeners: [{ port: 1, serve: decisions }]\n${minimal}`,
    /has no dialect/,
  ],
  'a dialect of nothing': [
    `listeners: [{ port: 1, dialect: original }]\n${minimal}`,
    /without serve: decisions/,
  ],
  'a dialect that no server speaks': [
    `listeners: [{ port: 1, serve: decisions, dialect: x }]\n${minimal}`,
    /must be forwarded, original, original_url, request or ext_authz/,
  ],
  'the dialect of gRPC without HTTP/2': [
    `listeners: [{ port: 1, serve: decisions, dialect: ext_authz, protocols: [http/1.1] }]\n${minimal}`,
    /listeners\[0\]\.protocols: .*h2c/,
  ],
  'the dialect of gRPC over TLS without HTTP/2': [
    `listeners: [{ port: 1, serve: decisions, dialect: ext_authz, tls: { protocols: [http/1.1] } }]\n${minimal}`,
    /listeners\[0\]\.tls\.protocols: .*h2/,
  ],
  'h2c on a listener with TLS': [
    `listeners: [{ port: 1, protocols: [h2c], tls: { cert_file: c, key_file: k } }]\n${minimal}`,
    /listeners\[0\]\.protocols: .*write h2/,
  ],
  'h2 on a listener without TLS': [
    `listeners: [{ port: 1, protocols: [h2, http/1.1] }]\n${minimal}`,
    /listeners\[0\]\.protocols: .*needs tls/,
  ],
  'protocols in two places': [
    `listeners: [{ port: 1, protocols: [h2], tls: { protocols: [h2], cert_file: c, key_file: k } }]\n${minimal}`,
    /listeners\[0\]\.tls\.protocols: .*remove it/,
  ],
  'a protocol twice': [
    `listeners: [{ port: 1, protocols: [h2c, h2c] }]\n${minimal}`,
    /names a protocol twice/,
  ],
  'no protocol at all': [`listeners: [{ port: 1, protocols: [] }]\n${minimal}`, /listeners\[0\]\.protocols/],
  'a protocol that no listener speaks': [
    `listeners: [{ port: 1, protocols: [h3] }]\n${minimal}`,
    /must be h2, h2c or http\/1\.1/,
  ],
  'a trusted proxy in a form that is read in two ways': [`trusted_proxies: [10.1.2]\n${minimal}`, /network/],
  'a trusted peer that is no network': [
    `listeners: [{ port: 1, serve: decisions, dialect: request, trusted_peers: [nginx] }]\n${minimal}`,
    /listeners\[0\]\.trusted_peers\[0\]: must be an address or a network/,
  ],
  'TLS for an upstream that is reached without': [
    `${PUBLIC}\nupstreams: { u: { targets: [http://u:1], tls: { server_name: u } } }`,
    /without a target that is https/,
  ],
  'half a client certificate': [
    `${PUBLIC}\nupstreams: { u: { targets: [https://u:1], tls: { cert: x } } }`,
    /needs its key/,
  ],
  'an origin that no browser sends': [
    `routes: [{ name: a, match: {}, upstream: u, auth: { mode: none }, cors: { origins: [https://a.example/] } }]\n${UPSTREAMS}`,
    /must be an origin as browsers send it/,
  ],
  'a wildcard origin for a whole top-level domain': [
    `routes: [{ name: a, match: {}, upstream: u, auth: { mode: none }, cors: { origins: ["https://*.com"] } }]\n${UPSTREAMS}`,
    /must be an origin as browsers send it/,
  ],
  'a wildcard origin within a label': [
    `routes: [{ name: a, match: {}, upstream: u, auth: { mode: none }, cors: { origins: ["https://a*.example.com"] } }]\n${UPSTREAMS}`,
    /must be an origin as browsers send it/,
  ],
  'a wildcard origin in the middle': [
    `routes: [{ name: a, match: {}, upstream: u, auth: { mode: none }, cors: { origins: ["https://a.*.example.com"] } }]\n${UPSTREAMS}`,
    /must be an origin as browsers send it/,
  ],
  'a wildcard origin with a root dot': [
    `routes: [{ name: a, match: {}, upstream: u, auth: { mode: none }, cors: { origins: ["https://*.example.com."] } }]\n${UPSTREAMS}`,
    /must be an origin as browsers send it/,
  ],
  'a wildcard origin of numbers': [
    `routes: [{ name: a, match: {}, upstream: u, auth: { mode: none }, cors: { origins: ["https://*.0.0.1"] } }]\n${UPSTREAMS}`,
    /must be an origin as browsers send it/,
  ],
  'a wildcard origin of any scheme': [
    `routes: [{ name: a, match: {}, upstream: u, auth: { mode: none }, cors: { origins: ["*://*.example.com"] } }]\n${UPSTREAMS}`,
    /must be an origin as browsers send it/,
  ],
  'a wildcard port': [
    `routes: [{ name: a, match: {}, upstream: u, auth: { mode: none }, cors: { origins: ["https://app.example.com:*"] } }]\n${UPSTREAMS}`,
    /must be an origin as browsers send it/,
  ],
  'an origin of no site': [
    `routes: [{ name: a, match: {}, upstream: u, auth: { mode: none }, cors: { origins: ["null"] } }]\n${UPSTREAMS}`,
    /must be an origin as browsers send it/,
  ],
  'every header exposed, with credentials': [
    `routes: [{ name: a, match: {}, upstream: u, auth: { mode: none }, cors: { origins: [https://a.example], credentials: true, expose_headers: ["*"] } }]\n${UPSTREAMS}`,
    /expose_headers: \* has no meaning with credentials/,
  ],
  'credentials for every origin': [
    `routes: [{ name: a, match: {}, upstream: u, auth: { mode: none }, cors: { origins: ["*"], credentials: true } }]\n${UPSTREAMS}`,
    /exclude each other/,
  ],
  'every origin, and one more': [
    `routes: [{ name: a, match: {}, upstream: u, auth: { mode: none }, cors: { origins: ["*", "https://a"] } }]\n${UPSTREAMS}`,
    /keep it alone/,
  ],
  'a trusted proxy that is no network': [`trusted_proxies: [10.0.0.0/40]\n${minimal}`, /network/],
  'a strip_prefix that does not fit': [
    `routes: [{ name: a, match: { path_prefix: /a }, upstream: u, auth: { mode: none }, rewrite: { strip_prefix: /b } }]\n${UPSTREAMS}`,
    /is no prefix of/,
  ],
  'scopes on a public route': [
    `routes: [{ name: a, match: {}, upstream: u, auth: { mode: none, scopes: [x] } }]\n${UPSTREAMS}`,
    /no meaning with mode: none/,
  ],
  'a feature that is not built': [
    `routes: [{ name: a, match: {}, upstream: u, auth: { mode: none }, dpop: { required: true } }]\n${UPSTREAMS}`,
    /unknown key/,
  ],
  'a path with a query': [
    `routes: [{ name: a, match: { path: "/a?b" }, upstream: u, auth: { mode: none } }]\n${UPSTREAMS}`,
    /request line/,
  ],
  'an upstream that speaks no HTTP': [
    'routes: [{ name: a, match: {}, upstream: u, auth: { mode: none } }]\nupstreams: { u: { targets: [grpc://u:1] } }',
    /http/,
  ],
  'a quote in the realm': [`realm: 'a"b'\n${minimal}`, /realm/],
};
for (const [name, [text, message]] of Object.entries(invalid)) {
  t.test(`${name} is refused`, async (t) => {
    const problems = problemsOf(text);
    t.ok(problems.length > 0);
    t.match(problems.join('\n'), message);
  });
}

t.test(
  'variables are resolved inside values, after parsing, and take the type that is asked for',
  async (t) => {
    const text =
      'realm: "${R:-default}"\nadmin: { port: "${P}", token: ${T} }\n'
        .replace('"${P}"', '9')
        .replace('${T}', '"${T}"') + minimal;
    t.match(parse(text, { T: '1234567890123456' }), {
      realm: 'default',
      admin: { port: 9, token: '1234567890123456' },
    });
    const block = `listeners:\n  - port: \${PORT}\n    reuse_port: \${REUSE:-true}\nadmin:\n  token: \${T}\n${minimal}`;
    t.match(parse(block, { PORT: '81', T: '0123456789012345' }), {
      listeners: [{ port: 81, reuse_port: true }],
      admin: { token: '0123456789012345' },
    });
    t.match(parse(`realm: a$\${b}\n${minimal}`), { realm: 'a${b}' });
    t.match(
      parse(`realm: "\${X:-a: b}"\n${minimal}`, { X: 'c: [d]' }),
      { realm: 'c: [d]' },
      'a value cannot become structure',
    );
  },
);

t.test('JSON is read as well', async (t) => {
  const document = {
    routes: [{ name: 'a', match: {}, upstream: 'u', auth: { mode: 'none' } }],
    upstreams: { u: { targets: ['http://u:1'] } },
  };
  t.equal(parse(JSON.stringify(document, null, 2)).routes.length, 1);
});

t.test('secrets come from files, without the last line end; what is wrong with one is said', async (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'token'), 's3cret-of-the-admin\n', { mode: 0o644 });
  const file = join(folder, 'c.yaml');
  writeFileSync(file, `admin: { token_file: token }\n${minimal}`);
  const loaded = loadConfiguration(file, {});
  t.equal(loaded.configuration.admin.token, 's3cret-of-the-admin');
  t.ok(configurationWarnings(loaded).some((line) => line.includes('can be read by every user')));
  writeFileSync(file, `admin: { token_file: missing }\n${minimal}`);
  const problemOf = (path: string): string => {
    try {
      loadConfiguration(path, {});
      return '';
    } catch (error) {
      return error instanceof ConfigurationError ? error.problems.join() : String(error);
    }
  };
  t.match(problemOf(file), /:1:22: admin\.token_file: .*ENOENT.*openssl rand/, 'and how to make one');
  t.match(problemOf(join(folder, 'none.yaml')), /ENOENT/);
});

t.test('a secret file holds text, which editors on all systems write', async (t) => {
  const folder = temporaryFolder(t);
  const file = join(folder, 'c.yaml');
  writeFileSync(file, `admin: { token_file: token }\n${minimal}`);
  const token = 's3cret-of-the-admin';
  const problemsWith = (content: string | Buffer): readonly string[] => {
    writeFileSync(join(folder, 'token'), content);
    try {
      t.equal(loadConfiguration(file, {}).configuration.admin.token, token);
      return [];
    } catch (error) {
      if (error instanceof ConfigurationError) return error.problems;
      throw error;
    }
  };
  for (const [what, content] of Object.entries({
    'no line end': token,
    'a line end of Windows': `${token}\r\n`,
    'empty lines at its end': `${token}\n\r\n\n`,
    'a byte order mark': `\uFEFF${token}\r\n`,
  }))
    t.same(problemsWith(content), [], what);
  for (const [what, content, expected] of [
    ['UTF-16, as PowerShell writes it', Buffer.from(`\uFEFF${token}\r\n`, 'utf16le'), /text in UTF-8/],
    ['UTF-16 without its mark', Buffer.from(`${token}\n`, 'utf16le'), /text in UTF-8/],
    ['random bytes', Buffer.alloc(32, 0xf7), /text in UTF-8/],
    ['nothing', '', /is empty/],
    ['line ends alone', '\n\n', /is empty/],
    ['two lines', `${token}\n${token}\n`, /no client can send/],
    ['letters beyond ASCII', 'ein-schönes-geheimnis', /no client can send/],
  ] as const) {
    const problems = problemsWith(content);
    t.equal(problems.length, 1, `${what}: one problem, one remedy`);
    t.match(problems[0], expected, what);
    t.match(problems[0], /:1:22: admin\.token_file: /, what);
  }
});

t.test('a certificate file may have comments in any encoding', async (t) => {
  const folder = temporaryFolder(t);
  const [cert = ''] = rootCertificates;
  writeFileSync(
    join(folder, 'ca.pem'),
    Buffer.concat([Buffer.from('Zürich\n', 'latin1'), Buffer.from(cert)]),
  );
  const file = join(folder, 'c.yaml');
  writeFileSync(file, `${PUBLIC}\nupstreams: { u: { targets: [https://u:1], tls: { ca_file: ca.pem } } }\n`);
  t.match(loadConfiguration(file, {}).configuration.upstreams['u']?.tls?.ca, 'BEGIN CERTIFICATE');
});

t.test('what a listener binds to is an address or a name', async (t) => {
  for (const host of [
    '0.0.0.0',
    '127.0.0.1',
    '::',
    '::1',
    'fe80::1%eth0',
    'localhost',
    'gw_1.internal',
    'gw.',
  ])
    t.same(
      problemsOf(`listeners: [{ host: "${host}", port: 1 }]\nadmin: { host: "${host}" }\n${minimal}`),
      [],
      host,
    );
  for (const host of [
    '*',
    '[::1]',
    '[::]',
    '127.0.0.1:8080',
    'http://127.0.0.1',
    ':8080',
    ' ',
    '10.0.0.0/8',
    'a b',
  ]) {
    const problems = problemsOf(
      `listeners: [{ host: "${host}", port: 1 }]\nadmin: { host: "${host}" }\n${minimal}`,
    );
    t.match(
      problems,
      [/:1:21: listeners\[0\]\.host: .*IP address/, /:2:16: admin\.host: .*IP address/],
      host,
    );
    t.equal(problems.length, 2, host);
  }
  t.match(problemsOf(`listeners: [{ host: "", port: 1 }]\n${minimal}`), [/must not be empty/]);
});

t.test('what is risky is said', async (t) => {
  const text = `issuers: { i: { issuer: https://i, jwks_url: "http://i/j", allow_http: true, max_lifetime: 48h } }
revocation: { when_stale: allow }
admin: { host: 0.0.0.0, token: abcdefghijklmnop }
trusted_proxies: [10.0.0.0/8, 0.0.0.0/0]
listeners: [{ port: 80 }, { port: 81, serve: decisions, dialect: ext_authz }, { port: 82, serve: decisions, dialect: request, trusted_peers: ['::/0'] }]
routes:
  - { name: a, match: {}, upstream: u, auth: { report_only: true } }
  - { name: b, match: { path: /b }, upstream: u, cors: { origins: ["https://*.example.com"], credentials: true } }
  - { name: c, match: { path: /c }, upstream: u, cors: { origins: ["https://*.example.com"] } }
  - { name: d, match: { path: /d }, upstream: u, cors: { origins: ["https://a.example.com"], credentials: true } }
${UPSTREAMS}`;
  const warnings = configurationWarnings({
    configuration: parse(text),
    folder: '/tmp',
    file: '/nowhere',
  }).join('\n');
  for (const risk of [
    /listeners: .*plaintext beyond loopback/,
    /admin: .*plaintext beyond loopback/,
    /admin\.token: .*fewer than 32/,
    /trusted_proxies: 0\.0\.0\.0\/0 /,
    /trusted_peers ::\/0/,
    /memory:/,
    /when_stale: allow/,
    /allow_http/,
    /max_lifetime/,
    /no audiences/,
    /report_only/,
    /no trusted_peers/,
    /routes: b has cors.credentials with https:\/\/\*\.example\.com/,
  ])
    t.match(warnings, risk);
  t.notMatch(warnings, /routes: [cd] /);
});

t.test('config/schema.json is current, and every key of it has a description', async (t) => {
  const file = readFileSync(new URL('../../config/schema.json', import.meta.url), 'utf8');
  t.strictSame(
    JSON.parse(file),
    JSON.parse(JSON.stringify(configurationJsonSchema())),
    'run: npm run reference',
  );
  const undescribed: string[] = [];
  const visit = (schema: Record<string, unknown>, path: string): void => {
    for (const [name, value] of Object.entries(
      (schema['properties'] as Record<string, Record<string, unknown>> | undefined) ?? {},
    )) {
      const isObject = 'properties' in value || 'additionalProperties' in value;
      if (value['description'] === undefined && !isObject) undescribed.push(`${path}.${name}`);
      visit(value, `${path}.${name}`);
    }
    for (const key of ['items', 'additionalProperties']) {
      const inner = schema[key];
      if (typeof inner === 'object' && inner !== null) visit(inner as Record<string, unknown>, `${path}[]`);
    }
    for (const option of (schema['anyOf'] as Record<string, unknown>[] | undefined) ?? [])
      visit(option, path);
  };
  visit(configurationJsonSchema() as Record<string, unknown>, '');
  t.strictSame(undescribed, []);
});

t.test('the starter configuration is valid', async (t) => {
  const file = new URL('../../config/sallyport.yaml', import.meta.url).pathname;
  t.match(loadConfiguration(file, {}), {
    configuration: { routes: [{ name: 'orders' }, { name: 'health' }] },
  });
});

t.test('issuers of opaque tokens: one way to ask, and all that it needs', async (t) => {
  const issuer = (text: string): readonly string[] =>
    problemsOf(`${minimal}issuers: { o: { ${text} } }`).map((problem) => problem.replace(/^[^ ]+ /, ''));
  const introspection = 'introspection: { url: "https://as/i", client_id: g, client_secret: s }';
  const validation = 'validation: { url: "https://v/" }';
  t.strictSame(issuer(introspection), []);
  t.strictSame(issuer(validation), []);
  t.match(issuer(`${introspection}, ${validation}`), [/introspection and validation exclude each other/]);
  t.match(
    issuer(`${introspection}, jwks_url: "https://as/jwks"`),
    [/has no issuer/],
    'beside keys it is an issuer of JWTs',
  );
  t.match(issuer(`${introspection}, max_lifetime: 1h`), [/max_lifetime: is for JWTs/]);
  t.match(issuer('introspection: { url: "https://as/i", client_id: g }'), [/has no client_secret/]);
  t.match(issuer('introspection: { url: "http://as/i", client_id: g, client_secret: s }'), [/must be https/]);
  t.match(
    issuer('introspection: { url: "https://as/i", client_id: g, client_secret: s, auth_method: digest }'),
    [/must be one of client_secret_basic/],
  );
  t.match(issuer('validation: { url: "https://v/", method: GET }'), [/GET has no body/]);
  t.match(issuer('validation: { url: "https://v/", send: { in: header, name: "a b" } }'), [/no header name/]);
  t.match(issuer('validation: { url: "https://v/", send: { value: x } }'), [/with \{token\} in it/]);
  t.match(issuer('validation: { url: "https://v/", valid: [200, 404] }'), [/404 is in valid and in invalid/]);
  t.match(issuer('validation: { url: "https://v/", invalid: [600] }'), [
    /invalid\[0\]: expected number to be <=599/,
  ]);
  t.match(issuer('validation: { url: "https://v/", claims: x }'), [/JSON pointer/]);
});

t.test('a logout endpoint hides no route, and is a place of its own', async (t) => {
  const login = (name: string, path: string): string =>
    `${name}: { issuer: "https://${name}", jwks_url: "https://l/j", backchannel_logout: { host: api.example.com, path: ${path}, client_ids: [c] } }`;
  const route = (match: string): string =>
    `routes: [{ name: a, match: { ${match} }, upstream: u, auth: { mode: none } }]\n${UPSTREAMS}\nissuers: { ${login('l', '/logout')} }`;
  t.strictSame(problemsOf(route('path_prefix: /')), []);
  t.strictSame(problemsOf(route('path: /logout, hosts: [other.example.com]')), []);
  t.match(problemsOf(route('path: /logout')), [/backchannel_logout: hides the route "a"/]);
  t.match(problemsOf(route('path_prefix: /logout/, hosts: ["*.example.com"]')), [/hides the route "a"/]);
  t.match(problemsOf(`${minimal}issuers: { ${login('l', '/x')}, ${login('m', '/x')} }`), [
    /is the same place as issuers.l.backchannel_logout/,
  ]);
});

const routesOf = (...matches: string[]): string =>
  `routes: [${matches.map((match, at) => `{ name: ${'abcdef'[at]}, match: { ${match} }, upstream: u, auth: { mode: none } }`).join(', ')}]\n${UPSTREAMS}`;

t.test('C22 hosts are brought to the one form that the hosts of requests have', async (t) => {
  const { routes } = parse(routesOf('hosts: [API.Example.com., "*.Wild.EXAMPLE", 10.0.0.1.]'));
  t.strictSame(routes[0]?.match.hosts, ['api.example.com', '*.wild.example', '10.0.0.1']);
  for (const host of [
    ...['a..b', '"*.a..b"', 'a%2eb', 'bücher.example', '"127.1"', '0x7f.0.0.1', '"a:80"', 'a/b', '"[::1]"'],
    ...['"*"', '"*."', '"a.*.b"', 'xn--api-.example', '"."', '".a"'],
  ])
    t.match(problemsOf(routesOf(`hosts: [${host}]`)), [/hosts\[0\]: must be a host name/], host);
  const issuer = (host: string): string =>
    `issuers: { l: { issuer: "https://l", jwks_url: "https://l/j", backchannel_logout: { host: ${host}, path: /logout, client_ids: [c] } } }`;
  const { issuers } = parse(`${minimal}${issuer('GW.Example.com.')}`);
  t.equal(issuers['l']?.backchannel_logout?.host, 'gw.example.com');
  t.match(problemsOf(`${minimal}${issuer('"127.1"')}`), [/backchannel_logout\.host: must be a host name/]);
  t.match(
    problemsOf(`${routesOf('path: /logout, hosts: ["*.Example.com."]')}\n${issuer('gw.example.COM')}`),
    [/hides the route "a"/],
  );
});

t.test('C22 a host is no header to compare: other spellings of it would pass', async (t) => {
  for (const name of ['Host', 'host', 'hOST'])
    t.match(problemsOf(routesOf(`headers: { ${name}: a.example }`)), [/use match\.hosts/], name);
  t.strictSame(problemsOf(routesOf('headers: { X-Host: a.example }')), []);
});

t.test('C10 C22 C26 routes tie by the readings that requests have', async (t) => {
  const tie: [string, string][] = [
    ['hosts: [A.example]', 'hosts: [a.example.]'],
    ['hosts: ["*.A.example"]', 'hosts: ["*.a.example"]'],
    ['path: "/a;v=1"', 'path: "/a;v=2"'],
    ['path: "/a;v=1"', 'path: /a'],
    ['path: "/a;v=1"', 'path_prefix: /a'],
    ['path_prefix: "/a;v=1/b"', 'path_prefix: /a/b/'],
    ['path: /%61', 'path: /a'],
    ['path: /%61', 'path_prefix: /a'],
  ];
  for (const [one, other] of tie)
    t.match(problemsOf(routesOf(one, other)), [/ties with route "a"/], `${one} ${other}`);
  const free: [string, string][] = [
    ['path: /a', 'path_prefix: /a'],
    ['path: "/a;v=1"', 'path: /b'],
    ['path: "/a;v=1", methods: [GET]', 'path: "/a;v=2", methods: [POST]'],
    ['hosts: [a.example]', 'hosts: [b.example]'],
  ];
  for (const [one, other] of free) t.strictSame(problemsOf(routesOf(one, other)), [], `${one} ${other}`);
});

t.test('C10 C25 C26 a route that no request can reach is a problem', async (t) => {
  const unreachable: Record<string, RegExp> = {
    'path: /a/../b': /refused in every request \(dot segments/,
    'path_prefix: /a/%2e%2E': /refused in every request \(dot segments/,
    'path: /%c0%af': /refused in every request \(dot segments/,
    'path: /a%2Fb': /paths\.allow: \[encoded_slash\]/,
    'path_prefix: /a//b': /paths\.allow: \[empty_segments\]/,
    'path: /a%252Fb': /paths\.allow: \[double_encoding\]/,
  };
  for (const [match, message] of Object.entries(unreachable))
    t.match(problemsOf(routesOf(match)), [message], match);
  const allowing = (path: string, allow: string): string =>
    `routes: [{ name: a, match: { path: "${path}" }, upstream: u, auth: { mode: none }, paths: { allow: [${allow}] } }]\n${UPSTREAMS}`;
  t.strictSame(problemsOf(allowing('/a%2Fb', 'encoded_slash')), []);
  t.match(problemsOf(allowing('/a;x%2Fb', 'encoded_slash')), [/can also be read as/]);
  for (const match of ['path: "/a;v=1"', 'path: /caf%C3%A9', 'path: /a%20b', 'path_prefix: /a/', 'path: /a;'])
    t.strictSame(problemsOf(routesOf(match)), [], match);
});

t.test('Redis by URL, Sentinel and as a cluster', async (t) => {
  const store = (text: string): Configuration['revocation']['store'] =>
    parse(`${minimal}revocation: { store: ${text} }`).revocation.store;
  t.match(store('{ sentinels: ["s1:26379", "[::1]:26379"], name: main, password: p }'), {
    sentinels: ['s1:26379', '[::1]:26379'],
    name: 'main',
    db: 0,
    tls: false,
  });
  t.match(store('{ cluster: ["c1:6379"], tls: true }'), { cluster: ['c1:6379'], tls: true });
  t.match(store('{ url: "rediss://r:6379/1", username: u, password: p }'), {
    url: 'rediss://r:6379/1',
    username: 'u',
  });
  t.match(problemsOf(`${minimal}revocation: { store: { url: "redis://u:p@r:6379" } }`), [
    /revocation\.store\.url: must be .* username and password_file/,
  ]);
  for (const text of [
    '{ url: "http://r" }',
    '{ url: "redis://r:6379/0", tls: true }',
    '{ sentinels: ["s1"], name: main }',
    '{ sentinels: ["s1:1"] }',
    '{ cluster: [] }',
    'mysql:x',
  ])
    t.ok(problemsOf(`${minimal}revocation: { store: ${text} }`).length > 0, text);
  t.match(problemsOf(`${minimal}revocation: { key_prefix: "{x}" }`), [/key_prefix: must be 1 to 64/]);
});
