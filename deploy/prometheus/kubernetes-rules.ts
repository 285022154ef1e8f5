/** The same rules as objects of the Prometheus Operator: for Kustomize, and as a file that the Helm chart reads. */
import { panelPath } from '../grafana/dashboards.ts';
import { alertGroups, recordingGroups } from './rules.ts';

/** By the name of the file, from the folder of this one. */
export function kubernetesRules(base: string): readonly (readonly [file: string, content: object])[] {
  const groups = [recordingGroups(), alertGroups(base, panelPath)].flatMap(
    (file) => (file as { groups: readonly object[] }).groups,
  );
  const rule = {
    apiVersion: 'monitoring.coreos.com/v1',
    kind: 'PrometheusRule',
    metadata: { name: 'sallyport', labels: { 'app.kubernetes.io/name': 'sallyport' } },
    spec: { groups },
  };
  return [
    ['../kubernetes/components/monitoring/prometheusrule.yaml', rule],
    ['../helm/sallyport/files/rules.yaml', { groups }],
  ];
}
