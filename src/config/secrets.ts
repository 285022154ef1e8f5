/** Secrets and certificates that a configuration names by their files. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { importClientKey } from '../token/client-key.ts';
import { integrityKeyProblem } from './api-key-secrets.ts';
import { errorCode, type Problem } from './problem.ts';
import type { Path } from './raw-document.ts';
import type { Configuration, IssuerConfiguration } from './schema.ts';
import type { TransmitterConfiguration } from './signals-schema.ts';
import {
  TLS_FILES,
  tlsClientProblem,
  tlsServerProblem,
  type TlsClientConfiguration,
  type TlsServerConfiguration,
} from './tls-schema.ts';

/** Puts the content of every `x_file` into `x`, so that later code knows one place only. */
export function resolveSecrets(configuration: Configuration, folder: string): Problem[] {
  const files = new SecretFiles(folder);
  const { listeners, admin, issuers, revocation, signals, upstreams } = configuration;
  files.resolve(configuration, 'log_key', [], true);
  resolveAdminTokens(admin, files);
  resolveNonceSecret(configuration.dpop, files);
  for (const [name, issuer] of Object.entries(issuers)) resolveIssuer(issuer, ['issuers', name], files);
  resolveStore(revocation.store, files);
  for (const [name, transmitter] of Object.entries(signals))
    resolveTransmitter(transmitter, ['signals', name], files);
  listeners.forEach(({ tls }, index) => resolveServerTls(tls, ['listeners', index, 'tls'], files));
  resolveServerTls(admin.tls, ['admin', 'tls'], files);
  resolveClientTls(revocation.tls, ['revocation', 'tls'], files);
  for (const [name, { tls }] of Object.entries(upstreams))
    resolveClientTls(tls, ['upstreams', name, 'tls'], files);
  return files.problems;
}

/** Reads secrets from their files, and collects what is wrong with them. */
class SecretFiles {
  readonly problems: Problem[] = [];
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * Where `KEY_file` is set in the holder, its `KEY` is the content of that file afterwards.
   *
   * @param isNewSecret the user makes it up, so that a missing file can be made by one command
   */
  resolve(holder: Record<string, unknown>, key: string, path: Path, isNewSecret = false): void {
    const fileKey = `${key}_file`;
    const file = holder[fileKey];
    if (typeof file !== 'string') return;
    const where = [...path, fileKey];
    if (holder[key] !== undefined) {
      this.problems.push({ path: where, message: `${key} and ${fileKey} exclude each other; keep one` });
      return;
    }
    const secret = this.#read(file, where, isNewSecret);
    if (secret !== undefined) holder[key] = secret;
  }

  /** A file that is read when it is needed: is there something in it now? */
  check(file: string | undefined, where: Path): void {
    if (file !== undefined) this.#read(file, where);
  }

