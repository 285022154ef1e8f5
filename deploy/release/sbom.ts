/**
 * The list of materials of a release, as `npm sbom` writes it, without what is for development alone. npm's own `--omit=dev` is
 * not used: it also leaves out what is a dependency and, by another way, one for development, such as yaml.
 */
import { spawnSync } from 'node:child_process';
import { ROOT, type Release } from './release.ts';

interface Component {
  'bom-ref': string;
  name: string;
  readonly properties?: readonly { readonly name: string; readonly value: string }[];
}

/** As far as it is read. */
export interface Written {
  readonly metadata: { readonly component: Component };
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

const DEVELOPMENT = 'cdx:npm:package:development';

/** @throws Error where npm writes none */
export function releasedSbom(release: Release): object {
  const args = ['sbom', '--package-lock-only', '--sbom-format=cyclonedx', '--sbom-type=application'];
  const { status, stdout, stderr } = spawnSync('npm', args, {
    cwd: ROOT,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (status !== 0) throw new Error(`npm sbom failed: ${stderr.trim()}`);
  return withoutDevelopment(JSON.parse(stdout) as Written, release);
}

/** Pure. */
export function withoutDevelopment(written: Written, { manifest, identity }: Release): object {
  const isReleased = ({ properties = [] }: Component): boolean =>
    !properties.some(({ name, value }) => name === DEVELOPMENT && value === 'true');
  const own = `${identity.name}@${identity.version}`;
  const components = written.components
    .filter(isReleased)
    // npm names what it does not download after its folder.
    .map((each) => (each['bom-ref'] === own ? { ...each, name: identity.name } : each));
  const { component } = written.metadata;
  const known = new Set([component, ...components].map((each) => each['bom-ref']));
  return {
    ...written,
    metadata: { ...written.metadata, component: { ...component, name: manifest.name } },
    components,
    dependencies: written.dependencies
      .filter(({ ref }) => known.has(ref))
      .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter((other) => known.has(other)) })),
  };
}
