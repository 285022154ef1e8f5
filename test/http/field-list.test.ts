/** Flat lists of header fields: names and values in turn. RFC 9110 sections 5.1 and 5.3, RFC 9112 section 5. */
import t from 'tap';
import {
  fieldLines,
  fieldPairs,
  fieldValue,
  fieldValues,
  hasField,
  onlyFieldValue,
  withoutFields,
} from '../../src/http/field-list.ts';

type Row = [
  name: string,
  fields: string[],
  expected: { has: boolean; first: string | undefined; only: string | undefined; all: string[] },
];

const absent = { has: false, first: undefined, only: undefined, all: [] };
const one = (value: string): Row[2] => ({ has: true, first: value, only: value, all: [value] });

const lookups: Row[] = [
  ['no fields', [], absent],
  ['other names', ['host', 'a', 'x-ab', 'b'], absent],
  ['the name as the value of another field', ['host', 'x-a', 'x-b', 'x-a'], absent],
  ['a name that begins with it', ['x-a-b', '1'], absent],
  ['a name of the same length', ['x-b', '1'], absent],
  ['the spelling that is asked for', ['host', 'a', 'x-a', '1'], one('1')],
  ['capitals', ['X-A', '1', 'Host', 'a'], one('1')],
  ['an empty value', ['x-a', ''], one('')],
  [
    'repeated',
    ['x-a', '1', 'b', '2', 'X-A', '3'],
    { has: true, first: '1', only: undefined, all: ['1', '3'] },
  ],
  [
    'repeated, the first one empty',
    ['x-a', '', 'x-a', '1'],
    { has: true, first: '', only: undefined, all: ['', '1'] },
  ],
];
t.test('a field is found by its name in any spelling, and by nothing else', async (t) => {
  for (const [name, fields, { has, first, only, all }] of lookups) {
    t.equal(hasField(fields, 'x-a'), has, `${name}: has`);
    t.equal(fieldValue(fields, 'x-a'), first, `${name}: first`);
    t.equal(onlyFieldValue(fields, 'x-a'), only, `${name}: only`);
    t.strictSame(fieldValues(fields, 'x-a'), all, `${name}: all`);
  }
});

t.test('names of Object are names like others', async (t) => {
  t.equal(hasField([], 'constructor'), false);
  t.equal(fieldValue(['__Proto__', '1'], '__proto__'), '1');
});

const removals: [name: string, fields: string[], names: string[], left: string[]][] = [
  ['nothing from nothing', [], ['a'], []],
  ['no names', ['a', '1'], [], ['a', '1']],
  ['every spelling, repeated too', ['A', '1', 'b', '2', 'a', '3'], ['a'], ['b', '2']],
  ['several names', ['a', '1', 'B', '2', 'c', '3'], ['b', 'c'], ['a', '1']],
  ['names only, not values', ['a', 'b', 'b', 'a'], ['b'], ['a', 'b']],
  [
    'the spelling and the order of the others stay',
    ['X-B', '1', 'a', '2', 'x-b', '3'],
    ['a'],
    ['X-B', '1', 'x-b', '3'],
  ],
];
t.test('fields are removed by name', async (t) => {
  for (const [name, fields, names, left] of removals) {
    const before = [...fields];
    t.strictSame(withoutFields(fields, names), left, name);
    t.strictSame(fields, before, `${name}: the list itself stays`);
  }
  const fields = ['a', '1'];
  t.equal(withoutFields(fields, []), fields, 'no copy without names');
});

const written: [name: string, fields: string[], pairs: [string, string][], lines: string][] = [
  ['no fields', [], [], ''],
  ['one', ['Host', 'a'], [['Host', 'a']], 'Host: a\r\n'],
  [
    'repeated, as they stand',
    ['A', '1', 'a', ''],
    [
      ['A', '1'],
      ['a', ''],
    ],
    'A: 1\r\na: \r\n',
  ],
];
t.test('a list is written as pairs and as lines', async (t) => {
  for (const [name, fields, pairs, lines] of written) {
    t.strictSame(fieldPairs(fields), pairs, name);
    t.equal(fieldLines(fields), lines, name);
  }
});
