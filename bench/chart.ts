/** The rows of a run as horizontal bars: an SVG that is legible on light and on dark pages, since it has a ground of its own. */
import type { Row } from './row.ts';

const WIDTH = 740;
const MARGIN = 20;
const LABELS = 292;
const VALUES = 64;
const BAR = 14;
const STEP = 22;
const HEAD = 34;
const GAP = 14;
const TOP = 76;
const FULL = WIDTH - 2 * MARGIN - LABELS - VALUES;

const STYLE = `
  text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328; }
  .title { font-size: 16px; font-weight: 600; }
  .group { font-size: 13px; font-weight: 600; }
  .faint { fill: #59636e; }
  .ground { fill: #ffffff; stroke: #d1d9e0; }
  .own { fill: #0a66c2; }
  .other { fill: #8c959f; }
  .floor { fill: none; stroke: #0a66c2; stroke-dasharray: 3 2; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; }
    .faint { fill: #9aa6b2; }
    .ground { fill: #161b22; stroke: #3d444d; }
    .own { fill: #4c9df3; }
    .other { fill: #7d8590; }
    .floor { stroke: #4c9df3; }
  }`;

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');

/** Without the commit, which only the table needs. */
const labelOf = (contestant: string): string =>
  contestant.replace(/ [0-9a-f]{7,}(?:-dirty)?\)$/, ')').replace('and the upstream client', '+ client');

function kindOf(contestant: string): 'own' | 'floor' | 'other' {
  if (contestant.startsWith('Floor')) return 'floor';
  return contestant.startsWith('Sallyport') ? 'own' : 'other';
}

function bar({ contestant, median, unit }: Row, longest: number, y: number): string {
  const width = Math.max(1, (FULL * median) / longest);
  const left = MARGIN + LABELS;
  return [
    `<text x="${left - 8}" y="${y + 11}" text-anchor="end">${escaped(labelOf(contestant))}</text>`,
    `<rect class="${kindOf(contestant)}" x="${left}" y="${y}" width="${width.toFixed(1)}" height="${BAR}" rx="2"/>`,
    `<text x="${(left + width + 6).toFixed(1)}" y="${y + 11}">${median.toFixed(median < 100 ? 1 : 0)} ${escaped(unit)}</text>`,
  ].join('\n');
}

/** @param rows of CPU time; others are left out, since bars of different units compare nothing */
export function chart(rows: readonly Row[]): string {
  const groups = [
    ...Map.groupBy(
      rows.filter(({ unit }) => unit === 'µs'),
      ({ row }) => row,
    ),
  ]
    // A bar alone compares nothing.
    .filter(([, group]) => group.length > 1);
  let y = TOP;
  const parts = groups.map(([title, group]) => {
    const longest = Math.max(...group.map(({ median }) => median));
    const bars = group.map((row, index) => bar(row, longest, y + HEAD - 10 + index * STEP));
    const text = `<text class="group" x="${MARGIN}" y="${y + 12}">${escaped(title)}</text>`;
    y += HEAD + group.length * STEP + GAP;
    return [text, ...bars].join('\n');
  });
  const summary = groups
    .map(
      ([title, group]) =>
        `${title}: ${group.map(({ contestant, median }) => `${labelOf(contestant)} ${median.toFixed(1)}`).join(', ')}`,
    )
    .join('. ');
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" width="${WIDTH}" height="${y}" role="img" aria-labelledby="title summary">
<title id="title">CPU of a proxy for one request, in microseconds; less is better</title>
<desc id="summary">${escaped(summary)}</desc>
<style>${STYLE}
</style>
<rect class="ground" x="0.5" y="0.5" width="${WIDTH - 1}" height="${y - 1}" rx="6"/>
<text class="title" x="${MARGIN}" y="34">CPU of a proxy for one request, in µs: less is better</text>
<text class="faint" x="${MARGIN}" y="54">Medians of one run, one core each. Each group has a scale of its own. npm run bench</text>
${parts.join('\n')}
</svg>
`;
}
