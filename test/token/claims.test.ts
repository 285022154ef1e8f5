/** Claims, and paths into them. Claims are attackers' text until they were compared with something. */
import t from 'tap';
import {
  claimAt,
  claimMatches,
  isClaimPath,
  isJsonObject,
  numberOf,
  parseClaimPath,
  stringClaim,
  textClaim,
} from '../../src/token/claims.ts';
import { parseStrictJson, toJson, type JsonObject, type JsonValue } from '../../src/token/strict-json.ts';

const parse = (text: string): JsonValue => parseStrictJson(Buffer.from(text));
const parseObject = (text: string): JsonObject => parse(text) as JsonObject;

t.test('claim paths', async (t) => {
  const paths: [path: string, names: string[]][] = [
    ['a', ['a']],
    ['a.b.c', ['a', 'b', 'c']],
    ['realm_access.roles', ['realm_access', 'roles']],
    ['https://a\\.example/roles', ['https://a.example/roles']],
    ['a\\.b.c', ['a.b', 'c']],
    ['a\\\\.b', ['a\\', 'b']],
    ['a\\\\\\.b', ['a\\.b']],
    ['\\$a', ['$a']],
    ['\\.', ['.']],
    [' ', [' ']],
    ['caf\u00e9.\u{1f36a}', ['caf\u00e9', '\u{1f36a}']],
    ['__proto__', ['__proto__']],
  ];
  for (const [path, names] of paths) {
    t.ok(isClaimPath(path), path);
    t.strictSame(parseClaimPath(path), names, path);
  }
  for (const path of ['', '.', '..', 'a.', '.a', 'a..b', 'a\\', 'a\\b', '\\', 'a.\\', 'a\\\\\\'])
    t.notOk(isClaimPath(path), path);
});

t.test('the value at a path: only own members of objects count', async (t) => {
  const claims =
    '{"a":{"b":"c","n":null,"f":false,"list":["x",{"b":"y"}]},"a.b":"dot","":"empty","n":12345678901234567890}';
  const rows: [path: string[], json: string | undefined][] = [
    [['a', 'b'], '"c"'],
    [['a.b'], '"dot"'],
    [[''], '"empty"'],
    [['a', 'n'], 'null'],
    [['a', 'f'], 'false'],
    [['a', 'list'], '["x",{"b":"y"}]'],
    [['n'], '12345678901234567890'],
    [['b'], undefined],
    [['a', 'c'], undefined],
    [['a', 'b', 'c'], undefined],
    [['a', 'n', 'b'], undefined],
    [['a', 'list', '0'], undefined],
    [['a', 'list', 'length'], undefined],
    [['a', 'b', 'length'], undefined],
    [['n', 'value'], undefined],
    [['n', 'source'], undefined],
    [['__proto__'], undefined],
    [['constructor'], undefined],
    [['constructor', 'name'], undefined],
    [['toString'], undefined],
    [['a', 'hasOwnProperty'], undefined],
  ];
  for (const [path, json] of rows) {
    const found = claimAt(parse(claims), path);
    t.equal(found === undefined ? undefined : toJson(found), json, path.join(' / '));
  }
  // The parser gives objects with a prototype for compact JSON, and without one for any other.
  for (const text of ['{}', ' {}', '{"a":1}', '{ "a": 1 }']) {
    for (const name of ['constructor', '__proto__', 'toString', 'hasOwnProperty'])
      t.equal(claimAt(parse(text), [name]), undefined, `${name} in ${text}`);
  }
  t.equal(claimAt(parse('{"__proto__":"own"}'), ['__proto__']), 'own', 'a member may be called so');
  for (const text of ['"a"', '["a"]', 'null', '1', 'true'])
    t.equal(claimAt(parse(text), ['0']), undefined, `${text} has no claims`);
});

