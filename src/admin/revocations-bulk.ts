/** Many revocations with one request: POST /v1/revocations/bulk. Each has an outcome of its own, and an audit line. */
import { z } from 'zod';
import type { RevocationOutcome } from '../revocation/revoker.ts';
import type { PreviewJson } from './entry-json.ts';
import { faultText } from './json-body.ts';
import { revocationSchema, type RevocationBody } from './revocation-command.ts';
import { outcomeJson } from './revocation-json.ts';

const MAX_REVOCATIONS = 1_000;
/** At the store at the same time. */
const CONCURRENT = 16;

const { confirm: _confirm, wait: _wait, dry_run: _dryRun, ...members } = revocationSchema.shape;

const memberSchema = z.strictObject(members);

export const bulkSchema = z.strictObject({
  /** One that is malformed stops no other. */
  revocations: z
    .array(z.unknown())
    .min(1, 'must not be empty')
    .max(
      MAX_REVOCATIONS,
      `must have at most ${MAX_REVOCATIONS} members; send the others with another request`,
    ),
  dry_run: z.boolean().default(false),
  confirm: z.boolean().default(false),
  wait: z.literal('fleet').optional(),
});

/** The result of one request to revoke. */
export type OneRevoked =
  { readonly refused: string } | { readonly preview: PreviewJson } | { readonly outcome: RevocationOutcome };

/** The store was lost: of this one and of those after it. */
const NOT_TRIED = { unavailable: true } as const;
type One = OneRevoked | typeof NOT_TRIED;

/** In their order, some at a time. After the first failure of the store the others are not tried. */
export async function eachInOrder(
  all: readonly unknown[],
  revoke: (one: RevocationBody) => Promise<OneRevoked>,
): Promise<readonly One[]> {
  const revokeMember = async (member: unknown): Promise<OneRevoked> => {
    const parsed = memberSchema.safeParse(member);
    return parsed.success ? revoke(parsed.data) : { refused: faultText(parsed.error) };
  };
  const done: One[] = [];
  for (let from = 0; from < all.length; from += CONCURRENT) {
    const some = all.slice(from, from + CONCURRENT);
    if (done.includes(NOT_TRIED)) {
      done.push(...some.map(() => NOT_TRIED));
      continue;
    }
    const settled = await Promise.allSettled(some.map(revokeMember));
    done.push(...settled.map((one) => (one.status === 'fulfilled' ? one.value : NOT_TRIED)));
  }
  return done;
}

/** The counts, and the result of each. */
export function bulkJson(all: readonly One[]): object {
  const results = all.map((one, index) => ({ index, ...resultOf(one) }));
  const count = (statuses: (status: number) => boolean): number =>
    results.filter(({ status }) => statuses(status)).length;
  return {
    created: count((status) => status === 201),
    unchanged: all.filter((one) => 'outcome' in one && one.outcome.kind !== 'created').length,
    failed: count((status) => status >= 400),
    results,
  };
}

function resultOf(one: One): { readonly status: number } {
  if ('refused' in one) return problem(400, 'invalid_request', one.refused);
  if ('unavailable' in one)
    return problem(503, 'store_unavailable', 'the revocation store is unavailable; send this one again');
  if ('preview' in one) return { status: 200, ...one.preview };
  const { outcome } = one;
  return { status: outcome.kind === 'created' ? 201 : 200, ...outcomeJson(outcome) };
}

function problem(status: number, code: string, title: string): { readonly status: number } {
  return { status, ...{ code, title } };
}
