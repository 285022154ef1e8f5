/** gRPC through the gateway, with grpc-js at both ends. Rules B5, V10, V15. */
import { status } from '@grpc/grpc-js';
import t from 'tap';
import { noOpenssl } from '../support/certificates.ts';
import { until } from '../support/gateway.ts';
import { callStream, callUnary, key, same, startGrpc, withToken } from '../support/grpc.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { claimsOf, mint } from '../support/tokens.ts';

const UNARY = '/test.Echo/unary';

t.test('every type of call passes, with its metadata', { skip: noOpenssl }, async (t) => {
  const { client, seen } = await startGrpc(t);
  const metadata = withToken(mint(key));
  metadata.set('x-key-bin', Buffer.from([0, 200, 255]));
  const called = await callUnary(client, UNARY, metadata, 'hello', { deadline: Date.now() + 60_000 });
  t.match(called, { code: 0, body: 'hello' });
  t.strictSame(called.initial?.get('x-initial'), ['i']);
  t.strictSame(called.metadata.get('x-trailer-bin'), [Buffer.from([0, 1, 255])]);
  t.strictSame(seen[0]?.get('x-key-bin'), [Buffer.from([0, 200, 255])]);
  t.strictSame(seen[0]?.get('authorization'), []);

  const parts = Array.from({ length: 200 }, (_, index) => Buffer.alloc(1_000, index));
  const joined = Buffer.concat(parts).toString('latin1');
  t.match(await callStream(client, '/test.Echo/both', metadata, parts), { code: 0, body: joined });
  t.match(await callStream(client, '/test.Echo/up', metadata, parts), { code: 0, body: joined });
  t.match(await callStream(client, '/test.Echo/down', metadata, [Buffer.from('abc')]), {
    code: 0,
    body: 'abc',
  });
  const failed = await callUnary(client, '/test.Echo/fails', metadata, 'x');
  t.equal(failed.code, status.FAILED_PRECONDITION, 'a response that has only trailers passes');
  t.strictSame(failed.metadata.get('x-why'), ['because']);
  t.equal(
    (await callUnary(client, '/test.Echo/none', metadata, 'x')).code,
    status.UNIMPLEMENTED,
    "the upstream's own refusal passes",
  );
});

t.test('a deadline and a cancellation of the client reach the upstream', { skip: noOpenssl }, async (t) => {
  const { client, cancelled } = await startGrpc(t);
  const metadata = withToken(mint(key));
  t.equal(
    (await callUnary(client, '/test.Echo/never', metadata, 'x', { deadline: Date.now() + 500 })).code,
    status.DEADLINE_EXCEEDED,
  );
  await until(() => cancelled.length === 1);
  const call = client.makeBidiStreamRequest('/test.Echo/both', same, same, metadata);
  call.on('error', () => undefined);
  call.write(Buffer.from('x'));
  await new Promise((resolve) => call.once('data', resolve));
  call.cancel();
  await until(() => cancelled.length === 2);
  t.strictSame(cancelled, ['never', 'both']);
});

t.test('G5 a refusal is one of gRPC, with its challenge in the metadata', { skip: noOpenssl }, async (t) => {
  const { client, seen, gateway } = await startGrpc(t);
  const missing = await callUnary(client, UNARY, withToken(''), 'x');
  t.equal(missing.code, status.UNAUTHENTICATED);
  t.match(missing.metadata.get('www-authenticate')[0], /^Bearer realm="test"$/);
  const bad = await callUnary(client, UNARY, withToken('bad'), 'x');
  t.equal(bad.code, status.UNAUTHENTICATED);
  t.match(bad.metadata.get('www-authenticate')[0], /invalid_token/);
  const lacking = await callUnary(client, '/test.Admin/x', withToken(mint(key)), 'x');
  t.equal(lacking.code, status.PERMISSION_DENIED);
  t.match(lacking.metadata.get('www-authenticate')[0], /insufficient_scope.*admin/);
  t.equal((await callUnary(client, '/none/x', withToken(mint(key)), 'x')).code, status.UNIMPLEMENTED);
  const twice = withToken(mint(key));
  twice.add('authorization', 'Basic x');
  t.equal((await callUnary(client, UNARY, twice, 'x')).code, status.INTERNAL, '400');
  t.strictSame(seen, [], 'the upstream saw nothing');
  t.equal(await gateway.metric('sallyport_requests_in_flight'), 0);
});

