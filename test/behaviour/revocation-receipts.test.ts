/** Answers that wait for the fleet, and signed receipts of what was revoked. Rules V7, V13, A5. */
import { readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import t, { type Test } from 'tap';
import { confirmed, OTHERS_UNKNOWN } from '../../src/admin/confirmation.ts';
import { proofKeys, verifyProof, type ReadProof } from '../../src/identity/proof-jws.ts';
import { targetId } from '../../src/revocation/revocation-target.ts';
import type { JsonObject } from '../../src/token/claims.ts';
import { send } from '../support/client.ts';
import { sallyport } from '../support/command.ts';
import { ADMIN_TOKEN, loginIssuer, startGateway, until, type TestGateway } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { temporaryFolder } from '../support/process.ts';
import { claimsOf, createKey, ISSUER, mint } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const key = createKey();
const upstream = await startUpstream(t);
const label = (name: string): string => `${name}@${hostname()}`;
const KEYS = '/.well-known/sallyport/proof-jwks.json';

async function start(t: Test, folder: string, name: string, more: object): Promise<TestGateway> {
  const proofKey = createKey('EdDSA').privateKey.export({ type: 'pkcs8', format: 'pem' });
  writeFileSync(join(folder, 'proof.pem'), proofKey, { mode: 0o600 });
  return startGateway(
    t,
    {
      name,
      issuers: { login: loginIssuer(key) },
      routes: [{ name: 'orders', match: {}, upstream: 'u' }],
      upstreams: { u: { targets: [upstream.url] } },
      revocation: { store: `sqlite:${join(folder, 'list.sqlite')}` },
      ...more,
    },
    { folder },
  );
}

interface Answer {
  readonly id: string;
  readonly receipt: string;
  readonly confirmed: object;
}
const answerOf = async (response: Response | Promise<Response>): Promise<Answer> =>
  (await (await response).json()) as Answer;

/** What the receipt says, verified with the published keys. */
async function read(gateway: TestGateway, receipt: string): Promise<ReadProof> {
  const keys = proofKeys(await (await fetch(gateway.adminUrl + KEYS)).json());
  return verifyProof(receipt, 'revocation-receipt+jwt', keys);
}
async function claimsIn(gateway: TestGateway, receipt: string): Promise<JsonObject> {
  const proof = await read(gateway, receipt);
  if ('fault' in proof) throw new Error(proof.fault);
  return proof.claims;
}

t.test('a fleet of two', async (t) => {
  const folder = temporaryFolder(t);
  const one = await start(t, folder, 'one', { proof: { key_file: 'proof.pem' } });
  const two = await start(t, folder, 'two', {});
  await until(async () => {
    const told = await Promise.all([one, two].map((each) => each.admin('GET', '/v1/gateways')));
    const all = (await Promise.all(told.map((each) => each.json()))) as { gateways: { ready: boolean }[] }[];
    return all.every(({ gateways }) => gateways.length === 2 && gateways.every(({ ready }) => ready));
  });
  const revoke = (by: TestGateway, body: object, query = ''): Promise<Response> =>
    by.admin('POST', `/v1/revocations${query}`, { issuer: 'login', ...body });
  const both = { gateways: 2, refuse: 2, by: [label('one'), label('two')], unconfirmed: [] };

  t.test('V7 wait=fleet: the answer comes when both refuse, and the receipt says so', async (t) => {
    const token = mint(key, claimsOf({ sub: 'alice' }));
    t.equal((await send(two.url, '/', { token })).status, 200);
    const passed = upstream.seen.length;
    const response = await revoke(one, { subject: 'alice' }, '?wait=fleet');
    t.equal(response.status, 201);
    t.equal((await send(two.url, '/', { token })).status, 401);
    t.equal(upstream.seen.length, passed, 'the upstream saw nothing');
    const { id, receipt, confirmed } = await answerOf(response);
    t.match(confirmed, both);
    const claims = await claimsIn(one, receipt);
    const entry = (await answerOf(one.admin('GET', `/v1/revocations/${id}`))) as object;
    t.match(claims, {
      ...{ iss: 'one', gateway: label('one'), store: 'sqlite', jti: /^[\da-f-]{36}$/, iat: Number },
      ...{ log_position: /^\d+-\d+/, confirmed: both.by, unconfirmed: [] },
      entries: [{ id, action: 'revoke', issuer: ISSUER, kind: 'subject', version: /^\d+-\d+$/ }],
    });
    const [told] = claims['entries'] as readonly JsonObject[];
    t.match(entry, { issued_before: told?.['issued_before'], expires_at: told?.['expires_at'] });
    t.notMatch(JSON.stringify(claims), /alice/, 'A5 it names no subject');
    t.equal(
      targetId({ issuer: ISSUER, kind: 'subject', value: 'alice' }),
      id,
      'a reader who knows it finds it',
    );
  });

  t.test('a receipt is no checkpoint, and a changed one is found', async (t) => {
    const { receipt } = await answerOf(revoke(one, { subject: 'bob' }));
    const keys = proofKeys(await (await fetch(one.adminUrl + KEYS)).json());
    t.match(verifyProof(receipt, 'audit-checkpoint+jwt', keys), { fault: 'other_type' });
    t.match(verifyProof(receipt, 'revocation-receipt+jwt', []), { fault: 'unknown_key' });
    const [header, payload = '', signature] = receipt.split('.');
    const other = Buffer.from(payload, 'base64url').toString().replace('"revoke"', '"undo"');
    const forged = [header, Buffer.from(other).toString('base64url'), signature].join('.');
    t.match(await read(one, forged), { fault: 'bad_signature' });
    t.match(
      await claimsIn(one, receipt),
      { confirmed: [label('one')], unconfirmed: null },
      'the others were not asked',
    );
    const unsigned = await answerOf(revoke(two, { subject: 'bob' }));
    t.notHas(unsigned, 'receipt', 'a gateway without a key signs nothing');
  });

  t.test('confirm, bulk, undo and RFC 7009 have the same', async (t) => {
    const confirm = await answerOf(revoke(one, { subject: 'c', confirm: true }));
    t.match([confirm.confirmed, await claimsIn(one, confirm.receipt)], [both, { confirmed: both.by }]);
    const body = await answerOf(revoke(one, { subject: 'c', wait: 'fleet' }));
    t.match(body.confirmed, both);

    const members = ['d', 'e', ''].map((subject) => ({ issuer: 'login', subject }));
    const bulk = await answerOf(
      one.admin('POST', '/v1/revocations/bulk?wait=fleet', { revocations: members }),
    );
    t.match(bulk.confirmed, both);
    const { entries } = await claimsIn(one, bulk.receipt);
    t.match(entries, [{ kind: 'subject' }, { kind: 'subject' }], 'what failed is not in it');
    t.equal((entries as unknown[]).length, 2);

    const undone = await one.admin('DELETE', `/v1/revocations/${confirm.id}?wait=fleet`);
    t.equal(undone.status, 200);
    const answer = await answerOf(undone);
    t.match(answer, { id: confirm.id, undone: true, confirmed: both });
    t.match(await claimsIn(one, answer.receipt), { entries: [{ id: confirm.id, action: 'undo' }] });
    const { id } = await answerOf(revoke(one, { subject: 'c' }));
    t.equal(
      (await one.admin('DELETE', `/v1/revocations/${id}`)).status,
      204,
      'without wait there is no content',
    );

    const form = (query: string): Promise<Response> =>
      one.admin('POST', `/v1/revoke${query}`, `token=${mint(key, claimsOf({ jti: `f${query}` }))}`, {
        'content-type': 'application/x-www-form-urlencoded',
      });
    const waited = await answerOf(form('?wait=fleet'));
    t.match(await claimsIn(one, waited.receipt), { entries: [{ kind: 'token_id' }], confirmed: both.by });
    t.equal(await (await form('')).text(), '');
  });

  t.test('V13 what cannot be said is null or an error, never a lost revocation', async (t) => {
    for (const [body, query] of [
      [{}, '?wait=all'],
      [{ wait: 'all' }, ''],
      [{ dry_run: true }, '?wait=fleet'],
    ] as const)
      t.equal((await revoke(one, { subject: 'never', ...body }, query)).status, 400);
    t.equal((await one.admin('DELETE', '/v1/revocations/abc?wait=all')).status, 400);
    const list = await (await one.admin('GET', '/v1/revocations?subject=never')).json();
    t.match(list, { revocations: [] });
    const { store } = one.instance.generation.lasting;
    const position = store.position.bind(store);
    store.position = () => Promise.reject(new Error('the store is lost'));
    const response = await revoke(one, { subject: 'f' });
    store.position = position;
    t.equal(response.status, 201);
    t.match(await claimsIn(one, (await answerOf(response)).receipt), { log_position: null });
    const expired = mint(key, claimsOf({ exp: 1_000, iat: 900 }));
    const nothing = await revoke(one, { issuer: undefined, token: expired }, '?wait=fleet');
    t.notHas(await nothing.json(), 'receipt', 'nothing was stored');
  });

  t.test('the command line waits, keeps the receipt, and verifies it', async (t) => {
    const [token, file] = [join(folder, 'admin.token'), join(folder, 'receipt')];
    writeFileSync(token, ADMIN_TOKEN);
    const admin = ['--admin', one.adminUrl, '--admin-token-file', token];
    const args = ['--issuer', 'login', '--session', 's1', '--wait', '--receipt', file, ...admin];
    const revoked = await sallyport(['revoke', ...args]);
    t.match(revoked, { code: 0, out: /\n2 of 2 gateways refuse it, after \d+ ms\n$/ });
    const keys = ['--keys', one.adminUrl + KEYS];
    const genuine = await sallyport(['receipt', 'verify', file, ...keys]);
    t.match(genuine, { code: 0, out: /^genuine: signed by one@\S+ with the key \S+\n\{/ });
    t.match(genuine.out, /"kind": "session"/);
    writeFileSync(file, readFileSync(file, 'utf8').trim().slice(0, -4) + 'AAAA');
    t.match(await sallyport(['receipt', 'verify', file, ...keys]), {
      code: 1,
      err: /its signature is wrong/,
    });

    const id = /unrevoke (\S+)/.exec(revoked.out)?.[1] ?? '';
    const undo = await sallyport(['unrevoke', id, '--wait', '--receipt', file, ...admin]);
    t.match(undo, { code: 0, out: /2 of 2 gateways let its tokens pass again/ });
    t.match(await sallyport(['receipt', 'verify', file, ...keys]), { code: 0, out: /"action": "undo"/ });

    const atTwo = ['--admin', two.adminUrl, '--admin-token-file', token];
    const none = await sallyport([
      'revoke',
      '--issuer',
      'login',
      '--session',
      's2',
      '--receipt',
      file,
      ...atTwo,
    ]);
    t.match(none, { code: 1, out: /^revoked: /, err: /no receipt: configure proof\.key_file/ });
    t.match(await sallyport(['receipt', 'verify', file, '--keys', two.adminUrl + KEYS]), {
      code: 1,
      err: /404/,
    });
  });
});

t.test('V7 wait=fleet asks again while one is behind, and names it after five seconds', async (t) => {
  const clock = new ManualClock();
  let asked = 0;
  const fleet = (isThere: () => boolean): Parameters<typeof confirmed>[0] => ({
    clock,
    fleet: {
      ask: (async () => {
        asked++;
        clock.advance(100);
        const replies = [{ label: 'b', afterMs: 7, reply: { inForce: isThere() } }];
        return { self: 'a', others: ['b', 'gone'], silent: ['gone'], isComplete: true, replies };
      }) as never,
    },
  });
  const changes = [{ id: 'x', revoked: true, version: { timeMs: 1, counter: 0 } }];
  const late = await confirmed(
    fleet(() => asked >= 3),
    changes,
    'fleet',
  );
  t.match(late, { gateways: 3, refuse: 2, by: ['a', 'b'], unconfirmed: ['gone'] });
  t.equal(asked, 3);
  t.ok(late.slowest_ms > 200);
  asked = 0;
  t.match(
    await confirmed(
      fleet(() => false),
      changes,
      'fleet',
    ),
    { refuse: 1, unconfirmed: ['b', 'gone'] },
  );
  t.ok(asked > 10 && asked <= 50, `asked ${asked} times`);
  asked = 0;
  t.match(
    await confirmed(
      fleet(() => false),
      changes,
      'confirm',
    ),
    { refuse: 1, by: ['a'] },
  );
  t.equal(asked, 1, 'confirm asks once');
});

t.test('V7 a store that has lost who there is makes no receipt say that all have confirmed', async (t) => {
  const folder = temporaryFolder(t);
  const one = await start(t, folder, 'one', {});
  await start(t, folder, 'two', {});
  await until(async () => {
    const { gateways } = (await (await one.admin('GET', '/v1/gateways')).json()) as { gateways: unknown[] };
    return gateways.length === 2;
  });
  const database = new DatabaseSync(join(folder, 'list.sqlite'));
  t.teardown(() => database.close());
  database.exec('DELETE FROM gateway');
  const body = { issuer: 'login', session: 's9', confirm: true };
  const { confirmed: told } = await answerOf(one.admin('POST', '/v1/revocations', body));
  t.match(told, { gateways: 2, by: [label('one'), label('two')], unconfirmed: [OTHERS_UNKNOWN] });
});
