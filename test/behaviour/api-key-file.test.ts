/** The file of API keys while the gateway runs: rotation, mistakes, streams, many keys. Rules X1, X3, V10. */
import { get, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import { request as pooled } from 'undici';
import t, { type Test } from 'tap';
import { keySha256, makeKey } from '../../src/api-keys/key-text.ts';
import { keyFile, keyIssuer, newKey, type KeyInFile } from '../support/api-keys.ts';
import { send } from '../support/client.ts';
import { startGateway, until } from '../support/gateway.ts';
import { startUpstream } from '../support/upstream.ts';

const configurationOf = (url: string, more: Record<string, unknown> = {}) => ({
  issuers: { partners: keyIssuer() },
  timeouts: { drain: '100ms' },
  routes: [{ name: 'all', match: {}, upstream: 'u', auth: { issuers: ['partners'] } }],
  upstreams: { u: { targets: [url] } },
  ...more,
});

async function scene(t: Test, entries: readonly KeyInFile[]) {
  const upstream = await startUpstream(t, (request, response) => {
    if (request.url !== '/events') response.end('ok');
    else {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: first\n\n');
    }
  });
  const file = keyFile(t, entries);
  const gateway = await startGateway(t, configurationOf(upstream.url), { folder: file.folder });
  const statusOf = async (key: string): Promise<number> =>
    (await send(gateway.url, '/', { token: key })).status;
  return { gateway, file, statusOf };
}

t.test('X3 a key is rotated under load, and no request is refused', async (t) => {
  const [old, next] = [newKey('old', { subject: 'team' }), newKey('next', { subject: 'team' })];
  const { gateway, file, statusOf } = await scene(t, [old.entry]);
  let key = old.key;
  let isDone = false;
  const statuses = new Map<number, number>();
  const client = async (): Promise<void> => {
    while (!isDone) {
      const { statusCode, body } = await pooled(gateway.url, { headers: { authorization: `Bearer ${key}` } });
      await body.dump();
      statuses.set(statusCode, (statuses.get(statusCode) ?? 0) + 1);
    }
  };
  const clients = Array.from({ length: 8 }, client);
  file.write([old.entry, next.entry]);
  await until(async () => (await statusOf(next.key)) === 200);
  const before = statuses.get(200) ?? 0;
  key = next.key;
  await until(() => (statuses.get(200) ?? 0) > before + 200);
  file.write([next.entry]);
  await until(async () => (await statusOf(old.key)) === 401);
  isDone = true;
  await Promise.all(clients);
  t.strictSame([...statuses.keys()], [200], 'each request of the clients has passed');
  t.ok((statuses.get(200) ?? 0) > 200);
  t.match(
    gateway.log.find(({ msg }) => msg === 'the API keys are read again'),
    { issuer: 'partners', keys: 2 },
  );
});

t.test('a file with a mistake keeps the keys before, and the log and a metric say so', async (t) => {
  const [kept, later] = [newKey('kept'), newKey('later')];
  const { gateway, file, statusOf } = await scene(t, [kept.entry]);
  const usable = (): Promise<number> => gateway.metric('sallyport_api_key_file_usable{issuer="partners"}');
  t.equal(await usable(), 1);
  for (const text of [
    '[{"id": "kept", "sha256": "00"}]',
    '[',
    '',
    JSON.stringify([kept.entry, { ...kept.entry, id: 'other' }]),
  ]) {
    const said = gateway.log.length;
    file.write(text);
    await until(() => gateway.log.slice(said).some(({ problems }) => problems !== undefined));
    t.match(gateway.log.slice(said), [
      {
        level: 'error',
        issuer: 'partners',
        problems: [/keys\.json:1:\d+: /],
        msg: 'the changed file of API keys cannot be used; the keys before stay',
      },
    ]);
    t.equal(await usable(), 0);
    t.equal(await statusOf(kept.key), 200);
  }
  file.write([later.entry]);
  await until(async () => (await statusOf(later.key)) === 200);
  t.equal(await statusOf(kept.key), 401);
  t.equal(await usable(), 1);
});

t.test('V10 X3 a key that is removed from the file ends the stream that it has opened', async (t) => {
  const [gone, stays] = [newKey('gone'), newKey('stays')];
  const { gateway, file } = await scene(t, [gone.entry, stays.entry]);
  const open = async (key: string): Promise<IncomingMessage> => {
    const request = get(`${gateway.url}/events`, {
      headers: { authorization: `Bearer ${key}` },
      agent: false,
    });
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    response.on('error', () => undefined);
    response.resume();
    t.teardown(() => request.destroy());
    return response;
  };
  const [ended, lasting] = [await open(gone.key), await open(stays.key)];
  // A reload of the configuration lies between: the stream is one of an older generation.
  await gateway.instance.reload(gateway.loaded);
  file.write([stays.entry]);
  await until(() => ended.destroyed);
  t.equal(await gateway.metric('sallyport_streams_closed_total{reason="revoked"}'), 1);
  t.notOk(lasting.destroyed);
});

t.test('a reload keeps what was read, and an issuer that is gone has no keys any more', async (t) => {
  const { key, entry } = newKey('kept');
  const { gateway, file, statusOf } = await scene(t, [entry]);
  const keys = gateway.instance.generation.issuers.keyFiles.get('partners');
  await gateway.instance.reload(gateway.loaded);
  t.equal(gateway.instance.generation.issuers.keyFiles.get('partners'), keys);
  t.equal(await statusOf(key), 200);
  file.write([]);
  await until(async () => (await statusOf(key)) === 401);
});

t.test('10,000 keys are read at once, and each is found', async (t) => {
  const texts = Array.from({ length: 10_000 }, () => makeKey());
  const entries = texts.map((key, index) => ({
    id: `k${index}`,
    sha256: keySha256(key),
    subject: `s${index}`,
  }));
  const { gateway, statusOf } = await scene(t, entries);
  t.equal(gateway.instance.generation.issuers.keyFiles.get('partners')?.entries.length, 10_000);
  t.equal(await gateway.metric('sallyport_api_keys{issuer="partners"}'), 10_000);
  for (const index of [0, 4_999, 9_999]) t.equal(await statusOf(texts[index] ?? ''), 200);
  t.equal(await statusOf(makeKey()), 401);
});
