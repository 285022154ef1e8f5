/** What must hold for the manifests of a gateway, however they were made: by Kustomize or by Helm. */
import { dirname, relative } from 'node:path';
import type { Test } from 'tap';
import { parse } from 'yaml';
import { parseConfiguration } from '../../src/config/load.ts';
import { namedFiles } from '../../src/config/named-files.ts';
import { redisLocation } from '../../src/config/redis-location.ts';
import type { Configuration } from '../../src/config/schema.ts';
import { sallyport } from './command.ts';
import {
  manifestOf,
  podOf,
  type Labels,
  type Manifest,
  type PodSpec,
  type PolicyRule,
} from './kubernetes.ts';
import { configurationText, mount, mountedSecrets } from './mounted-configuration.ts';

const MOUNTED = '/etc/sallyport';
const STATE = '/var/lib/sallyport';

/** @param warnings what `check` may say of the configuration; by default nothing */
export async function keepsPromises(
  t: Test,
  manifests: readonly Manifest[],
  warnings: readonly RegExp[] = [],
): Promise<void> {
  const { folder } = mount(t, manifests);
  const checked = await sallyport(['check', '--strict', '--json', '-c', `${folder}/sallyport.yaml`]);
  const found = JSON.parse(checked.out) as { problems: string[]; warnings: string[] };
  t.match(found.problems, [], `check --strict: ${checked.out}`);
  t.equal(found.problems.length, 0);
  t.equal(found.warnings.length, warnings.length, `check --strict: ${checked.out}`);
  warnings.forEach((warning, index) => t.match(found.warnings[index], warning));
  const text = configurationText(manifests);
  const configuration = parseConfiguration(text, 'sallyport.yaml', folder, {});
  const pod = podOf(manifests);
  endsInTime(t, pod, configuration);
  fitsItsMemory(t, pod, configuration);
  isHardened(t, pod);
  seesChanges(t, pod, manifests, text);
  isProbed(t, pod, configuration);
  isFound(t, manifests, pod);
  if (manifests.some(({ kind }) => kind === 'NetworkPolicy')) isReached(t, manifests, configuration);
  scales(t, manifests, configuration);
}

function endsInTime(t: Test, pod: PodSpec, { timeouts }: Configuration): void {
  const preStop = pod.containers[0].lifecycle?.preStop.sleep.seconds ?? 0;
  const seconds = preStop + (timeouts.drain_delay + timeouts.drain) / 1000;
  t.ok(seconds < pod.terminationGracePeriodSeconds, `it ends within ${seconds} s, before it is killed`);
  t.ok(preStop > 0, 'it serves on while Services learn that it goes');
  t.ok(timeouts.drain_delay > 0, 'clients that keep a connection are told to go elsewhere');
}

const MIB: Readonly<Record<string, number>> = { Mi: 1, Gi: 1024 };

function fitsItsMemory(t: Test, pod: PodSpec, { workers }: Configuration): void {
  const { env, resources } = pod.containers[0];
  const options = env.find(({ name }) => name === 'NODE_OPTIONS')?.value ?? '';
  const heap = Number(/^--max-old-space-size=(\d+)$/.exec(options)?.[1]);
  const [, amount, unit = ''] = /^(\d+)([MG]i)$/.exec(resources.limits['memory'] ?? '') ?? [];
  const share = (heap * (workers === 1 ? 1 : Number(workers) + 1)) / (Number(amount) * (MIB[unit] ?? NaN));
  t.ok(share > 0.65 && share <= 0.76, `V8's heaps are about three quarters of the memory limit: ${share}`);
  t.ok(resources.requests['cpu'], 'the autoscaler has something to count in');
  t.notOk(resources.limits['cpu'], 'no limit of CPU slows requests down');
}

