/** What `audit verify` finds in a log: whatever is done to its audit lines. */
import t from 'tap';
import { proofKeys } from '../../src/identity/proof-jws.ts';
import { KeptCheckpoints } from '../../src/telemetry/kept-checkpoints.ts';
import type { LogReport } from '../../src/telemetry/log-report.ts';
import { LogVerifier } from '../../src/telemetry/log-verifier.ts';
import { auditedProcess, chainedAgain, newSigner, parsed } from '../support/audit-log.ts';
import { SeededRandom } from '../support/seeded-random.ts';

const SEED = Number(process.env['SEED'] ?? 20_261_127);
const signer = newSigner();
const keys = proofKeys(signer.publicKeys);

type Options = NonNullable<ConstructorParameters<typeof LogVerifier>[0]>;

function verify(lines: readonly string[], options: Options = { keys }): LogReport {
  const verifier = new LogVerifier(options);
  for (const line of lines) verifier.add(line);
  return verifier.end();
}

const kindsOf = ({ faults }: LogReport): string[] => faults.map(({ kind }) => kind);

/** One gateway that was started and stopped: 12 lines of changes and 4 checkpoints. */
function oneChain(): string[] {
  const lines: string[] = [];
  const process = auditedProcess(lines, signer);
  for (let at = 1; at <= 12; at++) {
    process.audit();
    if (at % 6 === 0) process.minute();
  }
  process.stop();
  return lines;
}

/** Two gateways whose lines are mixed, each of which was restarted, with lines of requests among them. */
function mixedChains(random: SeededRandom): string[] {
  const lines: string[] = [];
  const start = (name: string): ReturnType<typeof auditedProcess> => auditedProcess(lines, signer, name);
  const processes = [start('a'), start('b')];
  for (let step = 0; step < 40; step++) {
    const at = random.below(2);
    processes[at]?.audit();
    lines.push(`{"level":"info","route":"orders","status":200,"step":${step}}`);
    if (random.below(5) === 0) processes[at]?.minute();
    if (step === 20)
      for (const each of [0, 1]) {
        processes[each]?.stop();
        processes[each] = start(`again-${each}`);
      }
  }
  for (const process of processes) process.stop();
  return lines;
}

t.test('a log as it was written has no fault, also where it was encoded again', (t) => {
  const lines = oneChain();
  t.match(verify(lines, { keys, whole: true }), {
    ok: true,
    lines: 16,
    audit_lines: 16,
    signatures: true,
    chains: [
      {
        gateway: 'edge',
        lines: 16,
        first_seq: 1,
        last_seq: 16,
        checkpoints: 4,
        covered_seq: 15,
        uncovered_lines: 0,
        closed: true,
      },
    ],
    faults: [],
  });
  const shipped = lines.map((text) => {
    const members = Object.entries(parsed(text)).toReversed();
    const more = { kubernetes: { pod: 'p' }, worker: 3 };
    return JSON.stringify({ ...more, ...Object.fromEntries(members) }, null, 1).replaceAll('\n', ' ');
  });
  t.strictSame(verify(shipped, { keys, whole: true }).faults, [], 'other order, white space, more members');
  const ascii = lines.map((text) => text.replaceAll('reason', '\\u0072eason').replace('17.5', '1.75e1'));
  t.strictSame(verify(ascii, { keys, whole: true }).faults, [], 'other escapes and numbers');
  const crlf = lines.flatMap((text) => ['', ` ${text}\r`, 'text of another program']);
  t.strictSame(verify(crlf, { keys, whole: true }).faults, []);
  t.end();
});

t.test('each line that is removed is found', (t) => {
  const lines = oneChain();
  for (const at of lines.keys()) {
    const without = lines.toSpliced(at, 1);
    const [first, last] = [at === 0, at === lines.length - 1];
    t.strictSame(
      kindsOf(verify(without, { keys, whole: true })),
      [first ? 'no_beginning' : last ? 'no_end' : 'missing'],
      `line ${at + 1}`,
    );
    if (!first && !last) t.match(verify(without).faults, [{ line: at + 1, kind: 'missing' }]);
    if (first) t.match(verify(without), { ok: true, chains: [{ first_seq: 2 }] }, 'it is told');
    if (last) t.match(verify(without), { ok: true, chains: [{ closed: false, uncovered_lines: 0 }] });
  }
  const many = lines.toSpliced(3, 5);
  t.match(verify(many).faults, [{ line: 4, kind: 'missing', message: /seq 4 to 8 \(5 lines\)/ }]);
  t.end();
});

