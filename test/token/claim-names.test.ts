/** The common facts about a caller, wherever an issuer keeps them. Rules J2, J12, V12, V16. */
import t from 'tap';
import { callerFacts, namesAreTyped, revocableNames } from '../../src/token/claim-names.ts';
import { parseStrictJson, type JsonObject } from '../../src/token/strict-json.ts';
import { claimNamesOf } from '../support/claim-names.ts';

const parse = (text: string): JsonObject => parseStrictJson(Buffer.from(text)) as JsonObject;
const NAMES = claimNamesOf();

t.test('the scopes of a token: scope, else scp, separated by spaces or in a list', async (t) => {
  const rows: [claims: string, scopes: string[]][] = [
    ['{}', []],
    ['{"scope":""}', []],
    ['{"scope":"a"}', ['a']],
    ['{"scope":"a b:c  a "}', ['a', 'b:c']],
    ['{"scope":["a","b"]}', ['a', 'b']],
    ['{"scp":"a b"}', ['a', 'b']],
    ['{"scp":["a"]}', ['a']],
    ['{"scope":null,"scp":"a"}', ['a']],
    ['{"scope":"a","scp":"b"}', ['a']],
    ['{"scope":"","scp":"b"}', ['b']],
    ['{"scope":[],"scp":"b"}', []],
    ['{"scope":"a,b"}', ['a,b']],
    ['{"scope":"a\\tb"}', ['a\tb']],
    ['{"scope":["a b",""]}', ['a b']],
    ['{"scopes":"a"}', []],
  ];
  for (const [claims, scopes] of rows)
    t.strictSame([...callerFacts(parse(claims), NAMES).scopes], scopes, claims);
});

t.test('the first claim that is present counts; null and "" are absent', async (t) => {
  const rows: [claims: string, client: string | undefined][] = [
    ['{}', undefined],
    ['{"client_id":"a","azp":"b","cid":"c","appid":"d"}', 'a'],
    ['{"client_id":"","azp":"b"}', 'b'],
    ['{"client_id":null,"azp":null,"cid":"c"}', 'c'],
    ['{"appid":"d"}', 'd'],
    ['{"aud":"d","clientId":"d"}', undefined],
  ];
  for (const [claims, client] of rows) t.equal(callerFacts(parse(claims), NAMES).clientId, client, claims);
  const claims = parse('{"sub":"opaque","user":{"id":7},"org":{"id":"acme"},"sid":"s1","session_id":"s2"}');
  const names = claimNamesOf({ subject: 'user.id', tenant: 'org.id', session: 'session_id' });
  const { subject, tenant, session } = callerFacts(claims, names);
  t.strictSame([subject, tenant, session], ['7', 'acme', 's2']);
});

t.test('null: the tokens of the issuer do not say, whatever they carry', async (t) => {
  const names = claimNamesOf({ subject: null, client: null, scopes: null, session: null });
  const claims = parse('{"sub":"u","client_id":"c","scope":"s","sid":"x"}');
  t.strictSame(callerFacts(claims, names), {
    subject: undefined,
    clientId: undefined,
    scopes: new Set(),
    session: undefined,
    tenant: undefined,
  });
  t.strictSame(revocableNames(claims, names), { subjects: [], sessions: [], clients: [] });
});

t.test('V12 each claim of a kind ends the token, and sub and sid always do', async (t) => {
  const claims = parse('{"sub":"u","oid":"o","client_id":"c","azp":"z","sid":"s1","session_id":"s2"}');
  t.strictSame(revocableNames(claims, claimNamesOf({ subject: 'oid', session: 'session_id' })), {
    subjects: ['o', 'u'],
    sessions: ['s2', 's1'],
    clients: ['c', 'z'],
  });
  t.strictSame(
    revocableNames(parse('{"sub":"u","azp":"c","client_id":"c"}'), NAMES),
    { subjects: ['u'], sessions: [], clients: ['c'] },
    'one name once',
  );
});

t.test('J2 V16 a name of another type makes the token bad, and what is absent does not', async (t) => {
  const rows: [claims: string, jwt: boolean, introspected: boolean][] = [
    ['{}', true, true],
    ['{"sub":null,"client_id":"","scope":null,"sid":null}', true, true],
    ['{"sub":7}', true, true],
    ['{"sub":"7"}', true, true],
    ['{"sub":7.5}', false, false],
    ['{"sub":["u"]}', false, false],
    ['{"sub":{"id":"u"}}', false, false],
    ['{"sub":true}', false, false],
    ['{"cid":7}', false, true],
    ['{"client_id":"c","appid":{}}', false, false],
    ['{"session_id":false}', false, false],
    ['{"scope":7}', false, false],
    ['{"scope":true,"scp":"a"}', false, false],
    ['{"scope":{"a":"b"}}', false, false],
    ['{"scope":["a",1]}', false, false],
    ['{"scope":["a",null]}', false, false],
    ['{"scp":[["a"]]}', false, false],
  ];
  for (const [text, jwt, introspected] of rows) {
    const claims = parse(text);
    t.equal(namesAreTyped(claims, NAMES, 'string or integer', 'string'), jwt, text);
    t.equal(
      namesAreTyped(claims, NAMES, 'string or integer', 'string or integer'),
      introspected,
      `${text}, introspected`,
    );
  }
  t.notOk(namesAreTyped(parse('{"sub":7}'), NAMES, 'string', 'string'), 'RFC 9068 asks for a string');
});
