/**
 * A short name for what a rule asks of a token, the same for two rules that ask the same: by it a line of the log says which rules
 * held, without the claim and without its value. Pure.
 */
import { hash } from 'node:crypto';
import type { ClaimRule, PlainValue } from './claim-rules.ts';
import type { StepUpRule } from './login.ts';

/** 72 bits: two rules of one configuration do not share a key by accident. */
const KEY_CHARACTERS = 12;

/** Of all names of scopes and keys of rules on one line of the log. What does not fit is left out, in the order of the file. */
export const MAX_FACTS_BYTES = 4_096;

/** Of a claim rule. A rule about a variable of the path is named by the place of its segment: so another route may ask the same. */
export function claimRuleKey({ path, test }: ClaimRule): string {
  switch (test.kind) {
    case 'absent':
      return keyOf([test.kind, path]);
    case 'path':
      return keyOf([test.kind, path, test.segment ?? null]);
    default:
      return keyOf([
        test.kind,
        path,
        valuesOf({ test })
          .map((value) => JSON.stringify(value))
          .sort(),
      ]);
  }
}

/** Of what a route asks of the login. */
export function stepUpKey({ acr, maxAuthAgeSeconds }: StepUpRule): string {
  return keyOf(['step_up', [...acr].sort(), maxAuthAgeSeconds ?? null]);
}

/** The values of a rule of which one is enough; empty for the other kinds. */
export function valuesOf({ test }: Pick<ClaimRule, 'test'>): readonly PlainValue[] {
  switch (test.kind) {
    case 'equals':
      return test.allowed;
    case 'prefix':
      return test.prefixes;
    case 'has_key':
      return test.names;
    default:
      return [];
  }
}

function keyOf(rule: readonly unknown[]): string {
  return hash('sha256', JSON.stringify(rule), 'base64url').slice(0, KEY_CHARACTERS);
}
