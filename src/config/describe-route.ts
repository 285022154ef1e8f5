/** A route in one line, for people. Pure. */
import { claimRuleText } from '../token/claim-rules.ts';
import { resourceUrlOf } from './protected-resources.ts';
import type { Configuration, RouteConfiguration } from './schema.ts';

/** Which requests: methods, host, path, headers. */
export function matchText({ match }: RouteConfiguration): string {
  const path =
    match.path ?? `${match.path_prefix ?? '/'}${match.path_prefix?.endsWith('/') === false ? '/' : ''}*`;
  const headers = Object.entries(match.headers ?? {}).map(([name, value]) => `${name}=${value}`);
  return [match.methods?.join('|'), `${match.hosts?.join('|') ?? ''}${path}`, ...headers]
    .filter(Boolean)
    .join(' ');
}

/** Who may pass. */
export function accessText(
  route: RouteConfiguration,
  { listeners }: Pick<Configuration, 'listeners'>,
): string {
  const { auth } = route;
  const resource = resourceUrlOf(route, listeners);
  if (auth.mode === 'none') return 'everybody';
  const rules = [
    ...(resource ? [`aud ${resource.href}`] : []),
    ...(auth.issuers ? [`issuer ${auth.issuers.join('|')}`] : []),
    ...stepUpTexts(auth),
    ...ruleTexts(auth),
    ...(auth.any_of ? [auth.any_of.map((way) => `(${ruleTexts(way).join(', ')})`).join(' or ')] : []),
    ...(auth.sender_constrained === undefined ? [] : [BINDINGS[auth.sender_constrained]]),
    ...(auth.fresh ? ['a fresh introspection response'] : []),
  ];
  return `${auth.report_only ? 'report only: ' : ''}${auth.mode === 'optional' ? 'anonymous, or ' : ''}token${rules.length > 0 ? ` with ${rules.join(', ')}` : ''}`;
}

const BINDINGS = {
  optional: 'a DPoP proof if it is bound to a key',
  required: 'a binding to a key (DPoP) or a certificate',
} as const;

/** What its login must be: how strong, and how recent. */
export function stepUpTexts({
  acr = [],
  max_auth_age: maxAge,
}: Pick<RouteConfiguration['auth'], 'acr' | 'max_auth_age'>): string[] {
  return [
    ...(acr.length > 0 ? [`acr ${acr.join('|')}`] : []),
    ...(maxAge === undefined ? [] : [`a login within ${settingText(maxAge)} (max_auth_age)`]),
  ];
}

/** A duration as one writes it in the configuration. */
function settingText(ms: number): string {
  const seconds = ms / 1000;
  if (seconds % 3600 === 0) return `${seconds / 3600}h`;
  return seconds % 60 === 0 ? `${seconds / 60}m` : `${seconds}s`;
}

/** Where its requests go. */
export function upstreamText({ upstream, sticky }: RouteConfiguration): string {
  if (typeof upstream === 'string') return upstream;
  const rules = upstream
    .filter(({ weight }) => weight !== 0)
    .flatMap(({ name, claims }) =>
      claims ? [`${name} if ${ruleTexts({ scopes: [], claims }).join(', ')}`] : [],
    );
  const shared = upstream.flatMap(({ name, weight = 1, claims }) => (claims ? [] : [{ name, weight }]));
  return `${[...rules, sharesText(shared)].join('; ')}${sticky === undefined ? '' : ', sticky'}`;
}

/** Each with its share, those too that are taken out by the weight 0. */
export function sharesText(shares: readonly { readonly name: string; readonly weight: number }[]): string {
  if (shares.length === 1) return shares[0]?.name ?? '';
  const total = shares.reduce((sum, { weight }) => sum + weight, 0);
  return shares.map(({ name, weight }) => `${name} ${percentText(weight / total)}`).join(', ');
}

function percentText(share: number): string {
  return `${Number((100 * share).toPrecision(3))} %`;
}

function ruleTexts({ scopes, claims }: Pick<RouteConfiguration['auth'], 'scopes' | 'claims'>): string[] {
  const { all = [], any = [] } = Array.isArray(scopes) ? { all: scopes } : scopes;
  return [
    ...(all.length > 0 ? [`scope ${all.join(' ')}`] : []),
    ...(any.length > 0 ? [`scope ${any.join('|')}`] : []),
    ...Object.entries(claims).map(([claim, setting]) => claimRuleText(claim, setting)),
  ];
}
