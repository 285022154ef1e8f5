/**
 * A configuration as YAML with what its presets mean, for `check --expand`. Variables stay as they are written, and what
 * the file itself holds of secrets is left out. Pure.
 */
import { Document, isMap, isScalar, isSeq, visit, type Node } from 'yaml';
import { expandIssuer } from './expand-providers.ts';
import { interpolate } from './interpolate.ts';
import { parseYaml } from './parse-yaml.ts';
import { isProvider, presetOf } from './provider-presets.ts';
import { isRaw, rawOf, type Path, type Raw } from './raw-document.ts';

export interface ExpandedConfiguration {
  readonly document: unknown;
  /** As YAML, in which each value of a preset says where it comes from. */
  readonly text: string;
}

/**
 * @param source the text of a file that loads
 * @param environment what its variables stand for: a preset may depend on them
 * @throws ConfigurationError where the text is no YAML
 */
export function expandedConfiguration(
  source: string,
  file: string,
  environment: Readonly<Record<string, string | undefined>>,
): ExpandedConfiguration {
  const written = rawOf(parseYaml(source, file).document.toJS());
  const resolved = resolvedIssuers(source, file, environment);
  const expanded = withoutSecrets(withPresets(written, resolved), []);
  const document = new Document(expanded, { aliasDuplicateObjects: false });
  compactLists(document);
  for (const [name, issuer] of Object.entries(rawOf(written['issuers'])))
    markPreset(document, name, rawOf(issuer), rawOf(resolved[name])['provider']);
  return { document: expanded, text: document.toString({ lineWidth: 0 }) };
}

function resolvedIssuers(
  source: string,
  file: string,
  environment: Readonly<Record<string, string | undefined>>,
): Raw {
  const { document } = parseYaml(source, file);
  interpolate(document, environment);
  return rawOf(rawOf(document.toJS())['issuers']);
}

function withPresets(written: Raw, resolved: Raw): Raw {
  if (!isRaw(written['issuers'])) return written;
  const issuers = Object.entries(written['issuers']).map(([name, issuer]) => {
    const known = rawOf(resolved[name]);
    return [
      name,
      isRaw(issuer) && isProvider(known['provider'])
        ? expandIssuer(issuer, presetOf(known['provider'], known))
        : issuer,
    ] as const;
  });
  return { ...written, issuers: Object.fromEntries(issuers) };
}

const HIDDEN = '(not shown)';
/** Keys whose value is a secret. Those of their `_file` forms name files, and are shown. */
const SECRET_KEY = /^(?:token|key|password|(?!has_key$).*_(?:secret|password|token|key))$/;
/** Members of a JWK that are not public (RFC 7518 sections 6.2.2, 6.3.2, 6.4.1). */
const PRIVATE_MEMBERS: ReadonlySet<unknown> = new Set(['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv']);
/**
 * User names and passwords of URLs, wherever they stand in a text: a variable may stand for any part, and its default may be
 * a whole URL. The URL Standard reads http: without slashes, and with backslashes, too.
 */
const USER_INFO = /(https?:[/\\]*|[/\\]{2})[^/?#]*@/gi;
const VARIABLE_ONLY = /^\$\{[A-Za-z_][A-Za-z0-9_]*\}$/;

/** The same with each secret replaced. A value that is nothing but a variable is none. */
function withoutSecrets(value: unknown, path: Path): unknown {
  if (Array.isArray(value)) return value.map((item, index) => withoutSecrets(item, [...path, index]));
  if (isRaw(value))
    return Object.fromEntries(
      Object.entries(value).map(([key, member]) => [key, withoutSecrets(member, [...path, key])]),
    );
  if (typeof value !== 'string' || VARIABLE_ONLY.test(value)) return value;
  return isSecret(path) ? HIDDEN : value.replace(USER_INFO, `$1${HIDDEN}@`);
}

function isSecret(path: Path): boolean {
  const key = path.at(-1);
  return (
    (path.includes('jwks') && PRIVATE_MEMBERS.has(key)) ||
    // API keys of the service, under names of its own.
    (path.includes('validation') && path.at(-2) === 'headers') ||
    (typeof key === 'string' && SECRET_KEY.test(key))
  );
}

/** Lists of scalars in one line, as people write them. */
function compactLists(document: Document): void {
  visit(document, {
    Seq(_, list) {
      if (list.items.every((item) => isScalar(item))) list.flow = true;
    },
  });
}

/** Each value that the preset has put there says so. */
function markPreset(document: Document, name: string, written: Raw, provider: unknown): void {
  if (!isProvider(provider)) return;
  const mark = (node: unknown, own: unknown): void => {
    if (isMap(node) && (own === undefined || isRaw(own))) {
      for (const { key, value } of node.items)
        mark(value, isRaw(own) && isScalar(key) ? own[String(key.value)] : undefined);
      return;
    }
    if (own !== undefined && !(isSeq(node) && Array.isArray(own) && node.items.length > own.length)) return;
    (node as Node).comment = ` provider: ${provider}`;
  };
  mark(document.getIn(['issuers', name], true), written);
}
