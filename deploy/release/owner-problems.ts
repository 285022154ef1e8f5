/** Does the release say whose it is? Nothing here is invented: it must have been set. Pure. */
import type { Manifest, Release } from './release.ts';

const REMEDY = 'npm run release:owner sets it';

export function ownerProblems({ manifest, identity }: Release): string[] {
  return [
    ...missing('package.json', manifest),
    ...missing('packages/identity/package.json', identity),
  ].concat(
    urlOf(manifest.repository) === urlOf(identity.repository)
      ? []
      : [`packages/identity/package.json: repository is another one than that of package.json; ${REMEDY}`],
  );
}

function missing(file: string, { author, repository, bugs }: Manifest): string[] {
  const problems: [key: string, isSet: boolean][] = [
    ['repository', isHttps(urlOf(repository).replace(/^git\+/, ''))],
    ['bugs', isHttps(urlOf(bugs))],
    ['author', (typeof author === 'string' ? author : (author?.name ?? '')) !== ''],
  ];
  return problems.filter(([, isSet]) => !isSet).map(([key]) => `${file}: ${key} is not set; ${REMEDY}`);
}

function urlOf(field: Manifest['repository']): string {
  return (typeof field === 'string' ? field : field?.url) ?? '';
}

function isHttps(text: string): boolean {
  const url = URL.parse(text);
  // No host has such a name (RFC 6761).
  return url?.protocol === 'https:' && !/\.(?:invalid|example)$/.test(url.hostname);
}
