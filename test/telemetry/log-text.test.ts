/** Text and numbers of a log line. Rule A6. */
import t from 'tap';
import { asciiJson, millisecondsText, quoted, quotedUpTo } from '../../src/telemetry/log-text.ts';

t.test('A6 whatever the text is, the JSON is printable ASCII and means that text', async (t) => {
  const texts = [
    '',
    'plain text ~',
    'a"b\\c',
    '\r\n{"level":"info"}\u0000\t',
    '\u007f\u0085\u009b31m',
    '\u2028\u2029\u202e\u200b',
    'naïve 🍪',
    '\ud800',
  ];
  for (const text of texts) {
    t.match(quoted(text), /^[ -~]*$/);
    t.equal(JSON.parse(quoted(text)), text);
  }
  t.strictSame(JSON.parse(asciiJson(JSON.stringify({ texts }))), { texts });
});

t.test('a text that is cut shows it', async (t) => {
  t.equal(quotedUpTo('abcd', 4), '"abcd"');
  t.equal(quotedUpTo('abcde', 4), '"abcd..."');
});

t.test('milliseconds have three decimals', async (t) => {
  for (const [milliseconds, text] of [
    [0, '0.000'],
    [0.0004, '0.000'],
    [0.0125, '0.013'],
    [1.2345678, '1.235'],
    [41.9999, '42.000'],
    [3_600_000.5, '3600000.500'],
    [-1, '0.000'],
  ] as const)
    t.equal(millisecondsText(milliseconds), text);
});
