/**
 * deploy/kubernetes by Kustomize, and deploy/helm/sallyport by Helm’s engine: the schemas of Kubernetes accept every manifest,
 * manifests and configuration fit each other, and a gateway runs on what a pod would see.
 */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { spawnSync } from 'node:child_process';
import t, { type Test } from 'tap';
import { parse, stringify } from 'yaml';
import { alertGroups, recordingGroups } from '../../deploy/prometheus/rules.ts';
import { panelPath } from '../../deploy/grafana/dashboards.ts';
import { noOpenssl } from '../support/certificates.ts';
import { built, KUBERNETES, manifestOf, OVERLAYS, podOf, type Manifest } from '../support/kubernetes.ts';
import { keepsPromises } from '../support/kubernetes-promises.ts';
import { configurationText } from '../support/mounted-configuration.ts';
import { temporaryFolder } from '../support/process.ts';
import { noPrometheus } from '../support/prometheus.ts';
import { helmRender, kustomize, kustomized, rendered, schemaErrors, schemas } from './kubernetes/tools.ts';
import { notInstalled } from './support/installed.ts';
import { missing } from './support/toolchain.ts';

const CHART = fileURLToPath(new URL('../../deploy/helm/sallyport', import.meta.url));
/** The oldest that has the sleep of preStop, and the newest that the schemas know. */
const VERSIONS = ['1.30', '1.37'];
/** Kinds of the Prometheus Operator, of which Kubernetes itself has no schema. */
const CUSTOM = ['ServiceMonitor', 'PrometheusRule'];

const noSchemas = missing('Python') || notInstalled('kubernetes-validate', schemas);

function passesSchemas(t: Test, manifests: readonly Manifest[]): void {
  const own = manifests.filter(({ kind }) => !CUSTOM.includes(kind));
  t.strictSame(schemaErrors(own, VERSIONS), []);
  t.ok(own.length >= 6);
}

/** By kind and name, whatever the order. */
const sorted = (manifests: readonly Manifest[]): Manifest[] =>
  manifests.toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
const nameOf = ({ kind, metadata }: Manifest): string => `${kind} ${metadata.name}`;

t.test('the schemas refuse what Kubernetes would', { skip: noSchemas }, async (t) => {
  const wrong = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'x' }, spec: { prots: [] } };
  const unknown = { ...wrong, kind: 'Nothing', spec: {} };
  t.match(schemaErrors([wrong, unknown], VERSIONS), [/prots/, /prots/, /Nothing/, /Nothing/]);
});

const noKustomize = noOpenssl || missing('Go') || notInstalled('Kustomize', kustomize);
t.test('Kustomize', { skip: noKustomize || noSchemas }, async (t) => {
  for (const overlay of OVERLAYS)
    t.test(overlay, async (t) => {
      const folder = join(KUBERNETES, 'overlays', overlay);
      const manifests = kustomized(folder);
      t.strictSame(sorted(built(folder)), sorted(manifests), 'the other tests read it as Kustomize does');
      passesSchemas(t, manifests);
      await keepsPromises(t, manifests);
    });

  t.test('without your own image no node starts anything', async (t) => {
    const { template } = manifestOf(kustomized(join(KUBERNETES, 'overlays/redis-url')), 'Deployment')
      .spec as {
      template: { spec: { containers: { image: string }[] } };
    };
    t.match(template.spec.containers[0]?.image, /^registry\.invalid\//);
  });

  t.test('the rules of the monitoring overlay are those of Prometheus', { skip: noPrometheus }, async (t) => {
    hasTheRules(t, manifestOf(kustomized(join(KUBERNETES, 'overlays/monitoring')), 'PrometheusRule'));
  });
});

/** @param base undefined: that of deploy/prometheus */
function hasTheRules(t: Test, { spec }: Manifest, base?: string): void {
  const { groups } = spec as {
    groups: { rules: { alert?: string; annotations?: Record<string, string> }[] }[];
  };
  const file = join(temporaryFolder(t), 'rules.yml');
  writeFileSync(file, stringify(spec));
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'rules', file], { encoding: 'utf8' });
  t.equal(status, 0, `${stdout}${stderr}`);
  const expected = [recordingGroups(), alertGroups(base ?? 'https://repository.invalid', panelPath)].flatMap(
    (each) => (each as { groups: { name: string; rules: object[] }[] }).groups,
  );
  const shapes = (all: readonly object[]): string[] =>
    JSON.parse(JSON.stringify(all).replaceAll(/"runbook_url":"[^"]*"/g, '"runbook_url":""')) as string[];
  t.strictSame(shapes(groups), shapes(expected));
  const urls = groups
    .flatMap(({ rules }) => rules)
    .flatMap(({ alert, annotations }) =>
      alert === undefined ? [] : [[alert, annotations?.['runbook_url']]],
    );
  t.ok(urls.length > 10);
  if (base !== undefined)
    for (const [alert = '', url] of urls) t.equal(url, `${base}#${alert.toLowerCase()}`);
}