function isHardened(t: Test, pod: PodSpec): void {
  t.match(pod.securityContext, {
    runAsNonRoot: true,
    runAsUser: 65532,
    fsGroup: 65532,
    seccompProfile: { type: 'RuntimeDefault' },
  });
  const [{ securityContext, volumeMounts }] = pod.containers;
  t.strictSame(securityContext, {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  });
  t.equal(pod.automountServiceAccountToken, false);
  const writable = volumeMounts.filter(({ readOnly }) => readOnly !== true);
  t.strictSame(
    writable.map(({ mountPath }) => mountPath),
    [STATE],
  );
  const modes = pod.volumes.flatMap(({ projected }) => (projected ? [projected.defaultMode] : []));
  for (const mode of modes) t.equal(mode & 0o007, 0, 'secrets are for no other user');
}

function seesChanges(t: Test, pod: PodSpec, manifests: readonly Manifest[], text: string): void {
  const [{ volumeMounts, args }] = pod.containers;
  for (const { subPath, mountPath } of volumeMounts)
    t.equal(subPath, undefined, `${mountPath} is a whole folder, which Kubernetes replaces`);
  t.equal(volumeMounts.find(({ name }) => name === 'configuration')?.mountPath, MOUNTED);
  t.strictSame(args, ['run', '-c', `${MOUNTED}/sallyport.yaml`]);
  const sources = pod.volumes.flatMap(({ projected }) => projected?.sources ?? []);
  const mountedMap = sources.find(({ configMap }) => configMap)?.configMap?.name;
  t.equal(manifestOf(manifests, 'ConfigMap').metadata.name, mountedMap);
  const { template } = manifestOf(manifests, 'Deployment').spec as {
    template: { metadata: { annotations?: Labels } };
  };
  const annotations = JSON.stringify(template.metadata.annotations ?? {});
  t.notMatch(annotations, /checksum/, 'a change of the configuration restarts no pod');
  const named = namedFiles(parse(text), MOUNTED);
  t.ok(named.length >= 2);
  const secrets = mountedSecrets(manifests);
  for (const file of named) t.ok(secrets.includes(relative(MOUNTED, file)), `${file} is mounted`);
  for (const path of secrets) t.ok(named.includes(`${MOUNTED}/${path}`), `${path} is needed`);
}

function isProbed(t: Test, pod: PodSpec, { admin, listeners, issuers }: Configuration): void {
  const [container] = pod.containers;
  const portOf = (wanted: string): number | undefined =>
    container.ports.find(({ name }) => name === wanted)?.containerPort;
  t.equal(portOf('admin'), admin.port);
  t.equal(portOf('public'), listeners[0]?.port);
  t.equal(container.ports.length, listeners.length + 1);
  const { startupProbe, livenessProbe, readinessProbe } = container;
  for (const { httpGet } of [startupProbe, livenessProbe, readinessProbe]) {
    t.equal(httpGet.port, 'admin');
    t.equal(httpGet.scheme, admin.tls ? 'HTTPS' : 'HTTP');
  }
  // A store or an issuer that is down makes a pod not ready; a restart would not help.
  t.strictSame([startupProbe.httpGet.path, livenessProbe.httpGet.path], ['/livez', '/livez']);
  t.equal(readinessProbe.httpGet.path, '/readyz');
  t.equal(admin.host, '0.0.0.0', 'probes come by the address of the pod');
  for (const { keys } of Object.values(issuers))
    if (keys.cache_dir !== undefined) t.equal(dirname(keys.cache_dir), STATE);
}

/** Everything that selects pods selects those of the Deployment, and no others. */
function isFound(t: Test, manifests: readonly Manifest[], pod: PodSpec): void {
  const deployment = manifestOf(manifests, 'Deployment');
  const { selector, template } = deployment.spec as {
    selector: { matchLabels: Labels };
    template: { metadata: { labels: Labels } };
  };
  const { labels } = template.metadata;
  const selectors: unknown[] = [selector.matchLabels];
  const services = manifests.filter(({ kind }) => kind === 'Service');
  t.equal(services.length, 2);
  for (const { spec, metadata } of services) {
    const { selector, ports } = spec as { selector: Labels; ports: { targetPort: string }[] };
    selectors.push(selector);
    for (const { targetPort } of ports)
      t.ok(
        pod.containers[0].ports.some(({ name }) => name === targetPort),
        `${metadata.name}: ${targetPort}`,
      );
  }
  for (const { kind, spec = {} } of manifests) {
    if (kind === 'PodDisruptionBudget')
      selectors.push((spec['selector'] as { matchLabels: Labels }).matchLabels);
    if (kind === 'NetworkPolicy')
      selectors.push((spec['podSelector'] as { matchLabels: Labels }).matchLabels);
    if (kind === 'HorizontalPodAutoscaler')
      t.match(spec['scaleTargetRef'], { kind: 'Deployment', name: deployment.metadata.name });
  }
  for (const each of selectors) {
    t.strictSame(each, selector.matchLabels);
    t.match(labels, each);
  }
  t.equal(manifestOf(manifests, 'ServiceAccount').metadata.name, pod.serviceAccountName);
}

