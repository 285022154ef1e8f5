/** The chain of the audit log of a gateway, its checkpoints, and `sallyport audit verify`. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { proofKeys, ProofSigner } from '../../src/identity/proof-jws.ts';
import { signingKeyOfPem } from '../../src/identity/signing-key.ts';
import type { LogReport } from '../../src/telemetry/log-report.ts';
import { LogVerifier } from '../../src/telemetry/log-verifier.ts';
import { auditedProcess, newSigner, proofPem } from '../support/audit-log.ts';
import { sallyport } from '../support/command.ts';
import { loginIssuer, startGateway, type TestGateway } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { temporaryFolder } from '../support/process.ts';
import { createKey, ISSUER } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const upstream = await startUpstream(t);
const login = loginIssuer(createKey('ES256'));

function configuration(proof: object | undefined): Record<string, unknown> {
  return {
    name: 'edge',
    ...(proof && { proof }),
    issuers: { login },
    routes: [{ name: 'all', match: {}, upstream: 'u' }],
    upstreams: { u: { targets: [upstream.url] } },
  };
}

interface Scene {
  readonly gateway: TestGateway;
  readonly clock: ManualClock;
  readonly folder: string;
  readonly revoke: (subject: string) => Promise<void>;
}

async function start(t: Test, proof: object | undefined, pem = proofPem()): Promise<Scene> {
  const folder = temporaryFolder(t);
  const clock = new ManualClock();
  writeFileSync(join(folder, 'proof.pem'), pem, { mode: 0o600 });
  const gateway = await startGateway(t, configuration(proof), { folder, clock });
  const revoke = async (subject: string): Promise<void> => {
    const body = { issuer: ISSUER, subject, reason: 'naïve \u{1f600} \u2028' };
    t.equal((await gateway.admin('POST', '/v1/revocations', body)).status, 201);
  };
  return { gateway, clock, folder, revoke };
}

const textOf = (...gateways: readonly TestGateway[]): string =>
  gateways.flatMap(({ log }) => log.map((line) => `${JSON.stringify(line)}\n`)).join('');

function verify(text: string, keys?: unknown): LogReport {
  const verifier = new LogVerifier({ keys: keys === undefined ? undefined : proofKeys(keys), whole: false });
  for (const line of text.split('\n')) verifier.add(line);
  return verifier.end();
}

const checkpoints = ({ log }: TestGateway): number =>
  log.filter(({ audit }) => (audit as { action?: string } | undefined)?.action === 'checkpoint').length;

t.test('a gateway signs at its start, at most checkpoint_every after a line, and at its end', async (t) => {
  const { gateway, clock, revoke } = await start(t, { key_file: 'proof.pem', checkpoint_every: '30s' });
  const keys = gateway.instance.generation.proof?.publicKeys;
  t.equal(checkpoints(gateway), 1, 'at its start');
  clock.advance(120_000);
  t.equal(checkpoints(gateway), 1, 'none where there is nothing to cover');
  await revoke('alice');
  t.equal(checkpoints(gateway), 1);
  t.match(verify(textOf(gateway), keys), {
    ok: true,
    chains: [{ covered_seq: 0, uncovered_lines: 1, closed: false }],
  });
  await revoke('bob');
  clock.advance(30_000);
  t.equal(checkpoints(gateway), 2);
  t.match(verify(textOf(gateway), keys), { ok: true, chains: [{ covered_seq: 3, uncovered_lines: 0 }] });
  clock.advance(300_000);
  t.equal(checkpoints(gateway), 2, 'a checkpoint itself needs none');
  await revoke('carol');
  await gateway.stop();
  t.match(verify(textOf(gateway), keys), {
    ok: true,
    chains: [
      { gateway: 'edge', lines: 6, checkpoints: 3, covered_seq: 5, closed: true, first_seq: 1, last_seq: 6 },
    ],
  });
});

t.test('without a key the chain is there, without checkpoints; a restart begins another one', async (t) => {
  const [first, second] = [await start(t, undefined), await start(t, undefined)];
  await first.revoke('alice');
  await second.revoke('bob');
  await first.revoke('carol');
  await first.gateway.stop();
  t.equal(checkpoints(first.gateway), 0);
  const report = verify(textOf(first.gateway, second.gateway));
  t.match(report, { ok: true, signatures: false, chains: [{ lines: 2, checkpoints: 0 }, { lines: 1 }] });
  t.not(report.chains[0]?.chain, report.chains[1]?.chain);
});

t.test(
  'a reload with another key signs with the old one first; a key that is published no longer is logged',
  async (t) => {
    const { gateway, folder, revoke } = await start(t, { key_file: 'proof.pem' });
    const before = gateway.instance.generation.proof?.publicKeys.keys ?? [];
    await revoke('alice');
    writeFileSync(join(folder, 'proof.pem'), proofPem(), { mode: 0o600 });
    await gateway.instance.reload(gateway.loaded);
    const now = gateway.instance.generation.proof?.publicKeys.keys ?? [];
    t.equal(checkpoints(gateway), 3, 'at the start, and one with each key');
    t.match(verify(textOf(gateway), { keys: [...before, ...now] }), {
      ok: true,
      chains: [{ covered_seq: 3 }],
    });
    t.strictSame(
      verify(textOf(gateway), { keys: now }).faults.map(({ kind }) => kind),
      ['unknown_key', 'unknown_key'],
    );
    t.match(
      gateway.log.filter(({ level }) => level === 'warn'),
      [{ kid: before[0]?.['kid'], msg: /published no longer/ }],
    );
    await gateway.instance.reload(gateway.loaded);
    t.equal(checkpoints(gateway), 3, 'a reload with the same key adds none');
  },
);

t.test('a thousand lines get a checkpoint at once; a line after the end is of another chain', (t) => {
  const lines: string[] = [];
  const signer = newSigner();
  const process = auditedProcess(lines, signer);
  for (let at = 0; at < 1_000; at++) process.audit();
  t.equal(lines.length, 1_002, 'the first one, and one after a thousand lines');
  process.stop();
  process.audit('of a request that took longer');
  t.match(verify(lines.join('\n')), {
    ok: true,
    chains: [
      { checkpoints: 3, closed: true },
      { lines: 1, closed: false },
    ],
  });
  t.end();
});

t.test('another key under the same kid is another key', (t) => {
  const lines: string[] = [];
  const [first, second] = [proofPem(), proofPem()].map((pem) => new ProofSigner(signingKeyOfPem(pem, 'k')));
  const process = auditedProcess(lines, first);
  process.use(second);
  t.equal(lines.filter((line) => line.includes('"jws"')).length, 2, 'both have signed');
  t.equal(lines.filter((line) => line.includes('published no longer')).length, 1);
  process.use(undefined);
  process.use(second);
  t.equal(lines.filter((line) => line.includes('"jws"')).length, 3);
  t.match(verify(lines.join('\n')), { ok: true, chains: [{ checkpoints: 3 }] });
  t.end();
});

t.test('audit verify says what is covered, and each fault with its line', async (t) => {
  const { gateway, folder, revoke } = await start(t, { key_file: 'proof.pem' });
  for (const subject of ['alice', 'bob', 'carol']) await revoke(subject);
  const keys = `${gateway.adminUrl}/.well-known/sallyport/proof-jwks.json`;
  const file = join(folder, 'log');
  const run = async (text: string, ...options: string[]): ReturnType<typeof sallyport> => {
    writeFileSync(file, text);
    return sallyport(['audit', 'verify', file, ...options]);
  };
  const jwks = join(folder, 'jwks.json');
  writeFileSync(jwks, await (await fetch(keys)).text());
  t.match(await run(textOf(gateway), '--keys', keys), {
    code: 0,
    out: /seq 1 to 4[^]*signatures good: covered up to seq 0, 3 lines after[^]*not closed[^]*no fault/,
  });
  t.match(await run(textOf(gateway), '--whole'), {
    code: 1,
    out: /line \d+: chain \S+: the chain has no end/,
  });
  await gateway.stop();
  const text = textOf(gateway);
  t.match(await run(text, '--whole', '--keys', jwks), { code: 0, out: /closed: the gateway stopped here/ });
  t.match(await run(text), { code: 0, out: /signatures NOT VERIFIED/ });
  const lines = text.trimEnd().split('\n');
  const at = lines.findLastIndex((line) => line.includes('"revoke"'));
  const fault = new RegExp(`line ${at + 1}: chain \\S+: seq`);
  const written = (list: readonly string[]): string => `${list.join('\n')}\n`;
  for (const [hurt, what] of [
    [lines.toSpliced(at, 1), 'missing'],
    [lines.with(at, lines[at]?.replace('admin', 'eve') ?? ''), 'changed'],
    [lines.with(at - 1, lines[at] ?? '').with(at, lines[at - 1] ?? ''), 'swapped'],
    [lines.toSpliced(at, 0, lines[at - 1] ?? ''), 'once more'],
  ] as const)
    t.match(await run(written(hurt), '--keys', jwks), { code: 1, out: fault }, what);
  const cut = await run(text.slice(0, -20), '--json');
  t.equal(cut.code, 1);
  t.match(JSON.parse(cut.out), { ok: false, faults: [{ line: lines.length, kind: 'not_json' }] });
  writeFileSync(join(folder, 'kept'), text);
  t.match(await run(written(lines.slice(0, at)), '--kept', join(folder, 'kept')), {
    code: 1,
    out: /missing at the end: a kept checkpoint/,
  });
});

t.test('audit verify says what cannot be read', async (t) => {
  const folder = temporaryFolder(t);
  const file = join(folder, 'log');
  writeFileSync(file, '{}\n');
  for (const [args, code, said] of [
    [['verify'], 2, /an argument is missing/],
    [['check', file], 2, /write verify FILE/],
    [['verify', join(folder, 'none')], 1, /none cannot be read \(ENOENT/],
    [['verify', file, '--keys', join(folder, 'none')], 1, /none cannot be read/],
    [['verify', file, '--keys', file], 1, /holds no key of proofs/],
    [['verify', file, '--keys', 'http://127.0.0.1:1/'], 1, /cannot be read/],
    [['verify', file, '--kept', file], 1, /holds no checkpoint/],
  ] as const)
    t.match(await sallyport(['audit', ...args]), { code, err: said });
});
