/** What is wrong with `issuers.NAME.status_list` beyond its shape: URIs that no token can name, ages that cannot work. Pure. */
import { isLoopback } from '../http/loopback.ts';
import { isCanonicalUri } from '../token/status-claim.ts';
import type { Problem } from './problem.ts';
import { rawOf, stringsOf, type Path, type Raw } from './raw-document.ts';
import { duration, httpUrl } from './scalars.ts';

export function statusListProblems(issuer: Raw, path: Path): Problem[] {
  const { status_list: list } = issuer;
  if (list === undefined) return [];
  const where = [...path, 'status_list'];
  return [
    ...stringsOf(rawOf(list)['uris']).flatMap((uri, index) => {
      const message = uriProblem(uri, issuer['allow_http'] === true);
      return message === undefined ? [] : [{ path: [...where, 'uris', index], message }];
    }),
    ...ageProblems(rawOf(list), where),
  ];
}

function uriProblem(uri: string, allowHttp: boolean): string | undefined {
  // What is no URL without credentials and fragment is told of by the schema, which repeats no secret.
  if (!httpUrl.safeParse(uri).success) return undefined;
  const { href, protocol, hostname } = new URL(uri);
  if (!isCanonicalUri(uri)) return `is compared as text, and would be spelt ${href}; write that`;
  if (uri.endsWith('/') && uri.includes('?'))
    return 'ends in /, which stands for every path under it, and has a query; remove the query';
  return protocol === 'https:' || isLoopback(hostname) || allowHttp
    ? undefined
    : 'must be https:// or loopback; change it, or set allow_http: true and know the risk';
}

function ageProblems({ refresh = '1m', max_age: maxAge = '10m' }: Raw, path: Path): Problem[] {
  const [refreshMs, maxAgeMs] = [duration.safeParse(refresh).data, duration.safeParse(maxAge).data];
  if (refreshMs === undefined || maxAgeMs === undefined || maxAgeMs >= 2 * refreshMs) return [];
  return [
    {
      path: [...path, 'max_age'],
      message:
        'must be at least twice status_list.refresh, or one failed fetch is an outage; lengthen it, or shorten refresh',
    },
  ];
}
