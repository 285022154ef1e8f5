/** The key `workers`: what `check` says of it. */
import t from 'tap';
import { parseConfiguration, type ConfigurationError } from '../../src/config/load.ts';
import type { Configuration } from '../../src/config/schema.ts';
import { tooManyWorkers, workerCount, workerNotes } from '../../src/config/worker-count.ts';

function parse(changes: Record<string, unknown>): Configuration {
  const configuration = {
    routes: [{ name: 'r', match: { path_prefix: '/' }, upstream: 'u', auth: { mode: 'none' } }],
    upstreams: { u: { targets: ['http://127.0.0.1:1'], health: { path: '/' } } },
    ...changes,
  };
  return parseConfiguration(JSON.stringify(configuration), 'test.json', '/', {});
}

function problemsOf(changes: Record<string, unknown>): string {
  try {
    parse(changes);
    return '';
  } catch (error) {
    return (error as ConfigurationError).problems.join('\n');
  }
}

t.test(
  'workers is a number from 1, or auto: one for each core; one process where it is absent',
  async (t) => {
    t.equal(workerCount(parse({}), 8), 1);
    t.equal(workerCount(parse({ workers: 3 }), 8), 3);
    t.equal(workerCount(parse({ workers: 'auto' }), 8), 8);
    for (const workers of [0, -1, 1.5, 'many']) t.match(problemsOf({ workers }), /: workers: /);
  },
);

t.test('a limit of which not every worker gets one is a problem', async (t) => {
  t.match(problemsOf({ workers: 4, limits: { in_flight: 3 } }), /: limits\.in_flight: /);
  t.match(problemsOf({ workers: 4, limits: { connections: 3 } }), /: limits\.connections: /);
  t.equal(problemsOf({ workers: 4, limits: { in_flight: 4, connections: 0 } }), '');
});

t.test('check says what workers divide and what each has of its own; nothing for one process', async (t) => {
  t.strictSame(workerNotes(parse({}), 8), []);
  const notes = workerNotes(parse({ workers: 'auto', limits: { in_flight: 16 } }), 8).join('\n');
  t.match(notes, /divide limits\.in_flight \(16\), upstreams\.u\.connections \(128\)/);
  t.match(notes, /128 MiB/);
  t.match(notes, /upstreams\.u\.health/);
  t.strictSame(tooManyWorkers(parse({ workers: 8 }), 8), []);
  t.equal(tooManyWorkers(parse({ workers: 9 }), 8).length, 1);
});
