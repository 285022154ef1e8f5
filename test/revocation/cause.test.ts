/** Why a token is refused, as one sentence. */
import t from 'tap';
import { ageSeconds, causeOf, causeText } from '../../src/revocation/cause.ts';
import type { TargetKind } from '../../src/revocation/revocation-target.ts';

const NOW_MS = 1_800_000_000_000;

const sentence = (
  kind: TargetKind | undefined,
  createdBy: string,
  reason: string | null,
  agoSeconds: number,
): string => causeText({ kind, createdBy, reason, createdAt: NOW_MS / 1000 - agoSeconds }, NOW_MS);

t.test('it says what, by whom, why and when', (t) => {
  const cases: [text: string, ...Parameters<typeof sentence>][] = [
    [
      'session revoked by signal session-revoked of login, 14 s ago',
      'session',
      'signal:login',
      'session-revoked',
      14,
    ],
    [
      'session revoked by signal session-revoked of login (Policy: C076), 14 s ago',
      'session',
      'signal:login',
      'session-revoked: Policy: C076',
      14,
    ],
    ['subject revoked by signal without a name of login, 0 s ago', 'subject', 'signal:login', null, 0],
    [
      'subject revoked by operator alice (offboarding), 3 days ago',
      'subject',
      'alice',
      'offboarding',
      3 * 86_400,
    ],
    ['client revoked by operator staff:bob, 5 min ago', 'client', 'staff:bob', null, 300],
    [
      'session revoked by logout of login, 2 h ago',
      'session',
      'backchannel-logout:login',
      'logged out',
      7_200,
    ],
    [
      'subject revoked by global token revocation of login (asked by okta), 119 s ago',
      'subject',
      'global-token-revocation:login',
      'asked by okta',
      119,
    ],
    ['token revoked by operator admin, 1 s ago', 'token_id', 'admin', null, 1],
    ['token revoked by operator admin, 1 s ago', 'token', 'admin', null, 1],
    ['claim revoked by operator constructor:x, 1 s ago', 'claim', 'constructor:x', null, 1],
    ['revoked by an entry that was restored, 60 s ago', undefined, 'restored', 'restored', 60],
    ['token revoked by operator admin, 0 s ago', 'token', 'admin', null, -30],
  ];
  for (const [text, ...of] of cases) t.equal(sentence(...of), text);
  t.equal(ageSeconds(NOW_MS / 1000 + 5, NOW_MS), 0, 'the clock of the store is ahead');
  t.end();
});

t.test('A5 it never says whose, and long texts are cut', (t) => {
  const cause = causeOf({
    id: 'abc',
    target: { issuer: 'https://login', kind: 'subject', value: 'alice@example.com' },
    issuedBefore: 1,
    expiresAt: 2,
    revoked: true,
    version: { timeMs: 1, counter: 0 },
    createdAt: 1,
    createdBy: 'b'.repeat(300),
    reason: 'r'.repeat(300),
  });
  t.notMatch(JSON.stringify(cause) + causeText(cause, NOW_MS), /alice/);
  t.strictSame([cause.createdBy.length, cause.reason?.length], [259, 259]);
  t.end();
});