  /** Undefined where it cannot be read. */
  #read(file: string, where: Path, isNewSecret = false): string | undefined {
    try {
      const secret = secretText(readFileSync(resolve(this.#folder, file)));
      if (secret === '')
        this.problems.push({ path: where, message: 'the file is empty; put the secret into it' });
      if (secret === undefined)
        this.problems.push({
          path: where,
          message:
            'the file holds something else than text in UTF-8; write a key or certificate as PEM or JWK, and any other secret as text, as openssl rand -base64 32 prints it',
        });
      return secret;
    } catch (error) {
      const code = errorCode(error);
      const create =
        isNewSecret && code === 'ENOENT'
          ? 'create it (umask 077; openssl rand -base64 32 > FILE)'
          : 'create it';
      this.problems.push({
        path: where,
        message: `the file cannot be read (${code}); ${create}, or correct its name or permissions`,
      });
      return undefined;
    }
  }

  /** Reads some files, and where all could be read, asks whether they belong together. */
  resolveAll(path: Path, read: () => void, problem: () => string | undefined): void {
    const before = this.problems.length;
    read();
    const message = this.problems.length === before ? problem() : undefined;
    if (message !== undefined) this.problems.push({ path, message });
  }
}

/**
 * What a file says, without what editors add and no secret has: a byte order mark, and line ends at its end.
 *
 * @returns undefined where it is no text: random bytes, DER, UTF-16. Read as text, such bytes become one and the same
 *   replacement character, and the secret another and a weak one.
 */
function secretText(bytes: Buffer): string | undefined {
  // A comment between certificates may have any encoding.
  const isPem = bytes.includes('-----BEGIN ');
  try {
    const text = new TextDecoder('utf-8', { fatal: !isPem }).decode(bytes);
    return text.includes('\0') ? undefined : text.replace(/(?:\r?\n)+$/, '');
  } catch {
    return undefined;
  }
}

/** Fewer characters are guessed sooner than a nonce lives. */
const MIN_NONCE_SECRET_CHARACTERS = 32;

function resolveNonceSecret({ nonces }: Configuration['dpop'], files: SecretFiles): void {
  if (!nonces) return;
  const path = ['dpop', 'nonces'];
  files.resolve(nonces, 'secret', path, true);
  const { secret = '', secret_file: file } = nonces;
  // What is missing or empty has its message already.
  if (secret === '' || secret.length >= MIN_NONCE_SECRET_CHARACTERS) return;
  files.problems.push({
    path: [...path, file === undefined ? 'secret' : 'secret_file'],
    message: `the secret is shorter than ${MIN_NONCE_SECRET_CHARACTERS} characters, so that nonces could be guessed; make one with openssl rand -base64 32`,
  });
}

function resolveAdminTokens(admin: Configuration['admin'], files: SecretFiles): void {
  files.resolve(admin, 'token', ['admin'], true);
  admin.tokens?.forEach((token, index) => {
    const path = ['admin', 'tokens', index];
    files.resolve(token, 'token', path, true);
    if (token.token === undefined && token.token_file === undefined)
      files.problems.push({ path, message: 'has no token; add token_file' });
  });
}

function resolveIssuer(issuer: IssuerConfiguration, path: Path, files: SecretFiles): void {
  files.resolve(issuer, 'hmac_secret', path);
  resolveIntegrityKey(issuer.api_keys, [...path, 'api_keys'], files);
  const { introspection } = issuer;
  if (introspection)
    for (const key of ['client_secret', 'key']) files.resolve(introspection, key, [...path, 'introspection']);
  resolveClientTls(issuer.http?.tls, [...path, 'http', 'tls'], files);
  files.check(issuer.http?.bearer_token_file, [...path, 'http', 'bearer_token_file']);
}

function resolveTransmitter(
  { push, http, oauth }: TransmitterConfiguration,
  path: Path,
  files: SecretFiles,
): void {
  if (oauth) resolveOwnClient(oauth, [...path, 'oauth'], files);
  if (push) files.resolve(push, 'authorization', [...path, 'push'], true);
  resolveClientTls(http?.tls, [...path, 'http', 'tls'], files);
  files.check(http?.bearer_token_file, [...path, 'http', 'bearer_token_file']);
}

function resolveOwnClient(
  oauth: NonNullable<TransmitterConfiguration['oauth']>,
  path: Path,
  files: SecretFiles,
): void {
  for (const key of ['client_secret', 'key']) files.resolve(oauth, key, path);
  const { key, key_file: file } = oauth;
  const message = key === undefined ? undefined : clientKeyProblem(key);
  if (message !== undefined)
    files.problems.push({
      path: [...path, file === undefined ? 'key' : 'key_file'],
      message: `${message}; put a private JWK or PEM there`,
    });
}

function clientKeyProblem(key: string): string | undefined {
  try {
    importClientKey(key);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function resolveIntegrityKey(keys: IssuerConfiguration['api_keys'], path: Path, files: SecretFiles): void {
  if (!keys) return;
  files.resolve(keys, 'integrity_key', path, true);
  const { integrity_key: key = '', integrity_key_file: file } = keys;
  // What is missing or empty has its message already.
  const message = key === '' ? undefined : integrityKeyProblem(key);
  if (message !== undefined)
    files.problems.push({
      path: [...path, file === undefined ? 'integrity_key' : 'integrity_key_file'],
      message,
    });
}

function resolveStore(store: Configuration['revocation']['store'], files: SecretFiles): void {
  if (typeof store === 'string') return;
  files.resolve(store, 'password', ['revocation', 'store']);
  if ('sentinels' in store) files.resolve(store, 'sentinel_password', ['revocation', 'store']);
}

function resolveClientTls(tls: TlsClientConfiguration | undefined, path: Path, files: SecretFiles): void {
  if (!tls) return;
  const read = (): void => TLS_FILES.forEach((key) => files.resolve(tls, key, path));
  files.resolveAll(path, read, () => tlsClientProblem(tls));
}

function resolveServerTls(tls: TlsServerConfiguration | undefined, path: Path, files: SecretFiles): void {
  if (!tls) return;
  const read = (): void => {
    for (const key of ['cert', 'key', 'client_ca']) files.resolve(tls, key, path);
    tls.certificates.forEach((pair, at) => {
      for (const key of ['cert', 'key']) files.resolve(pair, key, [...path, 'certificates', at]);
    });
  };
  files.resolveAll(path, read, () => tlsServerProblem(tls));
}
