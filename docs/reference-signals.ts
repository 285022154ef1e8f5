/** The sections of the configuration reference about transmitters of signals. */
import type { Section } from './reference-sections.ts';

export const SIGNALS: readonly Section[] = [
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