/** Every change of one member, at any depth. */
function* changesOf(value: unknown): Generator<unknown> {
  if (typeof value === 'object' && value !== null) {
    for (const [name, member] of Object.entries(value)) {
      const { [name]: _, ...rest } = value as Record<string, unknown>;
      yield rest;
      for (const changed of changesOf(member)) yield { ...value, [name]: changed };
    }
    yield { ...value, added: 1 };
  } else if (typeof value === 'string') yield* [`${value}x`, value.slice(1), ''];
  else if (typeof value === 'number') yield* [value + 1, -value, String(value), null];
  else yield* [!value, null];
}

t.test('each line that is changed is found, whichever member of it', (t) => {
  const lines = oneChain();
  let count = 0;
  // Of each kind one: the first line, a change, a checkpoint, the end.
  for (const at of [0, 4, 7, 15]) {
    for (const changed of changesOf(parsed(lines[at] ?? ''))) {
      const line = changed as Record<string, unknown>;
      // What others add to a line, such as a log shipper, is not the gateway's.
      if (Object.hasOwn(line, 'added')) continue;
      const chain = line['chain'] as Record<string, unknown> | undefined;
      if (chain && Object.hasOwn(chain, 'added')) continue;
      count++;
      const report = verify(lines.with(at, JSON.stringify(line)), { keys, whole: true });
      if (report.ok) t.fail(`line ${at + 1}: ${JSON.stringify(line)}`);
    }
  }
  t.ok(count > 4 * 40, `${count} changes`);
  const reason = lines.with(4, lines[4]?.replace('reason 4', 'reason 5') ?? '');
  t.match(verify(reason, {}).faults, [{ line: 5, kind: 'changed', message: /seq 5/ }]);
  t.equal(verify(reason, {}).faults.length, 1, 'it is told once');
  const twice = lines.with(4, lines[4]?.replace('"audit":{', '"audit":{},"audit":{') ?? '');
  t.strictSame(kindsOf(verify(twice)), ['not_json', 'missing'], 'a member that stands twice');
  t.end();
});

t.test('each two lines that are swapped, and each that is repeated, are found', (t) => {
  const lines = oneChain();
  for (const a of lines.keys())
    for (const b of lines.keys()) {
      if (a >= b) continue;
      const swapped = lines.with(a, lines[b] ?? '').with(b, lines[a] ?? '');
      const report = verify(swapped, { keys, whole: true });
      if (!kindsOf(report).includes('out_of_order')) t.fail(`lines ${a + 1} and ${b + 1}`);
      if (kindsOf(report).includes('missing')) t.fail('nothing is missing');
    }
  t.match(verify(lines.with(4, lines[5] ?? '').with(5, lines[4] ?? '')).faults, [
    { line: 6, kind: 'out_of_order', message: /seq 5 stands after seq 6/ },
  ]);
  for (const [at, text] of lines.entries()) {
    const again = lines.toSpliced(Math.floor((at + lines.length) / 2), 0, text);
    t.ok(kindsOf(verify(again)).includes('repeated'), `line ${at + 1}`);
  }
  t.end();
});

