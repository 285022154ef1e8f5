/** Route paths that no request can have, or that readers take for another route's. Pure. Rules C10, C25, C26. */
import { readPath } from '../http/path-policy.ts';
import { plainestOf } from '../http/path-readings.ts';
import { templateOf } from '../http/path-template.ts';
import type { Problem } from './problem.ts';
import { rawOf, stringsOf, type Path, type Raw } from './raw-document.ts';

/** Would the gateway refuse a request for the route's own path? */
export function pathProblems(route: Raw, where: Path): Problem[] {
  const match = rawOf(route['match']);
  return (['path', 'path_prefix'] as const).flatMap((key): Problem[] => {
    const text = match[key];
    if (typeof text !== 'string' || !text.startsWith('/')) return [];
    const message = whyUnreachable(text, stringsOf(rawOf(route['paths'])['allow']));
    return message === undefined ? [] : [{ path: [...where, 'match', key], message }];
  });
}

function whyUnreachable(path: string, allowed: readonly string[]): string | undefined {
  let reading;
  try {
    reading = readPath(path);
  } catch {
    return 'is refused in every request (dot segments, encoded NUL or backslash, overlong UTF-8, a malformed %); write it as requests have it';
  }
  // With variables beside it, nothing can be allowed: template-problems.ts says so.
  if (templateOf(path) !== undefined) return undefined;
  const missing = reading.needs.filter((need) => !allowed.includes(need));
  if (missing.length > 0)
    return `is refused in every request unless the route allows it; add paths.allow: [${missing.join(', ')}]`;
  const others = [path, ...reading.otherReadings].filter((other) => plainestOf(other) !== plainestOf(path));
  return others.length > 0
    ? `is refused in every request: it can also be read as ${JSON.stringify(others[0])}; write it without encoded marks inside ; parameters`
    : undefined;
}

/** Host and port are not only in the Host header: its other spellings would pass a route that compares its text. */
export function hostHeaderProblems(route: Raw, where: Path): Problem[] {
  return Object.keys(rawOf(rawOf(route['match'])['headers']))
    .filter((name) => name.toLowerCase() === 'host')
    .map((name) => ({
      path: [...where, 'match', 'headers', name],
      atKey: true,
      message: 'compares one spelling of a host, and clients may send others; use match.hosts',
    }));
}
