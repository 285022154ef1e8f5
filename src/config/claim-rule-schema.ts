/** The shape of claim rules in the configuration file, on routes and at issuers. Pure. */
import { z } from 'zod';
import type { ClaimRuleSetting } from '../token/claim-rules.ts';
import { text } from './scalars.ts';

/** A number that no other number is read as. */
const exactNumber = z
  .number()
  .refine(
    (value) => Math.abs(value) <= Number.MAX_SAFE_INTEGER,
    'is too large to be compared exactly; let the issuer send such a claim as a string, and write a string here',
  );

const plainValue = z.union([z.string(), exactNumber, z.boolean()]);
const oneOrMoreTexts = z.union([text, z.array(text).min(1)]);

const FORMS = [
  plainValue,
  z.array(plainValue).min(1),
  z.strictObject({
    equals: z
      .union([plainValue, z.array(plainValue).min(1)])
      .describe(
        'The claim equals this value, or one of these. The same as a plain value, but * stands for itself.',
      ),
  }),
  z.strictObject({
    prefix: oneOrMoreTexts.describe(
      'The claim is a text that begins with this, or with one of these. End it with a separator: acme also fits acme2.',
    ),
  }),
  z.strictObject({
    has_key: oneOrMoreTexts.describe(
      'The claim is an object with this key, or with one of these; a value of null or false does not count.',
    ),
  }),
  z.strictObject({
    absent: z
      .literal(true)
      .describe('The token does not have the claim, or it is null. A token that leaves claims out passes.'),
  }),
] as const;

const path = z.strictObject({
  path: text.describe(
    'The claim equals this variable of match.path or match.path_prefix, percent-encoded once. Use it so that a token of one tenant reaches the paths of no other.',
  ),
});

const FORM_TEXT = 'a value, a list of values, { equals: ... }, { prefix: ... }, { has_key: ... }';

/** Rules at an issuer, which sees no path. */
export const issuerClaimRules: z.ZodType<Record<string, ClaimRuleSetting>> = z.record(
  text,
  z.union(FORMS, `must be ${FORM_TEXT} or { absent: true }`),
);

/** Rules on a route. */
export const routeClaimRules: z.ZodType<Record<string, ClaimRuleSetting>> = z.record(
  text,
  z.union([...FORMS, path], `must be ${FORM_TEXT}, { absent: true } or { path: ... }`),
);
