/**
 * Writes the rules to where Prometheus reads them, and the links of their tests: npm run alerts. `--release` changes nothing,
 * and fails where the links lead nowhere, or where what is committed is not what would be written.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { format } from 'prettier';
import { parse, stringify } from 'yaml';
import { panelPath } from '../grafana/dashboards.ts';
import { kubernetesRules } from './kubernetes-rules.ts';
import {
  ALERTS,
  alertGroups,
  GROUP_ORDER,
  linksOf,
  recordingGroups,
  runbookBase,
  UNSET_REPOSITORY,
} from './rules.ts';

interface AlertTests {
  readonly group_eval_order?: readonly string[];
  readonly tests: readonly {
    readonly alert_rule_test: readonly {
      readonly alertname: string;
      readonly exp_alerts: readonly { exp_annotations: Record<string, string> }[];
    }[];
  }[];
}

const GENERATED = '# Written by npm run alerts, from the .ts files beside it.\n';
const GENERATED_ELSEWHERE = '# Written by npm run alerts, from the .ts files of deploy/prometheus.\n';
/** Apart, since a minute as the interval of evaluation makes tests of days slow. */
const TEST_FILES = ['alerts.test.yml', 'alerts-daily.test.yml'];
const TESTS_HEAD = `# Each alert: when it fires, and when it does not; alerts-daily has those that look back for a day.
#   promtool test rules alerts.test.yml alerts-daily.test.yml
# The links in it are written by npm run alerts.
`;

/** By file name. */
export async function ruleFiles(base = runbookBase()): Promise<ReadonlyMap<string, string>> {
  const written: [string, string][] = [
    ['alerts.rules.yml', GENERATED + yaml(alertGroups(base, panelPath))],
    ['recording.rules.yml', GENERATED + yaml(recordingGroups())],
    ...kubernetesRules(base).map(([file, content]): [string, string] => [
      file,
      GENERATED_ELSEWHERE + yaml(content),
    ]),
    ...TEST_FILES.map((file): [string, string] => [file, TESTS_HEAD + yaml(linkedTests(file, base))]),
  ];
  const formatted = written.map(async ([file, text]): Promise<[string, string]> => [
    file,
    await format(text, { parser: 'yaml', singleQuote: true, printWidth: 110 }),
  ]);
  return new Map(await Promise.all(formatted));
}

/** The tests in a file, which expect the links that the alerts have now. */
function linkedTests(file: string, base: string): AlertTests {
  const tests = parse(readFileSync(new URL(file, import.meta.url), 'utf8')) as AlertTests;
  for (const { alertname, exp_alerts } of tests.tests.flatMap(({ alert_rule_test }) => alert_rule_test)) {
    const alert = ALERTS.find(({ name }) => name === alertname);
    if (!alert) throw new Error(`${file}: there is no alert ${alertname}`);
    for (const expected of exp_alerts) {
      const { summary = '', description } = expected.exp_annotations;
      const links = linksOf(alert, base, panelPath);
      expected.exp_annotations = { summary, ...(description !== undefined && { description }), ...links };
    }
  }
  return { ...tests, group_eval_order: GROUP_ORDER };
}

const yaml = (value: object): string => stringify(value, { lineWidth: 0, aliasDuplicateObjects: false });

/** Why this must not be released; undefined where it may be. */
export async function releaseProblem(): Promise<string | undefined> {
  if (runbookBase().startsWith(UNSET_REPOSITORY))
    return 'the runbook_url of every alert leads nowhere: set "repository" in package.json to the https:// URL of the repository, then npm run alerts && npm run dashboards';
  for (const [file, text] of await ruleFiles())
    if (readFileSync(new URL(file, import.meta.url), 'utf8') !== text)
      return `deploy/prometheus/${file} is not what npm run alerts writes: run it, and commit the result`;
  return undefined;
}

if (import.meta.main) {
  if (process.argv.includes('--release')) {
    const problem = await releaseProblem();
    if (problem !== undefined) {
      console.error(problem);
      process.exitCode = 1;
    }
  } else for (const [file, text] of await ruleFiles()) writeFileSync(new URL(file, import.meta.url), text);
}
