/** Limits that cannot be divided among the workers. Pure. */
import type { Problem } from './problem.ts';
import { rawOf, type Raw } from './raw-document.ts';

const DIVIDED = ['in_flight', 'connections'] as const;

/** `auto` is known at the start only: there each worker gets one at least. */
export function workerProblems({ workers, limits }: Raw): Problem[] {
  if (typeof workers !== 'number') return [];
  return DIVIDED.flatMap((key) => {
    const limit = rawOf(limits)[key];
    return typeof limit === 'number' && limit > 0 && limit < workers
      ? [
          {
            path: ['limits', key],
            message: `is divided among ${workers} workers, and is less than one for each; raise it to ${workers} at least`,
          },
        ]
      : [];
  });
}
