/** The messages of a poll, with the figures of RFC 8936. */
import t from 'tap';
import { pollBody, readPollResponse } from '../../src/signals/poll-exchange.ts';
import { parseStrictJson } from '../../src/token/strict-json.ts';

const ONE = '4d3559ec67504aaba65d40b0363faad8';
const TWO = '3d0c3cf797584bd193bd0fb1bd4e7d30';
const none = { acknowledged: [], refused: new Map() };
const json = (text: string): ReturnType<typeof parseStrictJson> => parseStrictJson(Buffer.from(text));

t.test('a poll says what it asks, acknowledges and refuses, and leaves out what it does not', async (t) => {
  t.strictSame(JSON.parse(pollBody({ maxEvents: 100, waits: true, ...none })), {
    maxEvents: 100,
    returnImmediately: false,
  });
  t.strictSame(
    JSON.parse(pollBody({ maxEvents: 0, waits: false, acknowledged: [ONE, TWO], refused: new Map() })),
    { maxEvents: 0, returnImmediately: true, ack: [ONE, TWO] },
    'figure 3: only to acknowledge',
  );
  const refusal = { err: 'authentication_failed', description: 'The SET could not be authenticated' };
  t.strictSame(
    JSON.parse(
      pollBody({ maxEvents: 10, waits: false, acknowledged: [TWO], refused: new Map([[ONE, refusal]]) }),
    ),
    { maxEvents: 10, returnImmediately: true, ack: [TWO], setErrs: { [ONE]: refusal } },
    'figure 5: both',
  );
});

t.test('a name that is special to JavaScript is one like any other', async (t) => {
  const refusal = { err: 'invalid_key', description: '' };
  const body = pollBody({
    maxEvents: 1,
    waits: false,
    acknowledged: [],
    refused: new Map([['__proto__', refusal]]),
  });
  t.match(body, '"setErrs":{"__proto__":{"err":"invalid_key"');
  const { offered } = readPollResponse(json('{"sets":{"__proto__":"a.b.c","constructor":"d.e.f"}}'), 10);
  t.strictSame(offered, [
    { id: '__proto__', token: 'a.b.c' },
    { id: 'constructor', token: 'd.e.f' },
  ]);
});

t.test('a response holds signals by their names', async (t) => {
  t.strictSame(
    readPollResponse(json(`{"sets":{"${ONE}":"a.b.c","${TWO}":"d.e.f"},"moreAvailable":true}`), 10),
    {
      offered: [
        { id: ONE, token: 'a.b.c' },
        { id: TWO, token: 'd.e.f' },
      ],
      leftOut: 0,
    },
  );
  const nothing = { offered: [], leftOut: 0 };
  for (const document of [
    undefined,
    json('{}'),
    json('{"sets":{}}'),
    json('{"sets":{},"moreAvailable":false}'),
  ])
    t.strictSame(readPollResponse(document, 10), nothing);
});

t.test('what was not asked for is left where it is', async (t) => {
  const sets = Object.fromEntries(Array.from({ length: 3_000 }, (_, index) => [`jti-${index}`, 'a.b.c']));
  const { offered, leftOut } = readPollResponse(json(JSON.stringify({ sets })), 100);
  t.equal(offered.length, 100);
  t.equal(leftOut, 2_900);
});

t.test('a signal that is no text is one to be refused', async (t) => {
  t.strictSame(readPollResponse(json('{"sets":{"a":1,"b":null,"c":{"d":"e"},"f":["g"]}}'), 10).offered, [
    { id: 'a', token: undefined },
    { id: 'b', token: undefined },
    { id: 'c', token: undefined },
    { id: 'f', token: undefined },
  ]);
});

t.test('what is no response to a poll is an error', async (t) => {
  for (const text of ['[]', '1', '1.0', '"sets"', 'null', '{"sets":[]}', '{"sets":"a"}', '{"sets":null}'])
    t.throws(() => readPollResponse(json(text), 10), Error, text);
});
