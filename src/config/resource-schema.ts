/** The shape of `public_url` and `resource`: where clients are, and what they call it (RFC 9728). Pure. */
import { z } from 'zod';
import { readPublicUrl } from '../http/public-url.ts';
import { httpUrl, text } from './scalars.ts';

/** Parses to a PublicUrl. */
export const publicUrl = z.string().transform((written, context) => {
  const url = readPublicUrl(written);
  if (url) return url;
  context.addIssue({
    code: 'custom',
    message:
      'must be a URL such as https://api.example.com/mcp: lower-case host, no credentials, query, fragment, %, ; or //',
  });
  return z.NEVER;
});

export const resource = z.union(
  [
    z.literal(true),
    z.strictObject({
      name: text.optional().describe('Name of the resource for people (resource_name).'),
      documentation: httpUrl.optional().describe('URL of a page for developers (resource_documentation).'),
      authorization_servers: z
        .array(httpUrl)
        .min(1)
        .optional()
        .describe(
          'Issuer identifiers of the authorization servers. Default: issuer of the issuers that its routes accept. Set it where tokens are opaque and the issuer has no issuer, or to leave some out.',
        ),
      signed_metadata: z
        .boolean()
        .prefault(false)
        .describe(
          'Signs the metadata with the key of identity.assertion, too (signed_metadata); needs identity.assertion. Set it where clients verify it.',
        ),
    }),
  ],
  'must be true, or { name, documentation, authorization_servers, signed_metadata }',
);
