/** How many requests a second a core of Sallyport serves, by the rows of a run. */
import type { Row } from './row.ts';

/** Of a core: room for a peak, a collection of garbage, and one host less. */
const USED = 0.6;

export function capacityMarkdown(rows: readonly Row[]): string {
  const own = rows.filter(({ unit, contestant }) => unit === 'µs' && contestant.startsWith('Sallyport'));
  // What several tables show is said once.
  const lines = new Map(
    own
      .filter(({ row, contestant }) => !row.startsWith('beside others') && !contestant.includes('accepted'))
      .map(({ row, contestant, median }) => {
        const variant = /^Sallyport, (.*) \(/.exec(contestant)?.[1];
        const load = variant === undefined ? row : `${row}: ${variant}`;
        const perSecond = (USED * 1_000_000) / median;
        return [load, `| ${load} | ${median.toFixed(1)} | ${Math.round(perSecond / 100) * 100} |`];
      }),
  );
  const head = `| Sallyport | µs | requests a second that use ${100 * USED} % of a core |`;
  return ['**What a core serves**', '', head, '| --- | --- | --- |', ...lines.values()].join('\n');
}
