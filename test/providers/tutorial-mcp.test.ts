/** docs/tutorial-mcp.md, command by command, in an empty folder. The test is the person with the browser. */
import { spawnSync } from 'node:child_process';
import { homedir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { blocksOf } from '../support/document.ts';
import { freePort } from '../support/redis.ts';
import { openTerminal } from '../support/terminal.ts';
import { logIn } from './support/development-login.ts';
import { notInstalled, run } from './support/installed.ts';
import { Browser } from './support/oauth-client.ts';

const PAGE = 'tutorial-mcp.md';
/** The reader is told to open the URL that this shows. */
const SHOWS_URL = "until grep 'Log in' client.log";

const lacking = ['bash', 'curl', 'openssl', 'npm'].filter(
  (program) => spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0,
);
const skip =
  (lacking.length > 0 && `${lacking.join(', ')} must be installed for this test`) ||
  notInstalled('The SDK of MCP', () => run('npm', ['view', '@modelcontextprotocol/sdk', 'version'], '.'));

t.test('the MCP tutorial works as it stands, from an empty folder to the end', { skip }, async (t) => {
  const replacements: Record<string, string> = {};
  for (const port of ['3000', '4000', '8080', '8090', '9090']) replacements[port] = String(await freePort());
  // The reader has npm with its settings and its cache.
  const terminal = openTerminal(t, replacements, {
    npm_config_userconfig: join(homedir(), '.npmrc'),
    npm_config_cache: join(homedir(), '.npm'),
  });
  const browser = new Browser();
  const blocks = blocksOf(PAGE);
  t.equal(blocks.filter(({ text }) => text.includes(SHOWS_URL)).length, 3);
  const redirectUrl = `http://127.0.0.1:${replacements['8090']}/callback`;
  // A configuration behind the end of the story is checked by test/docs/configurations.test.ts.
  const end = blocks.findIndex(({ text }) => text.includes('rm -r'));
  for (const block of blocks.slice(0, end + 1)) {
    await terminal.follow(t, block);
    if (!block.text.includes(SHOWS_URL)) continue;
    const url = (await terminal.run('cat client.log')).replace(/^[^]*Log in: (\S+)[^]*$/, '$1');
    const back = await logIn(browser, url, redirectUrl, 'alice');
    t.match((await browser.open(back.href)).html, 'You may close this page.');
  }
  t.equal(await terminal.run('ls'), '', 'nothing is left');
});
