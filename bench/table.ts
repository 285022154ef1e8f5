/** The rows of a run as text for a terminal, and as Markdown for a document. */
import { capacityMarkdown } from './capacity.ts';
import type { Row } from './row.ts';

const digits = (value: number): string => value.toFixed(value < 1 ? 2 : value < 1_000 ? 1 : 0);

function cellsOf(row: Row): readonly string[] {
  const { contestant, unit, median, low, high, ratio, residentMiB } = row;
  return [
    contestant,
    `${digits(median)} ${unit}`,
    `${digits(low)} to ${digits(high)}`,
    ratio === undefined ? '' : ratio.value.toFixed(2),
    residentMiB === undefined ? '' : residentMiB.toFixed(0),
  ];
}

const goalLines = ({ goals = [] }: Row): readonly string[] =>
  goals.map(({ text, met }) => `${text}: ${met ? 'met' : 'NOT MET'}`);

/** In the order of their first rows. */
function grouped(
  rows: readonly Row[],
): readonly (readonly [section: string, row: string, rows: readonly Row[]])[] {
  return [...Map.groupBy(rows, ({ section, row }) => `${section}\n${row}`).values()].map((group) => [
    group[0]?.section ?? '',
    group[0]?.row ?? '',
    group,
  ]);
}

function headings(rows: readonly Row[]): readonly string[] {
  const to = rows.find(({ ratio }) => ratio !== undefined)?.ratio?.to;
  return [
    '',
    'median',
    'lowest to highest',
    to === undefined ? '' : `/ ${to}`,
    rows.some(({ residentMiB }) => residentMiB !== undefined) ? 'MiB' : '',
  ];
}

export function tableText(rows: readonly Row[]): string {
  const lines: string[] = [];
  for (const [section, row, group] of grouped(rows)) {
    const table = [headings(group), ...group.map(cellsOf)];
    const widths =
      table[0]?.map((_, column) => Math.max(...table.map((cells) => cells[column]?.length ?? 0))) ?? [];
    const line = (cells: readonly string[]): string =>
      cells
        .map((cell, column) =>
          column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join('  ')
        .trimEnd();
    lines.push('', `${section}: ${row}`, `  ${line(headings(group))}`);
    for (const each of group) {
      lines.push(`  ${line(cellsOf(each))}`);
      if (each.note !== undefined) lines.push(`      ${each.note}`);
      lines.push(...goalLines(each).map((text) => `      ${text}`));
    }
  }
  return `${lines.join('\n').trimStart()}\n`;
}

/** One table for each row, without the columns that are empty. */
export function tableMarkdown(rows: readonly Row[]): string {
  return grouped(rows)
    .map(([section, row, group]) => {
      const remarks = (each: Row): string => [...goalLines(each), each.note ?? ''].filter(Boolean).join('; ');
      const table = [
        [...headings(group), 'goals and notes'],
        ...group.map((each) => [...cellsOf(each), remarks(each)]),
      ];
      const isUsed = (column: number): boolean => table.slice(1).some((cells) => cells[column] !== '');
      const line = (cells: readonly string[]): string =>
        `| ${cells.filter((_, column) => column === 0 || isUsed(column)).join(' | ')} |`;
      const [head = [], ...body] = table;
      return [`**${section}: ${row}**`, '', line(head), line(head.map(() => '---')), ...body.map(line)].join(
        '\n',
      );
    })
    .join('\n\n');
}

const [BEGIN, END] = ['<!-- figures: npm run bench -- --document writes them -->', '<!-- end of figures -->'];

/** @throws Error for a document without the marks */
export function withFigures(document: string, conditions: string, rows: readonly Row[]): string {
  const [before, rest] = document.split(BEGIN);
  const after = rest?.split(END)[1];
  if (before === undefined || after === undefined) throw new Error(`the document lacks ${BEGIN} or ${END}`);
  return `${before}${BEGIN}\n\n${conditions}\n\n${tableMarkdown(rows)}\n\n${capacityMarkdown(rows)}\n\n${END}${after}`;
}
