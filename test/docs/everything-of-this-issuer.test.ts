/** docs/how-to/everything-of-this-issuer.md, with its configurations, on two gateways with one Redis. Rules V1, V10, J19. */
import t from 'tap';
import { parse } from 'yaml';
import { parseConfiguration } from '../../src/config/load.ts';
import { send } from '../support/client.ts';
import { blocksOf, without } from '../support/document.ts';
import { startGateway, until, withTestPorts, type TestGateway } from '../support/gateway.ts';
import { startRedis } from '../support/redis.ts';
import { claimsOf, createKey, ISSUER, mint, nowSeconds } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

type Document = Record<string, unknown> & { issuers: Record<string, Record<string, unknown>> };

const PARTNER = 'https://login.partner.example';
const keys = { login: createKey(), partner: createKey() };
const tokenOf = (name: keyof typeof keys): string =>
  mint(keys[name], claimsOf({ iss: name === 'login' ? ISSUER : PARTNER }));
const [prepared = '', closed = ''] = blocksOf('how-to/everything-of-this-issuer.md')
  .filter(({ file }) => file === 'sallyport.yaml')
  .map(({ text }) => text);

/** As the page has it, but for keys, addresses and the store of the test. */
function configuration(text: string, { upstream, redis }: { upstream: string; redis: string }): Document {
  const document = { ...(parse(prepared) as Document), ...(parse(text) as Document) };
  for (const [name, key] of Object.entries(keys)) {
    const issuer = document.issuers[name] ?? {};
    t.equal(issuer['discovery'], true);
    document.issuers[name] = { ...without(issuer, 'discovery'), jwks: { keys: [key.jwk] } };
  }
  const changes = {
    revocation: { ...(document['revocation'] as object), store: redis },
    upstreams: { orders: { targets: [upstream] } },
  };
  return { ...(without(document, 'listeners', 'admin') as Document), ...changes };
}

const statusOf = async ({ url }: TestGateway, token: string): Promise<number> =>
  (await send(url, '/orders', { token })).status;

t.test('V1 V10 everything that an issuer has issued ends by one command, at every gateway', async (t) => {
  const redis = await startRedis(t);
  // The stream of /orders/stream never ends by itself.
  const upstream = await startUpstream(t, ({ url }, response) => {
    if (url !== '/orders/stream') response.end('ok');
    else response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n');
  });
  const whole = configuration(prepared, { upstream: upstream.url, redis: redis.url });
  const gateways = [await startGateway(t, whole), await startGateway(t, whole)] as const;
  const [first, second] = gateways;
  const [login, partner] = [tokenOf('login'), tokenOf('partner')];
  for (const gateway of gateways)
    for (const token of [login, partner]) t.equal(await statusOf(gateway, token), 200);
  const stream = await fetch(`${second.url}/orders/stream`, {
    headers: { authorization: `Bearer ${login}` },
  });
  const ended = stream.text().catch(() => 'broken');

  const revoked = await first.admin('POST', '/v1/revocations', { issuer: 'login', claim: { iss: ISSUER } });
  if (!t.equal(revoked.status, 201, await revoked.text())) return;
  const cutoff = nowSeconds();
  t.equal(await statusOf(first, login), 401, 'when the response is there, this gateway refuses it');
  await until(async () => (await statusOf(second, login)) === 401);
  await ended;
  for (const gateway of gateways) t.equal(await statusOf(gateway, partner), 200, 'other issuers go on');
  await until(() => nowSeconds() > cutoff);
  t.equal(await statusOf(second, tokenOf('login')), 200, 'what is issued later passes');
});

t.test(
  'J19 a closed issuer is refused from the reload on, new tokens too, and other issuers go on',
  async (t) => {
    const redis = await startRedis(t);
    const upstream = await startUpstream(t);
    const place = { upstream: upstream.url, redis: redis.url };
    const gateway = await startGateway(t, configuration(prepared, place));
    t.equal(await statusOf(gateway, tokenOf('login')), 200);
    const reload = async (text: string): Promise<void> => {
      const document = JSON.stringify(withTestPorts({ realm: 'test', ...configuration(text, place) }));
      const { folder, file } = gateway.loaded;
      await gateway.instance.reload({
        ...gateway.loaded,
        configuration: parseConfiguration(document, file, folder, {}),
      });
    };
    await reload(closed);
    const seen = upstream.seen.length;
    t.match(await send(gateway.url, '/orders', { token: tokenOf('login') }), {
      status: 401,
      problem: { code: 'invalid_token' },
    });
    t.equal(upstream.seen.length, seen);
    t.equal(await statusOf(gateway, tokenOf('partner')), 200);
    await until(() =>
      gateway.log.some(({ auth }) => (auth as { reason?: string } | undefined)?.reason === 'claim'),
    );
    await reload(prepared);
    t.equal(await statusOf(gateway, tokenOf('login')), 200, 'open again');
  },
);
