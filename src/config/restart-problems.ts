/** What of a new configuration cannot be put in place while the gateway runs. Pure. */
import type { Configuration } from './schema.ts';
import type { TlsServerConfiguration } from './tls-schema.ts';

/** One line for each change that needs a restart. */
export function restartProblems(before: Configuration, after: Configuration): string[] {
  const parts: Record<string, (configuration: Configuration) => unknown> = {
    // What stands in files may change: certificates are renewed.
    listeners: ({ listeners }) =>
      listeners.map(({ tls, ...rest }) => [rest, tls && withoutFileContents(tls)]),
    'admin.host, port, tls': ({ admin: { host, port, tls } }) => [
      host,
      port,
      tls && withoutFileContents(tls),
    ],
    workers: ({ workers }) => workers,
    'revocation.store, key_prefix, tls': ({ revocation }) => [
      revocation.store,
      revocation.key_prefix,
      revocation.tls,
    ],
  };
  return Object.entries(parts)
    .filter(([, part]) => JSON.stringify(part(before)) !== JSON.stringify(part(after)))
    .map(([name]) => `${name}: cannot change while the gateway runs; restart it, or take the change back`);
}

function withoutFileContents(tls: TlsServerConfiguration): unknown {
  const names = (section: Readonly<Record<string, unknown>>): [string, unknown][] =>
    Object.entries(section).filter(([key]) => section[`${key}_file`] === undefined && key !== 'certificates');
  return [names(tls), tls.certificates.map(names)];
}
