/**
 * The files that Prometheus reads, made of what the alerts and recordings say. One field, `repository` of package.json, says
 * where the runbooks are: every link begins with it.
 */
import { readFileSync } from 'node:fs';
import type { Alert } from './alert.ts';
import { AVAILABILITY_ALERTS } from './availability-alerts.ts';
import { CONFIGURATION_ALERTS, OVERLOAD_ALERTS, PROCESS_ALERTS } from './gateway-alerts.ts';
import { RECORDINGS } from './recording-rules.ts';
import { AUTHENTICATION_ALERTS, REVOCATION_ALERTS } from './token-alerts.ts';

const GROUPS: Readonly<Record<string, readonly Alert[]>> = {
  'sallyport-availability': AVAILABILITY_ALERTS,
  'sallyport-process': PROCESS_ALERTS,
  'sallyport-overload': OVERLOAD_ALERTS,
  'sallyport-configuration': CONFIGURATION_ALERTS,
  'sallyport-authentication': AUTHENTICATION_ALERTS,
  'sallyport-revocation': REVOCATION_ALERTS,
};

/** promtool's tests evaluate them in this order: an alert must see what was recorded in the same round. */
export const GROUP_ORDER: readonly string[] = [...Object.keys(RECORDINGS), ...Object.keys(GROUPS)];

export const ALERTS: readonly Alert[] = Object.values(GROUPS).flat();

/** No host has this name (RFC 6761): a link that was not set goes nowhere, and a release is refused. */
export const UNSET_REPOSITORY = 'https://repository.invalid';

interface Manifest {
  readonly repository?: string | { readonly url: string };
}

/** Where the runbooks are, without a fragment. Absolute. */
export function runbookBase(manifest: Manifest = packageManifest()): string {
  const { repository } = manifest;
  const text = typeof repository === 'string' ? repository : repository?.url;
  if (text === undefined) return `${UNSET_REPOSITORY}/docs/runbooks.md`;
  const url = new URL(text.replace(/^git\+/, '').replace(/^github:/, 'https://github.com/'));
  if (url.protocol !== 'https:')
    throw new Error(`package.json: repository must be an https:// URL, not ${text}`);
  return `${url.href.replace(/(?:\.git)?\/?$/, '')}/blob/main/docs/runbooks.md`;
}

function packageManifest(): Manifest {
  return JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as Manifest;
}

export function runbookUrl({ name }: Alert, base = runbookBase()): string {
  return `${base}#${name.toLowerCase()}`;
}

/** Prometheus' groups of alerts. */
export function alertGroups(base: string, panelPath: (panel: Alert['panel']) => string): object {
  const ruleOf = (alert: Alert): object => ({
    alert: alert.name,
    expr: alert.expr,
    ...(alert.for !== undefined && { for: alert.for }),
    labels: { severity: alert.severity },
    annotations: {
      summary: alert.summary,
      ...(alert.description !== undefined && { description: alert.description }),
      ...linksOf(alert, base, panelPath),
    },
  });
  const groups = Object.entries(GROUPS).map(([name, alerts]) => ({ name, rules: alerts.map(ruleOf) }));
  return { groups };
}

/** The annotations that lead on: to the runbook, and to the panel, as a path within Grafana. */
export function linksOf(
  alert: Alert,
  base: string,
  panelPath: (panel: Alert['panel']) => string,
): { readonly runbook_url: string; readonly panel: string } {
  return { runbook_url: runbookUrl(alert, base), panel: panelPath(alert.panel) };
}

export function recordingGroups(): object {
  return { groups: Object.entries(RECORDINGS).map(([name, rules]) => ({ name, rules })) };
}
