/**
 * The tests of deploy/prometheus for promtool, in small files: each test with the rules that its alerts need, and no others.
 * promtool evaluates every rule that a file names, for every test of it.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

export const DEPLOYED = fileURLToPath(new URL('../../deploy/prometheus/', import.meta.url));

export interface Rule {
  readonly alert?: string;
  readonly record?: string;
  readonly expr: string;
}
export interface Group {
  readonly name: string;
  readonly rules: readonly Rule[];
}
export interface AlertTest {
  readonly name: string;
  readonly alert_rule_test: readonly {
    readonly alertname: string;
    readonly exp_alerts: readonly unknown[];
  }[];
}
interface TestFile {
  readonly evaluation_interval: string;
  readonly group_eval_order: readonly string[];
  readonly tests: readonly AlertTest[];
}

const readYaml = (file: string): unknown => parse(readFileSync(join(DEPLOYED, file), 'utf8'));
export const groupsIn = (file: string): readonly Group[] =>
  (readYaml(file) as { groups: readonly Group[] }).groups;
export const ALERT_TEST_FILES = ['alerts.test.yml', 'alerts-daily.test.yml'];
export const testsIn = (file: string): readonly AlertTest[] => (readYaml(file) as TestFile).tests;

/**
 * @param folder where to
 * @returns the files of tests
 */
export function writeSmallTests(folder: string): string[] {
  const groups = ['recording.rules.yml', 'alerts.rules.yml'].flatMap(groupsIn);
  return ALERT_TEST_FILES.flatMap((file) => {
    const { tests, group_eval_order, ...rest } = readYaml(file) as TestFile;
    const byAlerts = Map.groupBy(tests, ({ alert_rule_test }) =>
      [...new Set(alert_rule_test.map(({ alertname }) => alertname))].join(),
    );
    return [...byAlerts].map(([names, some]) => {
      const needed = neededFor(groups, names.split(','));
      const [rules, written] = [`${names}.${file}.rules.yml`, join(folder, `${names}.${file}`)];
      const order = group_eval_order.filter((name) => needed.some((group) => group.name === name));
      writeFileSync(join(folder, rules), JSON.stringify({ groups: needed }));
      writeFileSync(
        written,
        JSON.stringify({ ...rest, rule_files: [rules], group_eval_order: order, tests: some }),
      );
      return written;
    });
  });
}

/** The groups with these alerts and what was recorded for them, alone. */
function neededFor(groups: readonly Group[], alerts: readonly string[]): Group[] {
  const rules = groups.flatMap((group) => group.rules);
  const needed = new Set(rules.filter(({ alert }) => alert !== undefined && alerts.includes(alert)));
  for (const { expr } of needed)
    for (const rule of rules) if (rule.record !== undefined && expr.includes(rule.record)) needed.add(rule);
  return groups
    .map(({ rules, ...rest }) => ({ ...rest, rules: rules.filter((rule) => needed.has(rule)) }))
    .filter((group) => group.rules.length > 0);
}
