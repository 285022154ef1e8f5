/**
 * What a revocation names: empty values name nothing, a claim is named by its value or an element, an issuer by what is
 * configured; and what the audit line and the list say of it. Rules V4, V7, V13, V16.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { systemClock } from '../../src/clock.ts';
import { targetId } from '../../src/revocation/revocation-target.ts';
import { send } from '../support/client.ts';
import { sallyport } from '../support/command.ts';
import { ADMIN_TOKEN, loginIssuer, startGateway, type TestGateway } from '../support/gateway.ts';
import { SqliteStore } from '../../src/revocation/sqlite-store.ts';
import { temporaryFolder } from '../support/process.ts';
import { claimsOf, createKey, ISSUER, mint, nowSeconds } from '../support/tokens.ts';
import { startServer, startUpstream } from '../support/upstream.ts';

const key = createKey('EdDSA');
const upstream = await startUpstream(t);
const configuration = (more: Record<string, unknown> = {}): Record<string, unknown> => ({
  issuers: { login: { ...loginIssuer(key), token_type: 'any' } },
  revocation: { claims: ['device', 'realm.groups'] },
  routes: [{ name: 'r', match: {}, upstream: 'u' }],
  upstreams: { u: { targets: [upstream.url] } },
  ...more,
});

async function revoke(gateway: TestGateway, body: object): Promise<{ status: number; id: string }> {
  const response = await gateway.admin('POST', '/v1/revocations', body);
  return { status: response.status, id: ((await response.json()) as { id: string }).id };
}

function adminOptions(t: Test, gateway: TestGateway): string[] {
  const file = join(temporaryFolder(t), 'admin-token');
  writeFileSync(file, ADMIN_TOKEN, { mode: 0o600 });
  return ['--admin', gateway.adminUrl, '--admin-token-file', file];
}

async function statusOf(gateway: TestGateway, token: string): Promise<number> {
  const before = upstream.seen.length;
  const { status } = await send(gateway.url, '/', { token });
  if (status !== 200 && upstream.seen.length !== before)
    throw new Error('the upstream saw a refused request');
  return status;
}

t.test('V16 an empty jti is no identity: revoking one such token spares the other', async (t) => {
  const gateway = await startGateway(t, configuration());
  const [one, other] = ['one', 'other'].map((sub) => mint(key, claimsOf({ jti: '', sub })));
  t.equal((await revoke(gateway, { token: one })).status, 201);
  t.strictSame([await statusOf(gateway, one ?? ''), await statusOf(gateway, other ?? '')], [401, 200]);
});

t.test(
  'V16 an empty client_id gives way to azp; an empty sub, sid or claim is found by no entry',
  async (t) => {
    const gateway = await startGateway(t, configuration());
    const token = mint(key, claimsOf({ client_id: '', azp: 'app', sub: '', sid: '', device: '' }));
    t.equal(await statusOf(gateway, token), 200);
    // As an older gateway may have stored them.
    for (const [kind, value] of [
      ['subject', ''],
      ['session', ''],
      ['client', ''],
      ['claim', '["device",""]'],
    ] as const) {
      const target = { issuer: ISSUER, kind, value };
      const version = { timeMs: Date.now(), counter: 0 };
      const issuedBefore = kind === 'session' ? null : nowSeconds() + 100;
      gateway.instance.view.apply([
        { id: targetId(target), revoked: true, issuedBefore, expiresAt: nowSeconds() + 600, version },
      ]);
    }
    t.equal(await statusOf(gateway, token), 200);
    await revoke(gateway, { issuer: ISSUER, client: 'app' });
    t.equal(await statusOf(gateway, token), 401);
  },
);

t.test(
  'V4 a claim is revoked by its value, or by an element of it, never by a part of a string',
  async (t) => {
    const cases: [claim: unknown, revoked: unknown, status: number][] = [
      ['phone', 'phone', 401],
      ['phone', 'pho', 200],
      ['a,b', 'a', 200],
      ['a,b', 'a,b', 401],
      [['a', 'b'], 'b', 401],
      [['a', 'b'], 'a,b', 200],
      [['a,b'], 'a,b', 401],
      [[' é '], ' é ', 401],
      [7, 7, 401],
      [[1, 7], 7, 401],
      [[1, 7], '7', 401],
      [true, true, 401],
      [[false], false, 401],
      [[['deep']], 'deep', 200],
      [[{ id: 'x' }], 'x', 200],
      [[null, ''], 'null', 200],
      [null, 'null', 200],
      [{ id: 'x' }, 'x', 200],
    ];
    for (const [claim, revoked, status] of cases) {
      const gateway = await startGateway(t, configuration());
      const token = mint(key, claimsOf({ device: claim }));
      t.equal(await statusOf(gateway, token), 200);
      await revoke(gateway, { issuer: ISSUER, claim: { device: revoked } });
      t.equal(await statusOf(gateway, token), status, JSON.stringify([claim, revoked]));
      await gateway.stop();
    }
  },
);

t.test('V4 numbers are named by their digits, and as they are usually written', async (t) => {
  const gateway = await startGateway(t, configuration());
  const withNumber = (digits: string): string =>
    mint(key, JSON.stringify(claimsOf({ device: 'HERE' })).replace('"HERE"', digits));
  const [big, other, point] = ['12345678901234567890', '12345678901234567891', '1.0'].map(withNumber);
  await gateway.admin(
    'POST',
    '/v1/revocations',
    `{"issuer":"login","claim":{"device":12345678901234567890}}`,
  );
  t.strictSame([await statusOf(gateway, big ?? ''), await statusOf(gateway, other ?? '')], [401, 200]);
  await revoke(gateway, { issuer: ISSUER, claim: { device: 1 } });
  t.equal(await statusOf(gateway, point ?? ''), 401);
});

t.test('V4 a claim with more than 256 elements cannot be looked through: its token is refused', async (t) => {
  const gateway = await startGateway(t, configuration());
  const groups = (count: number): string =>
    mint(key, claimsOf({ realm: { groups: Array.from({ length: count }, (_, index) => `g${index}`) } }));
  t.equal(await statusOf(gateway, groups(256)), 200);
  t.equal(await statusOf(gateway, groups(257)), 401);
  // Before the cutoff: the next second may have begun when it is set.
  const whole = groups(256);
  await gateway.admin('POST', '/v1/revocations', { issuer: ISSUER, claim: { 'realm.groups': 'g255' } });
  t.equal(await statusOf(gateway, whole), 401, 'the last element counts');
  t.equal(await statusOf(gateway, groups(255)), 200);
  const others = await startGateway(t, configuration({ revocation: {} }));
  t.equal(await statusOf(others, groups(257)), 200, 'where none is revoked by it, it may be long');
});

t.test('V13 an unknown issuer is 400 unless the caller says that it may be', async (t) => {
  const asked = await startServer(t, (_, response) => response.end('{}'));
  const gateway = await startGateway(
    t,
    configuration({
      issuers: {
        login: loginIssuer(key),
        // Its responses may have any iss.
        opaque: { introspection: { url: asked, client_id: 'g', client_secret: 's' } },
      },
    }),
  );
  const body = { issuer: 'https://login.example.com/', subject: 'alice' };
  const before = await gateway.metric('sallyport_revocation_entries');
  t.equal((await revoke(gateway, body)).status, 400);
  t.equal((await revoke(gateway, { ...body, dry_run: true })).status, 400);
  t.equal((await revoke(gateway, { ...body, allow_unknown_issuer: false })).status, 400);
  t.equal(await gateway.metric('sallyport_revocation_entries'), before);
  const { status, id } = await revoke(gateway, { ...body, allow_unknown_issuer: true });
  t.equal(status, 201);
  t.equal(id, targetId({ issuer: body.issuer, kind: 'subject', value: 'alice' }));
  t.equal((await revoke(gateway, { issuer: 'opaque', subject: 'alice' })).status, 201, 'a configured name');
  const command = ['revoke', '--issuer', 'https://other', '--session', 's'];
  const asAdmin = adminOptions(t, gateway);
  t.match(await sallyport([...command, ...asAdmin]), { code: 1 });
  const allowed = await sallyport([...command, ...asAdmin, '--allow-unknown-issuer', '--json']);
  t.equal(allowed.code, 0);
  t.match(JSON.parse(allowed.out), { issuer: 'https://other', issued_before: null });
  const cutoff = await sallyport([...command, ...asAdmin, '--issued-before', '2026-01-01T00:00:00Z']);
  t.equal(cutoff.code, 2, 'a cutoff for a session is wrong usage');
});

t.test('an entry that was put back is listed and shown: only its id is known', async (t) => {
  const target = { issuer: ISSUER, kind: 'subject', value: 'lost' } as const;
  const id = targetId(target);
  const folder = temporaryFolder(t);
  const store = new SqliteStore(join(folder, 'list.sqlite'), systemClock);
  await store.merge([
    {
      id,
      revoked: true,
      issuedBefore: nowSeconds(),
      expiresAt: nowSeconds() + 600,
      version: { timeMs: Date.now(), counter: 0 },
    },
  ]);
  await store.close();
  const sqlite = { store: 'sqlite:list.sqlite' };
  const gateway = await startGateway(t, configuration({ revocation: sqlite }), { folder });
  const asAdmin = adminOptions(t, gateway);
  for (const command of [['revocations'], ['revocations', 'show', id]]) {
    const plain = await sallyport([...command, ...asAdmin]);
    t.equal(plain.code, 0, plain.err);
    t.match(plain.out, id);
    const json = await sallyport([...command, '--json', ...asAdmin]);
    t.match(JSON.parse(json.out), [{ id, issuer: null, target: null, created_by: 'restored' }]);
  }
  t.equal((await sallyport(['unrevoke', id, ...asAdmin])).code, 0);
});

t.test('V7 "changed" in the audit line means one thing: the list is another than before', async (t) => {
  const gateway = await startGateway(t, configuration());
  const changed = (): unknown[] =>
    gateway.log
      .filter(({ msg }) => msg === 'audit')
      .map(({ audit }) => (audit as { changed: unknown }).changed);
  const body = { issuer: ISSUER, subject: 'alice', issued_before: 1_000 };
  const { id } = await revoke(gateway, body);
  await revoke(gateway, { ...body, issued_before: 900 });
  await revoke(gateway, { ...body, issued_before: 2_000 });
  const expired = mint(key, claimsOf({ iat: nowSeconds() - 900, exp: nowSeconds() - 300 }));
  await revoke(gateway, { token: expired });
  await gateway.admin('DELETE', `/v1/revocations/${id}`);
  const [first, ...rest] = changed();
  t.equal(first, true, 'a new entry');
  t.strictSame(rest.slice(1), [true, false, true], 'a later cutoff; an expired token; an undo');
  const counted = (action: string): Promise<number> =>
    gateway.metric(`sallyport_revocation_changes_total{action="${action}",by="admin"}`);
  t.equal(await counted('revoke'), changed().filter((each) => each === true).length - 1);
  t.equal(await counted('undo'), 1);
});