t.test('an upstream that is down, mute or full is UNAVAILABLE', { skip: noOpenssl }, async (t) => {
  const down = await startGrpc(t, {}, 'h2c://127.0.0.1:1');
  t.equal((await callUnary(down.client, UNARY, withToken(mint(key)), 'x')).code, status.UNAVAILABLE);
  const route = { name: 'all', match: {}, upstream: 'u', timeouts: { response: '300ms' } };
  const slow = await startGrpc(t, { routes: [route] });
  t.equal(
    (await callUnary(slow.client, '/test.Echo/never', withToken(mint(key)), 'x')).code,
    status.UNAVAILABLE,
  );
  const full = await startGrpc(t, { limits: { in_flight: 1 } });
  const metadata = withToken(mint(key));
  const first = callUnary(full.client, '/test.Echo/never', metadata, 'x', { deadline: Date.now() + 5_000 });
  await until(() => full.seen.length === 1);
  t.equal((await callUnary(full.client, UNARY, metadata, 'x')).code, status.UNAVAILABLE);
  t.equal((await first).code, status.DEADLINE_EXCEEDED);
});

t.test(
  'V10 a running stream ends with UNAUTHENTICATED once its token is revoked',
  { skip: noOpenssl },
  async (t) => {
    const { client, gateway, cancelled } = await startGrpc(t);
    const claims = claimsOf();
    const call = client.makeBidiStreamRequest('/test.Echo/both', same, same, withToken(mint(key, claims)));
    const ended = new Promise<number>((resolve) => call.on('status', ({ code }) => resolve(code)));
    call.on('error', () => undefined);
    call.write(Buffer.from('x'));
    await new Promise((resolve) => call.once('data', resolve));
    const revoked = await gateway.admin('POST', '/v1/revocations', {
      issuer: claims['iss'],
      subject: claims['sub'],
    });
    t.ok(revoked.ok, await revoked.text());
    t.equal(await ended, status.UNAUTHENTICATED);
    await until(() => cancelled.length === 1);
    t.pass('the upstream is told');
  },
);

t.test(
  '400 mixed calls, some cancelled, with a reload in between: no wrong response',
  { skip: noOpenssl },
  async (t) => {
    const seed = Date.now() % 1_000_000;
    t.comment(`seed ${seed}`);
    const random = new SeededRandom(seed);
    const { client, gateway } = await startGrpc(t);
    const metadata = withToken(mint(key));
    const wrong: string[] = [];
    let done = 0;
    const one = async (): Promise<void> => {
      const text = `${random.below(1e9)}`.repeat(1 + random.below(200));
      const kind = random.below(5);
      if (kind === 4) {
        const call = client.makeBidiStreamRequest('/test.Echo/both', same, same, metadata);
        call.on('error', () => undefined).on('data', () => call.cancel());
        call.write(Buffer.from(text));
        await new Promise((resolve) => call.on('status', resolve));
        return;
      }
      const { code, body } =
        kind === 0
          ? await callUnary(client, UNARY, metadata, text)
          : await callStream(
              client,
              `/test.Echo/${random.of(['both', 'up'])}`,
              metadata,
              (text.match(/.{1,37}/g) ?? []).map((part) => Buffer.from(part)),
            );
      if (code !== 0 || body !== text) wrong.push(`${kind}: ${code}`);
    };
    const worker = async (): Promise<void> => {
      while (done < 400) {
        if (++done === 200) await gateway.instance.reload(gateway.loaded);
        await one();
      }
    };
    await Promise.all(Array.from({ length: 20 }, worker));
    t.strictSame(wrong, []);
  },
);
