import t from 'tap';
import { BrokenResponse, readResponseHead } from '../../src/http/response-head.ts';
import { UnfinishedHead } from '../../src/http/unfinished-head.ts';
import { SeededRandom } from '../support/seeded-random.ts';

/** After how many bytes, one at a time, it is known that this is no head; undefined: it may. */
function brokenAfter(text: string, hasStatusLine = true): number | undefined {
  const head = new UnfinishedHead(hasStatusLine);
  const bytes = Buffer.from(text, 'latin1');
  for (let end = 1; end <= bytes.length; end++) {
    try {
      head.check(bytes.subarray(0, end));
    } catch (error) {
      if (error instanceof BrokenResponse) return end;
      throw error;
    }
  }
  return undefined;
}

t.test('H4 what cannot become a head is known with the byte that shows so', async (t) => {
  const cases: [string, string, number][] = [
    ['a TLS alert', '\x15\x03\x01\0\x02\x02\x16', 1],
    ['SETTINGS of HTTP/2', '\0\0\x12\x04\0\0\0\0\0', 1],
    ['a preface of HTTP/2', 'PRI * HTTP/2.0\r\n', 1],
    ['an SSH banner', 'SSH-2.0-x\r\n', 1],
    ['an SMTP banner', '220 mail ESMTP\r\n', 1],
    ['text of HTTP/0.9', '<html>', 1],
    ['an empty line first', '\r\nHTTP/1.1 200 OK\r\n', 1],
    ['HTTP/2.0', 'HTTP/2.0 200 OK\r\n', 6],
    ['HTTP/1.2', 'HTTP/1.2 200 OK\r\n', 8],
    ['a status of four digits', 'HTTP/1.1 2000 OK\r\n', 13],
    ['a status line that ends with LF', 'HTTP/1.1 200 OK\n', 16],
    ['a field line that ends with LF', 'HTTP/1.1 200 OK\r\nX: 1\n', 22],
    ['a CR inside a line', 'HTTP/1.1 200 OK\r\nX: 1\rY', 23],
    ['a folded line', 'HTTP/1.1 200 OK\r\nX: 1\r\n ', 24],
    ['a field line without colon', 'HTTP/1.1 200 OK\r\nnonsense\r', 26],
    ['a name with a space', 'HTTP/1.1 200 OK\r\nX ', 19],
    ['an empty name', 'HTTP/1.1 200 OK\r\n:', 18],
    ['a NUL', 'HTTP/1.1 200 OK\r\nX: \0', 21],
    ['DEL', 'HTTP/1.1 200 \x7f', 14],
  ];
  for (const [name, text, end] of cases) t.equal(brokenAfter(text), end, name);
  t.equal(brokenAfter('X: 1\r\nY\r', false), 8, 'trailers have no status line');
});

t.test('what can become a head is waited for, and agrees with the whole head, seed printed', async (t) => {
  const valid =
    'HTTP/1.1 200 OK\r\nX: \t\xff y \r\nEmpty:\r\nServer: a:b\r\nHTTP-1.1: 2\r\nContent-Length: 3\r\n\r\n';
  t.equal(brokenAfter(valid), undefined);
  t.equal(brokenAfter('HTTP/1.0 599\r\n\r\n'), undefined, 'no reason phrase');
  const seed = Date.now() % 1_000_000;
  t.comment(`seed ${seed}`);
  const random = new SeededRandom(seed);
  const differing: string[] = [];
  for (let round = 0; round < 3_000; round++) {
    const bytes = Buffer.from('HTTP/1.1 200 OK\r\nX: a b\r\nY: 2\r\n', 'latin1');
    for (let edits = 1 + random.below(2); edits > 0; edits--)
      bytes[random.below(bytes.length)] = random.of([0, 9, 10, 13, 32, 58, 65, 127, 200]);
    const text = bytes.toString('latin1');
    // An edit may end the head early, and what follows is no head; a CR at the end may still get its LF.
    if (/\r\n\r\n/.test(text) || text.endsWith('\r')) continue;
    let isHead = true;
    try {
      readResponseHead(text.replace(/\r\n$/, ''), 'GET');
    } catch {
      isHead = false;
    }
    if (isHead !== (brokenAfter(text) === undefined)) differing.push(JSON.stringify(text));
  }
  t.strictSame(differing, []);
});
