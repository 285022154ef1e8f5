/** The compact table of marks, against a plain Map. */
import { createHash, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import { CHECKSUM_MODULUS, markChecksum, type RevocationMark } from '../../src/revocation/mark.ts';
import { MarkTable } from '../../src/revocation/mark-table.ts';
import { idOfKey, keyOfId, targetId } from '../../src/revocation/revocation-target.ts';

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 150);
const ids = Array.from({ length: 60 }, (_, index) =>
  // Half of them share the word by which the index is searched.
  Buffer.concat([index % 2 === 0 ? Buffer.from('same') : randomBytes(4), randomBytes(12)]).toString(
    'base64url',
  ),
);

const mark = fc.record({
  id: fc.constantFrom(...ids),
  revoked: fc.boolean(),
  issuedBefore: fc.option(fc.nat()),
  expiresAt: fc.integer({ min: 0, max: 2 ** 40 }),
  version: fc.record({ timeMs: fc.integer({ min: 0, max: 2 ** 45 }), counter: fc.nat({ max: 1_000 }) }),
});

t.test('it holds what a Map would hold, and counts it', async (t) => {
  const step = fc.oneof(
    { arbitrary: mark.map((value) => ({ put: value })), weight: 3 },
    { arbitrary: fc.constantFrom(...ids).map((id) => ({ remove: id })), weight: 2 },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const table = new MarkTable();
      const model = new Map<string, RevocationMark>();
      for (const each of steps) {
        if ('put' in each) {
          table.set(each.put);
          model.set(each.put.id, each.put);
        } else {
          table.delete(each.remove);
          model.delete(each.remove);
        }
      }
      const sum = [...model.values()].reduce(
        (total, each) => (total + markChecksum(each)) % CHECKSUM_MODULUS,
        0,
      );
      const same =
        table.size === model.size &&
        table.checksum === sum &&
        table.withCutoff === [...model.values()].filter(({ issuedBefore }) => issuedBefore !== null).length &&
        table.forGood === model.size - table.withCutoff &&
        table.revoked === [...model.values()].filter(({ revoked }) => revoked).length &&
        ids.every((id) => JSON.stringify(table.get(id)) === JSON.stringify(model.get(id))) &&
        [...table.values()].length === model.size;
      if (!same) throw new Error('table and model differ');
      for (const [id, { revoked, issuedBefore }] of model) {
        const key = keyOfId(id);
        for (const issuedAt of [undefined, 0, 5.9, 1e9]) {
          const expected =
            revoked &&
            (issuedBefore === null || issuedAt === undefined || Math.floor(issuedAt) <= issuedBefore);
          if (table.verdict(key, issuedAt) !== expected) throw new Error(`verdict for iat ${issuedAt}`);
        }
      }
    }),
    { numRuns: RUNS },
  );
  t.pass(`${RUNS} random histories`);
});

t.test('thousands of marks come and go over several pages', async (t) => {
  const table = new MarkTable();
  const many = Array.from({ length: 40_000 }, (_, index) =>
    createHash('sha256').update(String(index)).digest().subarray(0, 16).toString('base64url'),
  );
  for (const id of many)
    table.set({ id, revoked: true, issuedBefore: null, expiresAt: 1, version: { timeMs: 1, counter: 0 } });
  for (const id of many.slice(0, 39_000)) table.delete(id);
  t.equal(table.size, 1_000);
  t.ok(many.slice(39_000).every((id) => table.verdict(keyOfId(id), undefined) === true));
  t.ok(many.slice(0, 39_000).every((id) => table.verdict(keyOfId(id), undefined) === undefined));
  for (const id of many.slice(39_000)) table.delete(id);
  t.strictSame([table.size, table.revoked, table.checksum], [0, 0, 0]);
});

t.test('an id is 22 characters, begins with a letter, and leads back to its key (property)', async (t) => {
  fc.assert(
    fc.property(fc.string(), (value) => {
      const id = targetId({ issuer: 'https://login.test', kind: 'subject', value });
      // A "-" at its start would be an option where the id is an argument of a command.
      return /^[A-Za-z][\w-]{21}$/.test(id) && idOfKey(keyOfId(id)) === id;
    }),
    { numRuns: 1_000 },
  );
  t.pass('held');
});
