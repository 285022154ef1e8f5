/** X-Forwarded-* between proxies. Rules F1, C3. */
import t from 'tap';
import { send } from '../support/client.ts';
import { OPEN, seenHeaders } from '../support/forwarding.ts';
import { startGateway, until } from '../support/gateway.ts';
import { startUpstream } from '../support/upstream.ts';

t.test('X-Forwarded-* of a trusted peer are kept and extended', async (t) => {
  const upstream = await startUpstream(t);
  const gateway = await startGateway(t, {
    trusted_proxies: ['127.0.0.0/8', '10.0.0.0/8'],
    routes: [OPEN],
    upstreams: { u: { targets: [upstream.url] } },
  });
  await send(gateway.url, '/open', {
    headers: [
      'X-Forwarded-For',
      '6.6.6.6, 203.0.113.9',
      'X-Forwarded-For',
      '10.1.2.3',
      'X-Forwarded-Proto',
      'https',
      'X-Forwarded-Host',
      'api.example.com',
    ],
  });
  t.match(upstream.seen.at(-1)?.headers, {
    'x-forwarded-for': '6.6.6.6, 203.0.113.9, 10.1.2.3, 127.0.0.1',
    'x-forwarded-proto': 'https',
    'x-forwarded-host': 'api.example.com',
  });
  await until(() => gateway.log.some(({ msg }) => msg === 'request'));
  t.equal(
    gateway.log.find(({ msg }) => msg === 'request')?.['client_ip'],
    '203.0.113.9',
    'the rightmost untrusted',
  );
});

t.test('a prefix that strip_prefix removes is sent as X-Forwarded-Prefix', async (t) => {
  const upstream = await startUpstream(t);
  const start = (trusted_proxies: string[]) =>
    startGateway(t, {
      trusted_proxies,
      routes: [
        OPEN,
        {
          ...OPEN,
          name: 'stripped',
          match: { path_prefix: '/shop/v1' },
          rewrite: { strip_prefix: '/shop', add_prefix: '/x' },
        },
        { ...OPEN, name: 'comma', match: { path_prefix: '/a,b' }, rewrite: { strip_prefix: '/a,b/' } },
        { ...OPEN, name: 'root', match: { path_prefix: '/' }, rewrite: { strip_prefix: '/' } },
      ],
      upstreams: { u: { targets: [upstream.url] } },
    });
  /** The prefixes that the upstream is told, where the client says these. */
  const told = async (url: string, path: string, ...said: string[]): Promise<string[]> => {
    const headers = said.flatMap((value) => ['X-Forwarded-Prefix', value]);
    await send(url, path, { headers: [...headers, 'Connection', 'x-forwarded-prefix'] });
    return seenHeaders(upstream.seen.at(-1)?.rawHeaders ?? [], 'x-forwarded-prefix');
  };

  t.test('C3 the client’s own X-Forwarded-Prefix never reaches the upstream', async (t) => {
    const { url } = await start([]);
    for (const said of [[], ['/evil'], ['//evil.example', '/evil']]) {
      t.strictSame(await told(url, '/shop/v1/a', ...said), ['/shop']);
      t.strictSame(await told(url, '/open', ...said), [], 'nothing was taken');
      t.strictSame(await told(url, '/', ...said), []);
    }
    t.equal(upstream.seen.find(({ url }) => url.startsWith('/x'))?.url, '/x/v1/a');
    t.strictSame(await told(url, '/a,b/c'), ['/a%2Cb'], 'one prefix, to those that look for several');
    await send(url, '/shop/v1', { headers: ['X_Forwarded_Prefix', '/evil', 'X.Forwarded-Prefix', '/evil'] });
    t.notOk(JSON.stringify(upstream.seen.at(-1)?.rawHeaders).includes('evil'));
  });

  t.test('the prefix that a trusted proxy removed comes first', async (t) => {
    const { url } = await start(['127.0.0.1']);
    t.strictSame(await told(url, '/shop/v1'), ['/shop']);
    t.strictSame(await told(url, '/shop/v1', '/outer'), ['/outer/shop']);
    t.strictSame(await told(url, '/shop/v1', '/a/, /b%C3%A9', '/c%2C'), ['/a/b%C3%A9/c%2C/shop']);
    t.strictSame(await told(url, '/open', '/outer/'), ['/outer']);
    t.strictSame(await told(url, '/open', '/'), []);
  });

  t.test('a prefix that no proxy removes from a path is dropped, even from a trusted proxy', async (t) => {
    const { url } = await start(['127.0.0.1']);
    const lies = [
      '//evil.example',
      'evil',
      '/a/../b',
      '/..',
      '/.',
      '/a//b',
      '/a\\b',
      'https://evil.example',
      '/a b',
    ];
    for (const lie of [...lies, '/%2e%2e', '/a%2Fb', '/a?b', '/a#b', '/ok, //evil.example']) {
      t.strictSame(await told(url, '/shop/v1', lie), ['/shop'], lie);
      t.strictSame(await told(url, '/open', lie), [], lie);
    }
  });
});
