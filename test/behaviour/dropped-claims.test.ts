/** A claim that leaves `revocation.claims`: what its entries refuse must not pass in silence. Rules V1, V4. */
import t from 'tap';
import { join } from 'node:path';
import { systemClock } from '../../src/clock.ts';
import { ConfigurationError } from '../../src/config/load.ts';
import { claimsInForce } from '../../src/revocation/claims-in-force.ts';
import { MemoryStore } from '../../src/revocation/memory-store.ts';
import { claimTargetValue, targetId } from '../../src/revocation/revocation-target.ts';
import { SqliteStore } from '../../src/revocation/sqlite-store.ts';
import { send } from '../support/client.ts';
import { loginIssuer, startGateway, until, type TestGateway } from '../support/gateway.ts';
import { temporaryFolder } from '../support/process.ts';
import { claimsOf, createKey, ISSUER, mint, nowSeconds } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const key = createKey('EdDSA');
const upstream = await startUpstream(t);
const configuration = (claims: readonly string[], store = 'memory:'): Record<string, unknown> => ({
  issuers: { login: loginIssuer(key) },
  revocation: { claims, store },
  routes: [{ name: 'r', match: {}, upstream: 'u' }],
  upstreams: { u: { targets: [upstream.url] } },
});

/** With other claims, and all else as it is. */
function reload(gateway: TestGateway, loaded: TestGateway['loaded'], claims: string[]): Promise<void> {
  const { configuration: now } = loaded;
  return gateway.instance.reload({
    ...loaded,
    configuration: { ...now, revocation: { ...now.revocation, claims } },
  });
}

const phone = mint(key, claimsOf({ device: 'phone' }));
const unlisted = ({ log }: TestGateway): unknown[] => log.filter(({ claim }) => claim !== undefined);

t.test('V4 a reload may not drop a claim while entries of it refuse tokens', async (t) => {
  const gateway = await startGateway(t, configuration(['device', 'team']));
  const response = await gateway.admin('POST', '/v1/revocations', {
    issuer: ISSUER,
    claim: { device: 'phone' },
  });
  const { id } = (await response.json()) as { id: string };
  const refusal = reload(gateway, gateway.loaded, []);
  await t.rejects(refusal, ConfigurationError);
  await refusal.catch(({ problems }: ConfigurationError) => t.equal(problems.length, 1, 'team has none'));
  const before = upstream.seen.length;
  t.equal((await send(gateway.url, '/', { token: phone })).status, 401, 'the entry refuses its tokens still');
  t.equal(upstream.seen.length, before);
  await reload(gateway, gateway.loaded, ['device']);
  await gateway.admin('DELETE', `/v1/revocations/${id}`);
  await reload(gateway, gateway.loaded, []);
  t.equal((await send(gateway.url, '/', { token: phone })).status, 200);
});

t.test('V4 an entry that was put back may be of any claim: none may leave while it lives', async (t) => {
  const folder = temporaryFolder(t);
  const store = new SqliteStore(join(folder, 'list.sqlite'), systemClock);
  const id = targetId({ issuer: ISSUER, kind: 'claim', value: claimTargetValue('device', 'phone') });
  const version = { timeMs: Date.now(), counter: 0 };
  const expiresAt = nowSeconds() + 600;
  await store.merge([{ id, revoked: true, issuedBefore: nowSeconds() + 100, expiresAt, version }]);
  await store.close();
  const gateway = await startGateway(t, configuration(['device'], 'sqlite:list.sqlite'), { folder });
  await t.rejects(reload(gateway, gateway.loaded, []), ConfigurationError);
  const before = upstream.seen.length;
  t.equal((await send(gateway.url, '/', { token: phone })).status, 401);
  t.equal(upstream.seen.length, before);
});

t.test('V4 a reload may not drop a claim while the store cannot say whether entries name it', async (t) => {
  const gateway = await startGateway(t, configuration(['device']));
  t.intercept(MemoryStore.prototype, 'list', { value: () => Promise.reject(new Error('down')) });
  await t.rejects(reload(gateway, gateway.loaded, []), ConfigurationError);
  await reload(gateway, gateway.loaded, ['device', 'team']);
});

t.test('V4 a start warns of each claim that entries name and that is not looked at', async (t) => {
  const folder = temporaryFolder(t);
  const first = await startGateway(t, configuration(['device', 'team'], 'sqlite:list.sqlite'), { folder });
  for (const claim of [{ device: 'phone' }, { device: 'tablet' }, { team: 'red' }])
    await first.admin('POST', '/v1/revocations', { issuer: ISSUER, claim });
  t.strictSame(unlisted(first), []);
  await first.stop();
  const second = await startGateway(t, configuration(['team'], 'sqlite:list.sqlite'), { folder });
  await until(() => unlisted(second).length > 0);
  t.match(unlisted(second), [{ level: 'warn', claim: 'device', entries: 2 }]);
});

t.test('every page of the list is counted', async (t) => {
  const store = new MemoryStore(systemClock);
  const count = 5_003;
  for (let index = 0; index < count; index++) {
    const target = { issuer: ISSUER, kind: 'claim', value: claimTargetValue('device', `d${index}`) } as const;
    await store.revoke({
      id: targetId(target),
      target,
      issuedBefore: nowSeconds(),
      expiresAt: nowSeconds() + 600,
      createdBy: 'test',
      reason: null,
    });
  }
  const { entries, unnamed } = await claimsInForce(store);
  t.strictSame([[...entries], unnamed], [[['device', count]], 0]);
});
