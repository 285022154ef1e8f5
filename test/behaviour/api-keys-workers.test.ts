/** API keys of the store in a gateway with workers, which share one copy of them with their primary. Rules V7, X3. */
import t from 'tap';
import type { ApiKeyJson, NewApiKeyJson } from '../../src/admin/api-key-json.ts';
import { send } from '../support/client.ts';
import { ADMIN_TOKEN, startGateway, until } from '../support/gateway.ts';
import { startGatewayProcess } from '../support/process.ts';
import { startRedis } from '../support/redis.ts';
import { INTEGRITY } from '../support/stored-keys.ts';
import { startUpstream } from '../support/upstream.ts';

/** New connections, of which the kernel gives each worker some: that one gets none has a chance of 2^-39. */
const MANY = 40;

t.test('V7 X3 a key that is made, rotated or revoked is so in every worker', async (t) => {
  const upstream = await startUpstream(t);
  const redis = await startRedis(t, { persistent: false });
  const shared = {
    revocation: { store: redis.url },
    issuers: { partners: { api_keys: { store: true, integrity_key: INTEGRITY } } },
    routes: [{ name: 'r', match: {}, upstream: 'u', auth: { issuers: ['partners'] } }],
    upstreams: { u: { targets: [upstream.url] } },
  };
  const other = await startGateway(t, shared);
  const before = (await (
    await other.admin('POST', '/v1/api-keys', { issuer: 'partners', subject: 's' })
  ).json()) as NewApiKeyJson;
  const gateway = await startGatewayProcess(t, { ...shared, workers: 2 });
  const admin = async (method: string, path: string, body?: object): Promise<unknown> =>
    (
      await fetch(`${gateway.adminUrl}${path}`, {
        method,
        headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
    ).json();
  const statuses = async (token: string): Promise<number[]> => {
    const all = Array.from({ length: MANY }, () => send(gateway.url, '/x', { token }));
    return [...new Set((await Promise.all(all)).map(({ status }) => status))];
  };
  await until(async () => (await statuses(before.key)).join() === '200');
  const made = (await admin('POST', '/v1/api-keys', { issuer: 'partners', subject: 's' })) as NewApiKeyJson;
  t.strictSame(await statuses(made.key), [200], 'no wait');
  const rotated = (await admin('POST', `/v1/api-keys/partners/${made.id}/rotate`, {})) as NewApiKeyJson;
  t.strictSame([await statuses(made.key), await statuses(rotated.key)], [[200], [200]]);
  await admin('DELETE', `/v1/api-keys/partners/${made.id}`);
  t.strictSame(await statuses(made.key), [401], 'no wait');
  await other.admin('DELETE', `/v1/api-keys/partners/${before.id}`);
  await until(async () => (await statuses(before.key)).join() === '401');
  t.strictSame(await statuses(rotated.key), [200]);
  await until(async () => {
    const key = (await admin('GET', `/v1/api-keys/partners/${rotated.id}`)) as ApiKeyJson;
    return key.last_used_at !== null;
  });
});
