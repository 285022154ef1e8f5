/** What the body of POST /v1/revocations asks for. Pure. */
import { z } from 'zod';
import type { RevokeCommand, Revoker } from '../revocation/revoker.ts';
import { claimTargetValue, type RevocationTarget } from '../revocation/revocation-target.ts';
import { claimText } from '../token/claim-texts.ts';
import { RawNumber } from '../token/strict-json.ts';
import { unpresentableText } from '../token/token-text.ts';

export const MAX_REASON_CHARACTERS = 500;

const givenText = z.string().min(1, 'must not be empty; give the value that the tokens carry');
/** As much as the longest token of the default limits.token_bytes could hold. */
const targetText = givenText.max(8_192, 'must have at most 8192 characters');
/** As long as the body of a request may be: a token holds all of its claims. */
const tokenText = givenText.max(65_536, 'must have at most 65536 characters');
/** A NumericDate in seconds, or an RFC 3339 date-time. */
export const time = z.union(
  [
    z.number().min(0).max(253_402_300_799),
    z.iso.datetime({ offset: true }).transform((text) => Date.parse(text) / 1000),
  ],
  'must be a number of seconds since 1970 or an RFC 3339 date-time',
);

export const revocationSchema = z.strictObject({
  token: tokenText.optional(),
  issuer: targetText.optional(),
  token_id: targetText.optional(),
  subject: targetText.optional(),
  session: targetText.optional(),
  client: targetText.optional(),
  claim: z
    .record(z.string(), z.union([targetText, z.number(), z.boolean(), z.instanceof(RawNumber)]))
    .optional(),
  issued_before: time.optional(),
  reason: z.string().max(MAX_REASON_CHARACTERS).optional(),
  allow_unknown_issuer: z.boolean().optional(),
  dry_run: z.boolean().optional(),
  /** Says which gateways refuse by it. */
  confirm: z.boolean().optional(),
  /** The same, once all that live do. */
  wait: z.literal('fleet').optional(),
});
export type RevocationBody = z.output<typeof revocationSchema>;

const TARGET_FIELDS = ['token', 'token_id', 'subject', 'session', 'client', 'claim'] as const;

export interface CommandParts {
  readonly revoker: Pick<Revoker, 'resolveIssuer'>;
  /** Claim paths by which tokens can be revoked. */
  readonly claims: readonly string[];
  /** Tokens of a validation service may have `|`. */
  readonly mayHaveBars: boolean;
}

/** What the body asks for; a text where it is wrong. */
export function commandOf(
  body: RevocationBody,
  createdBy: string,
  { revoker, claims, mayHaveBars }: CommandParts,
): RevokeCommand | string {
  const given = TARGET_FIELDS.filter((field) => body[field] !== undefined);
  if (given.length !== 1) return `give exactly one of ${TARGET_FIELDS.join(', ')}`;
  const shared = { reason: body.reason ?? null, createdBy };
  if (body.token !== undefined) {
    const fault = unpresentableText(body.token, mayHaveBars);
    if (fault !== undefined) return fault;
    if (body.issued_before !== undefined)
      return 'issued_before has no meaning with token: it revokes that one token';
    if (body.allow_unknown_issuer !== undefined)
      return 'allow_unknown_issuer has no meaning with token: the token says who issued it';
    return { ...shared, token: body.token, issuerName: body.issuer };
  }
  if (body.issuer === undefined)
    return 'issuer is missing: the exact iss, or the configured name of the issuer';
  const issuer =
    revoker.resolveIssuer(body.issuer) ?? (body.allow_unknown_issuer === true ? body.issuer : undefined);
  if (issuer === undefined)
    return 'no issuer with this iss or name is configured; correct it, or add allow_unknown_issuer: true where an issuer of opaque tokens gives them this iss';
  const target = targetOf(body, issuer, claims);
  if (typeof target === 'string') return target;
  if (target.kind === 'token_id' && body.issued_before !== undefined) {
    return 'issued_before has no meaning with token_id: it revokes that one token';
  }
  if (target.kind === 'session' && body.issued_before !== undefined) {
    return 'issued_before has no meaning with session: it ends for good, since a refresh brings later tokens';
  }
  return { ...shared, target, issuedBefore: body.issued_before };
}

function targetOf(
  body: RevocationBody,
  issuer: string,
  claims: readonly string[],
): RevocationTarget | string {
  const { token_id, subject, session, client, claim } = body;
  if (token_id !== undefined) return { issuer, kind: 'token_id', value: token_id };
  if (subject !== undefined) return { issuer, kind: 'subject', value: subject };
  if (session !== undefined) return { issuer, kind: 'session', value: session };
  if (client !== undefined) return { issuer, kind: 'client', value: client };
  const [[path, value] = ['', ''], second] = Object.entries(claim ?? {});
  if (second !== undefined || path === '') return 'claim must have exactly one member: {"name": "value"}';
  if (!claims.includes(path)) {
    return `tokens cannot be revoked by this claim; add it to revocation.claims (configured: ${claims.join(', ') || 'none'})`;
  }
  return { issuer, kind: 'claim', value: claimTargetValue(path, claimText(value) ?? '') };
}
