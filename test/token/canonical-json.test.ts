/** One spelling of JSON, with the examples of RFC 8785 sections 3.2.2 and 3.2.3. */
import t from 'tap';
import { canonicalJson } from '../../src/token/canonical-json.ts';
import { parseStrictJson } from '../../src/token/strict-json.ts';

const canonical = (text: string): string => canonicalJson(parseStrictJson(Buffer.from(text)));

t.test('numbers, strings and literals have one spelling', (t) => {
  const text = String.raw`{
    "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
    "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
    "literals": [null, true, false]
  }`;
  t.equal(
    canonical(text),
    String.raw`{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`,
  );
  t.equal(canonical('[-0, 0.0, 1e400, -1e400]'), '[0,0,1e400,-1e400]', 'no number becomes null');
  t.end();
});

t.test('members are ordered by their UTF-16 code units, at each level', (t) => {
  const text = String.raw`{
    "\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh", "1": "One",
    "\ud83d\ude00": "Emoji: Grinning Face", "\u0080": "Control", "\u00f6": "Latin Small Letter O With Diaeresis"
  }`;
  const order = Object.values(JSON.parse(canonical(text)) as object);
  // JSON.parse puts a name that is a number first.
  t.strictSame(order, [
    'One',
    'Carriage Return',
    'Control',
    'Latin Small Letter O With Diaeresis',
    'Euro Sign',
    'Emoji: Grinning Face',
    'Hebrew Letter Dalet With Dagesh',
  ]);
  t.match(canonical(text), /^\{"\\r":"Carriage Return","1":"One"/);
  t.equal(
    canonical('{"b":[{"d":1,"c":{}}],"a":{"z":[],"__proto__":2}}'),
    '{"a":{"__proto__":2,"z":[]},"b":[{"c":{},"d":1}]}',
  );
  t.end();
});
