/** A worker without a process: what it serves by over reloads. */
import { tmpdir } from 'node:os';
import t from 'tap';
import { parseConfiguration, type LoadedConfiguration } from '../../src/config/load.ts';
import { openSharedSockets } from '../../src/server/shared-sockets.ts';
import { createLog } from '../../src/telemetry/logger.ts';
import { passingTracing } from '../../src/telemetry/trace-context.ts';
import type { PrimaryCalls, WorkerCalls } from '../../src/workers/calls.ts';
import { Channel, type Handlers } from '../../src/workers/channel.ts';
import { Worker } from '../../src/workers/worker.ts';
import { send } from '../support/client.ts';
import { withTestPorts } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { pipes } from '../support/pipes.ts';
import { createKey } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

/** A primary with an empty list. */
const PRIMARY: Partial<Handlers<PrimaryCalls>> = {
  ready: () => undefined,
  position: () => ({ position: '0', ageMs: 0, inForce: [] }),
  page: () => ({ marks: [], before: 0 }),
  compare: () => ({ number: 0, inventory: { count: 0, checksum: 0 }, ageMs: 0 }),
  nowMs: () => Date.now(),
  merge: () => undefined,
};

const file = `${tmpdir()}/worker.json`;

t.test('a reload that a worker cannot prepare leaves what an earlier one put in place', async (t) => {
  const [first, second] = [await startUpstream(t), await startUpstream(t)];
  const loadedFor = (url: string, port: number): LoadedConfiguration => {
    const text = JSON.stringify(
      withTestPorts({
        listeners: [{ host: '127.0.0.1', port }],
        routes: [{ name: 'r', match: { path_prefix: '/' }, upstream: 'u', auth: { mode: 'none' } }],
        issuers: { login: { issuer: 'https://login.example.com', jwks: { keys: [createKey().jwk] } } },
        upstreams: { u: { targets: [url] } },
      }),
    );
    return { configuration: parseConfiguration(text, file, tmpdir(), {}), folder: tmpdir(), file };
  };
  const shared = await openSharedSockets({ host: '127.0.0.1', port: 0, mayShare: true }, 1);
  const [ofPrimary, ofWorker] = pipes();
  const clock = new ManualClock();
  new Worker({ pipe: ofWorker, log: createLog({ write: () => undefined }), clock, tracing: passingTracing });
  const worker = new Channel<WorkerCalls>(ofPrimary, clock, PRIMARY);
  t.teardown(() => worker.call('drain', undefined));
  t.strictSame(await worker.call('begin', loadedFor(first.url, shared.port)), []);
  await worker.call('listen', 0, 0, shared.handles[0]);
  const url = `http://127.0.0.1:${shared.port}`;
  t.equal((await send(url, '/')).status, 200);

  t.strictSame(await worker.call('prepare', loadedFor(second.url, shared.port)), []);
  await worker.call('commit', undefined);
  t.equal((await send(url, '/')).status, 200);

  const unfit = loadedFor(second.url, shared.port);
  Object.assign(unfit.configuration.issuers['login'] ?? {}, { jwks: undefined, jwks_file: 'gone.json' });
  t.not((await worker.call('prepare', unfit)).length, 0);
  await worker.call('discard', undefined);
  t.equal((await send(url, '/')).status, 200, 'it serves as before');
});
