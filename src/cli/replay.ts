/** `check --replay`: what the requests of a log would get under the checked configuration, as a table or as JSON. */
import { systemClock } from '../clock.ts';
import { loadConfiguration, type LoadedConfiguration } from '../config/load.ts';
import { Changes, type Example, type Group } from '../rehearsal/changes.ts';
import { ConfigurationRules } from '../rehearsal/configuration-rules.ts';
import { readLogLine } from '../rehearsal/logged-request.ts';
import { REPORT_UNKNOWN, WHY_UNDECIDED, type Outcome } from '../rehearsal/outcome.ts';
import { Rehearsal } from '../rehearsal/rehearsal.ts';
import { CommandFailed, table } from './command.ts';
import { readLog } from './read-log.ts';

export interface Replayed {
  readonly changes: Changes;
  /** Lines that the configuration of before cannot have written. */
  readonly unfit: number;
}

/** Rows of each table that people see; --json has all. */
const SHOWN = 25;

/**
 * Decides each request of the log again.
 *
 * @param file of the log; `-` is standard input
 * @param before file of the configuration that the log was written under; undefined: it is not known
 * @throws CommandFailed where the log cannot be read, or holds no request; ConfigurationError
 */
export async function replay(
  loaded: LoadedConfiguration,
  file: string,
  before: string | undefined,
): Promise<Replayed> {
  const rules = (from: LoadedConfiguration): ConfigurationRules => new ConfigurationRules(from, systemClock);
  const earlier = before === undefined ? undefined : rules(loadConfiguration(before));
  const rehearsal = new Rehearsal(rules(loaded), earlier, systemClock);
  const changes = new Changes();
  await readLog(file, (text, number) => {
    const line = readLogLine(text);
    if (line.kind === 'request') changes.add(line.request, rehearsal.decide(line.request), number);
    else if (line.kind === 'broken') changes.addBroken(number, line.why);
    else if (line.kind === 'left_out') changes.leftOut += line.requests;
    else if (text.trim() !== '') changes.otherLines++;
  });
  if (changes.read === 0)
    throw new CommandFailed(
      `the log ${file} holds no line of a request${changes.brokenLines > 0 ? `, and ${changes.brokenLines} lines that are no JSON` : ''}; give the gateway's log, with access_log: true`,
    );
  return { changes, unfit: rehearsal.unfit };
}

export function replayText({ changes, unfit }: Replayed): string {
  const { read, requests, decided, unchanged, undecided, leftOut, brokenLines, broken } = changes;
  const counted = requests > read ? `, which stand for about ${Math.round(requests)}` : '';
  const open = [...undecided.values()].reduce((sum, { lines }) => sum + lines, 0);
  return [
    `${read} requests read${counted}: ${decided} decided, ${unchanged} of them unchanged; ${open} not decidable`,
    ...part('would change', changes.changed.list, changes.changed.beyond, outcomeText),
    ...part('would go to another upstream', changes.elsewhere.list, changes.elsewhere.beyond, upstreamText),
    ...part(
      'would pass only because the route has report_only',
      changes.reported.list,
      changes.reported.beyond,
      outcomeText,
    ),
    ...(undecided.size === 0 ? [] : ['', 'not decidable:', undecidedTable(changes)]),
    ...(unfit === 0 ? [] : ['', `${unfit} lines were not written under the configuration of --before`]),
    ...(leftOut === 0 ? [] : ['', `${leftOut} requests have no line (log.refusals), and were not decided`]),
    ...(brokenLines === 0 ? [] : ['', `${brokenLines} lines are not whole lines of JSON:`]),
    ...broken.map(({ line, why }) => `line ${line}: ${why}`),
    ...(brokenLines > broken.length ? [`and ${brokenLines - broken.length} more`] : []),
  ].join('\n');
}

function undecidedTable({ undecided }: Changes): string {
  const rows = [...undecided].sort(([, one], [, other]) => other.lines - one.lines);
  return table([
    ['requests', 'why', 'for example'],
    ...rows.map(([why, { requests, example }]) => [
      countText(requests),
      WHY_UNDECIDED[why],
      exampleText(example),
    ]),
  ]);
}

function part(
  title: string,
  groups: readonly Group[],
  beyond: number,
  text: (outcome: Outcome) => string,
): string[] {
  if (groups.length === 0) return [];
  const shown = groups.slice(0, SHOWN);
  const more = groups.length - shown.length;
  return [
    '',
    `${title}:`,
    table([
      ['requests', 'before', 'after', 'client', 'for example'],
      ...shown.map((group) => [
        countText(group.requests),
        text(group.before),
        text(group.after),
        clientText(group),
        exampleText(group.example),
      ]),
    ]),
    ...(more > 0 || beyond > 0
      ? [`and ${more} more groups${beyond > 0 ? ', and others' : ''}; see --json`]
      : []),
  ];
}

function outcomeText({ route, verdict, status, code, reason, reported }: Outcome): string {
  switch (verdict) {
    case 'own':
      return "the gateway's own response";
    case 'passes':
      return `${route}: passes${reportText(reported)}`;
    case 'refused':
      return `${route}: ${status} ${reason ?? code}`;
  }
}

function reportText(reported: string | undefined): string {
  if (reported === undefined) return '';
  return reported === REPORT_UNKNOWN ? ', and may be reported' : `, reported as ${reported}`;
}

function upstreamText({ route, upstreams }: Outcome): string {
  return `${route}: ${upstreams.join(' or ')}`;
}

function clientText({ issuer, clientId }: Group): string {
  return [issuer, clientId].filter((text) => text !== undefined).join(' ') || '-';
}

function countText(requests: number): string {
  return String(Math.round(requests));
}

/** Of a path that clients have made long. */
const MAX_PATH = 60;

function exampleText({ line, method, path }: Example): string {
  return `line ${line}: ${method} ${path.length > MAX_PATH ? `${path.slice(0, MAX_PATH)}...` : path}`;
}

export function replayJson({ changes, unfit }: Replayed): object {
  const { changed, elsewhere, reported, undecided } = changes;
  return {
    requests: { lines: changes.read, stand_for: changes.requests },
    decided: changes.decided,
    unchanged: changes.unchanged,
    changed: changed.list.map(groupJson),
    other_upstream: elsewhere.list.map(groupJson),
    reported: reported.list.map(groupJson),
    /** Lines of groups beyond the first thousand of a kind. */
    ungrouped: changed.beyond + elsewhere.beyond + reported.beyond,
    not_decidable: Object.fromEntries([...undecided]),
    not_written_before: unfit,
    left_out: changes.leftOut,
    other_lines: changes.otherLines,
    broken: { lines: changes.brokenLines, first: changes.broken },
  };
}

function groupJson({ before, after, issuer, clientId, ...group }: Group): object {
  return {
    before: outcomeJson(before),
    after: outcomeJson(after),
    issuer: issuer ?? null,
    client_id: clientId ?? null,
    ...group,
  };
}

function outcomeJson({ route, verdict, status, code, reason, reported, upstreams }: Outcome): object {
  return {
    ...{ route, verdict, upstreams },
    status: status ?? null,
    code: code ?? null,
    reason: reason ?? null,
    reported: reported ?? null,
  };
}
