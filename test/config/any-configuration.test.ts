/** Whatever stands in a configuration file: it is used, or every problem is a line with its place and its remedy. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { stringify } from 'yaml';
import { Instance } from '../../src/assembly/instance.ts';
import { ConfigurationError, parseConfiguration } from '../../src/config/load.ts';
import { configurationWarnings } from '../../src/config/warnings.ts';
import { createLog } from '../../src/telemetry/logger.ts';
import { temporaryFolder } from '../support/process.ts';
import { createKey } from '../support/tokens.ts';

const key = createKey('ES256');

/** Every part of a configuration, in a form that is valid. */
const whole = {
  name: 'gw',
  realm: 'r',
  listeners: [
    { host: '127.0.0.1', port: 8080, reuse_port: true, protocols: ['h2c', 'http/1.1'] },
    { port: 8081, serve: 'decisions', dialect: 'original', trusted_peers: ['10.0.0.0/8'] },
    { port: 8082, serve: 'redirect', https_port: 8443 },
  ],
  admin: {
    host: '127.0.0.1',
    port: 9090,
    tokens: [{ name: 'ops', token: 'x'.repeat(40) }],
    hosts: ['gw.test'],
  },
  trusted_proxies: ['10.0.0.0/8', '::1'],
  limits: { uri_bytes: '8KiB', header_bytes: '16KiB', header_count: 100, token_bytes: '8KiB', in_flight: 10 },
  timeouts: { headers: '10s', idle: '75s', drain: '30s', drain_delay: '2s' },
  caches: { tokens: { entries: 10, bytes: '1MiB' }, introspection: { entries: 10 } },
  issuers: {
    login: {
      issuer: 'https://login.test',
      jwks: { keys: [key.jwk] },
      audiences: ['api'],
      algorithms: ['ES256'],
      clock_skew: '30s',
      max_lifetime: '1h',
      required_claims: ['sub'],
      claims: { client_id: { equals: ['app', '*'] } },
      backchannel_logout: { host: 'gw.test', path: '/logout', client_ids: ['app'] },
      global_token_revocation: { url: 'https://gw.test/revoke', callers: ['okta'], email_claim: 'sub' },
    },
    staff: {
      provider: 'keycloak',
      issuer: 'https://sso.test/realms/staff',
      jwks: { keys: [key.jwk] },
      audiences: ['api'],
      claims: { azp: ['web'] },
      claim_names: { tenant: 'org' },
    },
    pods: {
      provider: 'kubernetes',
      issuer: 'https://cluster.test',
      jwks: { keys: [key.jwk] },
      audiences: ['api'],
      claims: { sub: { prefix: 'system:serviceaccount:prod:' } },
    },
    shared: { issuer: 'https://shared.test', hmac_secret: 's'.repeat(64), algorithms: ['HS256'] },
    opaque: {
      introspection: {
        url: 'https://as.test/introspect',
        client_id: 'gw',
        client_secret: 'secret',
        cache: '30s',
      },
      token_prefix: 'o_',
    },
  },
  revocation: { store: 'memory:', max_view_age: '30s', when_stale: 'deny', keep: '30d', claims: ['device'] },
  signals: {
    events: {
      issuer: 'https://signals.test',
      jwks: { keys: [key.jwk] },
      audiences: ['gw.test/signals'],
      for: ['login', 'staff'],
      ends: 'both',
      subjects: { issuers: { 'https://idp.test/': 'login' }, email: ['device', 'subject'], device: 'device' },
      push: { host: 'gw.test', path: '/signals', authorization: 'Signal x' },
    },
  },
  identity: { headers: { 'X-User-Id': 'sub' }, max_bytes: '8KiB', forward_authorization: false },
  routes: [
    {
      name: 'orders',
      match: {
        hosts: ['api.test', '*.api.test'],
        path_prefix: '/orders/{tenant}',
        methods: ['GET'],
        headers: { 'x-v': '1' },
      },
      upstream: 'u',
      auth: {
        mode: 'required',
        issuers: ['login', 'opaque'],
        scopes: { any: ['a'], all: ['b'] },
        claims: { 'tenant.id': ['acme'], sub: { prefix: 'u:' }, tenant: { path: 'tenant' } },
        any_of: [{ scopes: ['c'] }, { claims: { roles: { has_key: 'admin' }, nonce: { absent: true } } }],
        report_only: false,
        websocket_protocol: true,
      },
      when_stale: 'allow',
      rewrite: { strip_prefix: '/orders', add_prefix: '/v1', host: 'preserve' },
      cors: { origins: ['https://app.test'], methods: ['GET'], headers: ['authorization'], max_age: '10m' },
      timeouts: { response: '30s', idle: '60s' },
      retries: { attempts: 2 },
      identity: { headers: { 'X-Tenant': 'tenant.id' } },
      upgrade: ['websocket'],
      streams: { expired: 'close' },
    },
    {
      name: 'files',
      match: { path_prefix: '/files' },
      upstream: 'u',
      auth: { mode: 'none' },
      paths: { allow: ['encoded_slash'] },
    },
    { name: 'public', match: {}, upstream: 'u', auth: { mode: 'none' } },
  ],
  upstreams: {
    u: {
      targets: ['http://127.0.0.1:3000', { url: 'http://127.0.0.1:3001', weight: 2 }],
      balance: 'least_requests',
      eject: { errors: 5, for: '30s' },
      connections: 128,
      connect_timeout: '5s',
    },
  },
};