/** The examples, with what `check` says of each. */
const EXAMPLES: Readonly<Record<string, readonly RegExp[]>> = {
  'redis-url': [],
  'redis-sentinel': [/^listeners: 0\.0\.0\.0:8080 is plaintext beyond loopback/],
  'redis-cluster': [],
  trial: [],
};

const noHelm = noOpenssl || missing('Go') || notInstalled('the engine of Helm', helmRender);
t.test('Helm', { skip: noHelm || noSchemas }, async (t) => {
  const example = (name: string): string => join(CHART, 'examples', `${name}.yaml`);
  const withValues = (t: Test, ...more: object[]): ReturnType<typeof rendered> => {
    const folder = temporaryFolder(t);
    const files = more.map((values, index) => {
      const file = join(folder, `${index}.yaml`);
      writeFileSync(file, JSON.stringify(values));
      return file;
    });
    return rendered(CHART, [example('redis-url'), ...files]);
  };
  const secret = (): string => randomBytes(32).toString('base64url');

  for (const [name, warnings] of Object.entries(EXAMPLES))
    t.test(name, async (t) => {
      const extra = join(temporaryFolder(t), 'secrets.yaml');
      const values = name === 'trial' ? { 'admin-token': secret(), 'log-key': secret() } : {};
      writeFileSync(extra, JSON.stringify({ secrets: { values } }));
      const { manifests = [], notes, problem } = rendered(CHART, [example(name), extra]);
      t.equal(problem, '');
      passesSchemas(t, manifests);
      await keepsPromises(t, manifests, warnings);
      t.match(notes, /kubectl -n gateways rollout status deployment sallyport/);
    });

  t.test('its pod is that of Kustomize', { skip: noKustomize }, async (t) => {
    const { manifests = [] } = rendered(CHART, [example('redis-url')]);
    /** In one order, and without what only Helm writes out. */
    const comparable = (from: readonly Manifest[]): object => {
      const { containers, volumes, ...pod } = podOf(from);
      const sources = volumes.flatMap(({ projected }) => projected?.sources ?? []);
      return {
        ...pod,
        topologySpreadConstraints: [],
        containers: containers.map((container) => ({ ...container, imagePullPolicy: 'IfNotPresent' })),
        sources: sources.toSorted((a, b) => ((a.secret?.name ?? '') < (b.secret?.name ?? '') ? -1 : 1)),
        volumes: volumes.map(({ name, emptyDir }) => ({ name, emptyDir })),
      };
    };
    t.strictSame(comparable(manifests), comparable(kustomized(join(KUBERNETES, 'overlays/redis-url'))));
    const configuration = (from: readonly Manifest[]): unknown => parse(configurationText(from));
    t.strictSame(
      configuration(manifests),
      configuration(kustomized(join(KUBERNETES, 'overlays/redis-url'))),
      'and so is its configuration',
    );
  });

  t.test('another release in the same namespace shares no name and no pod with it', async (t) => {
    const [first, second] = ['sallyport', 'blue'].map((release) => {
      const { manifests = [] } = rendered(CHART, [example('redis-cluster')], release);
      return manifests;
    });
    const names = new Set(first?.map(nameOf));
    t.ok(names.size > 6);
    t.strictSame(
      second?.map(nameOf).filter((name) => names.has(name)),
      [],
    );
    passesSchemas(t, second ?? []);
    const selectorOf = (manifests: readonly Manifest[] = []): unknown =>
      manifestOf(manifests, 'Deployment').spec?.['selector'];
    t.notSame(selectorOf(first), selectorOf(second));
  });

  t.test('what is off by default is on where it is asked for', async (t) => {
    const kinds = (name: string): string[] =>
      rendered(CHART, [example(name)]).manifests?.map(({ kind }) => kind) ?? [];
    for (const kind of CUSTOM) {
      t.notOk(kinds('redis-url').includes(kind));
      t.ok(kinds('redis-cluster').includes(kind));
    }
    const { manifests = [] } = rendered(CHART, [example('redis-cluster')]);
    t.match(manifestOf(manifests, 'HorizontalPodAutoscaler').spec, { metrics: [{}, { type: 'Pods' }] });
    const admin = manifestOf(manifests, 'Service', '-admin');
    t.match(manifestOf(manifests, 'ServiceMonitor').spec, {
      selector: { matchLabels: { 'app.kubernetes.io/component': 'admin' } },
      endpoints: [{ scheme: 'https', tlsConfig: { serverName: admin.metadata.name } }],
    });
    const { selector } = manifestOf(manifests, 'ServiceMonitor').spec as {
      selector: { matchLabels: object };
    };
    t.match(admin.metadata.labels, selector.matchLabels);
  });

  t.test('runbookBase is where each runbook_url leads', { skip: noPrometheus }, async (t) => {
    const { manifests = [] } = rendered(CHART, [example('redis-cluster')]);
    hasTheRules(t, manifestOf(manifests, 'PrometheusRule'), 'https://example.com/docs/runbooks.md');
    const plain = withValues(t, { prometheusRule: { enabled: true } });
    hasTheRules(t, manifestOf(plain.manifests ?? [], 'PrometheusRule'));
  });

  t.test('values that cannot work are refused, and the message names them', async (t) => {
    const cases: [object, RegExp][] = [
      [{ image: { repository: '' } }, /image\.repository: name the image/],
      [{ imgae: {} }, /imgae/],
      [{ config: { routes: null } }, /routes/],
      [{ config: { revocation: { store: null } } }, /store/],
      [{ config: { workers: 'auto' } }, /config\.workers: auto/],
      [{ resources: { limits: { memory: '500M' } } }, /memory/],
      [{ config: { timeouts: { drain: 'soon' } } }, /config\.timeouts: soon/],
      [
        { config: { upstreams: { orders: { tls: { ca_file: 'own/ca.crt' } } } } },
        /folder own, which no Secret fills; add it to secretFolders/,
      ],
      [{ env: [{ name: 'NODE_OPTIONS', value: '--inspect' }] }, /env/],
    ];
    for (const [values, message] of cases) {
      const { manifests, problem } = withValues(t, values);
      t.equal(manifests, undefined, JSON.stringify(values));
      t.match(problem, message);
    }
    t.match(
      rendered(CHART, []).problem,
      /routes.*upstreams|upstreams.*routes/s,
      'an install without a configuration',
    );
  });

  t.test('a chart without TLS at the admin listener asks its probes in plaintext', async (t) => {
    const { manifests = [] } = withValues(t, {
      config: { admin: { tls: null } },
      serviceMonitor: { enabled: true },
    });
    await keepsPromises(t, manifests, [/^admin: .* is plaintext beyond loopback/]);
    t.match(manifestOf(manifests, 'ServiceMonitor').spec, { endpoints: [{ scheme: 'http' }] });
  });
});
