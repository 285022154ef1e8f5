/** The files that a pod sees at its configuration's folder, laid out as Kubernetes does: links to one folder that is replaced whole. */
import { execFileSync } from 'node:child_process';
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { Test } from 'tap';
import { parse } from 'yaml';
import { namedFiles } from '../../src/config/named-files.ts';
import { manifestOf, podOf, type Manifest, type Source } from './kubernetes.ts';
import { temporaryFolder } from './process.ts';

export interface Mounted {
  /** Of the configuration, whose text is `sallyport.yaml` in it. */
  readonly folder: string;
  /** What is written to where the pod has its emptyDir. */
  readonly state: string;
  /** Replaces the text, as Kubernetes does when the ConfigMap has changed. */
  swap(text: string): void;
}

const CONFIGURATION = 'sallyport.yaml';

/** The volume of the configuration, and its mode. */
function configurationVolume(manifests: readonly Manifest[]): { sources: readonly Source[]; mode: number } {
  const { volumes } = podOf(manifests);
  const projected = volumes.find(({ name }) => name === 'configuration')?.projected;
  if (!projected) throw new Error('there is no volume of the configuration');
  return { sources: projected.sources, mode: projected.defaultMode };
}

export function configurationText(manifests: readonly Manifest[]): string {
  return manifestOf(manifests, 'ConfigMap').data?.[CONFIGURATION] ?? '';
}

/** The files of the mount beside the configuration, by path: those of the Secrets that the pod mounts, and no others. */
export function mountedSecrets(manifests: readonly Manifest[]): string[] {
  const named = namedFiles(parse(configurationText(manifests)), '/').map((file) => file.slice(1));
  return configurationVolume(manifests).sources.flatMap(({ secret }) => {
    if (!secret) return [];
    const written = manifests.find(
      ({ kind, metadata }) => kind === 'Secret' && metadata.name === secret.name,
    );
    if (written) return Object.keys(written.stringData ?? {});
    // A Secret without items gives a file for each of its keys, and the documents say which those are.
    return secret.items?.map(({ path }) => path) ?? named.filter((path) => !path.includes('/'));
  });
}

/**
 * @param change what is different on this machine, such as ports
 * @param group that may read the files; undefined: this process' own
 */
export function mount(
  t: Test,
  manifests: readonly Manifest[],
  change: (text: string, state: string) => string = (text) => text,
  group?: number,
): Mounted {
  const root = temporaryFolder(t);
  const [folder, state] = [join(root, 'etc'), join(root, 'state')];
  for (const each of [folder, state]) mkdirSync(each);
  for (const each of [root, folder]) chmodSync(each, 0o755);
  chmodSync(state, 0o777);
  const { mode } = configurationVolume(manifests);
  const secrets = new Map(mountedSecrets(manifests).map((path) => [path, secretFor(t, path)]));
  const links = new Set<string>();
  const swap = (text: string): void => {
    const version = `..${createHash('sha256').update(text).digest('hex').slice(0, 12)}`;
    mkdirSync(join(folder, version));
    const changed = Buffer.from(change(text, state));
    for (const [path, content] of new Map<string, Buffer>([...secrets, [CONFIGURATION, changed]])) {
      const file = join(folder, version, path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, content, { mode });
      if (group !== undefined) chownSync(file, 0, group);
      links.add(path.split('/')[0] ?? '');
    }
    symlinkSync(version, join(folder, '..data_tmp'));
    renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
    for (const name of links) {
      try {
        symlinkSync(join('..data', name), join(folder, name));
      } catch {
        // It is there from before.
      }
    }
  };
  swap(configurationText(manifests));
  return { folder, state, swap };
}

const authorities = new WeakMap<Test, Map<string, Buffer>>();

/** What a person would put into a Secret for this file. */
function secretFor(t: Test, path: string): Buffer {
  const name = path.split('/').at(-1) ?? '';
  const pem = authorities.get(t) ?? pemFiles(t);
  authorities.set(t, pem);
  if (/\.(?:crt|key)$/.test(name)) return pem.get(name) ?? Buffer.from(`nothing is known of ${name}`);
  if (name.endsWith('.json'))
    return Buffer.from(
      JSON.stringify({
        ...generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' }),
        kid: 'k1',
        alg: 'EdDSA',
      }),
    );
  return Buffer.from(randomBytes(32).toString('base64url'));
}

/** A certificate that signs itself. It lasts for longer than the two weeks from which on `check` warns. */
function pemFiles(t: Test): Map<string, Buffer> {
  const folder = temporaryFolder(t);
  const names = 'subjectAltName=DNS:localhost,DNS:sallyport-admin,IP:127.0.0.1';
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', 'tls.key'];
  const certificate = ['-out', 'tls.crt', '-days', '90', '-subj', '/CN=sallyport-admin', '-addext', names];
  execFileSync('openssl', ['req', '-x509', ...key, ...certificate], { cwd: folder, stdio: 'ignore' });
  const [cert, privateKey] = ['tls.crt', 'tls.key'].map((file) => readFileSync(join(folder, file)));
  return new Map(
    Object.entries({ 'tls.crt': cert, 'ca.crt': cert, 'tls.key': privateKey }) as [string, Buffer][],
  );
}
