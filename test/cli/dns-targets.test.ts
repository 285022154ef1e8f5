/** What the commands say of targets that are names. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { sallyport } from '../support/command.ts';
import { startDnsServer } from '../support/dns-server.ts';
import { startMembers } from '../support/members.ts';
import { temporaryFolder } from '../support/process.ts';

t.test('check --online resolves names and tries each address; explain --online shows them', async (t) => {
  const members = await startMembers(t, ['127.0.0.2']);
  const dns = await startDnsServer(t, {
    'orders.test': { a: ['127.0.0.2', '127.0.0.3'] },
    '_http._tcp.orders.test': { srv: [[0, 0, members.port, 'pod.test']] },
    'pod.test': { a: ['127.0.0.2'] },
  });
  const file = join(temporaryFolder(t), 'sallyport.json');
  const names = [`http://orders.test:${members.port}`, 'srv://_http._tcp.orders.test', 'http://gone.test'];
  writeFileSync(
    file,
    JSON.stringify({
      dns: { servers: [dns.address] },
      routes: names.map((_, index) => ({
        name: `r${index}`,
        match: { path_prefix: `/${index}` },
        upstream: `u${index}`,
        auth: { mode: 'none' },
      })),
      upstreams: Object.fromEntries(names.map((target, index) => [`u${index}`, { targets: [target] }])),
    }),
  );
  const { code, out } = await sallyport(['check', '-c', file, '--online', '--json']);
  t.equal(code, 1);
  const { online } = JSON.parse(out) as { online: { ok: boolean; detail: string; warning?: string }[] };
  t.strictSame(
    online.map(({ ok }) => ok),
    [true, true, false],
  );
  t.match(online[0], { detail: /127\.0\.0\.2, 127\.0\.0\.3/, warning: /127\.0\.0\.3/ });
  t.match(online[1]?.detail, `127.0.0.2:${members.port}`);
  t.match(online[2]?.detail, 'gone.test');

  const explained = async (...options: string[]): Promise<unknown> =>
    (
      JSON.parse(
        (await sallyport(['explain', 'GET', 'http://a.test/0', '-c', file, '--json', ...options])).out,
      ) as {
        upstream: { targets: unknown };
      }
    ).upstream.targets;
  const [url = ''] = names;
  t.strictSame(await explained('--online'), [`${url}: 127.0.0.2, 127.0.0.3`]);
  const asked = dns.asked.length;
  t.match(await explained(), [new RegExp(`^${url}: `)]);
  t.equal(dns.asked.length, asked, 'nothing is resolved without it');
});
