/**
 * Where the metadata of a protected resource is: the well-known part stands before the path of the resource. Pure. RFC 9728
 * section 3.1.
 */
import { readingsOf } from './path-readings.ts';
import type { PublicUrl } from './public-url.ts';

const WELL_KNOWN = '/.well-known/oauth-protected-resource';

/** A `/` at the end of the path of the resource is removed. */
export function metadataPathOf({ path }: Pick<PublicUrl, 'path'>): string {
  return `${WELL_KNOWN}${path}`;
}

export function metadataUrlOf(resource: PublicUrl): string {
  return `${resource.scheme}://${resource.authority}${metadataPathOf(resource)}`;
}

/** Is it the well-known path, or below it? */
export function isMetadataPath(path: string): boolean {
  return (
    path.startsWith(WELL_KNOWN) && (path.length === WELL_KNOWN.length || path[WELL_KNOWN.length] === '/')
  );
}

/** May a server read a path so that is another one as it stands? */
export function hasMetadataReading(path: string): boolean {
  if (!path.includes('%') && !path.includes(';') && !path.includes('//')) return false;
  return [...(readingsOf(path) ?? [])].some(isMetadataPath);
}