/** What people write by mistake, and what they would not. */
const odd = fc.oneof(
  fc.constantFrom<unknown>(
    ...[
      null,
      true,
      0,
      -1,
      1.5,
      1e308,
      65_536,
      '',
      ' ',
      '/',
      '*',
      '::',
      '::1',
      '[',
      '0',
      '-1s',
      '1e9d',
      '99999999d',
    ],
    ...[
      'http://b:99999',
      'http://',
      'https://u:p@h/',
      'ftp://h',
      '//h',
      'redis://',
      'redis://h/x',
      'rediss:',
    ],
    ...[
      'sqlite:',
      'sqlite:/nowhere/x',
      'unix:/s',
      '${NOT_SET}',
      '${',
      '10.0.0.0/99',
      '*.*',
      '..',
      'a..b',
      '\\',
    ],
    ...['toString', '__proto__', 'constructor', 'é\u0000', '\ud800', 'a\r\nb', 'A'.repeat(300)],
    ...[[], {}, [[]], [null], { a: 1 }, { url: null }, { sentinels: [] }, { cluster: ['x'] }],
  ),
  fc.string(),
  fc.jsonValue({ maxDepth: 2 }),
);

const change = fc.record({
  at: fc.nat(),
  how: fc.constantFrom('replace', 'replace', 'replace', 'remove', 'rename', 'repeat', 'swap'),
  value: odd,
  other: fc.nat(),
});

type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;
type Container = Record<string, unknown> | unknown[];
interface Slot {
  readonly holder: Container;
  readonly key: string;
}

function slotsOf(holder: Container): Slot[] {
  return Object.entries(holder).flatMap(([name, value]) => [
    { holder, key: name },
    ...(typeof value === 'object' && value !== null ? slotsOf(value as Container) : []),
  ]);
}

function changed(changes: readonly Change[]): object {
  const document = structuredClone(whole) as Record<string, unknown>;
  for (const { at, how, value, other } of changes) {
    const slots = slotsOf(document);
    const slot = slots[at % slots.length];
    const twin = slots[other % slots.length];
    if (!slot || !twin) continue;
    const holder = slot.holder as Record<string, unknown>;
    if (how === 'replace') holder[slot.key] = structuredClone(value);
    else if (how === 'swap')
      holder[slot.key] = structuredClone((twin.holder as Record<string, unknown>)[twin.key]);
    else if (Array.isArray(slot.holder)) {
      if (how === 'remove') slot.holder.splice(Number(slot.key), 1);
      else slot.holder.push(structuredClone(slot.holder[Number(slot.key)]));
    } else {
      const text = typeof value === 'string' ? value : 'other';
      if (how !== 'remove') holder[text] = structuredClone(holder[slot.key]);
      if (how !== 'repeat') Reflect.deleteProperty(holder, slot.key);
    }
  }
  return document;
}

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 250);

t.test('a valid configuration that was changed at random', async (t) => {
  const folder = temporaryFolder(t);
  const file = join(folder, 'f.yaml');
  writeFileSync(file, '');
  const log = createLog({ write: () => undefined });
  /** The problems for which it was refused; none: a gateway was made of it. */
  const problemsOf = async (source: string): Promise<readonly string[]> => {
    try {
      const loaded = { configuration: parseConfiguration(source, file, folder, {}), folder, file };
      configurationWarnings(loaded);
      await new Instance(loaded, log).stop();
      return [];
    } catch (error) {
      if (error instanceof ConfigurationError) return error.problems;
      throw error;
    }
  };
  t.strictSame(await problemsOf(stringify(whole)), [], 'as it is');
  let used = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async (changes) => {
      const problems = await problemsOf(stringify(changed(changes)));
      if (problems.length === 0) used++;
      const unclear = problems.find(
        (line) => !line.startsWith(file) || !/: .+; ./.test(line) || /[\r\n]/.test(line),
      );
      if (unclear !== undefined) throw new Error(unclear);
    }),
    // Whatever the seed, one is as it was: a value changes places with itself.
    { numRuns: RUNS, examples: [[[{ at: 0, how: 'swap', value: null, other: 0 }]]] },
  );
  t.ok(used > 0, `${used} were used`);
});

t.test('any text at all', async (t) => {
  fc.assert(
    fc.property(
      fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(...'{}[]:,-?&*!|>#%@`"\'\n a1$') })),
      (text) => {
        try {
          parseConfiguration(text, 'f.yaml', '/tmp', {});
        } catch (error) {
          if (!(error instanceof ConfigurationError)) throw error;
          if (!error.problems.every((line) => /^f\.yaml:\d+:\d+: .+; ./s.test(line)))
            throw new Error(error.problems.join('\n'), { cause: error });
        }
      },
    ),
    { numRuns: RUNS },
  );
  t.pass('held');
});
