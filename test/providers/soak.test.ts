/** `npm run soak`, for some seconds: too short to say anything of memory, and long enough for each kind of request. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import t from 'tap';

const SOAK = new URL('../../bench/soak.ts', import.meta.url).pathname;

t.test(
  'it plays each kind of request, gets what it must, and gives its verdict',
  { timeout: 180_000 },
  async (t) => {
    const child = spawn(process.execPath, [SOAK, '--minutes', '0.3', '--rate', '100'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    t.teardown(() => child.kill('SIGTERM'));
    let out = '';
    child.stdout.on('data', (bytes: Buffer) => (out += bytes.toString()));
    await once(child, 'close');
    for (const kind of [
      'known',
      'new',
      'bad, new',
      'HTTP/2',
      'gRPC',
      'client aborts',
      'upstream resets',
      'revoked',
    ])
      t.match(out, new RegExp(`^${kind} +[1-9]`, 'm'), kind);
    t.match(out, /^holds {2}each response was what it must be$/m, out);
    t.match(out, /^(?:holds |FAILS ) live heap grew by/m);
  },
);