t.test('lines that were replaced with hashes of their own contradict the next checkpoint', (t) => {
  const lines = oneChain();
  // Seq 8 is the second checkpoint; the lines from seq 9 are covered by the third.
  const forged = lines.with(9, lines[9]?.replace('admin', 'mallory') ?? '');
  const again = [...forged.slice(0, 9), ...chainedAgain(forged.slice(9))];
  t.strictSame(kindsOf(verify(again, {})), ['contradicts', 'contradicts'], 'without keys, too');
  t.strictSame(
    kindsOf(verify([...forged.slice(0, 9), ...chainedAgain(forged.slice(9, 11)), ...lines.slice(11)])),
    ['not_linked'],
  );
  const removed = chainedAgain(lines.toSpliced(9, 1));
  t.ok(
    kindsOf(verify(removed)).includes('contradicts'),
    'a line that was removed, and the rest numbered again',
  );
  const [first = ''] = lines;
  const without = chainedAgain([first, ...lines.slice(1).filter((text) => !text.includes('"jws"'))]);
  t.match(verify(without), { ok: true, chains: [{ covered_seq: 0, uncovered_lines: 12, closed: false }] });
  t.strictSame(
    kindsOf(verify(without, { keys, whole: true })),
    ['no_end'],
    'a tail without checkpoints is told',
  );
  const other = oneChain();
  const grafted = lines.with(
    7,
    JSON.stringify({ ...parsed(lines[7] ?? ''), audit: parsed(other[7] ?? '')['audit'] }),
  );
  t.ok(kindsOf(verify(chainedAgain(grafted))).includes('contradicts'), 'the checkpoint of another chain');
  const more: string[] = [];
  auditedProcess(more).audit();
  const end = parsed(lines.at(-1) ?? '').chain;
  const appended = { ...parsed(more[0] ?? ''), chain: { id: end.id, seq: end.seq + 1, prev: end.hash } };
  const after = chainedAgain([lines.at(-1) ?? '', JSON.stringify(appended)]).slice(1);
  t.strictSame(kindsOf(verify([...lines, ...after])), ['after_end']);
  t.end();
});

