/** A real nginx with the test's configuration. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { sendRaw } from './client.ts';
import { until } from './gateway.ts';
import { temporaryFolder } from './process.ts';
import { freePort } from './redis.ts';

/** Why the tests that need it are skipped; false if it is installed. */
export const noNginx =
  spawnSync('nginx', ['-v']).status !== 0 && 'nginx is not installed: apt-get install -y nginx';

/** @param servers the content of the http block, for this port. Returns the port once nginx serves it. */
export async function startNginx(t: Test, servers: (port: number) => string): Promise<number> {
  const folder = temporaryFolder(t);
  const port = await freePort();
  const file = join(folder, 'nginx.conf');
  const folders = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${folder}/${name};`,
  );
  // One process: the worker would outlive a killed master.
  writeFileSync(
    file,
    `daemon off; master_process off; pid ${folder}/nginx.pid; error_log stderr crit; events {}
     http { access_log off; ${folders.join(' ')} ${servers(port)} }`,
  );
  const child = spawn('nginx', ['-c', file, '-p', folder, '-e', 'stderr'], { stdio: 'ignore' });
  const exited = once(child, 'exit');
  t.teardown(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  await until(async () => {
    if (child.exitCode !== null) throw new Error('nginx ended at once');
    return (await sendRaw(port, 'GET / HTTP/1.1\r\nHost: up\r\nConnection: close\r\n\r\n')) !== '';
  });
  return port;
}
