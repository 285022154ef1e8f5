/** Manifests of Kubernetes: what the tests read of them, and the overlays of deploy/kubernetes built as Kustomize does. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse, parseAllDocuments } from 'yaml';

export interface HttpProbe {
  readonly httpGet: { readonly path: string; readonly port: string; readonly scheme: string };
  readonly periodSeconds: number;
  readonly failureThreshold: number;
}

export interface Container {
  readonly image: string;
  readonly args: readonly string[];
  readonly env: readonly { readonly name: string; readonly value: string }[];
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly startupProbe: HttpProbe;
  readonly livenessProbe: HttpProbe;
  readonly readinessProbe: HttpProbe;
  readonly lifecycle?: { readonly preStop: { readonly sleep: { readonly seconds: number } } };
  readonly resources: Readonly<Record<'requests' | 'limits', Readonly<Record<string, string>>>>;
  readonly securityContext: Readonly<Record<string, unknown>>;
  readonly volumeMounts: readonly {
    readonly name: string;
    readonly mountPath: string;
    readonly readOnly?: boolean;
    readonly subPath?: string;
  }[];
}

export interface Source {
  readonly configMap?: { readonly name: string };
  readonly secret?: {
    readonly name: string;
    readonly items?: readonly { readonly key: string; readonly path: string }[];
  };
}

export interface Volume {
  readonly name: string;
  readonly projected?: { readonly defaultMode: number; readonly sources: readonly Source[] };
  readonly emptyDir?: { readonly sizeLimit: string };
}

export interface PodSpec {
  readonly containers: readonly [Container];
  readonly volumes: readonly Volume[];
  readonly securityContext: Readonly<Record<string, unknown>>;
  readonly terminationGracePeriodSeconds: number;
  readonly automountServiceAccountToken: boolean;
  readonly serviceAccountName: string;
}

/** A rule of a NetworkPolicy: its peers, `from` or `to`, and its ports. */
export interface PolicyRule {
  readonly from?: readonly unknown[];
  readonly to?: readonly unknown[];
  readonly ports?: readonly { readonly protocol?: string; readonly port: number | string }[];
}

export type Labels = Readonly<Record<string, string>>;

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Labels };
  /** Not of a ConfigMap, Secret or ServiceAccount. */
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly data?: Readonly<Record<string, string>>;
  readonly stringData?: Readonly<Record<string, string>>;
}

export const KUBERNETES = fileURLToPath(new URL('../../deploy/kubernetes/', import.meta.url));
export const OVERLAYS = ['redis-url', 'redis-sentinel', 'redis-cluster', 'monitoring', 'hpa-in-flight'];

/** The one manifest of this kind, and where there are several, of this name. */
export function manifestOf(manifests: readonly Manifest[], kind: string, name = ''): Manifest {
  const found = manifests.filter((each) => each.kind === kind && each.metadata.name.endsWith(name));
  const [only] = found;
  if (!only || found.length > 1) throw new Error(`${found.length} of ${kind} ${name}`);
  return only;
}

export function podOf(manifests: readonly Manifest[]): PodSpec {
  const { template } = manifestOf(manifests, 'Deployment').spec as { template: { spec: PodSpec } };
  return template.spec;
}

interface Kustomization {
  readonly namespace?: string;
  readonly resources?: readonly string[];
  readonly components?: readonly string[];
  readonly images?: readonly { readonly name: string; readonly newName: string; readonly newTag: string }[];
  readonly configMapGenerator?: readonly { readonly name: string; readonly files: readonly string[] }[];
  readonly patches?: readonly { readonly target: { kind: string; name: string }; readonly patch: string }[];
}

/**
 * What Kustomize makes of a folder, for as much of Kustomize as deploy/kubernetes uses. test/providers/kubernetes.test.ts
 * compares it with Kustomize itself.
 */
export function built(folder: string, before: Manifest[] = []): Manifest[] {
  const read = (file: string): string => readFileSync(join(folder, file), 'utf8');
  const kustomization = parse(read('kustomization.yaml')) as Kustomization;
  const { resources = [], components = [], configMapGenerator = [], patches = [] } = kustomization;
  const own = resources.flatMap((path) =>
    path.endsWith('.yaml')
      ? parseAllDocuments(read(path)).map((document) => document.toJS() as Manifest)
      : built(join(folder, path)),
  );
  const maps = configMapGenerator.map(({ name, files }): Manifest => {
    const data = Object.fromEntries(files.map((file) => [file, read(file)]));
    return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data };
  });
  const withComponents = components.reduce(
    (manifests, path) => built(join(folder, path), manifests),
    [...before, ...own, ...maps],
  );
  for (const { target, patch } of patches) {
    const manifest = withComponents.find(
      ({ kind, metadata }) => kind === target.kind && metadata.name === target.name,
    );
    for (const { op, path, value } of parse(patch) as { op: string; path: string; value: unknown }[]) {
      if (op !== 'add' || !path.endsWith('/-')) throw new Error(`${op} ${path} is not known here`);
      (at(manifest, path.slice(1, -2).split('/')) as unknown[]).push(value);
    }
  }
  return withComponents.map((manifest) => finished(manifest, kustomization));
}

/** With the namespace and the images of the kustomization. */
function finished(manifest: Manifest, { namespace, images = [] }: Kustomization): Manifest {
  const text = JSON.stringify(manifest, (key, value: unknown) => {
    const image = key === 'image' && images.find(({ name }) => name === value);
    return image ? `${image.newName}:${image.newTag}` : value;
  });
  const changed = JSON.parse(text) as Manifest;
  if (namespace === undefined) return changed;
  return { ...changed, metadata: { ...changed.metadata, namespace } };
}

function at(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((inner, key) => (inner as Record<string, unknown>)[key], value);
}
