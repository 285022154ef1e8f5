/** Transmitters of signals in the configuration: what is refused, where, with which remedy, and what is risky. */
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Transmitters } from '../../src/assembly/transmitters.ts';
import { SILENT_OBSERVER } from '../../src/assembly/issuer-observer.ts';
import { systemClock } from '../../src/clock.ts';
import { configurationHash } from '../../src/config/configuration-hash.ts';
import { ConfigurationError, parseConfiguration } from '../../src/config/load.ts';
import type { Configuration } from '../../src/config/schema.ts';
import { configurationWarnings } from '../../src/config/warnings.ts';
import { AuthorizationServerClient } from '../../src/token/authorization-server-client.ts';
import { loginIssuer } from '../support/gateway.ts';
import { temporaryFolder } from '../support/process.ts';
import { AUDIENCE, createKey, ISSUER } from '../support/tokens.ts';
import { PUSH_PATH, transmitterOf } from '../support/transmitter.ts';

const key = createKey();
const LOGIN = { ...loginIssuer(key), required_claims: ['sid'] };

interface Parts {
  readonly transmitter?: Record<string, unknown>;
  readonly login?: Record<string, unknown>;
  readonly more?: Record<string, unknown>;
  readonly folder?: string;
}

function parse({ transmitter = {}, login = {}, more = {}, folder = '/tmp' }: Parts): Configuration {
  const document = {
    issuers: { login: { ...LOGIN, ...login } },
    signals: { events: transmitterOf(transmitter) },
    revocation: { claims: ['email', 'device.id'] },
    routes: [{ name: 'all', match: { path_prefix: '/api' }, upstream: 'u' }],
    upstreams: { u: { targets: ['http://u:1'] } },
    ...more,
  };
  return parseConfiguration(JSON.stringify(document), 'f', folder, {});
}

/** The problems, each as `path: message`. */
function problemsOf(parts: Parts): string[] {
  try {
    parse(parts);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    return error.problems.map((line) => line.replace(/^f:\d+:\d+: /, ''));
  }
}

t.test('each mistake is a problem at its place', async (t) => {
  const push = { host: 'api.example.com', path: PUSH_PATH };
  const cases: [parts: Parts, at: string][] = [
    [{ transmitter: { issuer: undefined } }, 'signals.events.issuer'],
    [{ transmitter: { audiences: undefined } }, 'signals.events.audiences'],
    [{ transmitter: { audiences: [] } }, 'signals.events.audiences'],
    [{ transmitter: { for: undefined } }, 'signals.events.for'],
    [{ transmitter: { for: [] } }, 'signals.events.for'],
    [{ transmitter: { for: null } }, 'signals.events.for'],
    [{ transmitter: { for: ['login', 'logn'] } }, 'signals.events.for[1]'],
    [{ transmitter: { push: undefined } }, 'signals.events'],
    [{ transmitter: { push: {} } }, 'signals.events.push.host'],
    [{ transmitter: { push: { ...push, path: '/api' } } }, 'signals.events.push'],
    [{ transmitter: { push: { ...push, path: '/a{b}' } } }, 'signals.events.push.path'],
    [
      { transmitter: { push: { ...push, authorization: 'a', authorization_file: 'b' } } },
      'signals.events.push.authorization_file',
    ],
    [
      { transmitter: { push: { ...push, authorization_file: '/nowhere/x' } } },
      'signals.events.push.authorization_file',
    ],
    [{ transmitter: { jwks: undefined } }, 'signals.events'],
    [{ transmitter: { discovery: true } }, 'signals.events.jwks'],
    [{ transmitter: { jwks: undefined, jwks_url: 'http://keys.example.com/' } }, 'signals.events.jwks_url'],
    [{ transmitter: { jwks: undefined, discovery: true, issuer: 'events' } }, 'signals.events.issuer'],
    [
      { transmitter: { jwks: undefined, discovery: true, issuer: 'http://e.example.com' } },
      'signals.events.issuer',
    ],
    [{ transmitter: { keys: { cache_dir: '/tmp' } } }, 'signals.events.keys.cache_dir'],
    [{ transmitter: { algorithms: ['HS256'] } }, 'signals.events.algorithms[0]'],
    [{ transmitter: { hmac_secret: 'x' } }, 'signals.events.hmac_secret'],
    [{ transmitter: { http: { proxy: 'http://p:1' } } }, 'signals.events.http'],
    [{ transmitter: { subjects: { email: 'mail' } } }, 'signals.events.subjects.email'],
    [{ transmitter: { subjects: { email: ['email', 'mail'] } } }, 'signals.events.subjects.email[1]'],
    [{ transmitter: { subjects: { email: 'a..b' } } }, 'signals.events.subjects.email'],
    [{ transmitter: { subjects: { e_mail: 'email' } } }, 'signals.events.subjects.e_mail'],
    [
      { transmitter: { subjects: { issuers: { 'https://a.example.com/': 'other' } } } },
      'signals.events.subjects.issuers.https://a.example.com/',
    ],
    [
      { transmitter: { subjects: { issuers: { accounts: 'login' } } } },
      'signals.events.subjects.issuers.accounts',
    ],
    [
      {
        transmitter: { subjects: { opaque: 'session' } },
        login: { required_claims: [], claim_names: { session: null } },
      },
      'signals.events.subjects.opaque',
    ],
    [{ more: { signals: { a: transmitterOf(), b: transmitterOf() } } }, 'signals.b.push'],
    [
      {
        login: { backchannel_logout: { host: '127.0.0.1', path: PUSH_PATH, client_ids: ['a'] } },
      },
      'signals.events.push',
    ],
  ];
  for (const [parts, at] of cases) {
    const problems = problemsOf(parts);
    t.ok(
      problems.some((line) => line.startsWith(`${at}: `)),
      `${at}: ${problems.join(' | ')}`,
    );
  }
  const fine: Parts[] = [
    {},
    {
      transmitter: {
        subjects: {
          email: 'email',
          opaque: ['session', 'subject'],
          device: 'device.id',
          application: 'client',
        },
      },
    },
    { transmitter: { subjects: { issuers: { 'https://accounts.google.com/': 'login' } } } },
    { transmitter: { jwks: undefined, discovery: true, issuer: 'http://127.0.0.1:1' } },
    { transmitter: { jwks: undefined, jwks_url: 'https://k.example.com/', keys: { cache_dir: '/tmp' } } },
    { transmitter: { issuer: ISSUER } },
  ];
  for (const parts of fine) t.strictSame(problemsOf(parts), []);
});

