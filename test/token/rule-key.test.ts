/** The key of a rule stands for what it asks, and for nothing else. */
import t from 'tap';
import { templateOf } from '../../src/http/path-template.ts';
import { compileClaimRules, type ClaimRuleSetting } from '../../src/token/claim-rules.ts';
import { claimRuleKey, stepUpKey } from '../../src/token/rule-key.ts';

const keyOf = (claim: string, setting: ClaimRuleSetting, path?: string): string => {
  const [rule] = compileClaimRules({ [claim]: setting }, path === undefined ? undefined : templateOf(path));
  return rule ? claimRuleKey(rule) : '';
};

t.test('rules that ask the same have one key', async (t) => {
  t.equal(keyOf('roles', 'admin'), keyOf('roles', ['admin']));
  t.equal(keyOf('roles', ['a', 'b']), keyOf('roles', { equals: ['b', 'a'] }));
  t.equal(keyOf('t', { path: 'x' }, '/t/{x}/a'), keyOf('t', { path: 'tenant' }, '/t/{tenant}'));
  t.equal(
    stepUpKey({ acr: ['a', 'b'], maxAuthAgeSeconds: undefined }),
    stepUpKey({ acr: ['b', 'a'], maxAuthAgeSeconds: undefined }),
  );
});

t.test('rules that ask something else have another', async (t) => {
  const keys = [
    keyOf('roles', 'a|b'),
    keyOf('roles', ['a', 'b']),
    keyOf('roles', { prefix: ['a', 'b'] }),
    keyOf('roles', { has_key: ['a', 'b'] }),
    keyOf('roles', { absent: true }),
    keyOf('roles', 1),
    keyOf('roles', '1'),
    keyOf('roles', true),
    keyOf('roles.a', 'b'),
    keyOf('roles\\.a', 'b'),
    keyOf('roles', { path: 'x' }, '/t/{x}'),
    keyOf('roles', { path: 'x' }, '/t/u/{x}'),
    stepUpKey({ acr: ['a', 'b'], maxAuthAgeSeconds: undefined }),
    stepUpKey({ acr: ['a', 'b'], maxAuthAgeSeconds: 60 }),
    stepUpKey({ acr: [], maxAuthAgeSeconds: 60 }),
  ];
  t.equal(new Set(keys).size, keys.length);
  t.ok(keys.every((key) => /^[\w-]{12}$/.test(key)));
});
