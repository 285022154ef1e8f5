/** How a transmitter of signals is polled and its stream managed: what is refused, where, and what defaults are. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { quietAfterMs } from '../../src/assembly/signal-client-parts.ts';
import { ConfigurationError, parseConfiguration } from '../../src/config/load.ts';
import type { Configuration } from '../../src/config/schema.ts';
import { calledOrigins } from '../../src/config/issuer-http-problems.ts';
import { loginIssuer } from '../support/gateway.ts';
import { temporaryFolder } from '../support/process.ts';
import { createKey } from '../support/tokens.ts';
import { transmitterOf } from '../support/transmitter.ts';

const LOGIN = loginIssuer(createKey());
const PUSH = { host: 'api.example.com', path: '/signals' };
const POLL = { url: 'https://signals.example.com/poll' };
const OAUTH = {
  token_url: 'https://signals.example.com/token',
  client_id: 'gateway',
  client_secret: 'secret',
};

type Transmitter = Record<string, unknown>;

/** Without push, unless it is given. */
function parse(transmitter: Transmitter, folder = '/tmp'): Configuration {
  const document = {
    issuers: { login: LOGIN },
    signals: { events: transmitterOf({ push: undefined, ...transmitter }) },
    routes: [{ name: 'all', match: { path_prefix: '/api' }, upstream: 'u' }],
    upstreams: { u: { targets: ['http://u:1'] } },
  };
  return parseConfiguration(JSON.stringify(document), 'f', folder, {});
}

function problemsOf(transmitter: Transmitter): string[] {
  try {
    parse(transmitter);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    return error.problems.map((line) => line.replace(/^f:\d+:\d+: /, ''));
  }
}

t.test('each mistake is a problem at its place', async (t) => {
  const http = { bearer_token_file: 'package.json' };
  const cases: [transmitter: Transmitter, at: string][] = [
    [{ poll: {} }, 'signals.events.poll'],
    [{ poll: { url: 'ftp://a' } }, 'signals.events.poll.url'],
    [{ poll: { url: 'http://signals.example.com/poll' } }, 'signals.events.poll.url'],
    [{ poll: { ...POLL, wait: '10ms' } }, 'signals.events.poll.wait'],
    [{ poll: { ...POLL, wait: '1h' } }, 'signals.events.poll.wait'],
    [{ poll: { ...POLL, every: '0s' } }, 'signals.events.poll.every'],
    [{ poll: { ...POLL, max_events: 0 } }, 'signals.events.poll.max_events'],
    [{ poll: { ...POLL, max_events: 5_000 } }, 'signals.events.poll.max_events'],
    [{ poll: { ...POLL, token_file: 'x' } }, 'signals.events.poll.token_file'],
    [{ stream: {} }, 'signals.events'],
    [{ push: PUSH, poll: {}, stream: {} }, 'signals.events.stream'],
    [{ push: PUSH, stream: { delivery: 'poll' } }, 'signals.events.stream.delivery'],
    [{ poll: {}, stream: { delivery: 'push' } }, 'signals.events.stream.delivery'],
    [{ poll: {}, stream: { endpoint_url: 'https://a.example.com/s' } }, 'signals.events.stream.endpoint_url'],
    [
      { poll: {}, stream: { configuration_endpoint: 'http://a.example.com' } },
      'signals.events.stream.configuration_endpoint',
    ],
    [{ poll: {}, stream: {}, issuer: 'http://signals.example.com' }, 'signals.events.issuer'],
    [{ poll: {}, stream: {}, issuer: 'signals' }, 'signals.events.stream'],
    [{ poll: {}, stream: { events: [] } }, 'signals.events.stream.events'],
    [{ push: PUSH, oauth: OAUTH }, 'signals.events.oauth'],
    [{ poll: POLL, oauth: { ...OAUTH, client_secret: undefined } }, 'signals.events.oauth'],
    [{ poll: POLL, oauth: { ...OAUTH, key: 'x' } }, 'signals.events.oauth.key'],
    [{ poll: POLL, oauth: { ...OAUTH, auth_method: 'private_key_jwt' } }, 'signals.events.oauth'],
    [{ poll: POLL, oauth: { ...OAUTH, auth_method: 'none' } }, 'signals.events.oauth.auth_method'],
    [
      { poll: POLL, oauth: { ...OAUTH, client_secret: undefined, auth_method: 'tls_client_auth' } },
      'signals.events.oauth',
    ],
    [
      {
        poll: POLL,
        oauth: { ...OAUTH, client_secret: undefined, auth_method: 'private_key_jwt', key: 'no key' },
      },
      'signals.events.oauth.key',
    ],
    [
      { poll: POLL, oauth: { ...OAUTH, token_url: 'http://a.example.com/token' } },
      'signals.events.oauth.token_url',
    ],
    [{ poll: POLL, oauth: OAUTH, http }, 'signals.events.oauth'],
    [{ poll: POLL, quiet_after: '0s' }, 'signals.events.quiet_after'],
  ];
  for (const [transmitter, at] of cases) {
    const problems = problemsOf(transmitter);
    t.ok(
      problems.some((problem) => problem.startsWith(`${at}: `)),
      `${at}: ${JSON.stringify(transmitter)}: ${problems.join('; ')}`,
    );
  }
});

t.test('what is right has no problem', async (t) => {
  for (const transmitter of [
    { poll: POLL },
    { poll: { ...POLL, wait: '0s', every: '2s' }, oauth: OAUTH },
    { poll: {}, stream: {} },
    { push: PUSH, stream: {} },
    { push: PUSH, poll: POLL },
    { push: PUSH, poll: {}, stream: { delivery: 'poll' } },
    { poll: POLL, http: { bearer_token_file: '/etc/hostname' } },
    { poll: { url: 'http://127.0.0.1:1/poll' } },
    { poll: { url: 'http://signals.example.com/poll' }, allow_http: true },
  ])
    t.strictSame(problemsOf(transmitter), [], JSON.stringify(transmitter));
});

t.test('secrets are read from files', async (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'secret'), 'from a file\n');
  const { client_secret: _, ...oauth } = OAUTH;
  const { signals } = parse({ poll: POLL, oauth: { ...oauth, client_secret_file: 'secret' } }, folder);
  t.equal(signals['events']?.oauth?.client_secret, 'from a file');
});

t.test('only servers that the configuration names are called', async (t) => {
  const { signals } = parse({
    poll: POLL,
    stream: { status_endpoint: 'https://b.example.com' },
    oauth: OAUTH,
  });
  t.strictSame(calledOrigins(signals['events'] ?? {}).toSorted(), [
    'https://b.example.com',
    'https://signals.example.com',
  ]);
});

t.test('silence is told where there is a heartbeat, or where it is asked for', async (t) => {
  const quiet = (transmitter: Transmitter): number | undefined => {
    const { events } = parse(transmitter).signals;
    return events && quietAfterMs(events);
  };
  t.equal(quiet({ poll: POLL }), undefined);
  t.equal(quiet({ poll: {}, stream: {} }), 600_000);
  t.equal(quiet({ poll: {}, stream: { verify_every: '0s' } }), undefined);
  t.equal(quiet({ poll: POLL, quiet_after: '1h' }), 3_600_000);
});