t.test('a tail that is longer than the gateway lets it become is a fault', (t) => {
  const lines: string[] = [];
  const process = auditedProcess(lines, signer);
  for (let at = 0; at < 4; at++) process.audit();
  const later = (text: string, minutes: number): string => {
    const line = parsed(text);
    const time = new Date(Date.parse(String(line['time'])) + minutes * 60_000).toISOString();
    return JSON.stringify({ ...line, time });
  };
  const spread = (minutes: number): string[] =>
    chainedAgain(lines.map((text, at) => later(text, at === 0 ? -300 : at * minutes)));
  t.strictSame(verify(spread(0.9)).faults, [], 'a minute, and some time for a machine that was busy');
  t.match(verify(spread(2)).faults, [{ line: 5, kind: 'overdue', message: /seq 2 to 5/ }]);
  const timeless = chainedAgain(lines.map((text) => text.replace(/"time":"[^"]*"/, '"time":"then"')));
  t.strictSame(kindsOf(verify(timeless)), ['overdue']);
  const [last = ''] = lines.slice(-1);
  const many = chainedAgain([...lines, ...Array.from({ length: 997 }, () => last)]);
  t.strictSame(kindsOf(verify(many)), ['overdue']);
  t.strictSame(verify(many.slice(0, -1)).faults, []);
  t.end();
});

t.test('signatures are verified with the keys that are given', (t) => {
  const lines = oneChain();
  t.match(verify(lines, {}), { ok: true, signatures: false });
  const others = proofKeys(newSigner().publicKeys);
  t.strictSame(kindsOf(verify(lines, { keys: others })), [
    ...Array.from({ length: 4 }, () => 'unknown_key').toSpliced(1, 0, 'not_proven'),
  ]);
  const unsigned: string[] = [];
  const process = auditedProcess(unsigned);
  process.audit();
  process.stop();
  t.equal(unsigned.length, 1, 'without a key no checkpoint is written');
  t.match(verify(unsigned, {}), {
    ok: true,
    chains: [{ checkpoints: 0, covered_seq: 0, uncovered_lines: 1 }],
  });
  t.strictSame(kindsOf(verify(unsigned)), ['not_proven'], 'a whole log that was made up');
  const jws = parsed(lines[0] ?? '')['audit'] as { jws: { signature: string } };
  const bad = jws.jws.signature.replace(/^../, (two) => (two === 'AA' ? 'BB' : 'AA'));
  const broken = chainedAgain([lines[0]?.replace(jws.jws.signature, bad) ?? '']);
  t.strictSame(kindsOf(verify(broken)), ['bad_signature', 'not_proven']);
  const none = chainedAgain([lines[0]?.replace(/"jws":\{[^}]*\}/, '"jws":"none"') ?? '']);
  t.strictSame(kindsOf(verify(none)), ['bad_checkpoint', 'not_proven']);
  t.end();
});

t.test('checkpoints that were kept elsewhere show a tail and a chain that were removed', (t) => {
  const lines = oneChain();
  const keptOf = (from: readonly string[]): KeptCheckpoints => {
    const kept = new KeptCheckpoints();
    for (const line of from) t.equal(kept.add(line, keys), undefined);
    return kept;
  };
  t.equal(keptOf(lines).size, 4);
  const check = (log: readonly string[]): LogReport => verify(log, { keys, kept: keptOf(lines.slice(-1)) });
  t.strictSame(check(lines).faults, []);
  t.match(check(lines.slice(0, 9)).faults, [
    { kind: 'missing', message: /seq 10 to 15 are missing at the end/ },
  ]);
  t.match(check(oneChain()).faults, [{ line: 0, kind: 'missing', message: /the whole chain is missing/ }]);
  t.match(check(lines.slice(12)).faults, [
    { kind: 'missing', message: /seq 1 to 12 are missing at the beginning/ },
  ]);
  t.match(check(lines.slice(-1)).faults, [
    { kind: 'missing', message: /seq 1 to 15 are missing at the beginning/ },
  ]);
  const forged = chainedAgain(lines.slice(9, 15).map((text) => text.replace('admin', 'mallory')));
  t.ok(kindsOf(check([...lines.slice(0, 9), ...forged])).includes('contradicts'));
  const changed = lines[0]?.replace('"signature":"', '"signature":"AA') ?? '';
  t.match(new KeptCheckpoints().add(changed, keys), { kind: /bad/ });
  t.match(new KeptCheckpoints().add(`${lines[0]}}`, keys), { kind: 'bad_checkpoint' });
  t.end();
});

t.test(`any one thing that is done to the mixed lines of gateways is found (seed ${SEED})`, (t) => {
  const random = new SeededRandom(SEED);
  for (let round = 0; round < 8; round++) {
    const lines = mixedChains(random);
    const whole = verify(lines, { keys, whole: true });
    if (!whole.ok || whole.chains.length !== 4) t.fail('as it was written');
    for (let trial = 0; trial < 12; trial++) {
      const audits = [...lines.keys()].filter((at) => lines[at]?.includes('"audit"'));
      const at = random.of(audits);
      const text = lines[at] ?? '';
      const sameChain = audits.filter(
        (other) => other !== at && parsed(lines[other] ?? '').chain.id === parsed(text).chain.id,
      );
      const other = random.of(sameChain);
      const where = random.below(text.length);
      const what = random.of(['remove', 'swap', 'repeat', 'cut', 'flip', 'truncate'] as const);
      const hurt = {
        remove: () => lines.toSpliced(at, 1),
        swap: () => lines.with(at, lines[other] ?? '').with(other, text),
        repeat: () => lines.toSpliced(random.below(lines.length), 0, text),
        cut: () => lines.with(at, text.slice(0, where)),
        flip: () =>
          lines.with(at, text.slice(0, where) + (text[where] === 'x' ? 'y' : 'x') + text.slice(where + 1)),
        // Where a chain is cut: one that is gone as a whole shows only by a checkpoint that was kept.
        truncate: () => lines.slice(0, parsed(text).chain.seq > 1 ? at : (sameChain[0] ?? 0)),
      }[what]();
      if (verify(hurt, { keys, whole: true }).ok) t.fail(`${what} at line ${at + 1}, ${where}`);
    }
  }
  t.end();
});

t.test('what is no audit line is ignored; faults beyond a thousand are counted', (t) => {
  t.strictSame(kindsOf(verify([])), ['not_proven'], 'a log without a chain proves nothing');
  t.match(
    verify(['{"a":1}', 'plain "text"', '[1]', '', '{"audit":{"of":"another program"}}', '{"chain":7}'], {}),
    {
      ok: true,
      lines: 6,
      audit_lines: 0,
      chains: [],
    },
  );
  t.strictSame(kindsOf(verify(['{"level":"info","ro'], {})), ['not_json'], 'a line that was cut');
  t.strictSame(kindsOf(verify(['{"msg":"audit","audit":{"action":"revoke"}}'], {})), ['no_chain']);
  const report = verify(
    Array.from({ length: 1_005 }, () => '{"cut'),
    {},
  );
  t.match(report, { more_faults: 5 });
  t.equal(report.faults.length, 1_000);
  t.end();
});
