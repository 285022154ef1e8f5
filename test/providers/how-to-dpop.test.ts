/** docs/how-to/dpop.md from an empty folder, command by command. It installs two packages from the npm registry. Rules D12 to D14. */
import { spawnSync } from 'node:child_process';
import t from 'tap';
import { blocksOf } from '../support/document.ts';
import { freePort } from '../support/redis.ts';
import { openTerminal } from '../support/terminal.ts';
import { noTerminal } from './support/reader.ts';

const noNpm =
  spawnSync('npm', ['ping'], { timeout: 60_000 }).status !== 0 &&
  'the npm registry must be in reach for this test';

t.test('DPoP end to end, from an empty folder', { skip: noTerminal || noNpm }, async (t) => {
  const ports = await Promise.all(
    ['3000', '4000', '8080', '9090'].map(async (usual) => [usual, `${await freePort()}`]),
  );
  const terminal = openTerminal(t, Object.fromEntries(ports) as Record<string, string>);
  const blocks = blocksOf('how-to/dpop.md');
  t.ok(blocks.length > 10);
  for (const block of blocks) await terminal.follow(t, block);
});
