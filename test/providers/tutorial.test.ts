/** docs/tutorial.md, command by command, with a real Keycloak in an empty folder. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { blocksOf } from '../support/document.ts';
import { freePort } from '../support/redis.ts';
import { openTerminal } from '../support/terminal.ts';
import { ARTIFACT } from './keycloak/server.ts';
import { installed, notInstalled, run } from './support/installed.ts';
import { missing } from './support/toolchain.ts';

const PAGE = 'tutorial.md';

/** The zip file that the tutorial's reader downloads. Returns its path. */
function zipFile(): string {
  const folder = installed(`keycloak-zip-${ARTIFACT.split(':')[2]}`, [], (folder) =>
    run(
      'mvn',
      ['-q', '-B', 'dependency:copy', `-Dartifact=${ARTIFACT}`, `-DoutputDirectory=${folder}`],
      folder,
    ),
  );
  return join(folder, readdirSync(folder)[0] ?? '');
}

const lacking = ['bash', 'curl', 'openssl', 'unzip'].filter(
  (program) => spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0,
);
const skip =
  missing('Java', 'Maven') ||
  (lacking.length > 0 && `${lacking.join(', ')} must be installed for this test`) ||
  notInstalled('Keycloak', zipFile);

t.test('the tutorial works as it stands, from an empty folder to the end', { skip }, async (t) => {
  const ports = ['3000', '8080', '8180', '9090'];
  const replacements: Record<string, string> = {};
  for (const port of ports) replacements[port] = String(await freePort());
  const terminal = openTerminal(t, replacements, { JAVA_OPTS_APPEND: '-XX:TieredStopAtLevel=1' });
  mkdirSync(join(terminal.home, 'Downloads'));
  symlinkSync(zipFile(), join(terminal.home, 'Downloads', 'keycloak-26.7.zip'));
  const blocks = blocksOf(PAGE);
  t.ok(blocks.length > 25);
  const begun = Date.now();
  for (const block of blocks) await terminal.follow(t, block);
  t.comment(`${Math.round((Date.now() - begun) / 1000)} seconds`);
  t.equal(await terminal.run('ls'), '', 'nothing is left');
});
