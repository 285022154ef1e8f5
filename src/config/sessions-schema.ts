/** The shape of `sessions` in the configuration file: which of its recent callers the gateway remembers, and how. Pure. */
import { z } from 'zod';
import { positiveCount } from './scalars.ts';

const MAX_ENTRIES = 100_000;

const options = z.strictObject({
  show: z
    .enum(['hashed', 'plain'])
    .prefault('hashed')
    .describe(
      'hashed: subjects and sessions are kept as the hashes that the log has. plain: as they are, for operators who may see who it is.',
    ),
  addresses: z
    .boolean()
    .prefault(false)
    .describe(
      'Keeps the latest client addresses of each session, at most four. Set it where operators need to see from where a session is used, and may.',
    ),
  entries: positiveCount
    .max(MAX_ENTRIES, `must be ${MAX_ENTRIES} or less`)
    .prefault(10_000)
    .describe(
      'Largest number of sessions, about 500 bytes each. Beyond it, what was not seen for long is forgotten first. Raise it to the number of sessions that are active within an hour.',
    ),
});

export const sessions = z.union(
  [z.enum(['off', 'hashed', 'plain']), options],
  'must be off, hashed, plain or { show, addresses, entries }',
);

export type SessionsConfiguration = z.output<typeof sessions>;

/** However it is written. */
export function sessionOptions(sessions: SessionsConfiguration): {
  readonly show: 'off' | 'hashed' | 'plain';
  readonly addresses: boolean;
  readonly entries: number;
} {
  if (sessions === 'off') return { show: 'off', addresses: false, entries: 0 };
  return typeof sessions === 'string' ? options.parse({ show: sessions }) : sessions;
}
