/** Tokens signed with ML-DSA (RFC 9964), where the issuer's algorithms name it. */
import t, { type Test } from 'tap';
import { generateKeyPairSync, randomUUID, sign, type KeyObject } from 'node:crypto';
import { send } from '../support/client.ts';
import { sallyport } from '../support/command.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { temporaryFolder } from '../support/process.ts';
import { AUDIENCE, claimsOf, createKey, encode, ISSUER, mint } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { unsupportedText } from '../../src/config/algorithm-problems.ts';
import { isSupported } from '../../src/token/algorithms.ts';
import { importKeySet } from '../../src/token/verification-key.ts';

const upstream = await startUpstream(t);
const NAMES = ['ML-DSA-44', 'ML-DSA-65', 'ML-DSA-87'] as const;
type Name = (typeof NAMES)[number];

interface MlDsaKey {
  readonly name: Name;
  readonly jwk: Record<string, unknown>;
  readonly privateKey: KeyObject;
}

function createMlDsaKey(name: Name): MlDsaKey {
  const { publicKey, privateKey } = generateKeyPairSync(name.toLowerCase() as 'ml-dsa-44');
  return { name, privateKey, jwk: { ...publicKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig' } };
}

function mintMlDsa({ name, jwk, privateKey }: MlDsaKey, header: Record<string, unknown> = {}): string {
  const content = `${encode({ alg: name, typ: 'at+jwt', kid: jwk['kid'], ...header })}.${encode(claimsOf())}`;
  return `${content}.${sign(null, Buffer.from(content), privateKey).toString('base64url')}`;
}

const shared = {
  routes: [{ name: 'r', match: { path_prefix: '/' }, upstream: 'u' }],
  upstreams: { u: { targets: [upstream.url] } },
};
const issuerOf = (jwks: readonly object[], algorithms: readonly string[] | undefined): object => ({
  issuer: ISSUER,
  audiences: [AUDIENCE],
  jwks: { keys: jwks },
  algorithms,
});
const start = (t: Test, jwks: readonly object[], algorithms?: readonly string[]): Promise<TestGateway> =>
  startGateway(t, { issuers: { login: issuerOf(jwks, algorithms) }, ...shared });

async function outcome(on: TestGateway, token: string): Promise<[number, string | undefined]> {
  const lines = on.log.length;
  const before = upstream.seen.length;
  const { status } = await send(on.url, '/', { token });
  if (status !== 200 && upstream.seen.length !== before) throw new Error('the upstream saw it');
  const line = on.log.slice(lines).find(({ msg }) => msg === 'request');
  return [status, (line?.['auth'] as { reason?: string } | undefined)?.reason];
}

t.test('check says so where this Node has no ML-DSA, and asks nothing of the other algorithms', async (t) => {
  t.match(
    unsupportedText(['ES256', 'ML-DSA-44'], () => false),
    /OpenSSL/,
  );
  t.match(
    unsupportedText(['ES256', 'ML-DSA-65'], (name) => name === 'ES256'),
    /^ML-DSA-65 /,
  );
  t.equal(unsupportedText(['ES256', 'RS256', 'HS256', 'EdDSA']), undefined);
});

const unavailable = isSupported('ML-DSA-44') ? false : 'this Node has no ML-DSA';
t.test('ML-DSA', { skip: unavailable }, async (t) => {
  const ec = createKey('ES256');
  const keys = NAMES.map(createMlDsaKey);

  t.test('J5 a token of each size passes where the issuer names it, beside other keys', async (t) => {
    const gateway = await start(t, [...keys.map(({ jwk }) => jwk), ec.jwk], [...NAMES, 'ES256']);
    for (const key of keys) t.strictSame(await outcome(gateway, mintMlDsa(key)), [200, 'ok'], key.name);
    t.strictSame(await outcome(gateway, mint(ec)), [200, 'ok']);
  });

  t.test('J5 J21 it is no default, and one size does not stand for another', async (t) => {
    const [small, , large] = keys;
    if (!small || !large) throw new Error('no keys');
    const plain = await start(t, [small.jwk, ec.jwk]);
    t.strictSame(await outcome(plain, mintMlDsa(small)), [401, 'bad_signature']);
    const some = await start(t, [small.jwk, large.jwk], ['ML-DSA-87']);
    t.strictSame(await outcome(some, mintMlDsa(small)), [401, 'bad_signature']);
    t.strictSame(await outcome(some, mintMlDsa(large)), [200, 'ok']);
    const claimed = mintMlDsa(small, { alg: 'ML-DSA-87', kid: large.jwk['kid'] });
    t.strictSame(await outcome(some, claimed), [401, 'bad_signature']);
  });

  t.test('J5 J16 another content, a shorter or longer signature, or a bit that flipped: 401', async (t) => {
    const [, key] = keys;
    if (!key) throw new Error('no key');
    const gateway = await start(t, [key.jwk], NAMES);
    const [header = '', payload = '', signature = ''] = mintMlDsa(key).split('.');
    const bytes = Buffer.from(signature, 'base64url');
    const flipped = Buffer.from(bytes);
    flipped[100] = (flipped[100] ?? 0) ^ 1;
    const variants = [
      bytes.subarray(0, -1),
      Buffer.concat([bytes, Buffer.alloc(1)]),
      flipped,
      Buffer.alloc(64),
    ];
    for (const bad of variants)
      t.strictSame(await outcome(gateway, `${header}.${payload}.${bad.toString('base64url')}`), [
        401,
        'bad_signature',
      ]);
    const other = `${header}.${encode(claimsOf({ sub: 'mallory' }))}.${signature}`;
    t.strictSame(await outcome(gateway, other), [401, 'bad_signature']);
    t.strictSame(await outcome(gateway, `${header}.${payload}.${signature}`), [200, 'ok']);
  });

  t.test(
    'J6 J7 a JWK of kty AKP serves the one algorithm that it names, and only as a public key',
    async (t) => {
      const [{ jwk, privateKey } = createMlDsaKey('ML-DSA-44')] = keys;
      const algorithmsOf = (key: object): string[] =>
        importKeySet({ keys: [key] }, [...NAMES, 'RS256', 'ES256']).keys.flatMap(({ algorithms }) => [
          ...algorithms,
        ]);
      t.strictSame(algorithmsOf(jwk), ['ML-DSA-44']);
      for (const bad of [
        { ...jwk, alg: undefined },
        { ...jwk, alg: 'ML-DSA-65' },
        { ...jwk, alg: 'RS256' },
        { ...jwk, kty: 'RSA' },
        { ...jwk, pub: 'AAAA' },
        { ...jwk, pub: undefined },
        { ...jwk, use: 'enc' },
        privateKey.export({ format: 'jwk' }),
      ])
        t.strictSame(algorithmsOf(JSON.parse(JSON.stringify(bad)) as object), []);
    },
  );

  t.test('explain looks at such a token without the keys of its issuer', async (t) => {
    const [key] = keys;
    if (!key) throw new Error('no key');
    const folder = temporaryFolder(t);
    const remote = { issuer: ISSUER, audiences: [AUDIENCE], jwks_url: 'https://login.example/keys' };
    const file = join(folder, 'c.json');
    writeFileSync(
      file,
      JSON.stringify({ ...shared, issuers: { login: { ...remote, algorithms: ['ML-DSA-44'] } } }),
    );
    writeFileSync(join(folder, 'token'), mintMlDsa(key));
    const args = ['-c', file, '--token-file', join(folder, 'token')];
    const { code, out } = await sallyport(['explain', ...args, 'GET', 'http://api.example/']);
    t.equal(code, 0);
    t.match(out, /SIGNATURE NOT CHECKED/);
  });
});
