/** `npm run bench`: Sallyport and its peers in turns, on this machine. See docs/performance.md. */
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { chart } from './chart.ts';
import { conditionsOf, readReport, reportOf, type Report } from './report.ts';
import type { Effort, Row } from './row.ts';
import { SECTIONS, type Named } from './sections.ts';
import { tableText, withFigures } from './table.ts';

const FULL: Effort = { rounds: 5, seconds: 5, warmUpSeconds: 8 };
const QUICK: Effort = { rounds: 3, seconds: 2, warmUpSeconds: 5 };
const NAME_WIDTH = 14;

const HELP = `npm run bench -- [options]

Measures Sallyport and its peers, each alone on core 0, load and upstream on core 1. All take turns in every round.

  --only NAMES     what to measure, of the names below, with commas between them (default: all)
  --quick          ${QUICK.rounds} short rounds in place of ${FULL.rounds}
  --rounds N, --seconds N, --warm-up N
                   other rounds; seconds of each measurement, and of the load before
  --json FILE      also writes the figures to a file
  --svg FILE       also draws them as a chart
  --document FILE  also puts them into a document, between its marks
  --show FILE      measures nothing: shows what --json has written; may be given several times

Names:
${SECTIONS.map(({ name, about }) => `  ${name.padEnd(NAME_WIDTH)} ${about}`).join('\n')}
`;

const { values } = parseArgs({
  options: {
    help: { type: 'boolean', short: 'h' },
    only: { type: 'string' },
    quick: { type: 'boolean' },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    'warm-up': { type: 'string' },
    json: { type: 'string' },
    svg: { type: 'string' },
    document: { type: 'string' },
    show: { type: 'string', multiple: true },
  },
});

/** @throws Error for a name that there is not */
function chosen(): readonly Named[] {
  const names = values.only?.split(',') ?? SECTIONS.map(({ name }) => name);
  return names.map((name) => {
    const found = SECTIONS.find((each) => each.name === name.trim());
    if (!found) throw new Error(`--only: there is no "${name}"; see --help`);
    return found;
  });
}

/** @throws Error for what is no whole number above zero: wrk takes only those */
function positive(text: string | undefined, byDefault: number): number {
  const number = Number(text ?? byDefault);
  if (!Number.isInteger(number) || number < 1) throw new Error(`"${text}" is no whole number above zero`);
  return number;
}

function effort(): Effort {
  const { rounds, seconds, warmUpSeconds } = values.quick === true ? QUICK : FULL;
  return {
    rounds: positive(values.rounds, rounds),
    seconds: positive(values.seconds, seconds),
    warmUpSeconds: positive(values['warm-up'], warmUpSeconds),
  };
}

/** What is whole is shown although a later part has failed: parts take minutes, and can be measured again by themselves. */
async function measured(): Promise<readonly Report[]> {
  const how = effort();
  const rows: Row[] = [];
  for (const { name, section } of chosen()) {
    try {
      rows.push(...(await section(how)));
    } catch (error) {
      console.error(`${name} has failed; measure it again with --only ${name}\n`, error);
      process.exitCode = 1;
    }
  }
  return [reportOf(rows, how)];
}

function show(reports: readonly Report[]): void {
  const rows = reports.flatMap((report) => report.rows);
  const { json, svg, document } = values;
  console.log(`${conditionsOf(reports)}\n\n${tableText(rows)}`);
  if (json !== undefined && conditionsOf(reports).includes('\n'))
    throw new Error('--json: these parts were measured in different ways, and are no single run');
  if (json !== undefined) writeFileSync(json, `${JSON.stringify({ ...reports[0], rows }, null, 2)}\n`);
  if (svg !== undefined) writeFileSync(svg, chart(rows));
  if (document !== undefined)
    writeFileSync(document, withFigures(readFileSync(document, 'utf8'), conditionsOf(reports), rows));
}

if (values.help === true) console.log(HELP);
else show(values.show === undefined ? await measured() : values.show.map(readReport));
