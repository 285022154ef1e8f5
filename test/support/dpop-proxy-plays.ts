/** Tokens that are bound to a key, at a real proxy that asks a decision listener. Rules C2, D14, D15. */
import type { Test } from 'tap';
import { send, type Response } from './client.ts';
import { ManualClock } from './manual-clock.ts';
import { HOST, key, startScene, token, type Proxy } from './outer-proxy.ts';
import { proofKey } from './proofs.ts';
import { claimsOf, mint } from './tokens.ts';
import { startUpstream } from './upstream.ts';

const URL_OF_CLIENTS = 'https://api.example.com/orders/1';
const holder = proofKey();
const bound = mint(key, claimsOf({ cnf: { jkt: holder.thumbprint } }));

const CHANGES = {
  dpop: { nonces: { secret: 'a secret of the fleet, 32 characters or more', rotate: '5m' }, max_age: '1h' },
  revocation: { max_view_age: '2h' },
  routes: [
    {
      name: 'orders',
      match: { hosts: ['api.example.com'], path_prefix: '/orders' },
      // The proxy of the test ends no TLS; in front of it there may be one that does.
      public_url: 'https://api.example.com',
      upstream: 'u',
      auth: { scopes: ['orders:read'], sender_constrained: 'optional' },
    },
    { name: 'public', match: { path_prefix: '/public' }, upstream: 'u', auth: { mode: 'none' } },
  ],
};

const CHALLENGES = /^Bearer realm="test".*, DPoP realm="test".*algs="ES256 PS256 RS256 EdDSA Ed25519"$/;

/** The values of a response header, line by line. */
const linesOf = ({ rawHeaders }: Response, name: string): string[] =>
  rawHeaders.filter((_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === name);

/** @param tellsOnSuccess whether the proxy can hand on the nonce of a decision that lets the request pass */
export async function dpopPlays(t: Test, proxy: Proxy, tellsOnSuccess: boolean): Promise<void> {
  const clock = new ManualClock();
  const upstream = await startUpstream(t, (_, response) => {
    response.writeHead(200, { 'DPoP-Nonce': 'of the upstream' }).end('ok');
  });
  const { url } = await startScene(t, proxy, upstream.url, CHANGES, { clock });
  const ask = (proof: string, method = 'GET', body?: string): Promise<Response> =>
    send(url, '/orders/1?a=b', {
      method,
      headers: [...HOST, 'Authorization', `DPoP ${bound}`, 'DPoP', proof],
      ...(body !== undefined && { body }),
    });
  const prove = (nonce?: string, method = 'GET'): string =>
    holder.proof({ url: URL_OF_CLIENTS, method, token: bound, ...(nonce !== undefined && { nonce }) });

  const none = await send(url, '/orders/1', { headers: HOST });
  t.equal(none.status, 401);
  t.match(none.headers['www-authenticate'], CHALLENGES, 'a client learns of both schemes');

  const before = upstream.seen.length;
  const first = await ask(prove());
  t.equal(first.status, 401);
  t.match(first.headers['www-authenticate'], /DPoP .*error="use_dpop_nonce"/);
  const [nonce = '', second] = linesOf(first, 'dpop-nonce');
  t.match(nonce, /^[\w-]{20,}$/, 'D15 the nonce reaches the client, once');
  t.equal(second, undefined);
  t.equal(upstream.seen.length, before, 'the upstream saw nothing');

  const proof = prove(nonce);
  const passed = await ask(proof);
  t.equal(passed.status, 200);
  t.strictSame(linesOf(passed, 'dpop-nonce'), [], 'D15 what the upstream says of nonces is not for clients');
  const { headers = {} } = upstream.seen.at(-1) ?? {};
  t.match(headers, { 'x-user-id': 'alice', dpop: undefined, authorization: undefined });
  t.match(await ask(proof), { status: 401, headers: { 'www-authenticate': /error="invalid_dpop_proof"/ } });
  t.equal((await ask(prove(nonce, 'POST'), 'POST', 'hello')).status, 200);
  t.match(upstream.seen.at(-1), { method: 'POST', body: 'hello' });
  t.equal((await send(url, '/orders/1', { headers: HOST, token })).status, 200, 'a bearer token passes, too');
  t.equal((await send(url, '/orders/1', { headers: HOST, token: bound })).status, 401, 'D13');

  clock.advance(5 * 60_000);
  const late = await ask(prove(nonce));
  t.equal(late.status, 200);
  const told = linesOf(late, 'dpop-nonce');
  t.equal(told.length, tellsOnSuccess ? 1 : 0, 'the next nonce');
  if (tellsOnSuccess) t.equal((await ask(prove(told[0]))).status, 200);
}
