/** `check` warns where a client, or nothing, says for which URL a proof of possession is. Rule D9. */
import t from 'tap';
import { parseConfiguration } from '../../src/config/load.ts';
import { configurationWarnings } from '../../src/config/warnings.ts';

function warningsOf(changes: Record<string, unknown>, publicUrl?: string): string[] {
  const complete = {
    issuers: {
      login: { issuer: 'https://login.example.com', discovery: true, audiences: ['https://api.example.com'] },
    },
    revocation: { store: 'sqlite:revocations.db' },
    routes: [
      {
        name: 'orders',
        match: { hosts: ['api.example.com'] },
        ...(publicUrl !== undefined && { public_url: publicUrl }),
        upstream: 'u',
        auth: { sender_constrained: 'optional' },
      },
    ],
    upstreams: { u: { targets: ['http://127.0.0.1:3000'] } },
    admin: { token: 'a token of the tests, long enough' },
    ...changes,
  };
  const text = JSON.stringify(complete);
  const configuration = parseConfiguration(text, 'test.json', '/tmp', {});
  return configurationWarnings({ configuration, folder: '/tmp', file: 'test.json' }).filter((warning) =>
    warning.includes('DPoP'),
  );
}

const URL_OF_API = 'https://api.example.com';

t.test('D9 F1 headers of trusted proxies say the URL only with a warning', async (t) => {
  const trusting = { trusted_proxies: ['10.0.0.0/8'] };
  t.match(warningsOf(trusting), [/^routes: orders accept DPoP for the URL that X-Forwarded-Proto/]);
  t.strictSame(warningsOf({}), []);
  t.strictSame(warningsOf(trusting, URL_OF_API), []);
  t.strictSame(warningsOf({ ...trusting, listeners: [{ port: 8080, public_url: URL_OF_API }] }), []);
});

t.test('D9 a dialect that tells no scheme needs public_url', async (t) => {
  const decisions = (dialect: string, more: object = {}) => ({
    listeners: [{ port: 8080, serve: 'decisions', trusted_peers: ['127.0.0.1'], dialect, ...more }],
  });
  for (const dialect of ['original', 'request']) {
    const told = new RegExp(`has dialect: ${dialect}, which does not tell http from https`);
    t.match(warningsOf(decisions(dialect)), [told]);
    t.strictSame(warningsOf(decisions(dialect, { public_url: URL_OF_API })), []);
    t.strictSame(warningsOf(decisions(dialect), URL_OF_API), []);
  }
  for (const dialect of ['forwarded', 'original_url', 'ext_authz'])
    t.strictSame(warningsOf(decisions(dialect)), [], dialect);
});
