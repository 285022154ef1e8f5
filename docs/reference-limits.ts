/** The section of the configuration reference about limits. */
import type { Section } from './reference-sections.ts';

export const RATE_LIMITS: Section = {
  title: 'rate_limits',
  keys: ['rate_limits', 'routes[].rate_limits'],
  example: `
rate_limits:
  - { name: each-address, by: ip, rate: 6000/1m, scope: gateway }
routes:
  - name: searches
    match: { path_prefix: /searches }
    upstream: orders
    rate_limits:
      - { name: searches-of-a-user, by: subject, rate: 100/1m, burst: 20 }
      - { name: searches-of-a-plan, by: { claim: plan.id }, rate: 5000/h, report_only: true }
`,
};
