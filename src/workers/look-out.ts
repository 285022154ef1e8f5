/** A canary, looked for in every worker that serves: the gateway refuses it when all of them do. */
import { CANARY_WATCHED_MS, type CanaryRefusal } from '../revocation/canaries.ts';
import type { WorkerLink } from './worker-link.ts';

/** A worker that looks for it says so in time, unless it hangs. */
const SLACK_MS = 5_000;

/** @returns one for each worker; none for a worker that has ended, since it serves nothing */
export async function lookOut(
  links: readonly Pick<WorkerLink, 'channel' | 'serves' | 'hasEnded'>[],
  digest: string,
): Promise<readonly (CanaryRefusal | undefined)[]> {
  const all = await Promise.all(
    links
      .filter(({ serves }) => serves)
      .map(async (link) => {
        try {
          // The channel keeps the order: the worker looks out before it hears of the revocation.
          return [await link.channel.call('canary', digest, CANARY_WATCHED_MS + SLACK_MS)];
        } catch {
          return link.hasEnded ? [] : [undefined];
        }
      }),
  );
  return all.flat();
}
