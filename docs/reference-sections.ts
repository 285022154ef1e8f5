/**
 * The sections of the configuration reference: which keys each table holds, and the example above it. All examples
 * together are one valid configuration; test/docs.test.ts parses it.
 */

import { RATE_LIMITS } from './reference-limits.ts';
import { PROOF } from './reference-proof.ts';
import { REVOCATION } from './reference-signals.ts';

export interface Section {
  readonly title: string;
  /** The keys of the table: these, and all below them that no other section names. */
  readonly keys: readonly string[];
  /** YAML. */
  readonly example: string;
}

const GENERAL: readonly Section[] = [
  {
    title: 'General',
    keys: [
      'name',
      'realm',
      'workers',
      'trusted_proxies',
      'readiness',
      'access_log',
      'log',
      'log_key',
      'log_key_file',
    ],
    example: `
name: edge-gateway
realm: api.example.com
workers: auto
trusted_proxies: [10.0.0.0/8]
readiness: { require_keys: 60s }
log: { sample: 0.1, refusals: 20, facts: true }
log_key_file: log-key
`,
  },
  {
    title: 'listeners',
    keys: ['listeners'],
    example: `
listeners:
  - port: 8443
    tls: { cert_file: api.crt, key_file: api.key }
  - { port: 8080, serve: redirect, https_port: 443 }
  - { host: 127.0.0.1, port: 8081, serve: decisions, dialect: original, trusted_peers: [127.0.0.1] }
`,
  },
  {
    title: 'listeners: tls',
    keys: ['listeners[].tls'],
    example: `
listeners:
  - port: 9443
    tls:
      cert_file: api.crt
      key_file: api.key
      certificates: [{ cert_file: other.crt, key_file: other.key }]
      client_ca_file: clients-ca.crt
      min_version: TLSv1.3
      hsts: { max_age: 365d }
`,
  },
  {
    title: 'admin',
    keys: ['admin'],
    example: `
admin:
  host: 127.0.0.1
  port: 9090
  tokens:
    - { name: support-desk, token_file: support-token }
    - { name: ci, token_file: ci-token }
`,
  },
  {
    title: 'dpop',
    keys: ['dpop'],
    example: `
dpop:
  max_age: 30s
  nonces: { secret_file: dpop-nonce.key, rotate: 5m }
`,
  },
  {
    title: 'sessions',
    keys: ['sessions'],
    example: `
sessions: { show: hashed, addresses: true, entries: 50000 }
`,
  },
  {
    title: 'limits, timeouts and caches',
    keys: ['limits', 'timeouts', 'caches'],
    example: `
limits: { body_bytes: 10MiB, in_flight: 2000, connections: 10000 }
timeouts: { idle: 90s, drain_delay: 10s, drain: 1m }
caches: { tokens: { entries: 200000, bytes: 256MiB } }
`,
  },
];

const TRUST: readonly Section[] = [
  {
    title: 'issuers',
    keys: ['issuers'],
    example: `
issuers:
  login:
    issuer: https://login.example.com
    discovery: true
    audiences: [https://api.example.com]
    claim_names: { subject: oid, tenant: tid }
    claims: { sub: { prefix: 'user:' } }
    keys: { cache_dir: /var/lib/sallyport/keys }
  staff:
    provider: keycloak
    issuer: https://sso.example.com/realms/staff
    discovery: true
    audiences: [https://api.example.com]
`,
  },
  {
    title: 'issuers: introspection',
    keys: ['issuers.NAME.introspection'],
    example: `
issuers:
  partners:
    token_prefix: partner_
    introspection:
      url: https://as.partner.example/introspect
      client_id: gateway
      client_secret_file: introspection-secret
      cache: 10s
`,
  },
  {
    title: 'issuers: validation',
    keys: ['issuers.NAME.validation'],
    example: `
issuers:
  legacy:
    token_prefix: legacy_
    validation:
      url: https://sessions.example.com/check
      send: { in: json, name: session }
      active: /valid
      claims: /user
`,
  },
  {
    title: 'issuers: backchannel_logout',
    keys: ['issuers.NAME.backchannel_logout'],
    example: `
issuers:
  login:
    backchannel_logout:
      host: api.example.com
      path: /logout/login
      client_ids: [web-app]
      ends: both
`,
  },
  {
    title: 'issuers: global_token_revocation',
    keys: ['issuers.NAME.global_token_revocation'],
    example: `
issuers:
  login:
    global_token_revocation:
      url: https://api.example.com/global-token-revocation
      callers: [0oa7universallogout]
`,
  },
  ...REVOCATION,
  {
    title: 'identity',
    keys: ['identity'],
    example: `
identity:
  headers:
    X-Tenant: tenant # one more than the four defaults
    X-Scopes: null # one less
  assertion:
    key_file: assertion-key.json
    publish: { host: api.example.com } # its public keys, for services
`,
  },
  PROOF,
];

const TRAFFIC: readonly Section[] = [
  {
    title: 'routes',
    keys: ['routes'],
    example: `
routes:
  - name: orders
    match: { hosts: [api.example.com], path_prefix: /orders, methods: [GET, POST] }
    upstream: orders
    rewrite: { strip_prefix: /orders }
    timeouts: { response: 10s }
`,
  },
  {
    title: 'routes: several upstreams',
    keys: ['routes[].upstream[]', 'routes[].sticky'],
    example: `
routes:
  - name: carts
    match: { path_prefix: /carts }
    upstream:
      - { name: orders-next, claims: { beta: true } }
      - { name: orders, weight: 95 }
      - { name: orders-next, weight: 5 }
    sticky: subject
`,
  },
  {
    title: 'routes: auth',
    keys: ['routes[].auth'],
    example: `
routes:
  - name: invoices
    match: { path_prefix: /invoices }
    upstream: orders
    auth:
      issuers: [login, partners]
      scopes: { any: ['invoices:read', 'invoices:write'] }
      claims: { tenant: [acme, globex] }
  - name: tenant-reports
    match: { path: '/tenants/{tenant}/reports' }
    upstream: orders
    auth:
      claims: { tenant: { path: tenant } }
      any_of:
        - scopes: ['reports:read']
        - claims: { roles: { has_key: auditor } }
  - name: health
    match: { path: /health }
    upstream: orders
    auth: { mode: none }
`,
  },
  {
    title: 'routes: resource',
    keys: ['routes[].resource'],
    example: `
routes:
  - name: mcp
    match: { hosts: [mcp.example.com], path_prefix: /tools }
    upstream: orders
    public_url: https://mcp.example.com/tools # the identifier
    resource: { name: Order tools, documentation: https://docs.example.com/tools }
    auth: { scopes: ['orders:read'] }
`,
  },
  {
    title: 'routes: cors',
    keys: ['routes[].cors'],
    example: `
routes:
  - name: profile
    match: { path_prefix: /profile }
    upstream: orders
    cors:
      origins: [https://app.example.com]
      methods: [GET, PUT]
`,
  },
  RATE_LIMITS,
  {
    title: 'upstreams',
    keys: ['upstreams', 'dns'],
    example: `
upstreams:
  orders:
    targets:
      - https://orders-1.internal:8443
      - { url: 'https://orders-2.internal:8443', weight: 2 }
    balance: least_requests
    health: { path: /healthz }
    eject: { errors: 5, for: 30s }
    tls: { ca_file: internal-ca.crt }
  orders-next:
    targets: [https://orders-next.internal:8443]
    eject: {}
  stock:
    targets: [srv+h2c://_grpc._tcp.stock.internal]
`,
  },
];

export const SECTIONS: readonly Section[] = [...GENERAL, ...TRUST, ...TRAFFIC];