t.test('what is allowed but risky is a warning', async (t) => {
  const warnings = (parts: Parts): string[] =>
    configurationWarnings({ configuration: parse(parts), folder: '/tmp', file: '/tmp/none' }).filter((line) =>
      line.startsWith('signals.'),
    );
  t.strictSame(warnings({}), []);
  t.match(warnings({ transmitter: { allow_http: true } }), [/allow_http/]);
  t.match(warnings({ transmitter: { issuer: ISSUER, audiences: ['x', AUDIENCE] } }), [
    /audiences: https:\/\/api\./,
  ]);
  t.strictSame(warnings({ transmitter: { audiences: [AUDIENCE] } }), [], 'another issuer, other keys');
  t.match(warnings({ login: { required_claims: [] } }), [
    /ends: session ends no access token of issuers\.login/,
  ]);
  t.strictSame(warnings({ login: { required_claims: [] }, transmitter: { ends: 'both' } }), []);
  t.strictSame(warnings({ login: { required_claims: [], claim_names: { session: null } } }), []);
});

t.test('A5 the value of Authorization comes from its file, and enters no hash', async (t) => {
  const folder = temporaryFolder(t);
  const file = join(folder, 'authorization');
  writeFileSync(file, 'Signal of-a-file\n');
  const push = { host: 'api.example.com', path: PUSH_PATH, authorization_file: 'authorization' };
  const loaded = parse({ transmitter: { push }, folder });
  t.equal(loaded.signals['events']?.push?.authorization, 'Signal of-a-file');
  writeFileSync(file, 'Signal another');
  t.equal(configurationHash(parse({ transmitter: { push }, folder })), configurationHash(loaded));
  chmodSync(file, 0o644);
  const open = configurationWarnings({ configuration: loaded, folder, file: '/tmp/none' });
  t.ok(open.some((line) => line.includes('push.authorization_file') && line.includes('chmod 600')));
});

t.test('a key file that cannot be used is a problem of its transmitter', async (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'keys.json'), '{"keys":[]}');
  const configuration = parse({ transmitter: { jwks: undefined, jwks_file: 'keys.json' }, folder });
  const parts = { client: new AuthorizationServerClient(), clock: systemClock, observer: SILENT_OBSERVER };
  t.teardown(() => parts.client.close());
  t.throws(() => new Transmitters({ configuration, folder, file: 'f' }, parts), {
    name: 'ConfigurationError',
    message: /^f: signals\.events: jwks_file has no usable key/,
  });
});
