/** The key of receipts and checkpoints (`proof`): where it comes from, who gets its public part. Rules J1, H7. */
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { proofKeys, verifyProof } from '../../src/identity/proof-jws.ts';
import { keyThumbprint } from '../../src/token/key-thumbprint.ts';
import { send } from '../support/client.ts';
import { sallyport } from '../support/command.ts';
import { startGateway, withTestPorts, type TestGateway } from '../support/gateway.ts';
import { temporaryFolder } from '../support/process.ts';
import { AUDIENCE, claimsOf, createKey, ISSUER, mint, type SigningKey } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const PATH = '/.well-known/sallyport/proof-jwks.json';
const upstream = await startUpstream(t);

const secretPem = ({ privateKey }: SigningKey): string =>
  privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
const publicPem = ({ publicKey }: SigningKey): string =>
  publicKey.export({ type: 'spki', format: 'pem' }) as string;

function configuration(proof: object | undefined, more: object = {}): Record<string, unknown> {
  return {
    ...(proof && { proof }),
    routes: [{ name: 'open', match: {}, upstream: 'u', auth: { mode: 'none' } }],
    upstreams: { u: { targets: [upstream.url] } },
    ...more,
  };
}

async function keysOf({
  adminUrl,
}: TestGateway): Promise<{ status: number; set: { keys: { kid: string }[] } }> {
  // Without an admin token: they are no secret.
  const response = await fetch(adminUrl + PATH);
  return { status: response.status, set: (await response.json()) as { keys: { kid: string }[] } };
}

t.test('the public keys of proofs are on the admin listener; a reload brings another key', async (t) => {
  const folder = temporaryFolder(t);
  const [old, now] = [createKey('EdDSA'), createKey('ES256')];
  writeFileSync(join(folder, 'proof.pem'), secretPem(old), { mode: 0o600 });
  writeFileSync(join(folder, 'old.pub.pem'), publicPem(old));
  const gateway = await startGateway(t, configuration({ key_file: 'proof.pem' }), { folder });
  const { status, set } = await keysOf(gateway);
  t.equal(status, 200);
  t.strictSame(
    set.keys.map(({ kid }) => kid),
    [keyThumbprint(old.publicKey.export({ format: 'jwk' }))],
  );
  t.notMatch(JSON.stringify(set), /"d"/);
  const proof = gateway.instance.generation.proof?.sign('revocation-receipt+jwt', { entry: 'e1' }) ?? '';

  writeFileSync(join(folder, 'proof.pem'), secretPem(now), { mode: 0o600 });
  const previous = [{ public_key_file: 'old.pub.pem' }];
  const { configuration: before } = gateway.loaded;
  const next = { key_file: 'proof.pem', key_id: 'second', previous_keys: previous, checkpoint_every: 60_000 };
  await gateway.instance.reload({ ...gateway.loaded, configuration: { ...before, proof: next } });
  const { set: after } = await keysOf(gateway);
  t.equal(after.keys.length, 2);
  t.equal(after.keys[0]?.kid, 'second');
  t.match(verifyProof(proof, 'revocation-receipt+jwt', proofKeys(after)), { claims: { entry: 'e1' } });
  writeFileSync(join(folder, 'proof.pem'), 'no key');
  await t.rejects(gateway.instance.reload(gateway.loaded), /proof\.key_file: it holds no private key/);
  t.equal((await keysOf(gateway)).set.keys[0]?.kid, 'second', 'the keys in use stay');
});

t.test('without a key there is nothing to fetch, and no public listener has the keys', async (t) => {
  const gateway = await startGateway(t, configuration(undefined));
  t.equal((await keysOf(gateway)).status, 404);
  t.match(await send(gateway.url, PATH), { status: 200, body: 'ok' }, 'this path belongs to the routes');
});

t.test('J1 a proof is no access token, even if an issuer has the key', async (t) => {
  const key = createKey('ES256');
  const login = { issuer: ISSUER, jwks: { keys: [key.jwk] }, audiences: [AUDIENCE], token_type: 'any' };
  const routes = [{ name: 'all', match: {}, upstream: 'u' }];
  const gateway = await startGateway(t, configuration(undefined, { issuers: { login }, routes }));
  const ask = (header: object): ReturnType<typeof send> =>
    send(gateway.url, '/', {
      headers: ['Authorization', `Bearer ${mint(key, claimsOf(), { typ: 'at+jwt', ...header })}`],
    });
  t.match(await ask({}), { status: 200 });
  const before = upstream.seen.length;
  for (const typ of ['revocation-receipt+jwt', 'audit-checkpoint+jwt'])
    t.match(await ask({ typ }), { status: 401 }, typ);
  t.equal(upstream.seen.length, before, 'the upstream saw nothing');
});

t.test('check names each key that cannot be used, and a key that every user can read', async (t) => {
  const folder = temporaryFolder(t);
  const [key, other] = [createKey('EdDSA'), createKey('EdDSA')];
  const write = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    chmodSync(join(folder, name), 0o600);
    return name;
  };
  write('proof.pem', secretPem(key));
  write('other.pem', secretPem(other));
  write('own.pub.pem', publicPem(key));
  write('old.pub.pem', publicPem(other));
  write('assertion.jwk', JSON.stringify(key.privateKey.export({ format: 'jwk' })));
  const check = async (proof: object, more: object = {}): Promise<{ code: number | null; out: string }> => {
    const file = join(folder, 'sallyport.json');
    writeFileSync(file, JSON.stringify(withTestPorts(configuration(proof, more))), { mode: 0o600 });
    const { code, out, err } = await sallyport(['check', '-c', file]);
    return { code, out: out + err };
  };
  const asserting = (key_file: string): object => ({ identity: { assertion: { key_file } } });
  const previous = (public_key_file: string): object => ({
    key_file: 'proof.pem',
    previous_keys: [{ public_key_file }],
  });
  t.match(await check(previous('old.pub.pem')), { code: 0 });
  for (const [proof, more, said] of [
    [{ key_file: 'none.pem' }, {}, /proof\.key_file: .*none\.pem cannot be read \(ENOENT\)/],
    [{ key_file: 'old.pub.pem' }, {}, /proof\.key_file: it holds no private key in PEM.*openssl genpkey/],
    [{ key_file: 'proof.pem' }, asserting('proof.pem'), /:\d+:\d+: proof\.key_file: is the key of identity/],
    [{ key_file: 'proof.pem' }, asserting('assertion.jwk'), /proof\.key_file: it is a key of identity/],
    [previous('other.pem'), {}, /previous_keys\[0\]\.public_key_file: it holds a private key; .*-pubout/],
    [previous('own.pub.pem'), {}, /proof\.key_file: it is one of previous_keys too/],
    [previous('proof.pem'), {}, /:\d+:\d+: proof\.previous_keys\[0\]\.public_key_file: is key_file too/],
    [{ key_file: 'proof.pem', key_id: 'a b' }, {}, /proof\.key_id: must be 1 to 128/],
    [{}, {}, /proof\.key_file/],
  ] as const)
    t.match(await check(proof, more), { code: 1, out: said });
  t.notMatch((await check({ key_file: 'proof.pem', checkpoint_every: '1h' })).out, /checkpoint_every/);
  t.match(
    (await check({ key_file: 'proof.pem', checkpoint_every: '2h' })).out,
    /warning: proof\.checkpoint_every: .*without a trace; lower it/,
  );
  chmodSync(join(folder, 'proof.pem'), 0o644);
  t.match(
    (await check({ key_file: 'proof.pem' })).out,
    /warning: proof\.key_file: .* can be read by every user/,
  );
});
