/** What a release is made of: read once, checked by the files beside it. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** The workspace of the identity reader, which is released with the gateway. */
export const IDENTITY = 'packages/identity';

type Names = Readonly<Record<string, string>>;

/** Of package.json, what a release depends on. Its `name` is the one place that holds the package's name. */
export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly author?: string | { readonly name: string };
  readonly repository?: string | { readonly url: string };
  readonly bugs?: string | { readonly url: string };
  readonly dependencies?: Names;
  readonly devDependencies?: Names;
  readonly workspaces?: readonly string[];
}

export interface LockedPackage extends Partial<Manifest> {
  readonly resolved?: string;
  readonly integrity?: string;
  readonly link?: boolean;
  readonly dev?: boolean;
  readonly optional?: boolean;
}

export interface Lock extends Pick<Manifest, 'name' | 'version'> {
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

export interface Release {
  readonly manifest: Manifest;
  /** Of the identity reader. */
  readonly identity: Manifest;
  readonly lock: Lock;
  readonly changelog: string;
  /** `appVersion` of the Helm chart; undefined where there is no chart. */
  readonly chartVersion: string | undefined;
}

/** The name of the identity reader follows from that of the gateway, whatever its scope. */
export function identityName(name: string): string {
  return `${name}-identity`;
}

export function readRelease(root: string = ROOT): Release {
  const text = (file: string): string => readFileSync(join(root, file), 'utf8');
  const chart = 'deploy/helm/sallyport/Chart.yaml';
  return {
    manifest: JSON.parse(text('package.json')) as Manifest,
    identity: JSON.parse(text(`${IDENTITY}/package.json`)) as Manifest,
    lock: JSON.parse(text('package-lock.json')) as Lock,
    changelog: text('CHANGELOG.md'),
    chartVersion: existsSync(join(root, chart))
      ? (/^appVersion: *['"]?([^'"\s]*)/m.exec(text(chart))?.[1] ?? '')
      : undefined,
  };
}
