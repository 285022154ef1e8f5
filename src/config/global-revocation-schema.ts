/** The shape of `global_token_revocation` of an issuer, and where its URL puts the endpoint. Pure. */
import { z } from 'zod';
import { isLoopback } from '../http/loopback.ts';
import { readPublicUrl } from '../http/public-url.ts';
import { isClaimPath } from '../token/claims.ts';
import { text } from './scalars.ts';

/** The host, lower-case and without port, and the path behind such a URL; undefined for a text of another shape. */
export function placeOfUrl(url: string): { readonly host: string; readonly path: string } | undefined {
  const read = readPublicUrl(url);
  if (!read || read.path === '' || url.endsWith('/') || /[{}]/.test(read.path)) return undefined;
  // The draft asks for https (section 3.1).
  return read.scheme === 'https' || isLoopback(read.hostname)
    ? { host: read.hostname, path: read.path }
    : undefined;
}

export const globalRevocation = z
  .strictObject({
    url: z
      .string()
      .refine(
        (url) => placeOfUrl(url) !== undefined,
        'must be an https:// (or loopback) URL with a path, without query, variables and "/" at its end',
      )
      .describe(
        'URL of the endpoint, as its callers know it. Its host and path say where the gateway serves it; aud of the JWT must contain exactly this text.',
      ),
    callers: z
      .array(text)
      .min(1)
      .describe(
        'sub of the JWTs that are accepted. Okta: the client id of the app that its Universal Logout is set up for. Every caller can end the tokens of every user of this issuer.',
      ),
    signed_by: text
      .optional()
      .describe(
        'Another issuer of this configuration, whose JWTs authenticate the requests instead. Okta: its org authorization server, which sends Universal Logout, where the tokens of this issuer come from a custom one. A subject that it names under its own iss is a subject of this issuer.',
      ),
    email_claim: z
      .string()
      .refine(isClaimPath, 'is no claim path; write names joined by dots, with "\\." for a dot in a name')
      .optional()
      .describe(
        'Claim of the access tokens with the e-mail address, for callers that name users by it (sub_id with format: email; the default of Okta). The claim of claim_names.subject, sub, or one of revocation.claims. Without it such requests get 400.',
      ),
  })
  .describe(
    'Endpoint on the public listeners where this issuer ends all tokens of a user (Global Token Revocation, Okta Universal Logout). Each request has a JWT of this issuer, or of signed_by, with typ global-token-revocation+jwt. It ends subjects of this issuer only.',
  );
