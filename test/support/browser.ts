/** Debian's Chromium, driven by playwright-core. */
import { spawnSync } from 'node:child_process';
import { chromium, type Browser } from 'playwright-core';
import type { Test } from 'tap';

const PROGRAMS = ['chromium', 'chromium-browser', 'google-chrome'];
const program = PROGRAMS.find((name) => spawnSync(name, ['--version']).status === 0);

/** Why the tests that need it are skipped; false if it is installed. */
export const noBrowser = program === undefined && 'chromium is not installed: apt-get install -y chromium';

export async function startBrowser(t: Test): Promise<Browser> {
  const executablePath = spawnSync('which', [program ?? ''])
    .stdout.toString()
    .trim();
  const browser = await chromium.launch({
    executablePath,
    args: ['--no-sandbox', '--disable-gpu'],
    timeout: 0,
  });
  t.teardown(() => browser.close());
  return browser;
}
