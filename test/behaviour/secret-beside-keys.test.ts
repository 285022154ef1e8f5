/** An issuer that goes over from a shared secret to public keys: each is for its own algorithms, and for no other. */
import t, { type Test } from 'tap';
import type { KeyObject } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { send } from '../support/client.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { temporaryFolder } from '../support/process.ts';
import { AUDIENCE, claimsOf, createKey, ISSUER, mint, mintHmac } from '../support/tokens.ts';
import { startServer, startUpstream } from '../support/upstream.ts';
import { parseConfiguration, ConfigurationError } from '../../src/config/load.ts';

const upstream = await startUpstream(t);
const SECRET = 'a secret of at least thirty-two bytes';
const rsa = createKey('RS256');
const ec = createKey('ES256');
const ed = createKey('EdDSA');
const keys = [rsa, ec, ed];
const shared = {
  routes: [{ name: 'r', match: { path_prefix: '/' }, upstream: 'u' }],
  upstreams: { u: { targets: [upstream.url] } },
};
const jwks = { keys: keys.map(({ jwk }) => jwk) };
const issuerWith = (changes: Record<string, unknown> = {}): Record<string, unknown> => ({
  issuer: ISSUER,
  audiences: [AUDIENCE],
  hmac_secret: SECRET,
  jwks,
  ...changes,
});
const start = (t: Test, changes?: Record<string, unknown>, folder?: string): Promise<TestGateway> =>
  startGateway(
    t,
    { issuers: { login: issuerWith(changes) }, ...shared },
    folder === undefined ? {} : { folder },
  );

async function outcome(on: TestGateway, token: string): Promise<[number, string | undefined]> {
  const lines = on.log.length;
  const before = upstream.seen.length;
  const { status } = await send(on.url, '/', { token });
  if (status !== 200 && upstream.seen.length !== before) throw new Error('the upstream saw it');
  const line = on.log.slice(lines).find(({ msg }) => msg === 'request');
  return [status, (line?.['auth'] as { reason?: string } | undefined)?.reason];
}

/** All that a library may take for "the key", in every form that keys are published in. */
function spellingsOf(publicKey: KeyObject, jwk: Record<string, unknown>): [string, string | Buffer][] {
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  const der = publicKey.export({ type: 'spki', format: 'der' });
  const plain = publicKey.export({ format: 'jwk' });
  return [
    ['PEM', pem],
    ['PEM without its last line end', pem.trimEnd()],
    ['PEM with CRLF', pem.replaceAll('\n', '\r\n')],
    ['the base64 in the PEM', der.toString('base64')],
    ['DER', der],
    ['JWK as published', JSON.stringify(jwk)],
    ['JWK', JSON.stringify(plain)],
    ['JWK Set', JSON.stringify(jwks)],
    ['n or x as text', String(plain.n ?? plain.x)],
    ['n or x as bytes', Buffer.from(String(plain.n ?? plain.x), 'base64url')],
    ['empty', ''],
  ];
}

t.test('J5 tokens of both kinds pass: HS256 by the secret, the others by the set', async (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'secret'), `${SECRET}\n`);
  for (const changes of [{}, { hmac_secret: undefined, hmac_secret_file: 'secret' }]) {
    const gateway = await start(t, changes, folder);
    for (const key of keys) t.strictSame(await outcome(gateway, mint(key)), [200, 'ok'], key.algorithm);
    t.strictSame(await outcome(gateway, mintHmac(SECRET)), [200, 'ok']);
    t.strictSame(await outcome(gateway, mintHmac(SECRET, claimsOf(), { kid: rsa.kid })), [200, 'ok']);
  }
});

t.test('C5 HS256 with a public key as the secret: 401, whatever the spelling and the kid', async (t) => {
  const gateway = await start(t);
  for (const { publicKey, jwk, kid, algorithm } of keys)
    for (const [name, secret] of spellingsOf(publicKey, jwk))
      for (const header of [{}, { kid }, { kid: 'other' }, { kid: '' }, { jwk }])
        t.strictSame(
          await outcome(gateway, mintHmac(secret, claimsOf(), header)),
          [401, 'bad_signature'],
          `${algorithm} ${name} ${Object.keys(header).join()}`,
        );
});

