/** What `check --online` and `explain --online` say of the same configuration and the same tokens. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { sallyport } from '../../support/command.ts';
import { withTestPorts } from '../../support/gateway.ts';
import { temporaryFolder } from '../../support/process.ts';
import { startUpstream } from '../../support/upstream.ts';

type Case = readonly [token: string, path: string];

/** The exit code of `explain` for a request that is refused. */
const REFUSED = 3;

export async function commandLineAgrees(
  t: Test,
  configuration: Record<string, unknown>,
  { passing, refused }: { readonly passing: readonly Case[]; readonly refused: readonly Case[] },
): Promise<void> {
  const folder = temporaryFolder(t);
  const [file, tokenFile] = [join(folder, 'sallyport.json'), join(folder, 'token')];
  const upstream = await startUpstream(t);
  const whole = withTestPorts({ ...configuration, upstreams: { orders: { targets: [upstream.url] } } });
  writeFileSync(file, JSON.stringify(whole), { mode: 0o600 });
  const checked = await sallyport(['check', '--online', '--json', '-c', file]);
  t.match(JSON.parse(checked.out), { ok: true, problems: [] }, checked.out);
  const explain = async ([token, path]: Case): Promise<number> => {
    writeFileSync(tokenFile, token, { mode: 0o600 });
    const url = `http://127.0.0.1${path}`;
    const { code } = await sallyport([
      'explain',
      'GET',
      url,
      '-c',
      file,
      '--token-file',
      tokenFile,
      '--online',
    ]);
    return code;
  };
  for (const each of passing) t.equal(await explain(each), 0, `explain: it passes on ${each[1]}`);
  for (const each of refused) t.equal(await explain(each), REFUSED, `explain: it is refused on ${each[1]}`);
}
