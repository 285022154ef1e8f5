/** By which texts a claim is revoked, and by which of them an entry names it. Rules V4, V16. */
import t from 'tap';
import { claimText, claimTexts } from '../../src/token/claim-texts.ts';
import { parseStrictJson, type JsonValue } from '../../src/token/strict-json.ts';

const parse = (json: string): JsonValue => parseStrictJson(Buffer.from(json));

t.test('a number equals a number, however the operator or the token writes it', async (t) => {
  const spellings = [
    ['7', '7.0', '7e0', '70e-1'],
    ['1.5', '1.50', '15e-1'],
    ['-2', '-2.0'],
  ];
  for (const same of spellings)
    for (const token of same)
      for (const entry of same) {
        const text = claimText(parse(entry));
        t.ok(text !== undefined && claimTexts(parse(token))?.includes(text), `${token} by ${entry}`);
      }
  t.notOk(claimTexts(parse('7'))?.includes(claimText(parse('8')) ?? ''));
  // Beyond the safe range only the digits tell numbers apart.
  t.notOk(
    claimTexts(parse('9007199254740993'))?.includes(claimText(parse('9007199254740992')) ?? ''),
    'two large numbers',
  );
});

t.test('what is empty, null or an object names nothing', async (t) => {
  for (const json of ['""', 'null', '{}', '{"a":1}']) t.equal(claimText(parse(json)), undefined, json);
  t.strictSame(claimTexts(parse('["a","",null,{"b":1},7.0]')), ['a', '7.0', '7']);
});
