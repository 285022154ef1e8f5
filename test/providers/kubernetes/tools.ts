/** Kustomize, Helm’s engine and the schemas of Kubernetes, installed once. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import type { Manifest } from '../../support/kubernetes.ts';
import { installed, run, sourceOf } from '../support/installed.ts';

/** Two compilers at a time: each takes much memory. */
const GO = { GOFLAGS: '-p=2' };
const BUILD = ['build', '-buildvcs=false', '-trimpath', '-ldflags', '-s -w', '-o'];

export function kustomize(): string {
  const sources = ['kustomize/go.mod', 'kustomize/go.sum'].map(sourceOf);
  const folder = installed('kustomize', sources, (folder) =>
    run('go', [...BUILD, folder, 'sigs.k8s.io/kustomize/kustomize/v5'], sourceOf('kustomize'), GO),
  );
  return join(folder, 'kustomize');
}

export function helmRender(): string {
  const sources = ['go.mod', 'go.sum', 'main.go'].map((file) => sourceOf(`helm-render/${file}`));
  const folder = installed('helm-render', sources, (folder) =>
    run('go', [...BUILD, join(folder, 'helm-render'), '.'], sourceOf('helm-render'), GO),
  );
  return join(folder, 'helm-render');
}

/** The interpreter that has kubernetes-validate. */
export function schemas(): string {
  const requirements = sourceOf('kubernetes/requirements.txt');
  const folder = installed('kubernetes-validate', [requirements], (folder) => {
    run('python3', ['-m', 'venv', folder], folder);
    run(join(folder, 'bin/python3'), ['-m', 'pip', 'install', '-q', '-r', requirements], folder);
  });
  return join(folder, 'bin/python3');
}

interface Printed {
  readonly ok: boolean;
  readonly out: string;
  readonly err: string;
}

function printed(program: string, args: readonly string[], input?: string): Printed {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    ...(input === undefined ? {} : { input }),
  });
  return { ok: status === 0, out: stdout, err: `${stderr}${error?.message ?? ''}` };
}

export function manifestsIn(text: string): Manifest[] {
  return parseAllDocuments(text)
    .map((document) => document.toJS() as Manifest | null)
    .filter((manifest) => manifest !== null);
}

export function kustomized(folder: string): Manifest[] {
  const { ok, out, err } = printed(kustomize(), ['build', folder]);
  if (!ok) throw new Error(err);
  return manifestsIn(out);
}

export interface Rendered {
  /** Undefined where it cannot be rendered. */
  readonly manifests: readonly Manifest[] | undefined;
  readonly notes: string;
  /** Why it cannot be rendered. */
  readonly problem: string;
}

/** @param values files, of which a later one counts before an earlier one */
export function rendered(chart: string, values: readonly string[], release = 'sallyport'): Rendered {
  const { ok, out, err } = printed(helmRender(), [chart, release, 'gateways', ...values]);
  if (!ok) return { manifests: undefined, notes: '', problem: err };
  const files = Object.entries(JSON.parse(out) as Record<string, string>);
  const [, notes = ''] = files.find(([name]) => name.endsWith('NOTES.txt')) ?? [];
  const manifests = files.filter(([name]) => name.endsWith('.yaml')).flatMap(([, text]) => manifestsIn(text));
  return { manifests, notes, problem: '' };
}

/** What the schemas of these versions of Kubernetes say against the manifests. */
export function schemaErrors(manifests: readonly Manifest[], versions: readonly string[]): string[] {
  const input = JSON.stringify(manifests);
  const { ok, out, err } = printed(schemas(), [sourceOf('kubernetes/validate.py'), ...versions], input);
  if (!ok) throw new Error(err);
  return JSON.parse(out) as string[];
}