t.test(
  'C5 a set that holds the secret as an oct key gives no key: HS256 stays with the secret',
  async (t) => {
    const own = 'another secret of at least thirty-two bytes';
    const oct = { kty: 'oct', k: Buffer.from(own).toString('base64url'), kid: 'oct', alg: 'HS256' };
    const gateway = await start(t, { jwks: { keys: [oct, rsa.jwk] } });
    t.strictSame(await outcome(gateway, mintHmac(own, claimsOf(), { kid: 'oct' })), [401, 'bad_signature']);
    t.strictSame(await outcome(gateway, mint(rsa)), [200, 'ok']);
  },
);

t.test(
  'J5 a token signed by the secret is nothing to the set, and one by a key nothing to the secret',
  async (t) => {
    const gateway = await start(t);
    const claimed = [
      ...keys.map(({ algorithm: alg, kid }) => ({ alg, kid })),
      ...['none', 'HS384', 'HS512', 'hs256'].map((alg) => ({ alg, kid: rsa.kid })),
    ];
    for (const header of claimed)
      t.strictSame(
        await outcome(gateway, mintHmac(SECRET, claimsOf(), header)),
        [401, 'bad_signature'],
        header.alg,
      );
    t.strictSame(await outcome(gateway, mint(rsa, claimsOf(), { alg: 'HS256' })), [401, 'bad_signature']);
  },
);

t.test('K2 HS256 passes and is refused without the set: it never waits, and fetches nothing', async (t) => {
  let fetches = 0;
  const url = await startServer(t, (_, response) => {
    fetches++;
    response.writeHead(500).end();
  });
  const gateway = await start(t, { jwks: undefined, jwks_url: `${url}/keys` });
  const atStart = fetches;
  t.strictSame(await outcome(gateway, mintHmac(SECRET)), [200, 'ok']);
  t.strictSame(await outcome(gateway, mintHmac(SECRET, claimsOf(), { kid: 'unheard-of' })), [200, 'ok']);
  for (const header of [{}, { kid: 'unheard-of' }])
    t.strictSame(await outcome(gateway, mintHmac('wrong'.repeat(10), claimsOf(), header)), [
      401,
      'bad_signature',
    ]);
  t.equal(fetches, atStart);
  t.strictSame(await outcome(gateway, mint(rsa)), [503, 'keys_unavailable'], 'the others need the set');
});

t.test('K2 a bad HS256 token asks for no fetch while the set is there', async (t) => {
  let fetches = 0;
  const url = await startServer(t, (_, response) => {
    fetches++;
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(jwks));
  });
  const gateway = await start(t, { jwks: undefined, jwks_url: `${url}/keys` });
  t.strictSame(await outcome(gateway, mint(rsa)), [200, 'ok']);
  for (const header of [{}, { kid: 'unheard-of' }])
    t.strictSame(await outcome(gateway, mintHmac('wrong'.repeat(10), claimsOf(), header)), [
      401,
      'bad_signature',
    ]);
  t.equal(fetches, 1);
});

t.test('C5 J7 what makes no sense beside each other is refused when the file is read', async (t) => {
  const problemsOf = (changes: Record<string, unknown>): readonly string[] => {
    try {
      const text = JSON.stringify({ issuers: { login: issuerWith(changes) }, ...shared });
      parseConfiguration(text, 'f.json', '/tmp', {});
      return [];
    } catch (error) {
      if (error instanceof ConfigurationError) return error.problems;
      throw error;
    }
  };
  t.strictSame(problemsOf({}), []);
  t.strictSame(problemsOf({ algorithms: ['HS512', 'ES256'], hmac_secret: 'x'.repeat(64) }), []);
  t.match(problemsOf({ algorithms: ['HS256'] }), [/issuers\.login\.algorithms: .*key set/]);
  t.match(problemsOf({ algorithms: ['ES256'] }), [/issuers\.login\.algorithms: .*shared secret/]);
  t.match(problemsOf({ hmac_secret: 'short' }), [/issuers\.login\.hmac_secret: /]);
  t.match(problemsOf({ algorithms: ['HS512', 'ES256'] }), [/issuers\.login\.hmac_secret: /]);
  t.match(problemsOf({ discovery: true }), [/issuers\.login\.jwks: discovery and jwks exclude/]);
  t.match(problemsOf({ hmac_secret_file: 'x' }), [/hmac_secret and hmac_secret_file exclude/]);
});
