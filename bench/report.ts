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

export function conditionsOf({ at, sallyport, node, machine, effort }: Report): string {
  const { rounds, seconds, warmUpSeconds } = effort;
  return `${at.slice(0, 16).replace('T', ' ')} UTC; Sallyport ${sallyport}, Node ${node}; ${machine}; median of ${rounds} rounds of ${seconds} s after ${warmUpSeconds} s`;
}
