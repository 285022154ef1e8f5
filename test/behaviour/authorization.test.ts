/**
 * Every outcome of authentication and authorization, in every mode: what the client got, what the upstream saw.
 * Rules B1 to B4, B6, B8, B10, C1, C2, C4, C9.
 */
import t from 'tap';
import { send, type SendOptions } from '../support/client.ts';
import { loginIssuer, startGateway } from '../support/gateway.ts';
import { claimsOf, createKey, mint, nowSeconds } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const key = createKey('ES256');
const upstream = await startUpstream(t);
const MODES = ['required', 'optional', 'none'] as const;
type Mode = (typeof MODES)[number];

const gateway = await startGateway(t, {
  issuers: {
    login: loginIssuer(key),
    gone: { introspection: { url: 'http://127.0.0.1:1/', client_id: 'x', client_secret: 'y' } },
  },
  identity: { headers: { 'X-User-Id': 'sub', 'X-Big': 'big' }, max_bytes: '1KiB' },
  routes: MODES.flatMap((mode) => {
    const open = mode === 'none' ? {} : { issuers: ['login', 'gone'] };
    const ruled =
      mode === 'none' ? {} : { scopes: ['orders:read'], claims: { level: [3], 'tenant.id': ['acme'] } };
    return [
      { name: mode, match: { path_prefix: `/${mode}` }, upstream: 'u', auth: { mode, ...open } },
      {
        name: `${mode}-ruled`,
        match: { path_prefix: `/${mode}/ruled` },
        upstream: 'u',
        auth: { mode, ...open, ...ruled },
      },
    ];
  }),
  upstreams: { u: { targets: [upstream.url] } },
});
const good = claimsOf({ tenant: { id: 'acme' }, level: [1, 3] });
const revoked = mint(key, { ...good, jti: 'revoked' });
await gateway.admin('POST', '/v1/revocations', { token: revoked });

/** alice: her headers; anonymous: none of them; a number: refused so, and the upstream saw nothing. */
type Fate = 'alice' | 'anonymous' | number;

interface Row {
  readonly send: SendOptions;
  /** In the modes required and optional, on the route without rules. */
  readonly open: Fate | { readonly required: Fate; readonly optional: Fate };
  /** The same, on the route with a scope and claim rules. */
  readonly ruled: Fate;
}
const authorization = (...lines: string[]): SendOptions => ({
  headers: lines.flatMap((line) => ['authorization', line]),
});
const withToken = (changes: Record<string, unknown> = {}): SendOptions => ({
  token: mint(key, { ...good, ...changes }),
});

const rows: Record<string, Row> = {
  'B1 no credentials': { send: {}, open: { required: 401, optional: 'anonymous' }, ruled: 401 },
  'a good token': { send: withToken(), open: 'alice', ruled: 'alice' },
  'B6 a good token, oddly announced': {
    send: authorization(`bEARER   ${mint(key, good)}`),
    open: 'alice',
    ruled: 'alice',
  },
  'B8 another scheme': { send: authorization('Basic YTpi'), open: 401, ruled: 401 },
  'B2 two lines': { send: authorization('Bearer a', 'Bearer a'), open: 400, ruled: 400 },
  'B2 no token in it': { send: authorization('Bearer '), open: 400, ruled: 400 },
  'B3 expired': { send: withToken({ exp: nowSeconds() - 60 }), open: 401, ruled: 401 },
  'B3 not yet valid': { send: withToken({ nbf: nowSeconds() + 600 }), open: 401, ruled: 401 },
  'B3 forged': { send: { token: mint(createKey('ES256', key.kid), good) }, open: 401, ruled: 401 },
  'B3 another audience': { send: withToken({ aud: 'x' }), open: 401, ruled: 401 },
  'B3 bound to a key': { send: withToken({ cnf: { jkt: 'x' } }), open: 401, ruled: 401 },
  'B3 revoked': { send: { token: revoked }, open: 401, ruled: 401 },
  'B4 C9 without the scope': { send: withToken({ scope: 'orders' }), open: 'alice', ruled: 403 },
  'without any scope': { send: withToken({ scope: undefined }), open: 'alice', ruled: 403 },
  'with the scope as a list': {
    send: withToken({ scope: undefined, scp: ['orders:read'] }),
    open: 'alice',
    ruled: 'alice',
  },
  'with another claim': { send: withToken({ tenant: { id: 'globex' } }), open: 'alice', ruled: 403 },
  'with a claim of another type': { send: withToken({ level: '3' }), open: 'alice', ruled: 403 },
  'without the claim': { send: withToken({ tenant: undefined }), open: 'alice', ruled: 403 },
  'identity too large': { send: withToken({ big: 'x'.repeat(2_000) }), open: 403, ruled: 403 },
  'B10 an authority that is down': { send: { token: 'opaque' }, open: 503, ruled: 503 },
};

const SPOOFED = [
  'X-User-Id',
  'root',
  'x-user-id',
  'root',
  'X_User_Id',
  'root',
  'X.User.Id',
  'root',
  'X-Big',
  'root',
];

function fateOf({ open, ruled }: Row, mode: Mode, path: string): Fate {
  // Nothing is examined there: not even what is wrong.
  if (mode === 'none') return 'anonymous';
  if (path.endsWith('/ruled')) return ruled;
  return typeof open === 'object' ? open[mode] : open;
}

for (const [name, row] of Object.entries(rows)) {
  for (const mode of MODES) {
    for (const path of [`/${mode}`, `/${mode}/ruled`]) {
      const fate = fateOf(row, mode, path);
      t.test(`${name}, ${path}: ${fate}`, async (t) => {
        const before = upstream.seen.length;
        const headers = [...(row.send.headers ?? []), ...SPOOFED, 'connection', 'X-User-Id, X-Big'];
        const response = await send(gateway.url, path, { ...row.send, headers });
        if (typeof fate === 'number') {
          t.equal(response.status, fate);
          t.equal(response.headers['content-type'], 'application/problem+json');
          t.equal(upstream.seen.length, before, 'the upstream saw nothing');
          return;
        }
        t.equal(response.status, 200);
        const seen = upstream.seen.at(-1);
        t.equal(upstream.seen.length, before + 1);
        t.notMatch(JSON.stringify(seen?.rawHeaders), 'root', 'C1 C2 C4 no client says who it is');
        t.equal(seen?.headers['x-user-id'], fate === 'alice' ? 'alice' : undefined);
        t.equal(seen?.headers.authorization, undefined);
      });
    }
  }
}
