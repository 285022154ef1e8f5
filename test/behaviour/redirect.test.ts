/** A plaintext listener that sends its clients to https. RFC 9110 section 15.4.9. */
import t from 'tap';
import { ConfigurationError } from '../../src/config/load.ts';
import { send, sendRaw } from '../support/client.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { startUpstream } from '../support/upstream.ts';

t.test('a redirect listener', async (t) => {
  const upstream = await startUpstream(t);
  const start = (listener: Record<string, unknown> = {}): Promise<TestGateway> =>
    startGateway(t, {
      listeners: [{ host: '127.0.0.1', port: 0, serve: 'redirect', ...listener }],
      routes: [{ name: 'all', match: {}, upstream: 'u', auth: { mode: 'none' } }],
      upstreams: { u: { targets: [upstream.url] } },
    });
  const gateway = await start();
  const host = ['host', 'API.example.com:8080'];

  t.test('sends every request to the same place on https, method and all', async (t) => {
    const response = await send(gateway.url, '/a%2Fb?c=d&e', { headers: host });
    t.equal(response.status, 308);
    t.equal(response.headers.location, 'https://api.example.com/a%2Fb?c=d&e');
    t.equal(response.headers['cache-control'], 'no-store');
    t.ok(response.headers['x-request-id']);
    const post = await send(gateway.url, '/', { method: 'POST', headers: host, body: 'hello' });
    t.equal(post.status, 308);
    const other = await start({ https_port: 8443 });
    t.equal(
      (await send(other.url, '/', { headers: ['host', '[::1]:80'] })).headers.location,
      'https://[::1]:8443/',
    );
  });

  t.test('refuses credentials, which have been read by others now', async (t) => {
    for (const authorization of ['Bearer abc', 'Basic abc', '']) {
      const response = await send(gateway.url, '/', { headers: [...host, 'authorization', authorization] });
      t.equal(response.status, 403);
      t.equal(response.problem.code, 'https_required');
      t.notOk(response.headers.location);
    }
  });

  t.test('C29 refuses a token in the query, in any spelling, or in a WebSocket handshake', async (t) => {
    const refused = async (path: string, headers: readonly string[] = []): Promise<void> => {
      const response = await send(gateway.url, path, { headers: [...host, ...headers] });
      t.match(response, { status: 403, problem: { code: 'https_required' } }, path);
      t.notOk(response.headers.location);
    };
    for (const query of [
      'access_token=abc',
      'a=b&access_token=abc',
      'a=b;access_token=abc',
      'access_token',
      'access_token=',
      'Access_Token=abc',
      'access%5Ftoken=abc',
      '%61ccess_token=abc',
    ])
      await refused(`/a?${query}`);
    await refused('/a', ['Sec-WebSocket-Protocol', 'chat, bearer, abc']);
    for (const query of ['token=abc', 'xaccess_token=abc', 'a=access_token'])
      t.equal((await send(gateway.url, `/a?${query}`, { headers: host })).status, 308, query);
  });

  t.test('C22 sends every spelling of a host to the same place', async (t) => {
    for (const spelling of ['api.example.com.', 'API.EXAMPLE.com.:8080', 'api.example.com:80']) {
      const { headers } = await send(gateway.url, '/a', { headers: ['host', spelling] });
      t.equal(headers.location, 'https://api.example.com/a', spelling);
    }
    for (const spelling of ['api.example.com..', 'api%2eexample.com', 'a@b', '127.1'])
      t.equal(
        (await send(gateway.url, '/a', { headers: ['host', spelling] })).problem.code,
        'bad_host',
        spelling,
      );
  });

  t.test('refuses what is refused anywhere', async (t) => {
    t.equal((await send(gateway.url, '/a/../b', { headers: host })).problem.code, 'bad_path');
    t.match(
      await sendRaw(gateway.port, 'GET / HTTP/1.1\r\n\r\n', (text) => text.includes('\n}')),
      /bad_host/,
    );
    t.match(
      await sendRaw(gateway.port, 'GET / HTTP/1.1\r\nHost: a"b\r\n\r\n', (text) => text.includes('\n}')),
      /bad_host/,
    );
    const webSocket =
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: a\r\n\r\n';
    t.match(await sendRaw(gateway.port, webSocket, (text) => text.includes('\r\n\r\n')), /^HTTP\/1\.1 308/);
  });

  t.test('is for plaintext only', async (t) => {
    const wrong: [Record<string, unknown>, RegExp][] = [
      [{ serve: 'redirect', tls: { cert: 'x', key: 'y' } }, /no meaning with serve: redirect/],
      [{ serve: undefined, https_port: 443 }, /without serve: redirect/],
      [{ serve: 'redirect', dialect: 'request' }, /without serve: decisions/],
      [{ serve: 'else' }, /must be decisions or redirect/],
    ];
    for (const [listener, message] of wrong) {
      const starting = start(listener);
      await t.rejects(starting, ConfigurationError);
      await starting.catch((error: ConfigurationError) => t.match(error.problems.join(), message));
    }
  });

  t.equal(upstream.seen.length, 0, 'the upstream saw nothing');
});
