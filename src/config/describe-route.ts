/** A route in one line, for people. Pure. */
import type { RouteConfiguration } from './schema.ts';

/** Which requests: methods, host, path, headers. */
export function matchText({ match }: RouteConfiguration): string {
  const path =
    match.path ?? `${match.path_prefix ?? '/'}${match.path_prefix?.endsWith('/') === false ? '/' : ''}*`;
  const headers = Object.entries(match.headers ?? {}).map(([name, value]) => `${name}=${value}`);
  return [match.methods?.join('|'), `${match.hosts?.join('|') ?? ''}${path}`, ...headers]
    .filter(Boolean)
    .join(' ');
}

/** Who may pass. */
export function accessText({ auth }: RouteConfiguration): string {
  if (auth.mode === 'none') return 'everybody';
  const { all = [], any = [] } = Array.isArray(auth.scopes) ? { all: auth.scopes } : auth.scopes;
  const rules = [
    ...(auth.issuers ? [`issuer ${auth.issuers.join('|')}`] : []),
    ...(all.length > 0 ? [`scope ${all.join(' ')}`] : []),
    ...(any.length > 0 ? [`scope ${any.join('|')}`] : []),
    ...Object.entries(auth.claims).map(([path, allowed]) => `${path} in ${allowed.join('|')}`),
  ];
  return `${auth.report_only ? 'report only: ' : ''}${auth.mode === 'optional' ? 'anonymous, or ' : ''}token${rules.length > 0 ? ` with ${rules.join(', ')}` : ''}`;
}
