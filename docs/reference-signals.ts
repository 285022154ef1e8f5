/** The sections of the configuration reference about revocation, and about transmitters of signals. */
import type { Section } from './reference-sections.ts';

export const REVOCATION: readonly Section[] = [
  {
    title: 'revocation',
    keys: ['revocation'],
    example: `
revocation:
  store:
    sentinels: [redis-1:26379, redis-2:26379, redis-3:26379]
    name: primary
    password_file: redis-password
  max_view_age: 30s
  when_stale: deny
  claims: [tenant, email]
`,
  },
  {
    title: 'signals',
    keys: ['signals'],
    example: `
signals:
  login-events:
    issuer: https://login.example.com
    discovery: true
    audiences: [https://gateway.example.com/signals]
    for: [login]
    subjects: { email: email, tenant: tenant }
    push:
      host: api.example.com
      path: /signals/login
      authorization_file: signals-authorization
`,
  },
  {
    title: 'signals: polls and streams',
    keys: ['signals.NAME.poll', 'signals.NAME.stream', 'signals.NAME.oauth', 'signals.NAME.quiet_after'],
    example: `
signals:
  partner-events:
    issuer: https://events.example.com
    discovery: true
    audiences: [https://gateway.example.com/partner-signals]
    for: [login]
    oauth:
      token_url: https://events.example.com/token
      client_id: gateway
      client_secret_file: signals-client-secret
      scope: ssf.read ssf.manage
    poll: { wait: 30s }
    stream: { verify_every: 3m }
`,
  },
];
