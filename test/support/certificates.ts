/** A certificate authority for one test and its certificates, made by openssl. */
import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Why the tests that need it are skipped; false if it is installed. */
export const noOpenssl =
  spawnSync('openssl', ['version']).status !== 0 && 'openssl is not installed: apt-get install -y openssl';

export interface Certificates {
  readonly ca: string;
  /** Like `issue`, but the certificate expired yesterday. */
  issueExpired(name: string): { readonly cert: string; readonly key: string };
  /** Makes a key and a certificate for these names and addresses, such as `DNS:localhost`. Returns their files. */
  issue(name: string, ...alternatives: readonly string[]): { readonly cert: string; readonly key: string };
}

/** @param folder for the PEM files */
export function certificateAuthority(folder: string, name = 'ca'): Certificates {
  const file = (suffix: string): string => join(folder, suffix);
  const openssl = (...args: readonly string[]): void => {
    execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' });
  };
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const [ca, caKey] = [file(`${name}.crt`), file(`${name}.key`)];
  openssl('req', '-x509', ...newKey, '-keyout', caKey, '-out', ca, '-days', '2', '-subj', `/CN=${name}`);
  const issue = (subject: string, days: string, alternatives: readonly string[]) => {
    const [cert, key, request, extensions] = ['crt', 'key', 'csr', 'ext'].map((suffix) =>
      file(`${subject}.${suffix}`),
    ) as [string, string, string, string];
    openssl('req', ...newKey, '-keyout', key, '-out', request, '-subj', `/CN=${subject}`);
    writeFileSync(
      extensions,
      `basicConstraints=CA:FALSE\n${alternatives.length > 0 ? `subjectAltName=${alternatives.join(',')}\n` : ''}`,
    );
    const signing = ['-CA', ca, '-CAkey', caKey, '-CAcreateserial', '-days', days, '-extfile', extensions];
    openssl('x509', '-req', '-in', request, '-out', cert, ...signing);
    return { cert, key };
  };
  return {
    ca,
    issue: (subject, ...alternatives) => issue(subject, '2', alternatives),
    issueExpired: (subject) => issue(subject, '-1', []),
  };
}
