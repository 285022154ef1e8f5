/**
 * The demo (`npm run demo`): an authorization server, a cookie factory and the gateway, in one process. It prints what to
 * paste for each step of the story; with `--script` it plays the story itself and checks every response.
 */
import { playScript } from './script.ts';
import { startServers, type DemoServers } from './servers.ts';
import { furtherSteps, storySteps } from './steps.ts';

/** Resolves to the exit code: 0, or 1 if a response of the script was not as expected. */
export async function playDemo(script: boolean): Promise<number> {
  const servers = await startServers(!script);
  try {
    if (script) return await playScript(servers);
    printStory(servers);
    const { promise, resolve } = Promise.withResolvers<void>();
    process.once('SIGINT', resolve);
    process.once('SIGTERM', resolve);
    await promise;
    return 0;
  } finally {
    await servers.close();
  }
}

function printStory(servers: DemoServers): void {
  const { issuer, factory, gateway, admin, adminToken, folder } = servers;
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  say(`
Sallyport demo: an authorization server at ${issuer.url}, a cookie factory at ${factory.url},
and the gateway in front of it at ${gateway}. Paste these into another terminal, in this folder.

   ADMIN=${adminToken} DEMO=${folder}`);
  for (const [index, { title, commands }] of [...storySteps(servers), ...furtherSteps(servers)].entries())
    say(`\n${index + 1}. ${title}\n${commands.map((command) => `   ${command}`).join('\n')}`);
  say(`
The admin page, with health, live charts and revocations: ${admin}/
   sign in with: ${adminToken}

Ctrl-C stops everything.`);
}
