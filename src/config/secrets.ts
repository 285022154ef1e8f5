/** Secrets and certificates that a configuration names by their files. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { errorCode, type Problem } from './problem.ts';
import type { Path } from './raw-document.ts';
import type { Configuration } from './schema.ts';
import {
  TLS_FILES,
  tlsClientProblem,
  tlsServerProblem,
  type TlsClientConfiguration,
  type TlsServerConfiguration,
} from './tls-schema.ts';

/** Puts the content of every `x_file` into `x`, so that later code knows one place only. */
export function resolveSecrets(configuration: Configuration, folder: string): Problem[] {
  const problems: Problem[] = [];
  const resolveIn = (holder: Record<string, unknown>, key: string, path: Path): void => {
    const fileKey = `${key}_file`;
    const file = holder[fileKey];
    if (typeof file !== 'string') return;
    if (holder[key] !== undefined) {
      problems.push({
        path: [...path, fileKey],
        message: `${key} and ${fileKey} exclude each other; keep one`,
      });
      return;
    }
    try {
      // Editors and `echo` end a file with a line end that is no part of the secret.
      const secret = readFileSync(resolve(folder, file), 'utf8').replace(/\r?\n$/, '');
      if (secret === '')
        problems.push({ path: [...path, fileKey], message: 'the file is empty; put the secret into it' });
      holder[key] = secret;
    } catch (error) {
      problems.push({
        path: [...path, fileKey],
        message: `the file cannot be read (${errorCode(error)}); create it, or mend its name or rights`,
      });
    }
  };
  resolveIn(configuration, 'log_key', []);
  resolveIn(configuration.admin, 'token', ['admin']);
  configuration.admin.tokens?.forEach((token, index) => {
    resolveIn(token, 'token', ['admin', 'tokens', index]);
    if (token.token === undefined && token.token_file === undefined) {
      problems.push({ path: ['admin', 'tokens', index], message: 'has no token; add token_file' });
    }
  });
  for (const [name, issuer] of Object.entries(configuration.issuers)) {
    resolveIn(issuer, 'hmac_secret', ['issuers', name]);
    if (issuer.introspection)
      resolveIn(issuer.introspection, 'client_secret', ['issuers', name, 'introspection']);
  }
  const { store } = configuration.revocation;
  if (typeof store === 'object') {
    resolveIn(store, 'password', ['revocation', 'store']);
    if ('sentinels' in store) resolveIn(store, 'sentinel_password', ['revocation', 'store']);
  }
  const resolveTls = (tls: TlsClientConfiguration | undefined, path: Path): void => {
    if (!tls) return;
    const before = problems.length;
    for (const key of TLS_FILES) resolveIn(tls, key, path);
    const message = problems.length === before ? tlsClientProblem(tls) : undefined;
    if (message !== undefined) problems.push({ path, message });
  };
  const resolveServer = (tls: TlsServerConfiguration | undefined, path: Path): void => {
    if (!tls) return;
    const before = problems.length;
    for (const key of ['cert', 'key', 'client_ca']) resolveIn(tls, key, path);
    tls.certificates.forEach((pair, at) => {
      for (const key of ['cert', 'key']) resolveIn(pair, key, [...path, 'certificates', at]);
    });
    const message = problems.length === before ? tlsServerProblem(tls) : undefined;
    if (message !== undefined) problems.push({ path, message });
  };
  configuration.listeners.forEach(({ tls }, index) => resolveServer(tls, ['listeners', index, 'tls']));
  resolveServer(configuration.admin.tls, ['admin', 'tls']);
  resolveTls(configuration.revocation.tls, ['revocation', 'tls']);
  for (const [name, { tls }] of Object.entries(configuration.upstreams))
    resolveTls(tls, ['upstreams', name, 'tls']);
  return problems;
}
