/** What a run leaves behind: its rows, and where and how they were measured. Parts of a run can be read again and shown together. */
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { sallyportVersion } from './programs.ts';
import type { Effort, Row } from './row.ts';

export interface Report {
  readonly at: string;
  readonly sallyport: string;
  readonly node: string;
  readonly machine: string;
  readonly effort: Effort;
  readonly rows: readonly Row[];
}

export function reportOf(rows: readonly Row[], effort: Effort): Report {
  return {
    at: new Date().toISOString(),
    sallyport: sallyportVersion(),
    node: process.versions.node,
    machine: `${cpus().length} cores, ${cpus()[0]?.model.trim() ?? process.arch}`,
    effort,
    rows,
  };
}

/** @throws Error for a file that no run has written */
export function readReport(file: string): Report {
  const report = JSON.parse(readFileSync(file, 'utf8')) as Partial<Report>;
  if (!Array.isArray(report.rows) || report.effort === undefined)
    throw new Error(`${file} was not written by npm run bench -- --json`);
  return report as Report;
}

/** One sentence for each way in which the parts were measured. */
export function conditionsOf(reports: readonly Report[]): string {
  const sentences = reports.map(({ at, sallyport, node, machine, effort }) => {
    const { rounds, seconds, warmUpSeconds } = effort;
    const turns = `${rounds} rounds of ${seconds} s after a warm-up of ${warmUpSeconds} s`;
    return `Measured on ${at.slice(0, 10)}: Sallyport ${sallyport}, Node ${node}; ${machine}; medians of ${turns}.`;
  });
  return [...new Set(sentences)].join('\n');
}
