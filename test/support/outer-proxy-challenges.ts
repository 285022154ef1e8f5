/** What a proxy that asks a decision listener must hand on of challenges and nonces, and keep from the upstream. Rules B5, D10, D15. */
import type { Test } from 'tap';
import { send, type Response } from './client.ts';
import { HOST, key, token, type Scene } from './outer-proxy.ts';
import { proofKey } from './proofs.ts';
import { claimsOf, mint } from './tokens.ts';

const client = proofKey();

export function challengesPass(t: Test, { upstream, url }: Scene): void {
  t.test(
    'B5 D15 both challenges of a route reach the client, with the scopes; no proof the upstream',
    async (t) => {
      const { status, headers } = await send(url, '/bound', { headers: HOST });
      t.equal(status, 401);
      // However many lines they came in.
      t.equal(
        headers['www-authenticate'],
        'Bearer realm="test", scope="orders:read", DPoP realm="test", scope="orders:read", algs="ES256 PS256 RS256 EdDSA Ed25519"',
      );
      const passed = await send(url, '/bound', { headers: [...HOST, 'DPoP', 'x'], token });
      t.equal(passed.status, 200);
      t.equal(upstream.seen.at(-1)?.headers['dpop'], undefined);
    },
  );

  t.test('D10 D15 a client learns the nonce for its proof, and passes with it', async (t) => {
    const bound = mint(key, claimsOf({ cnf: { jkt: client.thumbprint } }));
    const ask = (nonce?: string): Promise<Response> => {
      const proof = client.proof({
        url: 'http://api.example.com/bound',
        token: bound,
        ...(nonce !== undefined && { nonce }),
      });
      return send(url, '/bound', { headers: [...HOST, 'Authorization', `DPoP ${bound}`, 'DPoP', proof] });
    };
    const before = upstream.seen.length;
    const refused = await ask();
    t.equal(refused.status, 401);
    t.match(refused.headers['www-authenticate'], /DPoP realm="test", error="use_dpop_nonce"/);
    t.equal(upstream.seen.length, before);
    t.equal((await ask(String(refused.headers['dpop-nonce']))).status, 200);
    t.equal(upstream.seen.at(-1)?.headers['dpop'], undefined);
  });
}