/** The NetworkPolicy lets through what the configuration needs, and keeps the admin port for the namespace of the monitoring. */
function isReached(
  t: Test,
  manifests: readonly Manifest[],
  { issuers, revocation, upstreams }: Configuration,
): void {
  const { ingress, egress, policyTypes } = manifestOf(manifests, 'NetworkPolicy').spec as {
    ingress: PolicyRule[];
    egress: PolicyRule[];
    policyTypes: string[];
  };
  t.strictSame(policyTypes, ['Ingress', 'Egress']);
  const has = ({ ports }: PolicyRule, wanted: number | string, protocol = 'TCP'): boolean =>
    ports === undefined ||
    ports.some((each) => each.port === wanted && (each.protocol ?? 'TCP') === protocol);
  for (const { from } of ingress.filter((rule) => has(rule, 'admin')))
    t.match(from, [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } } }]);
  t.equal(ingress.filter((rule) => has(rule, 'admin')).length, 1);
  t.ok(ingress.some((rule) => has(rule, 'public')));
  const toAll = egress.filter(({ to }) => to === undefined);
  const leaves = (port: number, protocol?: string): boolean =>
    toAll.some((rule) => has(rule, port, protocol));
  t.ok(leaves(53, 'UDP') && leaves(53), 'DNS');
  for (const { issuer } of Object.values(issuers))
    t.ok(leaves(Number(new URL(issuer ?? '').port || 443)), `to ${issuer}`);
  for (const port of redisPorts(revocation)) t.ok(leaves(port), `to Redis at ${port}`);
  t.ok(
    egress.some(({ to }) => JSON.stringify(to) === '[{"namespaceSelector":{}}]'),
    'to every pod of the cluster',
  );
  for (const target of Object.values(upstreams).flatMap(({ targets }) => targets))
    t.match(
      new URL(typeof target === 'string' ? target : target.url).hostname,
      /\.svc\.cluster\.local$/,
      'which upstreams are',
    );
}

function redisPorts(revocation: Configuration['revocation']): number[] {
  const location = redisLocation(revocation);
  if (!location) return [];
  if ('url' in location) return [Number(new URL(location.url).port || 6379)];
  const nodes = 'cluster' in location ? location.cluster : [...location.sentinels, 'primary:6379'];
  return nodes.map((node) => Number(node.split(':').at(-1)));
}

function scales(t: Test, manifests: readonly Manifest[], { limits }: Configuration): void {
  const autoscaler = manifests.find(({ kind }) => kind === 'HorizontalPodAutoscaler');
  const { replicas } = manifestOf(manifests, 'Deployment').spec ?? {};
  t.equal(replicas === undefined, autoscaler !== undefined, 'one of the two says how many pods there are');
  if (!autoscaler) return;
  const { minReplicas, metrics } = autoscaler.spec as {
    minReplicas: number;
    metrics: { type: string; resource?: unknown; pods?: { target: { averageValue: string } } }[];
  };
  t.ok(minReplicas >= 2);
  t.match(metrics[0]?.resource, { name: 'cpu', target: { type: 'Utilization' } });
  for (const { pods } of metrics.slice(1)) {
    t.match(pods, { metric: { name: 'sallyport_requests_in_flight' } });
    t.equal(Number(pods?.target.averageValue), limits.in_flight / 2);
  }
}
