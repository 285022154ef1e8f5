/** What the admin listener of a gateway with workers says: of all of them together. */
import type { LocalSeen } from '../admin/seen-api.ts';
import type { Readiness } from '../admin/routes.ts';
import type { Overview } from '../assembly/place.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { mergedSnapshot, snapshotText, type MetricsText } from '../telemetry/metric-snapshots.ts';
import type { WorkerReport } from './calls.ts';
import { mergedUpstreams } from './merged-upstreams.ts';
import type { WorkerLink } from './worker-link.ts';
import type { WorkerPool } from './worker-pool.ts';
import { workersSeen } from './workers-seen.ts';

const REPORT_MS = 2_000;

export class WorkersOverview implements Overview {
  readonly seen: LocalSeen;
  readonly #pool: WorkerPool;
  /** The primary's own. */
  readonly #metrics: Metrics;

  constructor(pool: WorkerPool, metrics: Metrics) {
    this.#pool = pool;
    this.seen = workersSeen(() => pool.links);
    this.#metrics = metrics;
    metrics.gauge('sallyport_workers', 'Worker processes that serve now.', [], (set) =>
      set(pool.links.filter(({ isReady }) => isReady).length),
    );
    metrics.gauge(
      'sallyport_worker_up',
      '1 while the worker told its metrics in time; 0: its last ones stand.',
      ['worker'],
      (set) => {
        const up = new Set(
          pool.links.filter(({ serves, tellsMetrics }) => serves && tellsMetrics).map(({ id }) => id),
        );
        for (let id = 1; id <= pool.count; id++) set(up.has(id) ? 1 : 0, String(id));
      },
    );
    metrics.counterOf(
      'sallyport_worker_restarts_total',
      'Workers that ended by themselves and were replaced.',
      [],
      (counter) => {
        counter.child().value = pool.restarts;
      },
    );
  }

  /** After the start half of the workers are enough: one that is replaced must not take the others out of service. */
  readiness(own: Readiness): Readiness {
    const { links, count, wereAllReady } = this.#pool;
    const ready = new Set(links.filter(({ isReady }) => isReady).map(({ id }) => id));
    const needed = wereAllReady ? Math.ceil(count / 2) : count;
    const workers = Array.from({ length: count }, (_, index) => index + 1).map((id) =>
      ready.has(id) ? `[+] worker ${id}` : `[-] worker ${id}: not ready`,
    );
    return { ...own, ready: own.ready && ready.size >= needed, report: [...own.report, ...workers] };
  }

  async metrics(): Promise<MetricsText> {
    const workers = await this.#pool.metrics();
    return snapshotText(mergedSnapshot([await this.#metrics.snapshot(), workers]));
  }

  async status(own: object): Promise<object> {
    const reports = await Promise.all(this.#pool.links.map(reportOf));
    return {
      ...own,
      upstreams: mergedUpstreams(reports.flatMap(({ report }) => (report ? [report.upstreams] : []))),
      workers: reports.map(({ link, report }) => ({
        worker: link.id,
        pid: link.child.pid,
        uptime_seconds: Math.round(link.livedMs / 1000),
        responds: report !== undefined,
        ready: report?.ready ?? false,
        requests_in_flight: report?.requests_in_flight ?? null,
        view_age_seconds: report?.view_age_seconds ?? null,
      })),
      worker_restarts: this.#pool.restarts,
    };
  }
}

async function reportOf(link: WorkerLink): Promise<{ link: WorkerLink; report: WorkerReport | undefined }> {
  try {
    return { link, report: await link.channel.call('report', undefined, REPORT_MS) };
  } catch {
    return { link, report: undefined };
  }
}
