/**
 * What a provider asks for that its preset cannot know: whose tokens may pass. At some providers every account, pod or
 * repository can get a token for any audience. Works on the document with its presets expanded. Pure. Rule J19.
 */
import type { Problem } from './problem.ts';
import { isProvider, type Provider } from './provider-presets.ts';
import { isRaw, listOf, rawOf, textOf, type Path, type Raw } from './raw-document.ts';

export function providerProblems(issuer: Raw, path: Path): Problem[] {
  const { provider } = issuer;
  if (!isProvider(provider)) return [];
  const problem = CHECKS[provider]?.(issuer, rawOf(issuer['claims']));
  return [
    ...(problem === undefined ? [] : [{ path: [...path, ...problem.at], message: problem.message }]),
    ...(namesAudience(provider, issuer) ? [] : [audienceProblem(provider, path)]),
  ];
}

interface Finding {
  /** The keys within the issuer. */
  readonly at: readonly string[];
  readonly message: string;
}
type Check = (issuer: Raw, claims: Raw) => Finding | undefined;

const atProvider = (message: string): Finding => ({ at: ['provider'], message });

/** The values that the claim must equal one of; none where the rule is no such list. */
function exactValues(rule: unknown): readonly unknown[] {
  if (isRaw(rule)) return exactValues(rule['equals']);
  return rule === undefined || rule === null ? [] : Array.isArray(rule) ? listOf(rule) : [rule];
}

const isExact = (rule: unknown): boolean => exactValues(rule).length > 0;

const google: Check = (_, claims) => {
  const isVerified = exactValues(claims['email_verified']);
  const byEmail = isExact(claims['email']) && isVerified.length === 1 && isVerified[0] === true;
  return isExact(claims['sub']) || isExact(claims['hd']) || byEmail
    ? undefined
    : atProvider(
        'google issues tokens for any audience to any account; add claims: { hd: [your-domain] }, or a rule on sub, or one on email beside email_verified: [true]',
      );
};

const IDS = ['repository_owner_id', 'repository_id'];

const githubActions: Check = (_, claims) => {
  const numbered = IDS.find((id) => exactValues(claims[id]).some((value) => typeof value === 'number'));
  if (numbered !== undefined)
    return {
      at: ['claims', numbered],
      message: 'is compared with a text, which no number equals; put quotes around each id',
    };
  return IDS.some((id) => isExact(claims[id]))
    ? undefined
    : atProvider(
        'github-actions issues tokens for any audience to any repository; add claims: { repository_owner_id: ["..."] }, or a rule on repository_id (the numbers, since names can pass to another owner)',
      );
};

const ANY_SERVICE_ACCOUNT = 'system:serviceaccount:';

const kubernetes: Check = (_, claims) => {
  const rule = claims['sub'];
  const prefixes = isRaw(rule) ? [rule['prefix']].flat() : [];
  const isNarrow = (prefix: unknown): boolean =>
    textOf(prefix).startsWith(ANY_SERVICE_ACCOUNT) && textOf(prefix).length > ANY_SERVICE_ACCOUNT.length;
  return isExact(rule) || (prefixes.length > 0 && prefixes.every(isNarrow))
    ? undefined
    : atProvider(
        'kubernetes lets every pod get a token for any audience; add claims: { sub: { prefix: "system:serviceaccount:NAMESPACE:" } }, or the exact subjects',
      );
};

const supabase: Check = (_, claims) => {
  const roles = exactValues(claims['role']);
  if (roles.includes('anon'))
    return {
      at: ['claims', 'role'],
      message: 'has anon, the role of the public key that every visitor has; remove it',
    };
  return roles.length > 0
    ? undefined
    : atProvider(
        'supabase has a public key with the role anon; name the roles that may pass, as in claims: { role: [authenticated] }',
      );
};

const CHECKS: Partial<Readonly<Record<Provider, Check>>> = {
  google,
  'github-actions': githubActions,
  kubernetes,
  supabase,
};

/** Claims that say for whom a token is, at providers whose tokens may have no `aud`. */
const STAND_INS: Partial<Readonly<Record<Provider, readonly string[]>>> = {
  keycloak: ['azp', 'client_id'],
  cognito: ['client_id'],
  clerk: ['azp'],
  // The issuer of an environment has its client id in it.
  workos: ['client_id', 'org_id', 'iss'],
  hydra: ['client_id'],
};

/** Without an audience, and without a rule in its place, the tokens for every other service would pass. */
function namesAudience(provider: Provider, issuer: Raw): boolean {
  const claims = rawOf(issuer['claims']);
  return (
    issuer['audiences'] !== undefined ||
    // Another problem says so.
    issuer['token_type'] === 'id_token' ||
    issuer['validation'] !== undefined ||
    (STAND_INS[provider] ?? []).some((claim) => isNaming(claim, claims[claim]))
  );
}

const isNaming = (claim: string, rule: unknown): boolean =>
  isExact(rule) &&
  (claim !== 'iss' || exactValues(rule).every((value) => /\/user_management\/client_/.test(textOf(value))));

function audienceProblem(provider: Provider, path: Path): Problem {
  const [standIn] = STAND_INS[provider] ?? [];
  return {
    path: [...path, 'provider'],
    message: `${provider} issues tokens for other services too, and none of yours is named; add audiences: [...]${
      standIn === undefined ? '' : `, or claims: { ${standIn}: [...] } if its tokens have no aud`
    }`,
  };
}
