/** What a route asks of the login behind a token, and what the login lacks, in words. Pure. RFC 9470. */
import { stepUpTexts } from '../config/describe-route.ts';
import { loginFault, loginTime, loginTimes, type LoginFault, type StepUpRule } from '../token/login.ts';
import { toJson } from '../token/strict-json.ts';
import type { AuthenticToken } from '../token/token-verifier.ts';
import { textOf } from './describe-token.ts';
import { durationText } from '../clock.ts';

/** Of a login that is recent and strong enough. */
export function goodLoginTexts(
  rule: StepUpRule | undefined,
  { claims, loginTimeClaims }: AuthenticToken,
  nowMs: number,
): string[] {
  if (!rule) return [];
  const logins = loginTimes(claims, loginTimeClaims);
  return [
    ...(rule.acr.length > 0 ? [`acr ${toJson(claims['acr'] ?? null)}`] : []),
    ...(rule.maxAuthAgeSeconds !== undefined && logins.length > 0
      ? [`a login ${agoText(Math.min(...logins), nowMs)} (${partsOf(rule).age})`]
      : []),
  ];
}

/** Everything that the login lacks, with what the token says and what the route asks. */
export function loginLackTexts(rule: StepUpRule | undefined, token: AuthenticToken, nowMs: number): string[] {
  if (!rule) return [];
  const { acr, age } = partsOf(rule);
  const strength = loginFault(token, { ...rule, maxAuthAgeSeconds: undefined }, nowMs / 1000);
  const date = loginFault(token, { ...rule, acr: [] }, nowMs / 1000);
  return [
    ...(strength ? [`${saidText(strength)}; the route asks for ${acr}`] : []),
    ...(date ? [`${dateFaultText(date, token, nowMs)}; the route asks for ${age}`] : []),
  ];
}

function dateFaultText(fault: LoginFault, { futureIatSeconds }: AuthenticToken, nowMs: number): string {
  const loggedInAt = loginTime(fault.value, nowMs / 1000 + futureIatSeconds);
  if (loggedInAt !== undefined) return `the login was ${agoText(loggedInAt, nowMs)}`;
  return (fault.value ?? null) === null
    ? saidText(fault)
    : `${saidText(fault)}, which is no date of the past`;
}

function saidText({ claim, value }: LoginFault): string {
  return (value ?? null) === null ? `the token has no ${claim}` : `${claim} is ${textOf(value ?? null)}`;
}

function agoText(seconds: number, nowMs: number): string {
  return `${durationText(Math.max(0, Math.round(nowMs / 1000 - seconds)))} ago`;
}

function partsOf({ acr, maxAuthAgeSeconds }: StepUpRule): { readonly acr: string; readonly age: string } {
  const [strength = ''] = stepUpTexts({ acr: [...acr], max_auth_age: undefined });
  const [age = ''] = stepUpTexts({
    acr: undefined,
    max_auth_age: maxAuthAgeSeconds === undefined ? undefined : maxAuthAgeSeconds * 1000,
  });
  return { acr: strength, age };
}
