/** Redis by its URL, with the password in a file. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { startGateway, until, type TestGateway } from '../support/gateway.ts';
import { temporaryFolder } from '../support/process.ts';
import { startRedis } from '../support/redis.ts';

t.test('a gateway logs in to Redis with the password of a file', async (t) => {
  const redis = await startRedis(t, { options: ['user gateway on >right allkeys allcommands'] });
  const start = (password: string): Promise<TestGateway> => {
    const folder = temporaryFolder(t);
    writeFileSync(join(folder, 'password'), `${password}\n`, { mode: 0o600 });
    const store = { url: redis.url, username: 'gateway', password_file: 'password' };
    const configuration = {
      revocation: { store },
      routes: [{ name: 'all', match: {}, upstream: 'u', auth: { mode: 'none' } }],
      upstreams: { u: { targets: ['http://127.0.0.1:1'] } },
    };
    return startGateway(t, configuration, { folder, notReady: true });
  };
  const right = await start('right');
  await until(async () => (await fetch(`${right.adminUrl}/readyz`)).ok);
  t.match(await redis.command('CLIENT', 'LIST'), /user=gateway/);
  const wrong = await start('wrong');
  await until(() => wrong.log.some(({ level }) => level === 'error'));
  t.match(wrong.log.find(({ level }) => level === 'error')?.['error'], /WRONGPASS|invalid username/);
  t.equal((await fetch(`${wrong.adminUrl}/readyz`)).status, 503);
});
