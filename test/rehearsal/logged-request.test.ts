/** Lines of a log, as the gateway and collectors write them, and as others may have. */
import t from 'tap';
import { readLogLine } from '../../src/rehearsal/logged-request.ts';

const LINE = {
  ...{ level: 'info', route: 'orders', method: 'GET', scheme: 'https', host: 'a.example', path: '/orders' },
  ...{ status: 403, error: 'insufficient_scope', msg: 'request' },
  auth: {
    ...{ decision: 'deny', reason: 'insufficient_scope', issuer: 'login', client_id: 'web', jti_hash: 'x' },
    missing_scope: 'a b',
  },
};
const text = JSON.stringify(LINE);
const OTHER = { kind: 'other' };

t.test('a line is read as the gateway writes it, and as collectors keep it', async (t) => {
  const found = readLogLine(text);
  t.match(found, {
    kind: 'request',
    request: {
      ...{ route: 'orders', method: 'GET', status: 403, error: 'insufficient_scope', standsFor: 1 },
      target: { scheme: 'https', host: 'a.example', path: '/orders' },
      auth: { isVerified: true, missingScopes: ['a', 'b'], namesAllMissing: true, issuer: 'login' },
    },
  });
  t.strictSame(readLogLine(`2026-01-31T12:00:00Z stdout F ${text}\r`), found, 'Kubernetes');
  t.strictSame(readLogLine(JSON.stringify({ log: `${text}\n`, stream: 'stdout' })), found, 'Docker');
});

t.test('a line of a sample stands for others', async (t) => {
  t.match(readLogLine(JSON.stringify({ ...LINE, sample: 0.01 })), { request: { standsFor: 100 } });
  for (const sample of [0, -1, 2, '0.1', null])
    t.match(readLogLine(JSON.stringify({ ...LINE, sample })), { request: { standsFor: 1 } });
});

t.test('lines about other things are none of requests', async (t) => {
  for (const other of [
    '',
    '  ',
    '{"msg":"audit","audit":{}}',
    '{"msg":"route"}',
    '{"left_out":7,"target":"x"}',
  ])
    t.strictSame(readLogLine(other), OTHER, other);
  t.strictSame(readLogLine('{"left_out":7,"route":"a","reason":"expired","msg":"x"}'), {
    kind: 'left_out',
    requests: 7,
  });
  t.strictSame(readLogLine('{"dropped":3,"msg":"x"}'), { kind: 'left_out', requests: 3 });
});

t.test('a broken line is told', async (t) => {
  for (const broken of [
    'nonsense',
    text.slice(0, 80),
    '{"msg":"request"}',
    '{"msg":"request","route":1}',
    '{]',
  ])
    t.match(readLogLine(broken), { kind: 'broken' }, broken);
});

t.test('members of other types say nothing', async (t) => {
  const odd = {
    ...LINE,
    host: 7,
    auth: { decision: 'deny' },
    facts: { scopes: 'a', holds: [1, 'k'], credentials: 0 },
  };
  t.match(readLogLine(JSON.stringify(odd)), {
    request: {
      ...{ target: undefined, auth: undefined },
      facts: { scopes: [], holds: ['k'], credentials: undefined },
    },
  });
});

t.test('scopes that are cut off are not named', async (t) => {
  const auth = { ...LINE.auth, missing_scope: 'a b long-sc...' };
  t.match(readLogLine(JSON.stringify({ ...LINE, auth })), {
    request: { auth: { missingScopes: ['a', 'b'], namesAllMissing: false } },
  });
});
