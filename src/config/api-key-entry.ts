/** The shape of an entry for an API key, wherever it is kept, and what it may not claim. Pure. Rule X1. */
import { z } from 'zod';
import type { ApiKeyEntry } from '../api-keys/api-key.ts';
import { isKeyText } from '../api-keys/key-text.ts';
import { text } from './scalars.ts';

const ID = /^[A-Za-z0-9][A-Za-z0-9._~-]{0,127}$/;
const SHA256 = /^[0-9a-f]{64}$/;
/** RFC 6749 section 3.3 */
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]+$/;
/** RFC 3339 with a time and a zone. */
const DATE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/;
const DATE_HINT =
  'must be a date with time and zone, such as "2027-01-31T00:00:00Z", or whole seconds since 1970';

/**
 * What the gateway decides from the fields of an entry, what other issuers alone can vouch for (a login, a binding, for whom a
 * token is, who acts for whom), and other names of the same in the claims of tokens: services may read those.
 */
export const RESERVED_CLAIMS: ReadonlySet<string> = new Set([
  ...['iss', 'sub', 'aud', 'exp', 'nbf', 'iat', 'jti', 'scope', 'scp', 'client_id', 'azp', 'cid', 'appid'],
  ...[
    'sid',
    'session_id',
    'cnf',
    'act',
    'may_act',
    'auth_time',
    'acr',
    'amr',
    'typ',
    'token_type',
    'token_use',
  ],
]);

const date = z
  .union([z.int().min(0).max(253_402_300_799), z.string().regex(DATE, DATE_HINT)], DATE_HINT)
  .transform((value, context) => {
    const seconds = typeof value === 'number' ? value : Math.floor(Date.parse(value) / 1000);
    if (Number.isNaN(seconds)) context.addIssue(DATE_HINT);
    return seconds;
  });

const claims = z.record(z.string(), z.json()).superRefine((all, context) => {
  for (const name of Object.keys(all)) {
    if (RESERVED_CLAIMS.has(name))
      context.addIssue({
        code: 'custom',
        path: [name],
        message: `a key may not claim ${name}, which the gateway decides from other fields, or not at all; remove it`,
      });
  }
});

export const apiKeyEntry = z
  .strictObject({
    id: z.string().regex(ID, 'must be 1 to 128 of A-Z a-z 0-9 . _ ~ - and begin with a letter or digit'),
    sha256: z.string().superRefine((value, context) => {
      if (SHA256.test(value)) return;
      context.addIssue(
        isKeyText(value)
          ? 'is the key itself, which is known to all readers of the file now; make a new key, and write its SHA-256'
          : 'must be the SHA-256 of the whole key, as 64 lower-case hexadecimal digits',
      );
    }),
    subject: text.optional(),
    client: text.optional(),
    scopes: z.array(z.string().regex(SCOPE, 'must be one scope, without spaces')).prefault([]),
    claims: claims.prefault({}),
    expires: date.optional(),
    created: date.optional(),
    note: z.string().optional(),
  })
  .superRefine(({ subject, client, created, expires }, context) => {
    if (subject === undefined && client === undefined)
      context.addIssue('says not whose key it is; add subject or client');
    if (created !== undefined && expires !== undefined && expires <= created)
      context.addIssue({ code: 'custom', path: ['expires'], message: 'is not after created; correct one' });
  })
  .transform(({ id, sha256, subject, client, scopes, claims: own, created, expires, note }): ApiKeyEntry => ({
    id,
    sha256,
    subject,
    client,
    scopes,
    claims: own,
    created,
    expires,
    note,
  }));
