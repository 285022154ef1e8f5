/** Claim rules that are allowed, but fit more than they seem to. Pure. */
import type { ClaimRuleSetting } from '../token/claim-rules.ts';
import { upstreamEntries } from './route-upstream-schema.ts';
import type { Configuration } from './schema.ts';

/** One line for each risk: what it is, what to do. */
export function claimRuleWarnings({ issuers, routes }: Configuration): string[] {
  return [
    ...Object.entries(issuers).flatMap(([name, { claims }]) =>
      openPrefixes(claims, `issuers.${name}.claims`),
    ),
    ...routes.flatMap(({ name, auth, upstream }) => [
      ...openPrefixes(auth.claims, `routes: ${name} auth.claims`),
      ...(auth.any_of ?? []).flatMap(({ claims }, index) =>
        openPrefixes(claims, `routes: ${name} auth.any_of[${index}].claims`),
      ),
      ...upstreamEntries(upstream).flatMap(({ claims = {} }, index) =>
        openPrefixes(claims, `routes: ${name} upstream[${index}].claims`),
      ),
    ]),
  ];
}

const ENDS_WITHIN_A_WORD = /[\p{L}\p{N}]$/u;

function openPrefixes(claims: Readonly<Record<string, ClaimRuleSetting>>, where: string): string[] {
  return Object.entries(claims).flatMap(([claim, setting]) =>
    prefixesOf(setting)
      .filter((prefix) => ENDS_WITHIN_A_WORD.test(prefix))
      .map(
        (prefix) =>
          `${where}.${claim}: the prefix ${JSON.stringify(prefix)} ends in a letter or digit: ${JSON.stringify(`${prefix}2`)} has it, too; end it with the separator that follows, such as : or /`,
      ),
  );
}

function prefixesOf(setting: ClaimRuleSetting): readonly string[] {
  if (typeof setting !== 'object' || !('prefix' in setting)) return [];
  return typeof setting.prefix === 'string' ? [setting.prefix] : setting.prefix;
}
