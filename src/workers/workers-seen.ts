/** What the workers of a gateway have seen, as one. A worker that does not respond in time is named. */
import { mergedLimited, mergedReported } from '../admin/merged-counts.ts';
import { mergedSessions } from '../admin/merged-sessions.ts';
import type { LocalSeen } from '../admin/seen-api.ts';
import type { WorkerLink } from './worker-link.ts';

const REPLY_MS = 2_000;
const ALL = 1_000;

/** @param links to the workers that live now */
export function workersSeen(links: () => readonly WorkerLink[]): LocalSeen {
  return {
    async localHistory() {
      const { replies } = await askAll(links(), (link) => link.channel.call('history', undefined, REPLY_MS));
      return replies.flat();
    },
    async localRefusals(query) {
      const asked = await askAll(links(), (link) => link.channel.call('refusals', query, REPLY_MS));
      const found = asked.replies
        .flatMap((reply) => reply.found)
        .sort((one, other) => other.timeMs - one.timeMs);
      return { found: found.slice(0, query.limit), silent: asked.silent };
    },
    async localLimited(limit) {
      // One caller may be among the first of all, and not of each.
      const { replies, silent } = await askAll(links(), (link) =>
        link.channel.call('limited', ALL, REPLY_MS),
      );
      return { found: mergedLimited(replies.flatMap(({ found }) => found)).slice(0, limit), silent };
    },
    async localReported(limit) {
      const { replies, silent } = await askAll(links(), (link) =>
        link.channel.call('reported', ALL, REPLY_MS),
      );
      return { found: mergedReported(replies.flatMap(({ found }) => found)).slice(0, limit), silent };
    },
    async localSessions(query) {
      const asked = await askAll(links(), (link) => link.channel.call('sessions', query, REPLY_MS));
      const on = asked.replies.filter((reply) => reply !== undefined && reply !== null);
      // All of them have one configuration.
      if (asked.replies.length > 0 && on.length === 0) return undefined;
      return {
        found: mergedSessions(on.flatMap(({ found }) => found)).slice(0, query.limit),
        silent: asked.silent,
      };
    },
  };
}

async function askAll<T>(
  links: readonly WorkerLink[],
  ask: (link: WorkerLink) => Promise<T>,
): Promise<{ readonly replies: readonly T[]; readonly silent: readonly string[] }> {
  const settled = await Promise.allSettled(links.map(ask));
  return {
    replies: settled.flatMap((reply) => (reply.status === 'fulfilled' ? [reply.value] : [])),
    silent: links.flatMap(({ id }, index) => (settled[index]?.status === 'rejected' ? [`worker ${id}`] : [])),
  };
}
