/** Do all places name the same version, and does the changelog tell what is in it? Pure. */
import { identityName, type Lock, type Release } from './release.ts';

/** `## 0.2.0 - 2026-12-01`, as Keep a Changelog has it; brackets may stand around the version. */
const HEADING = /^\[?(\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?)\]? - \d{4}-\d\d-\d\d$/;

export function versionProblems({ manifest, identity, changelog, chartVersion }: Release): string[] {
  const { name, version } = manifest;
  const others: [where: string, version: string | undefined][] = [
    ['packages/identity/package.json', identity.version],
    ['deploy/helm/sallyport/Chart.yaml: appVersion', chartVersion ?? version],
  ];
  return [
    ...changelogProblems(changelog, version),
    ...others
      .filter(([, other]) => other !== version)
      .map(([where, other]) => `${where} is ${other}, and package.json ${version}; make them the same`),
    ...(identity.name === identityName(name)
      ? []
      : [
          `packages/identity/package.json: the name must be ${identityName(name)}; npm run release:owner sets it`,
        ]),
  ];
}

function changelogProblems(changelog: string, version: string): string[] {
  const [, heading = '', section = ''] = /^## (.*)\n([^]*?)(?=^## |(?![^]))/m.exec(changelog) ?? [];
  const wanted = `"## ${version} - " and the date, such as 2026-12-01`;
  if (/unreleased/i.test(heading))
    return [`CHANGELOG.md: the top section is still "${heading}"; call it ${wanted}`];
  const [, named] = HEADING.exec(heading) ?? [];
  if (named === undefined) return [`CHANGELOG.md: the top section is "${heading}"; call it ${wanted}`];
  if (named !== version)
    return [
      `CHANGELOG.md: the top section is that of ${named}, and package.json has ${version}; correct one`,
    ];
  return /^- /m.test(section) ? [] : [`CHANGELOG.md: the section of ${version} lists no change; add them`];
}

/** Is the lock file that of these manifests, and free of addresses of a registry? */
export function lockProblems({ manifest, identity, lock }: Release): string[] {
  const own = lock.packages[''] ?? {};
  const inStep =
    lock.name === manifest.name &&
    lock.version === manifest.version &&
    own.version === manifest.version &&
    lock.packages['packages/identity']?.version === identity.version &&
    isSame(own.dependencies, manifest.dependencies) &&
    isSame(own.devDependencies, manifest.devDependencies);
  return [
    ...(inStep
      ? []
      : ['package-lock.json is not in step with package.json; run npm install --package-lock-only']),
    ...registryProblems(lock),
  ];
}

function registryProblems({ packages }: Lock): string[] {
  const hosts = Object.values(packages).flatMap(({ resolved = '' }) =>
    /^(?:git\+)?\w+:/.test(resolved) ? [URL.parse(resolved)?.host ?? resolved] : [],
  );
  const unchecked = Object.entries(packages)
    .filter(
      ([path, { link, integrity }]) => path.startsWith('node_modules/') && !link && integrity === undefined,
    )
    .map(([path]) => path);
  return [
    ...(hosts.length === 0
      ? []
      : [
          `package-lock.json names ${[...new Set(hosts)].join(', ')}, which others may not reach; run npm install --package-lock-only --omit-lockfile-registry-resolved`,
        ]),
    ...unchecked.map(
      (path) => `package-lock.json: ${path} has no integrity; remove its entry and run npm install`,
    ),
  ];
}

function isSame(a: Readonly<Record<string, string>> = {}, b: Readonly<Record<string, string>> = {}): boolean {
  const text = (names: Readonly<Record<string, string>>): string =>
    JSON.stringify(Object.entries(names).sort(([one], [other]) => (one < other ? -1 : 1)));
  return text(a) === text(b);
}
