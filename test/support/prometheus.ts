/** Debian's Prometheus. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { until } from './gateway.ts';
import { temporaryFolder } from './process.ts';
import { freePort } from './redis.ts';

/** Why the tests that need it are skipped; false if it is installed. */
export const noPrometheus =
  spawnSync('prometheus', ['--version']).status !== 0 &&
  'prometheus is not installed: apt-get install -y prometheus';

export interface Prometheus {
  readonly url: string;
  /** The values of an instant query, one for each series. */
  query(expression: string): Promise<number[]>;
  /** The labels of every alert that has fired since the start. */
  fired(): Promise<Record<string, string>[]>;
}

export interface PrometheusOptions {
  readonly intervalMs?: number;
  /** The label `instance` of each target, in the order of the targets. Default: their addresses. */
  readonly instances?: readonly string[];
  /** Documents of rules, such as those of deploy/prometheus. */
  readonly rules?: readonly object[];
}

/** Scrapes the targets, and evaluates the rules, twice a second or as asked for. */
export async function startPrometheus(
  t: Test,
  targets: readonly string[],
  { intervalMs = 500, instances = targets, rules = [] }: PrometheusOptions = {},
): Promise<Prometheus> {
  const folder = temporaryFolder(t);
  const port = await freePort();
  const file = join(folder, 'prometheus.yml');
  writeConfiguration(folder, file, targets, { intervalMs, instances, rules });
  const prometheus = spawn(
    'prometheus',
    [
      `--config.file=${file}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: 'ignore' },
  );
  t.teardown(async () => {
    prometheus.kill('SIGKILL');
    await once(prometheus, 'close');
  });
  const base = `http://127.0.0.1:${port}`;
  await until(async () => (await fetch(`${base}/-/ready`).catch(() => undefined))?.ok === true);
  return {
    url: base,
    async fired() {
      const body = new URLSearchParams({ 'match[]': 'ALERTS{alertstate="firing"}' });
      const response = await fetch(`${base}/api/v1/series`, { method: 'POST', body });
      return ((await response.json()) as { data: Record<string, string>[] }).data;
    },
    async query(expression) {
      const body = new URLSearchParams({ query: expression });
      const response = await fetch(`${base}/api/v1/query`, { method: 'POST', body });
      const { status, error, data } = (await response.json()) as {
        status: string;
        error?: string;
        data?: { result: { value: [number, string] }[] };
      };
      if (status !== 'success') throw new Error(`${expression}: ${error}`);
      return (data?.result ?? []).map(({ value }) => Number(value[1]));
    },
  };
}

function writeConfiguration(
  folder: string,
  file: string,
  targets: readonly string[],
  { intervalMs, instances, rules }: Required<PrometheusOptions>,
): void {
  const interval = `${intervalMs}ms`;
  const files = rules.map((document, index) => {
    const name = join(folder, `${index}.rules.yml`);
    writeFileSync(name, JSON.stringify(document));
    return name;
  });
  const configuration = {
    global: { scrape_interval: interval, scrape_timeout: interval, evaluation_interval: interval },
    rule_files: files,
    scrape_configs: [
      {
        job_name: 'sallyport',
        static_configs: targets.map((target, index) => ({
          targets: [target],
          labels: { instance: instances[index] ?? target },
        })),
      },
    ],
  };
  writeFileSync(file, JSON.stringify(configuration));
}
