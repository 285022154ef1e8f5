/** The overlays of deploy/kubernetes, read as Kustomize reads them; test/providers/kubernetes.test.ts does so with Kustomize itself. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { parse } from 'yaml';
import { noOpenssl } from '../support/certificates.ts';
import { built, KUBERNETES, manifestOf, OVERLAYS, podOf } from '../support/kubernetes.ts';
import { keepsPromises } from '../support/kubernetes-promises.ts';
import { configurationText } from '../support/mounted-configuration.ts';
import { MAIN, temporaryFolder } from '../support/process.ts';

const root = join(KUBERNETES, '../..');

for (const overlay of OVERLAYS)
  t.test(`${overlay}: the manifests and the configuration in them fit each other`, { skip: noOpenssl }, (t) =>
    keepsPromises(t, built(join(KUBERNETES, 'overlays', overlay))),
  );

t.test('every overlay is tested', async (t) => {
  t.strictSame(
    readdirSync(join(KUBERNETES, 'overlays'))
      .filter((name) => !name.startsWith('.'))
      .sort(),
    [...OVERLAYS].sort(),
  );
});

t.test('Prometheus asks the admin Service by the name that its certificate is for', async (t) => {
  const manifests = built(join(KUBERNETES, 'overlays/monitoring'));
  const admin = manifestOf(manifests, 'Service', '-admin');
  const { selector, endpoints } = manifestOf(manifests, 'ServiceMonitor').spec as {
    selector: { matchLabels: object };
    endpoints: { port: string; path: string; scheme: string; tlsConfig: { serverName: string } }[];
  };
  t.match(admin.metadata.labels, selector.matchLabels);
  t.match(endpoints, [{ port: 'admin', path: '/metrics', scheme: 'https' }]);
  t.equal(endpoints[0]?.tlsConfig.serverName, admin.metadata.name);
});

t.test('the page tells the end of a pod as the manifests have it', async (t) => {
  const manifests = built(join(KUBERNETES, 'overlays/redis-url'));
  const { containers, terminationGracePeriodSeconds } = podOf(manifests);
  const { timeouts } = parse(configurationText(manifests)) as { timeouts: Record<string, string> };
  const begins = containers[0].lifecycle?.preStop.sleep.seconds ?? 0;
  const drains = begins + parseInt(timeouts['drain_delay'] ?? '', 10);
  const ends = drains + parseInt(timeouts['drain'] ?? '', 10);
  const page = readFileSync(join(root, 'docs/kubernetes.md'), 'utf8');
  const moments = [...page.matchAll(/^\| (\d+(?: to \d+)?) \| .*$/gm)].map(([, moment]) => moment);
  t.strictSame(moments, [
    `0 to ${begins}`,
    `${begins}`,
    `${begins} to ${drains}`,
    `${drains} to ${ends}`,
    `${terminationGracePeriodSeconds}`,
  ]);
});

t.test('the chart is of this version', async (t) => {
  const read = (file: string): string => readFileSync(join(root, file), 'utf8');
  const { version } = JSON.parse(read('package.json')) as { version: string };
  const chart = parse(read('deploy/helm/sallyport/Chart.yaml')) as Record<string, string>;
  t.match(chart, { version, appVersion: version });
});

t.test(
  'the commands of the page make every file and Secret that the pods mount',
  { skip: noOpenssl },
  async (t) => {
    const page = readFileSync(join(root, 'docs/kubernetes.md'), 'utf8');
    const [, sections = ''] = /^## 1\. ([^]*?)^## 3a\./m.exec(page) ?? [];
    const commands = [...sections.matchAll(/^```sh\n([^]*?)^```$/gm)].map(([, text = '']) => text);
    t.equal(commands.length, 5);
    const folder = temporaryFolder(t);
    cpSync(KUBERNETES, join(folder, 'deploy/kubernetes'), { recursive: true });
    const programs = join(folder, 'programs');
    mkdirSync(programs);
    const program = (name: string, text: string): void =>
      writeFileSync(join(programs, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
    // Keys as kubectl makes them: of a file its name, of a folder the names of the files in it.
    program(
      'kubectl',
      `for arg; do case $arg in --from-file=*) keys="$keys $(ls "\${arg#*=}" | xargs)";; esac; done; echo "$*:$keys" >>${folder}/calls`,
    );
    program('sallyport', `exec '${process.execPath}' '${MAIN}' "$@"`);
    const { status, stdout, stderr } = spawnSync('sh', ['-ec', commands.join('\n')], {
      cwd: folder,
      env: { PATH: `${programs}:${process.env['PATH']}`, REDIS_PASSWORD: 'a password' },
      encoding: 'utf8',
    });
    t.equal(status, 0, `${stdout}${stderr}`);
    t.match(stdout, /^sallyport\.yaml: valid$/m);
    const calls = readFileSync(join(folder, 'calls'), 'utf8');
    const made = new Map(
      [...calls.matchAll(/create secret generic (\S+) .*: (.*)/g)].map(([, name, keys = '']) => [
        name,
        keys.split(' '),
      ]),
    );
    const mounted = podOf(built(join(KUBERNETES, 'overlays/redis-url'))).volumes.flatMap(
      ({ projected }) => projected?.sources.flatMap(({ secret }) => secret ?? []) ?? [],
    );
    t.equal(mounted.length, 4);
    for (const { name, items = [] } of mounted) {
      t.ok(made.has(name), name);
      for (const { key } of items) t.ok(made.get(name)?.includes(key), `${key} of ${name}`);
    }
  },
);
