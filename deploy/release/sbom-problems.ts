/**
 * Is the list of materials one of CycloneDX, and does it list what is installed with the package: each dependency, once, with
 * its version, its package URL and its hash? https://cyclonedx.org/docs/1.5/json. Pure.
 */
import { z } from 'zod';
import { identityName, type Release } from './release.ts';

const component = z.looseObject({
  type: z.enum(['application', 'library', 'framework']),
  name: z.string().min(1),
  version: z.string().min(1),
  purl: z.string().startsWith('pkg:npm/'),
  'bom-ref': z.string().min(1),
  hashes: z
    .array(z.strictObject({ alg: z.string(), content: z.string().regex(/^[0-9a-f]{32,128}$/) }))
    .optional(),
});

const sbomSchema = z.looseObject({
  bomFormat: z.literal('CycloneDX'),
  specVersion: z.enum(['1.4', '1.5', '1.6', '1.7']),
  serialNumber: z.string().regex(/^urn:uuid:[0-9a-f-]{36}$/),
  version: z.int().min(1),
  metadata: z.looseObject({ timestamp: z.iso.datetime(), component }),
  components: z.array(component),
  dependencies: z.array(z.looseObject({ ref: z.string(), dependsOn: z.array(z.string()) })),
});

type Sbom = z.infer<typeof sbomSchema>;

export function sbomProblems(document: unknown, release: Release): string[] {
  const parsed = sbomSchema.safeParse(document);
  if (!parsed.success)
    return parsed.error.issues.map(
      ({ path, message }) => `the SBOM is no CycloneDX: ${path.join('.')}: ${message}`,
    );
  return [
    ...subjectProblems(parsed.data, release),
    ...listProblems(parsed.data, release),
    ...graphProblems(parsed.data),
  ];
}

function subjectProblems({ metadata }: Sbom, { manifest }: Release): string[] {
  const { name, version } = metadata.component;
  return name === manifest.name && version === manifest.version
    ? []
    : [`the SBOM is that of ${name} ${version}, not of ${manifest.name} ${manifest.version}; write it again`];
}

function listProblems({ components }: Sbom, { manifest, lock }: Release): string[] {
  const own = identityName(manifest.name);
  const listed = components.filter(({ name }) => name !== own);
  const keyOf = (name: string, version: string): string => `${name} ${version}`;
  const wanted = new Set(
    Object.entries(lock.packages)
      .filter(([path, { dev, link }]) => path.startsWith('node_modules/') && !dev && !link)
      .map(([path, { version = '' }]) => keyOf(path.replace(/^.*node_modules\//, ''), version)),
  );
  const found = new Set(listed.map(({ name, version }) => keyOf(name, version)));
  return [
    ...[...wanted]
      .filter((key) => !found.has(key))
      .map((key) => `the SBOM lacks ${key}; run npm ci, and write it again`),
    ...[...found]
      .filter((key) => !wanted.has(key))
      .map((key) => `the SBOM lists ${key}, which is not installed; write it again`),
    ...listed
      .filter(({ hashes = [] }) => hashes.length === 0)
      .map(({ name }) => `the SBOM has no hash of ${name}; its entry in package-lock.json needs integrity`),
  ];
}

function graphProblems({ metadata, components, dependencies }: Sbom): string[] {
  const refs = [metadata.component, ...components].map((each) => each['bom-ref']);
  const known = new Set(refs);
  const named = dependencies.flatMap(({ ref, dependsOn }) => [ref, ...dependsOn]);
  return [
    ...(known.size < refs.length ? ['the SBOM has a bom-ref twice; write it again'] : []),
    ...[...new Set(named)]
      .filter((ref) => !known.has(ref))
      .map((ref) => `the SBOM names ${ref} and does not list it; write it again`),
  ];
}
