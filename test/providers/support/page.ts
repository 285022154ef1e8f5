/** The configurations that a page in docs/providers/ shows, with the addresses and secrets of a server that runs. */
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';

/**
 * @param page name of the page, such as keycloak
 * @param index which of its configurations
 * @param replacements what the page writes, and what stands there instead; each must be there
 */
export function configurationOfPage(
  page: string,
  index: number,
  replacements: Record<string, string>,
): Record<string, unknown> {
  const text = readFileSync(new URL(`../../../docs/providers/${page}.md`, import.meta.url), 'utf8');
  let configuration = [...text.matchAll(/^```yaml\n([^]*?)^```/gm)][index]?.[1] ?? '';
  for (const [written, instead] of Object.entries(replacements)) {
    if (!configuration.includes(written))
      throw new Error(`${page}.md, configuration ${index} does not say ${written}:\n${configuration}`);
    configuration = configuration.replaceAll(written, instead);
  }
  return parse(configuration) as Record<string, unknown>;
}
