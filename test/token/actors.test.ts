/** Chains of actors (RFC 8693 section 4.1): what is read of them, and what they cost. */
import t from 'tap';
import { actorsOf, MAX_ACTORS } from '../../src/token/actors.ts';
import type { JsonObject } from '../../src/token/claims.ts';
import { parseStrictJson } from '../../src/token/strict-json.ts';

const ISSUER = 'https://login.example.com';

const claims = (act: unknown): JsonObject =>
  parseStrictJson(Buffer.from(JSON.stringify({ iss: ISSUER, sub: 'alice', act }))) as JsonObject;

/** An act claim with so many levels. */
const chain = (levels: number): object => {
  const act = { sub: `agent-${levels}` };
  return levels === 1 ? act : { ...act, act: chain(levels - 1) };
};

t.test('what servers write there', (t) => {
  const actor = (subject: string | undefined, issuer?: string, clients: string[] = []): object => ({
    issuer,
    subject,
    clients,
  });
  const cases: [name: string, act: unknown, expected: unknown][] = [
    ['nothing', undefined, []],
    ['null', null, []],
    ['RFC 8693, Auth0, WSO2, authentik, WorkOS: sub', { sub: 'agent-1' }, [actor('agent-1')]],
    [
      'Clerk, Airlock: iss and sub',
      { iss: 'https://dashboard.example', sub: 'support', sid: 'x' },
      [actor('support', 'https://dashboard.example')],
    ],
    ['the issuer of the token itself', { iss: ISSUER, sub: 'agent-1' }, [actor('agent-1')]],
    ['a client alone', { client_id: 'agent-1' }, [actor(undefined, undefined, ['agent-1'])]],
    ['a client beside a user', { sub: 'u1', azp: 'app' }, [actor('u1', undefined, ['app'])]],
    ['both names of a client', { client_id: 'a', azp: 'b' }, [actor(undefined, undefined, ['a', 'b'])]],
    ['numbered users', { sub: 7 }, [actor('7')]],
    ['a name alone', 'agent-1', [actor('agent-1')]],
    ['an actor without a name', {}, [actor(undefined)]],
    ['other members, of any type', { sub: 'a', sub_profile: ['ai_agent'], exp: 'x' }, [actor('a')]],
    ['a chain, the current actor first', chain(2), [actor('agent-2'), actor('agent-1')]],
    ['a chain that ends with null', { sub: 'a', act: null }, [actor('a')]],
    ['null in place of names', { sub: null, iss: null, azp: null }, [actor(undefined)]],
    ['a list', [{ sub: 'a' }], 'unclear'],
    ['true', true, 'unclear'],
    ['sub that is an object', { sub: { id: 'a' } }, 'unclear'],
    ['a client that is a list', { client_id: ['a'] }, 'unclear'],
    ['iss that is no text', { sub: 'a', iss: 1 }, 'unclear'],
    ['an unclear one behind a clear one', { sub: 'a', act: { sub: [] } }, 'unclear'],
    ['1.0 is no name', { sub: 1.5 }, 'unclear'],
  ];
  for (const [name, act, expected] of cases) t.strictSame(actorsOf(claims(act)), expected, name);
  t.end();
});

t.test('a chain has at most 8 levels', (t) => {
  for (let levels = 1; levels <= MAX_ACTORS; levels++)
    t.equal(actorsOf(claims(chain(levels))).length, levels, String(levels));
  for (const levels of [MAX_ACTORS + 1, 20]) t.equal(actorsOf(claims(chain(levels))), 'too_long');
  t.end();
});

t.test('who may act is no actor', (t) => {
  const mayAct = { iss: ISSUER, may_act: { sub: 'agent-1' }, actor: { sub: 'agent-1' } };
  t.strictSame(actorsOf(mayAct), []);
  t.end();
});
