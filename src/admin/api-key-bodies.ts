/** What the bodies of the API for API keys ask for. Pure. */
import { z } from 'zod';
import type { KeyRights } from '../api-keys/key-changes.ts';
import { apiKeyEntry } from '../config/api-key-entry.ts';
import { faultText } from './json-body.ts';
import { MAX_REASON_CHARACTERS, time } from './revocation-command.ts';

const MAX_TEXT_CHARACTERS = 1_024;
/** Longer than any change of a client takes. */
const MAX_OVERLAP_SECONDS = 90 * 86_400;
/** Larger ones would not fit into the headers of an upstream, either. */
const MAX_CLAIMS_CHARACTERS = 8_192;

const text = z.string().min(1).max(MAX_TEXT_CHARACTERS);

export const createSchema = z.strictObject({
  issuer: z.string(),
  id: text.optional(),
  subject: text.optional(),
  client: text.optional(),
  scopes: z.array(text).max(100).optional(),
  claims: z
    .record(
      z.string(),
      z.json('must be JSON whose numbers a computer holds exactly; give longer ones as texts'),
    )
    .optional(),
  expires: time.optional(),
  note: z.string().max(MAX_REASON_CHARACTERS).optional(),
});
export type CreateBody = z.output<typeof createSchema>;

export const rotateSchema = z.strictObject({
  overlap: z.int().min(0).max(MAX_OVERLAP_SECONDS).optional(),
  expires: time.optional(),
});

export const endSchema = z.strictObject({ reason: z.string().max(MAX_REASON_CHARACTERS).optional() });

/** A digest, for an entry that has none yet. */
const ANY_SHA256 = '0'.repeat(64);

/** What the body asks for, where a file could hold such an entry; a text where it is wrong. */
export function rightsOf({ issuer: _, id, ...rest }: CreateBody, nowSeconds: number): KeyRights | string {
  const expires = rest.expires === undefined ? undefined : Math.floor(rest.expires);
  if (expires !== undefined && expires <= nowSeconds)
    return 'expires is in the past; leave it out, or give a later time';
  if (JSON.stringify(rest.claims ?? {}).length > MAX_CLAIMS_CHARACTERS)
    return `claims must have at most ${MAX_CLAIMS_CHARACTERS} characters`;
  const parsed = apiKeyEntry.safeParse({ ...rest, expires, id: id ?? 'new', sha256: ANY_SHA256 });
  if (!parsed.success) return faultText(parsed.error);
  const { subject, client, scopes, claims, note } = parsed.data;
  return { id, subject, client, scopes, claims, expires, note };
}