/** The JSON of a claim; is it an object, and what is it as a number, as a string and as text? */
const types: [json: string, isObject: boolean, ...(string | number | undefined)[]][] = [
  ['{}', true],
  ['[]', false],
  ['null', false],
  ['true', false],
  ['"a"', false, undefined, 'a', 'a'],
  ['"1"', false, undefined, '1', '1'],
  ['1', false, 1, undefined, '1'],
  ['0', false, 0, undefined, '0'],
  ['-1', false, -1],
  ['1.0', false, 1],
  ['1e3', false, 1000],
  ['0.5', false, 0.5],
  ['9007199254740991', false, 9_007_199_254_740_991, undefined, '9007199254740991'],
  ['9007199254740992', false, undefined, undefined, '9007199254740992'],
  ['12345678901234567890', false, undefined, undefined, '12345678901234567890'],
  ['[1]', false],
  ['{"source":"1","value":1}', true],
];
t.test('J12 a claim is of the type that it is written as', async (t) => {
  for (const [json, isObject, number, string, text] of types) {
    const claims = parseObject(`{"c":${json}}`);
    t.equal(isJsonObject(claims['c']), isObject, `${json} as an object`);
    t.equal(numberOf(claims['c']), number, `${json} as a number`);
    t.equal(stringClaim(claims, 'c'), string, `${json} as a string`);
    t.equal(textClaim(claims, 'c'), text, `${json} as text`);
  }
  for (const text of ['{}', ' {}']) {
    for (const name of ['c', 'constructor', 'toString', '__proto__']) {
      t.equal(stringClaim(parseObject(text), name), undefined, name);
      t.equal(textClaim(parseObject(text), name), undefined, name);
    }
  }
  t.equal(isJsonObject(undefined), false);
});

t.test('J12 NumericDates are finite and in the safe range', async (t) => {
  const rows: [json: string, number: number | undefined][] = [
    ['1.5', 1.5],
    ['1.0', 1],
    ['1e3', 1000],
    ['-9007199254740991', -9_007_199_254_740_991],
    ['-9007199254740992', undefined],
    ['9007199254740991.5', undefined],
    ['1e16', undefined],
    ['1e999', undefined],
    ['-1e999', undefined],
    ['"1"', undefined],
    ['true', undefined],
    ['null', undefined],
    ['[]', undefined],
    ['[1]', undefined],
    ['{}', undefined],
  ];
  for (const [json, number] of rows) t.equal(numberOf(parse(json)), number, json);
  t.equal(numberOf(undefined), undefined, 'absent');
});

t.test('a claim matches if it equals or contains an allowed value of the same type', async (t) => {
  const rows: [json: string, allowed: (string | number | boolean)[], matches: boolean][] = [
    ['"a"', ['a'], true],
    ['"a"', ['b', 'a'], true],
    ['""', [''], true],
    ['1', [1], true],
    ['1.0', [1], true],
    ['1e0', [1], true],
    ['-0', [0], true],
    ['false', [false], true],
    ['["b","a"]', ['a'], true],
    ['[1.0,"a"]', [1], true],
    ['9007199254740991', [9_007_199_254_740_991], true],
    ['9007199254740992', [9_007_199_254_740_992], false],
    ['9007199254740993', [9_007_199_254_740_992], false],
    ['12345678901234567891', [12_345_678_901_234_567_000], false],
    ['"a"', [], false],
    ['"a"', ['A'], false],
    ['"a"', ['ab'], false],
    ['"ab"', ['a'], false],
    ['"a "', ['a'], false],
    ['"a,b"', ['a'], false],
    ['"1"', [1], false],
    ['1', ['1'], false],
    ['1.0', ['1.0'], false],
    ['1', [true], false],
    ['0', [false], false],
    ['""', [false], false],
    ['"true"', [true], false],
    ['null', ['null'], false],
    ['null', [false], false],
    ['[]', [''], false],
    ['[null]', ['null'], false],
    ['[["a"]]', ['a'], false],
    ['[{"a":"a"}]', ['a'], false],
    ['{"a":"a"}', ['a'], false],
    ['{"0":"a","length":1}', ['a'], false],
    // U+00E9, and e with U+0301.
    ['"\\u00e9"', ['e\u0301'], false],
  ];
  for (const [json, allowed, matches] of rows)
    t.equal(claimMatches(parse(json), allowed), matches, `${json} and ${JSON.stringify(allowed)}`);
  t.equal(claimMatches(undefined, ['undefined']), false, 'absent');
});
